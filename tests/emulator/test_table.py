"""The parameter table: complete, and usable by a test that walks it."""

import pytest

from gateway.emulator import (
    EDIT_PARAMETERS,
    MODEL_HEADERS,
    SEGMENT_PARAMETERS,
    Leaf,
    Refused,
    read_edit,
)
from gateway.emulator.table import edit_leaf
from tests.emulator.support import encoded, photo

EVERY_LEAF = pytest.mark.parametrize("leaf", EDIT_PARAMETERS, ids=lambda leaf: leaf.name)


def test_the_specification_has_121_leaves_under_90_names() -> None:
    assert (121, 90) == (len(EDIT_PARAMETERS), len({leaf.documented for leaf in EDIT_PARAMETERS}))


def test_segment_has_a_picture_and_six_options() -> None:
    assert ["image_file", "format", "channels", "bg_color", "size", "crop", "despill"] == [
        leaf.name for leaf in SEGMENT_PARAMETERS
    ]


def test_five_headers_choose_models() -> None:
    assert 5 == len(MODEL_HEADERS)
    assert all(leaf.name == leaf.name.lower() for leaf in MODEL_HEADERS)


@EVERY_LEAF
def test_a_leaf_is_found_by_a_name_that_a_caller_sends(leaf: Leaf) -> None:
    assert leaf is edit_leaf(leaf.example_name)


@EVERY_LEAF
def test_examples_are_read_and_bad_texts_refused(leaf: Leaf) -> None:
    for text in leaf.examples:
        leaf.kind.read(text)
    for text in leaf.bad:
        with pytest.raises(ValueError, match=r"^must "):
            leaf.kind.read(text)


@EVERY_LEAF
def test_a_bad_text_is_refused_with_the_path_of_its_parameter(leaf: Leaf) -> None:
    path = leaf.example_name.replace("[0]", "/0").replace(".", "/")
    files = {} if leaf.name == "imageFile" else {"imageFile": encoded(photo((9, 9), (3, 3, 6, 6)))}
    for text in leaf.bad:
        with pytest.raises(Refused) as refused:
            read_edit([(leaf.example_name, text)], files, {}, "POST")
        assert (400, path) == (refused.value.status, refused.value.message.split()[0])


@pytest.mark.parametrize(
    "name",
    ["padding.x", "layers..text.content", "layers.a.b.text.content", "nonsense", "Padding"],
)
def test_other_names_are_in_no_row(name: str) -> None:
    assert edit_leaf(name) is None
