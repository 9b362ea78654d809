"""The protos name exactly what the specification names, and say of it what the specification says."""

from __future__ import annotations

from collections import Counter

import pytest
from google.protobuf.descriptor import Descriptor, EnumDescriptor

from gateway.domain.edit import Kind, Operation
from gateway.emulator.kinds import Choice
from gateway.emulator.table import EDIT_PARAMETERS, MODEL_HEADERS, Leaf
from gateway.transport.codec import proto_path, wire_names
from gateway.v1 import options_pb2
from gateway.v1.edit_pb2 import Edit
from gateway.v1.segment_pb2 import Segment
from tests.support.doors import accepted, read_wire, schema
from tests.support.parameters import OPERATIONS
from tests.support.proto_edits import message_fields

DESCRIPTORS = {Operation.EDIT: Edit.DESCRIPTOR, Operation.SEGMENT: Segment.DESCRIPTOR}
EVERY_LEAF = pytest.mark.parametrize(
    ("operation", "leaf"),
    [(operation, leaf) for operation, table in OPERATIONS.items() for leaf in table],
    ids=lambda value: value.name if isinstance(value, Leaf) else "",
)

# Source: the vendor's table of what is generative, and which parameter seeds it.
GENERATIVE = {
    "background.prompt": "background.seed",
    "beautify.mode": "beautify.seed",
    "describeAnyChange.mode": "describeAnyChange.seed",
    "editWithAI.mode": "editWithAI.seed",
    "expand.mode": "expand.seed",
    "flatLay.mode": None,
    "ghostMannequin.mode": None,
    "imageFromPrompt.prompt": "imageFromPrompt.seed",
    "layers.main.image.imageFromPrompt.prompt": "layers.main.image.imageFromPrompt.seed",
    "uncrop.mode": "uncrop.seed",
    "virtualModel.mode": None,
}


def descriptors_below(top: Descriptor) -> dict[str, Descriptor]:
    """Every message below `top`, itself included, by its full name."""
    found: dict[str, Descriptor] = {}
    left = [top]
    while left:
        descriptor = left.pop()
        if descriptor.full_name not in found:
            found[descriptor.full_name] = descriptor
            left += [f.message_type for f in descriptor.fields if f.message_type is not None]
    return found


def enums() -> list[EnumDescriptor]:
    found = {
        field.enum_type.full_name: field.enum_type
        for top in DESCRIPTORS.values()
        for descriptor in descriptors_below(top).values()
        for field in descriptor.fields
        if field.enum_type is not None
    }
    return list(found.values())


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_wire_names_are_those_of_the_specification(operation: Operation) -> None:
    assert sorted(leaf.name for leaf in OPERATIONS[operation]) == sorted(
        wire_names(schema(operation))
    )


def test_ninety_documented_names_are_121_leaves() -> None:
    assert 121 == len(wire_names(schema()))
    assert 90 == len({leaf.documented for leaf in EDIT_PARAMETERS})


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_model_headers_are_those_of_the_specification(operation: Operation) -> None:
    headers = {leaf.name: leaf.examples[0] for leaf in MODEL_HEADERS}
    edit = accepted(read_wire([], headers=headers, operation=operation))
    assert sorted(headers.items()) == [(p.name, p.wire) for p in edit.headers]
    assert {Kind.HEADER} == {p.kind for p in edit.headers}


@EVERY_LEAF
def test_a_wire_name_has_a_path_that_leads_to_its_field(operation: Operation, leaf: Leaf) -> None:
    path = proto_path(schema(operation), leaf.example_name)
    fields = message_fields(DESCRIPTORS[operation], path)
    json_names = [field.json_name for field in fields]
    documented = leaf.name.replace("[i]", "").replace(".{key}", "").split(".")
    assert documented == json_names


@pytest.mark.parametrize("leaf", MODEL_HEADERS, ids=lambda leaf: leaf.name)
def test_a_model_header_has_a_path_that_leads_to_its_field(leaf: Leaf) -> None:
    path = proto_path(schema(), leaf.name)
    options = message_fields(Edit.DESCRIPTOR, path)[-1].GetOptions()
    assert leaf.name == options.Extensions[options_pb2.param].header


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("background", "background"),
        ("background.#77", "background.#77"),
        ("imageFile.#77", "image_file.#77"),
        ("margin.#77", "margin.#77"),
        ("#77", "#77"),
        ("layers", "layers"),
        ("layers.a b", 'layers["a b"]'),
        ("layers.a b.#77", 'layers["a b"].#77'),
        (
            "editWithAI.additionalImages.logo.imageFile",
            'edit_with_ai.additional_images["logo"].image_file',
        ),
        (
            "virtualModel.additionalProductImages[3].imageUrl",
            "virtual_model.additional_product_images[3].image_url",
        ),
        ("newThing.mode", 'extra_parameters["newThing.mode"]'),
        ("background.newThing", 'extra_parameters["background.newThing"]'),
        ("margin.newThing", 'extra_parameters["margin.newThing"]'),
        ('extra_parameters["background.color"]', 'extra_parameters["background.color"]'),
    ],
)
def test_any_name_that_a_violation_can_have_is_translated(name: str, path: str) -> None:
    assert path == proto_path(schema(), name)


@EVERY_LEAF
def test_a_choice_has_the_texts_of_the_specification(operation: Operation, leaf: Leaf) -> None:
    """Read from the descriptor, so that the options are complete and nothing stands there too much."""
    field = message_fields(
        DESCRIPTORS[operation], proto_path(schema(operation), leaf.example_name)
    )[-1]
    if not isinstance(leaf.kind, Choice) or field.enum_type is None:
        assert field.enum_type is None or leaf.name == "background.expandPrompt"
        return
    options = [v.GetOptions().Extensions[options_pb2.text] for v in field.enum_type.values[1:]]
    current, older = {o.wire for o in options}, {text for o in options for text in o.older}
    if leaf.name.startswith("background.expandPrompt"):
        current, older = (older, set()) if leaf.settles else (current, set())
    assert set(leaf.kind.words) == current | older
    assert set(leaf.kind.same.keys() if not leaf.settles else ()) == older


@pytest.mark.parametrize("enum", enums(), ids=lambda enum: enum.name)
def test_an_enum_says_each_text_once(enum: EnumDescriptor) -> None:
    options = [v.GetOptions().Extensions[options_pb2.text] for v in enum.values]
    texts = Counter(text for o in options[1:] for text in (o.wire, *o.older))
    assert ("", 0) == (options[0].wire, enum.values[0].number)
    assert {1} == set(texts.values())
    assert "" not in texts


@pytest.mark.parametrize("name", GENERATIVE)
def test_what_is_generative_names_its_seed(name: str) -> None:
    seed = GENERATIVE[name]
    text = "a beach" if name.endswith("prompt") else "ai.auto"
    edit = accepted(read_wire([(name, text)]))
    assert [(name, seed)] == [(g.name, g.seed) for g in edit.generative]
    assert (name,) == edit.unseeded
    if seed is not None:
        assert () == accepted(read_wire([(name, text), (seed, "7")])).unseeded


def one_of_each() -> list[tuple[str, str]]:
    """An example of every parameter at once: the rules between parameters come later."""
    leaves = [leaf for leaf in EDIT_PARAMETERS if leaf.examples and not leaf.settles]
    return [(leaf.example_name, leaf.examples[0]) for leaf in leaves]


def test_nothing_else_is_generative() -> None:
    edit = accepted(read_wire(one_of_each()))
    assert GENERATIVE == {g.name: g.seed for g in edit.generative}


def test_the_order_of_arrival_means_nothing() -> None:
    """Equal in every part, not in the digest alone."""
    pairs = one_of_each()
    assert accepted(read_wire(pairs)) == accepted(read_wire(pairs[::-1]))
