"""The content address: what is one edit, and what is not."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.digest import FORMAT_VERSION, edit_digest
from gateway.domain.edit import Edit, ImageRef, ImageSlot, Kind, Operation, Parameter

GOLDEN: dict[str, Any] = json.loads(
    (Path(__file__).parent.parent / "golden" / "digests.json").read_text(encoding="utf-8")
)
PICTURE = ImageRef.of(b"a picture")

# Few and short, so that two edits are often nearly one.
SHORT = st.text("ab", max_size=3)
PARAMETERS = st.lists(
    st.builds(Parameter, SHORT, st.sampled_from(Kind), st.just(""), SHORT),
    max_size=3,
    unique_by=lambda p: p.name,
)


def parameter(
    name: str, canonical: str, kind: Kind = Kind.TEXT, *, silent: bool = False
) -> Parameter:
    return Parameter(name, kind, canonical, canonical, silent)


def edit_of(*parameters: Parameter, **others: Any) -> Edit:
    return Edit(Operation.EDIT, tuple(sorted(parameters, key=lambda p: p.name)), **others)


def live(edit: Edit) -> str:
    return edit_digest(edit, sandbox=False)


def golden_edit(case: dict[str, Any]) -> Edit:
    kinds = {kind.name: kind for kind in Kind}
    return Edit(
        Operation(case["operation"]),
        tuple(
            Parameter(name, kinds[kind], text, text, silent)
            for name, kind, text, silent in case.get("parameters", [])
        ),
        tuple(ImageSlot(name, ImageRef(sha, size)) for name, sha, size in case.get("images", [])),
        tuple(parameter(name, text, Kind.HEADER) for name, text in case.get("headers", [])),
    )


@pytest.mark.parametrize("case", GOLDEN["edits"], ids=lambda case: case["name"])
def test_a_digest_stays_what_it_was(case: dict[str, Any]) -> None:
    """Stored results are found by it: see `how_to_change` in the golden file."""
    assert case["digest"] == edit_digest(golden_edit(case), sandbox=case.get("sandbox", False))


def test_the_golden_digests_are_of_this_format_and_all_different() -> None:
    digests = [case["digest"] for case in GOLDEN["edits"]]
    assert GOLDEN["format"] == FORMAT_VERSION
    assert len(digests) == len(set(digests))


@given(PARAMETERS, PARAMETERS, st.randoms(use_true_random=False))
def test_the_order_of_the_parts_means_nothing(
    parameters: list[Parameter], headers: list[Parameter], chance: random.Random
) -> None:
    images = [ImageSlot(f"slot{n}", PICTURE) for n in range(3)]
    parts: list[list[Any]] = [parameters, images, headers]
    before = live(Edit(Operation.EDIT, tuple(parameters), tuple(images), tuple(headers)))
    for part in parts:
        chance.shuffle(part)
    assert before == live(Edit(Operation.EDIT, tuple(parameters), tuple(images), tuple(headers)))


@given(PARAMETERS, PARAMETERS)
def test_different_parameters_have_different_digests(
    one: list[Parameter], other: list[Parameter]
) -> None:
    """Names, kinds and values cannot run into each other."""
    assert ({*one} == {*other}) is (live(edit_of(*one)) == live(edit_of(*other)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([("ab", "c")], [("a", "bc")]),
        ([("a", "")], [("", "a")]),
        ([("a", "b"), ("c", "d")], [("a", "bt\0\0\0\1c\0\0\0\1d")]),
        ([("a", "b")], [("a", "b"), ("c", "")]),
        ([("a", "é")], [("a", "e\u0301")]),
        ([], [("", "")]),
    ],
)
def test_a_length_stands_before_each_text(
    one: list[tuple[str, str]], other: list[tuple[str, str]]
) -> None:
    edits = [edit_of(*(parameter(*pair) for pair in pairs)) for pairs in (one, other)]
    assert live(edits[0]) != live(edits[1])


def test_the_kind_of_a_value_matters() -> None:
    assert len(Kind) == len({live(edit_of(parameter("x", "1", kind))) for kind in Kind})
    assert len(Kind) == len({kind.value for kind in Kind})
    assert {1} == {len(kind.value) for kind in Kind}


def test_the_operation_matters() -> None:
    assert len(Operation) == len({live(Edit(operation)) for operation in Operation})


def test_sandbox_and_live_never_share() -> None:
    assert edit_digest(edit_of(), sandbox=True) != edit_digest(edit_of(), sandbox=False)


@pytest.mark.parametrize(
    "other",
    [
        ImageSlot("imageFile", ImageRef.of(b"another picture")),
        ImageSlot("imageFile", ImageRef(PICTURE.sha256, PICTURE.size + 1)),
        ImageSlot("background.imageFile", PICTURE),
    ],
    ids=["content", "size", "slot"],
)
def test_a_picture_counts_by_slot_content_and_size(other: ImageSlot) -> None:
    one = ImageSlot("imageFile", PICTURE)
    assert live(edit_of(images=(one,))) != live(edit_of(images=(other,)))


def test_a_picture_is_named_by_sha256_and_size() -> None:
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert ImageRef(expected, 3) == ImageRef.of(b"abc") == ImageRef.of(memoryview(b"abc"))


def test_a_model_version_counts() -> None:
    two, three = (edit_of(headers=(parameter("pr-x", text, Kind.HEADER),)) for text in "23")
    assert 3 == len({live(two), live(three), live(edit_of())})


def test_what_goes_upstream_is_not_what_is_digested() -> None:
    percent = Parameter("padding", Kind.NUMBER, "30%", "0.3")
    ratio = Parameter("padding", Kind.NUMBER, "0.3", "0.3")
    assert live(edit_of(percent)) == live(edit_of(ratio))


SILENT = parameter("removeBackground", "true", Kind.FLAG, silent=True)


def test_a_documented_default_is_the_same_as_absence() -> None:
    assert live(edit_of()) == live(edit_of(SILENT))
    assert live(edit_of(parameter("x", "1"))) == live(edit_of(SILENT, parameter("x", "1")))


@pytest.mark.parametrize(
    "name", ["templateId", "layers.a.text.content", "layers.a.image.imageFile"]
)
def test_a_default_counts_where_a_template_decides_what_absence_is(name: str) -> None:
    other: dict[str, Any] = {"images": (ImageSlot(name, PICTURE),)} if "File" in name else {}
    more = () if other else (parameter(name, "x"),)
    assert live(edit_of(*more, **other)) != live(edit_of(SILENT, *more, **other))


def test_a_name_that_only_looks_like_a_layer_is_none() -> None:
    more = parameter("layersOfPaint", "x", Kind.EXTRA)
    assert live(edit_of(more)) == live(edit_of(SILENT, more))
