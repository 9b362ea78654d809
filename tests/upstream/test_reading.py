"""Answers into pictures and typed errors: tables for what is known, properties for the rest."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.answer import Answer
from gateway.domain.errors import (
    Ending,
    GatewayError,
    KeyExhausted,
    KeyForbidden,
    KeyRejected,
    KeyThrottled,
    OutcomeUnknown,
    UpstreamBadAnswer,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamUnreachable,
)
from gateway.upstream.reading import (
    DEFAULT_WAIT,
    LONGEST_WAIT,
    Reply,
    error_message,
    read_answer,
    wait_of,
)
from tests.upstream.purchases import PNG, SECRET

DETAIL = b'{"detail": "Request was throttled. Expected available in 17 seconds."}'
DATE = "Tue, 23 Jun 2026 10:00:00 GMT"


def failure(reply: Reply) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        read_answer(reply)
    return caught.value


@pytest.mark.parametrize(
    ("status", "error", "ending"),
    [
        (101, OutcomeUnknown, Ending.UNKNOWN),
        (201, UpstreamBadAnswer, Ending.SPENT),
        (204, UpstreamBadAnswer, Ending.SPENT),
        (206, UpstreamBadAnswer, Ending.SPENT),
        (301, UpstreamUnreachable, Ending.NOT_SPENT),
        (304, UpstreamUnreachable, Ending.NOT_SPENT),
        (400, UpstreamRefused, Ending.NOT_SPENT),
        (401, KeyRejected, Ending.DROPPED),
        (402, KeyExhausted, Ending.DROPPED),
        (403, KeyForbidden, Ending.DROPPED),
        (404, UpstreamRefused, Ending.NOT_SPENT),
        (405, UpstreamRefused, Ending.NOT_SPENT),
        (408, UpstreamUnreachable, Ending.NOT_SPENT),
        (413, UpstreamRefused, Ending.NOT_SPENT),
        (415, UpstreamRefused, Ending.NOT_SPENT),
        (422, UpstreamRefused, Ending.NOT_SPENT),
        (429, KeyThrottled, Ending.DROPPED),
        (500, UpstreamFailed, Ending.NOT_SPENT),
        (501, OutcomeUnknown, Ending.UNKNOWN),
        (502, OutcomeUnknown, Ending.UNKNOWN),
        (503, OutcomeUnknown, Ending.UNKNOWN),
        (504, OutcomeUnknown, Ending.UNKNOWN),
        (599, OutcomeUnknown, Ending.UNKNOWN),
        (777, OutcomeUnknown, Ending.UNKNOWN),
    ],
)
def test_each_status_has_one_error_and_one_cost(
    status: int, error: type[GatewayError], ending: Ending
) -> None:
    got = failure(Reply(status, {"content-type": "image/png"}, PNG))
    assert error is type(got)
    assert ending is got.ending


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"error": {"message": "removeBackground must be boolean"}}', "removeBackground must be boolean"),
        (b'{"error": {"detail": "no images left"}}', "no images left"),
        (b'{"detail": "Please provide an image.", "status_code": 400, "type": "missing_image"}', "Please provide an image."),
        (b'{"message": "Not Found"}', "Not Found"),
        (b'{"error": {"message": "first", "detail": "second"}, "detail": "third"}', "first"),
        (b'{"error": {"message": ""}, "detail": "third"}', "third"),
        (b'{"error": "a text"}', '{"error": "a text"}'),
        (b'"a text"', '"a text"'),
        (b"<html>\r\n<b>Bad</b>\x00\xff</html>", "<html> <b>Bad</b> \ufffd</html>"),
        (b"[" * 100_000, "[" * 500),
        (b"1" * 10_000, "1" * 500),
        (b"", "The upstream answered 400 without a word."),
        (b" \r\n\x07", "The upstream answered 400 without a word."),
    ],
)  # fmt: skip
def test_every_shape_of_error_is_read(body: bytes, expected: str) -> None:
    assert expected == failure(Reply(400, {}, body)).message


def test_private_texts_and_links_are_cut_out_of_a_message() -> None:
    said = f"cannot fetch https://shop.example/a?token=x for key {SECRET}: my secret shoe, red"
    reply = Reply(400, {}, json.dumps({"detail": said}).encode())
    expected = "cannot fetch [...] for key [...]: my [...], red"
    assert expected == error_message(reply, ["red", "secret shoe", "secret", SECRET])


@pytest.mark.parametrize("status", [401, 402, 403, 429])
def test_what_the_upstream_says_of_a_key_is_not_repeated(status: int) -> None:
    reply = Reply(status, {}, json.dumps({"detail": f"bad key {SECRET}"}).encode())
    assert SECRET not in failure(reply).message


@pytest.mark.parametrize(
    ("body", "headers", "expected"),
    [
        (DETAIL, {}, 17),
        (DETAIL, {"retry-after": "3"}, 17),
        (b'{"detail": "Request was throttled. Expected available in 1 second."}', {}, 1),
        (b'{"error": {"message": "Expected available in 14782 seconds."}}', {}, 14782),
        (b"Expected available in 2.5 seconds.", {}, 2.5),
        (b"Expected available in 999999999999 seconds.", {}, LONGEST_WAIT),
        (b"Expected available in 9999999999999999 seconds.", {"retry-after": "4"}, 4),
        (b"Expected available in soon seconds.", {"retry-after": " 30 "}, 30),
        (b"", {"retry-after": "0"}, 0),
        (b"", {"retry-after": "-1"}, DEFAULT_WAIT),
        (b"", {"retry-after": "\u0663"}, DEFAULT_WAIT),
        (b"", {"retry-after": "999999999999"}, LONGEST_WAIT),
        (b"", {"retry-after": "Tue, 23 Jun 2026 10:00:30 GMT", "date": DATE}, 30),
        (b"", {"retry-after": "Tue, 23 Jun 2026 09:00:00 GMT", "date": DATE}, 0),
        (b"", {"retry-after": "Tue, 23 Jun 2026 10:00:30 GMT"}, DEFAULT_WAIT),
        (b"", {"retry-after": "tomorrow", "date": DATE}, DEFAULT_WAIT),
        (b"", {}, DEFAULT_WAIT),
    ],
)
def test_a_429_says_how_long(body: bytes, headers: dict[str, str], expected: float) -> None:
    assert expected == failure(Reply(429, headers, body)).retry_after


def test_a_503_passes_its_retry_after_on() -> None:
    assert 7 == failure(Reply(503, {"retry-after": "7"}, b"")).retry_after


def base64_json(picture: bytes) -> bytes:
    return json.dumps({"base64img": base64.b64encode(picture).decode()}).encode()


@pytest.mark.parametrize("kind", ["application/json", "Application/JSON; charset=utf-8"])
def test_a_picture_in_json_is_unpacked(kind: str) -> None:
    reply = Reply(200, {"content-type": kind, "x-uncertainty-score": "0.1"}, base64_json(PNG))
    assert Answer(PNG, "image/png", (("x-uncertainty-score", "0.1"),)) == read_answer(reply)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b'{"error": {"message": "sorry"}}'),
        ("application/json", b'{"base64img": 1}'),
        ("application/json", b'{"base64img": "!"}'),
        ("application/json", '{"base64img": "ü"}'.encode()),
        ("application/json", base64_json(b"no picture")),
        ("application/json", b"{"),
        ("application/json", PNG),
        ("image/png", b"{}"),
        ("image/png", base64_json(PNG)),
        ("image/png", b""),
        ("text/html", b"<html>"),
        ("image/png", PNG[:7]),
        ("image/gif", b"GIF89a"),
        ("image/heic", b"\0\0\0\x10ftypheic\0\0\0\0"),
    ],
)
def test_a_200_without_a_picture_is_charged_and_bad(kind: str, body: bytes) -> None:
    error = failure(Reply(200, {"content-type": kind}, body))
    assert UpstreamBadAnswer is type(error)
    assert Ending.SPENT is error.ending


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "image/webp"),
        (b"\0\0\0\x10ftypavif\0\0\0\0", "image/avif"),
    ],
)
def test_the_picture_says_what_it_is_whatever_its_label(body: bytes, expected: str) -> None:
    assert expected == read_answer(Reply(200, {"content-type": "text/plain"}, body)).media_type


def test_a_200_that_is_not_whole_is_bad_however_it_begins() -> None:
    assert UpstreamBadAnswer is type(failure(Reply(200, {}, PNG, whole=False)))


def test_ignored_attributes_come_with_the_picture() -> None:
    said = "Unsupported attributes: a.b, c.d"
    reply = Reply(200, {"pr-unsupported-attributes": said, "server": "x"}, PNG)
    got = read_answer(reply)
    assert said == got.header("pr-unsupported-attributes")
    assert (("pr-unsupported-attributes", said),) == got.headers


def outcome(reply: Reply, hide: list[str]) -> Answer | GatewayError:
    try:
        return read_answer(reply, hide=hide)
    except GatewayError as error:
        return error


HEADERS = st.dictionaries(
    st.sampled_from(["content-type", "retry-after", "date", "x-uncertainty-score"]),
    st.one_of(st.text(), st.sampled_from(["application/json", DATE, "12"])),
)
BODIES = st.one_of(
    st.binary(),
    st.binary().map(lambda tail: PNG + tail),
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(["error", "message", "detail", "base64img"]) | st.text(), inner
            )
        ),
    ).map(lambda value: json.dumps(value).encode()),
)


@given(
    st.builds(Reply, st.integers(0, 1000) | st.just(200), HEADERS, BODIES, st.booleans()),
    st.lists(st.text()),
)
def test_any_answer_is_a_picture_or_a_typed_error(reply: Reply, hide: list[str]) -> None:
    got = outcome(reply, hide)
    if isinstance(got, Answer):
        assert 200 == reply.status
        assert reply.whole
        assert got.media_type.startswith("image/")
    else:
        assert 0 < len(got.message) <= 500
        assert got.message.isprintable()
        assert got.retry_after is None or 0 <= got.retry_after <= LONGEST_WAIT


@given(st.integers(0, int(LONGEST_WAIT)))
def test_the_wait_in_the_text_is_taken_as_it_is(seconds: int) -> None:
    body = json.dumps({"detail": f"Expected available in {seconds} seconds."}).encode()
    assert seconds == wait_of(Reply(429, {"retry-after": "1"}, body))
