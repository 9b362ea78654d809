"""Form bodies in any chunks, with any damage, and at their limits."""

from collections.abc import AsyncIterator, Iterable, Sequence
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.domain.edit import ImageRef
from gateway.domain.errors import BodyTooLarge, InvalidRequest, Violation
from gateway.transport.form import Form, FormLimits
from gateway.transport.multipart_reader import read_form
from tests.transport.forms import (
    BLOCK,
    CONTENT_TYPE,
    LIMITS,
    body,
    cut,
    is_file_field,
    part,
    read,
    refusal,
    stream,
)

# What a browser would escape in a name is tested beside the reader.
NAMES = st.text(
    st.characters(codec="utf-8", exclude_categories=["C"], exclude_characters='"%\\'),
    min_size=1,
    max_size=12,
)
SNIPPETS = (b"\r\n--frontie", b"\r", b"\n", b"\r\n", b"--frontier", b"\r\n--", b"\x00", b"text")
CONTENT = (
    st.lists(st.sampled_from(SNIPPETS) | st.binary(max_size=9), max_size=6)
    .map(b"".join)
    .filter(lambda content: b"\r\n--frontier" not in content)
)
BOUNDARIES = (b"\r\n--frontier\r\n", b"\r\n--frontier--")
FRAGMENTS = (*SNIPPETS, *BOUNDARIES, b": ", b'"', b";", b" ", b"\xff")


def written(fields: Sequence[tuple[str, str]], files: Sequence[bytes]) -> bytes:
    texts = [part(f'name="{name}"', text.encode()) for name, text in fields]
    pictures = [part('name="imageFile"; filename="f"', data) for data in files]
    return body(*texts, *pictures)


async def result(chunks: Iterable[bytes]) -> Form | tuple[Violation, ...] | str:
    """The form, or why there is none; any other error fails the test."""
    try:
        return await read_form(CONTENT_TYPE, stream(chunks), LIMITS, is_file_field)
    except InvalidRequest as error:
        return error.violations
    except BodyTooLarge as error:
        return error.message


def chunked(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(NAMES, st.text(max_size=9)), max_size=4),
    st.lists(CONTENT, max_size=3),
    st.lists(st.integers(0, 10_000), max_size=8),
)
@example([], [b"\r\n--frontie"], list(range(200)))
async def test_any_form_in_any_chunks_is_read_as_it_was_written(
    fields: list[tuple[str, str]], files: list[bytes], cuts: list[int]
) -> None:
    form = await read(*chunked(written(fields, files), cuts))
    assert fields == [*form.fields]
    assert files == [file.data for file in form.files]
    assert [ImageRef.of(data) for data in files] == [file.ref for file in form.files]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 400), st.integers(0, 9), st.sampled_from(FRAGMENTS)), max_size=4
    ),
    st.lists(st.integers(0, 10_000), max_size=8),
)
@example([(0, 400, b"")], [])
@example([(0, 12, b"\r\n--")], [3])
async def test_damage_gives_a_form_or_a_violation_and_chunks_decide_nothing(
    damage: list[tuple[int, int, bytes]], cuts: list[int]
) -> None:
    raw = written([("padding", "0.1"), ("background.prompt", "a b")], [b"\x89PNG\r"])
    for at, gone, come in damage:
        raw = raw[:at] + come + raw[at + gone :]
    whole = await result([raw])
    assert whole == await result(chunked(raw, cuts))
    assert whole == await result(cut(raw, 1))


@settings(max_examples=30, deadline=None)
@given(st.binary(max_size=300), st.integers(1, 9))
async def test_arbitrary_bytes_are_no_form(data: bytes, size: int) -> None:
    violations = await result(cut(b"--frontier\r\n" + data, size))
    assert isinstance(violations, tuple)
    assert violations[0].code in {"MALFORMED_MULTIPART", "TRUNCATED_BODY"}


async def test_ten_thousand_fields_are_too_many() -> None:
    assert 512 == len((await read(body(*[part('name="a"')] * 512))).fields)
    violation = await refusal(body(*[part('name="a"')] * 10_000))
    assert Violation("body", "TOO_MANY_FIELDS", "has more than 512 parts") == violation


async def test_a_text_has_its_longest_length() -> None:
    assert 65_536 == len((await read(body(part('name="a"', b"x" * 65_536)))).fields[0][1])
    violation = await refusal(body(part('name="a"', b"x" * 65_537)))
    assert Violation("a", "FIELD_TOO_LONG", "is longer than 65536 bytes") == violation


async def test_a_file_has_its_largest_size() -> None:
    limits = FormLimits(body=4_000_000, file=300_000)
    whole = body(part('name="imageFile"', b"x" * 300_000))
    assert 300_000 == (await read(whole, limits=limits)).files[0].ref.size
    violation = await refusal(body(part('name="imageFile"', b"x" * 300_001)), limits=limits)
    assert ("imageFile", "IMAGE_TOO_LARGE") == (violation.field, violation.code)


async def test_a_body_has_its_largest_size() -> None:
    raw = body(part('name="a"'))
    exact = FormLimits(body=len(raw), file=10)
    assert (("a", "x"),) == (await read(*cut(raw, 7), limits=exact)).fields
    with pytest.raises(BodyTooLarge):
        await read(*cut(raw + b"!", 7), limits=exact)


@pytest.mark.parametrize(
    ("start", "most"),
    [
        pytest.param(part('name="imageFile"', b""), LIMITS.file + BLOCK, id="file"),
        pytest.param(part('name="a"', b""), LIMITS.text + BLOCK, id="text"),
        pytest.param(b"", BLOCK, id="no boundary"),
        pytest.param(b"--frontier\r\nX: ", BLOCK, id="header"),
        pytest.param(body(), LIMITS.body, id="epilogue"),
    ],
)
async def test_an_endless_body_is_left_soon_after_the_limit(start: bytes, most: int) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        yield start.removesuffix(b"\r\n")
        while True:
            sent += 10_000
            yield b"z" * 10_000

    with pytest.raises((InvalidRequest, BodyTooLarge)):
        await read_form(CONTENT_TYPE, endless(), LIMITS, is_file_field)
    assert sent <= most + 10_000
