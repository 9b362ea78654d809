"""What the gRPC door refuses and carries, beyond what both doors have in common."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from gateway.domain.edit import ImageRef, Kind
from gateway.domain.tenant import Tenant
from gateway.domain.violations import Code
from gateway.transport.codec import proto_path
from gateway.v1 import options_pb2
from gateway.v1.edit_pb2 import Edit
from gateway.v1.image_pb2 import BlobRef, Image
from gateway.v1.segment_pb2 import Segment
from tests.support.doors import (
    EXTRAS_ALLOWED,
    IGNORES_UNKNOWN,
    PLAIN,
    accepted,
    digest,
    found,
    read_message,
    read_wire,
    schema,
)
from tests.support.proto_edits import edit_message_from_wire, message_fields
from tests.support.protobuf_bytes import NEWER, delimited, varint_field

SHADOWS = "pr-ai-shadows-model-version"


def inside(path: list[FieldDescriptor], data: bytes) -> bytes:
    """Wrap bytes into the messages along a path; a map's entry gets the key `k`."""
    for field in reversed(path):
        below = field.message_type
        if below is not None and below.GetOptions().map_entry:
            data = delimited(1, b"k") + delimited(2, data)
        data = delimited(field.number, data)
    return data


def places(descriptor: Descriptor) -> Iterator[tuple[str, list[FieldDescriptor], Descriptor]]:
    """Every message that an edit can hold: its wire name, the path to it, and its type."""
    yield "", [], descriptor
    for field in descriptor.fields:
        below = field.message_type
        if below is None or field.name == "extra_parameters":
            continue
        # A blob has no wire name of its own: it is the slot that is at fault.
        name = "" if below is BlobRef.DESCRIPTOR else field.json_name
        if below.GetOptions().map_entry:
            name, below = f"{name}.k", below.fields_by_name["value"].message_type
        elif field.is_repeated:
            name = f"{name}[0]"
        if below is not None:
            for deeper, path, last in places(below):
                yield ".".join(filter(None, (name, deeper))), [field, *path], last


def place_id(value: object) -> str:
    return value or "edit" if isinstance(value, str) else ""


PLACES = list(places(Edit.DESCRIPTOR))
SINGLE_ENUMS = [
    (f"{name}.{field.json_name}" if name else field.json_name, [*path], field)
    for name, path, descriptor in PLACES
    for field in descriptor.fields
    if field.enum_type is not None
]
REQUIRED = [
    (name, path, descriptor)
    for name, path, descriptor in PLACES
    if any(o.GetOptions().Extensions[options_pb2.member_required] for o in descriptor.oneofs)
    or any(f.GetOptions().Extensions[options_pb2.param].required for f in descriptor.fields)
]


@pytest.mark.parametrize(("name", "path"), [p[:2] for p in PLACES], ids=place_id)
def test_a_field_newer_than_the_proto_is_refused_at_every_depth(
    name: str, path: list[FieldDescriptor]
) -> None:
    """Else a newer client's parameter would be dropped without a word, and the call billed."""
    message = Edit.FromString(inside(path, varint_field(NEWER, 1)))
    field = f"{name}.#{NEWER}".removeprefix(".")
    violations = read_message(message, IGNORES_UNKNOWN).violations
    assert (field, Code.UNKNOWN_FIELD) in found(violations)
    owner, _, number = proto_path(schema(), field).rpartition(".")
    assert f"#{NEWER}" == number
    slot = bool(path) and path[-1].message_type is BlobRef.DESCRIPTOR
    assert len(path) - slot == len(message_fields(Edit.DESCRIPTOR, owner))


@pytest.mark.parametrize(
    "field", ["layers", "extra_parameters"], ids=["a map of messages", "a map of texts"]
)
def test_a_map_entry_with_a_newer_field_is_refused(field: str) -> None:
    """Protobuf keeps the whole entry as a field that it does not know."""
    number = Edit.DESCRIPTOR.fields_by_name[field].number
    value = delimited(1, delimited(1, b"Hi")) if field == "layers" else b"Hi"
    entry = delimited(1, b"k") + delimited(2, value) + varint_field(NEWER, 1)
    violations = read_message(Edit.FromString(delimited(number, entry)), EXTRAS_ALLOWED).violations
    assert [(f"#{number}", Code.UNKNOWN_FIELD)] == found(violations)


def test_several_newer_fields_are_all_named_once() -> None:
    data = varint_field(NEWER, 1) * 2 + delimited(7000, b"x")
    violations = read_message(Edit.FromString(data)).violations
    assert [("#7000", Code.UNKNOWN_FIELD), (f"#{NEWER}", Code.UNKNOWN_FIELD)] == found(violations)


def test_a_field_sent_with_another_type_is_not_passed_over() -> None:
    number = Edit.DESCRIPTOR.fields_by_name["remove_background"].number
    violations = read_message(Edit.FromString(delimited(number, b"false"))).violations
    assert [(f"#{number}", Code.UNKNOWN_FIELD)] == found(violations)


@pytest.mark.parametrize(("name", "path", "field"), SINGLE_ENUMS, ids=place_id)
@pytest.mark.parametrize("number", [9999, 2**64 - 1], ids=["newer", "negative"])
def test_an_unknown_enum_number_is_refused(
    name: str, path: list[FieldDescriptor], field: FieldDescriptor, number: int
) -> None:
    union = field.name == "preset"
    message = Edit.FromString(inside(path, varint_field(field.number, number)))
    violations = read_message(message).violations
    expected = name.removesuffix(".preset") if union else name
    assert (expected, Code.NOT_ALLOWED) in found(violations)


@pytest.mark.parametrize(("name", "path", "descriptor"), REQUIRED, ids=place_id)
def test_an_empty_message_that_needs_a_member_is_refused(
    name: str, path: list[FieldDescriptor], descriptor: Descriptor
) -> None:
    message = Edit.FromString(inside(path, b""))
    violations = read_message(message).violations
    assert [(name, Code.VALUE_MISSING)] == found(violations), descriptor.full_name
    assert message_fields(Edit.DESCRIPTOR, proto_path(schema(), name))


def test_an_empty_message_that_needs_nothing_says_nothing() -> None:
    message = Edit()
    message.background.SetInParent()
    message.shadow.SetInParent()
    assert digest(read_message(Edit())) == digest(read_message(message))


def test_an_unspecified_preset_is_refused() -> None:
    message = Edit()
    message.shadow.spread_override.preset = 0  # type: ignore[assignment]  # not said, but set
    assert [("shadow.spreadOverride", Code.NOT_ALLOWED)] == found(read_message(message).violations)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf], ids=str)
def test_a_number_that_is_not_finite_is_refused_everywhere(value: float) -> None:
    message = Edit(max_width=value)
    message.padding.ratio = value
    message.margin.pixels = value
    message.shadow.direction_override.degrees = value
    message.background.guidance.scale = value
    assert {
        ("maxWidth", Code.NOT_A_NUMBER),
        ("padding", Code.NOT_A_NUMBER),
        ("margin", Code.NOT_A_NUMBER),
        ("shadow.directionOverride", Code.NOT_A_NUMBER),
        ("background.guidance.scale", Code.NOT_A_NUMBER),
    } == set(found(read_message(message).violations))


def test_a_value_of_zero_that_is_set_is_not_absent() -> None:
    """`optional` and `oneof` keep 0, false and the empty text apart from nothing."""
    message = Edit(remove_background=False)
    message.margin.ratio = 0
    message.outline.width = 0
    message.background.prompt = ""
    wire = [
        ("removeBackground", "false"),
        ("margin", "0"),
        ("outline.width", "0"),
        ("background.prompt", ""),
    ]
    assert accepted(read_wire(wire)) == accepted(read_message(message))


@pytest.mark.parametrize("key", ["", "a.b", "a[0]", "k" * 129, "a\r\nb", "\x00"], ids=repr)
def test_a_map_key_that_the_wire_cannot_carry_is_refused(key: str) -> None:
    message = Edit()
    message.layers[key].text.content = "x"
    message.edit_with_ai.additional_images[key].image_url = "https://pictures.invalid/a.jpg"
    assert {("layers", Code.BAD_KEY), ("editWithAI.additionalImages", Code.BAD_KEY)} == set(
        found(read_message(message).violations)
    )


def test_a_picture_in_two_places_is_held_once() -> None:
    picture = Image(data=b"picture")
    message = Edit(image_file=picture)
    message.background.guidance.image_file.CopyFrom(picture)
    draft = read_message(message)
    assert ["background.guidance.imageFile", "imageFile"] == [s.name for s in draft.edit.images]
    assert [b"picture"] == list(draft.pictures.values())


def test_a_picture_of_no_bytes_is_a_picture() -> None:
    """The rules of pictures refuse it, in the same words for both doors."""
    assert {b""} == set(read_message(Edit(image_file=Image(data=b""))).pictures.values())


def test_a_picture_that_is_kept_elsewhere_is_the_same_edit() -> None:
    ref = ImageRef.of(b"picture")
    blob = BlobRef(sha256=ref.sha256, size_bytes=ref.size)
    inline, named = (
        read_message(Edit(image_file=i)) for i in (Image(data=b"picture"), Image(blob=blob))
    )
    assert accepted(inline) == accepted(named)
    assert {} == named.pictures


@pytest.mark.parametrize(
    "blob",
    [
        BlobRef(),
        BlobRef(sha256="0" * 63),
        BlobRef(sha256="A" * 64),
        BlobRef(sha256="0" * 64 + "\n"),
        BlobRef(sha256="0" * 64, size_bytes=-1),
    ],
    ids=repr,
)
def test_a_blob_is_named_by_a_sha256_and_a_size(blob: BlobRef) -> None:
    draft = read_message(Edit(image_file=Image(blob=blob)))
    assert [("imageFile", Code.BAD_DIGEST)] == found(draft.violations)
    assert () == draft.edit.images


@pytest.mark.parametrize("more", [0, 1])
def test_inline_pictures_have_3_mib_together(more: int) -> None:
    message = Edit(image_file=Image(data=bytes(2 << 20)))
    message.background.image_file.data = bytes((1 << 20) + more)
    wrong = [("background.imageFile", Code.INLINE_TOO_LARGE)] * more
    assert wrong == found(read_message(message).violations)


def test_a_segment_is_read_by_its_own_message() -> None:
    message = Segment(image_file=Image(data=b"picture"), bg_color="#fff", crop=True)
    message.model_versions.hd_background_removal = "auto"
    edit = accepted(read_message(message))
    assert [("bg_color", "#FFFFFF"), ("crop", "true")] == [
        (p.name, p.wire) for p in edit.parameters
    ]
    assert ["image_file"] == [s.name for s in edit.images]
    assert ["pr-hd-background-removal"] == [p.name for p in edit.headers]


@pytest.mark.parametrize("tenant", [PLAIN, IGNORES_UNKNOWN], ids=lambda tenant: tenant.id)
def test_extra_parameters_are_for_tenants_that_may(tenant: Tenant) -> None:
    message = Edit(extra_parameters={"background.glow": "1", "background.color": "red"})
    draft = read_message(message, tenant)
    assert [
        ('extra_parameters["background.color"]', Code.EXTRA_NOT_ALLOWED),
        ('extra_parameters["background.glow"]', Code.EXTRA_NOT_ALLOWED),
    ] == found(draft.violations)
    assert () == draft.edit.parameters


def test_extra_parameters_are_carried_as_they_stand() -> None:
    message = Edit(extra_parameters={"background.glow": " 1.0 ", "pr-new": "2"})
    edit = accepted(read_message(message, EXTRAS_ALLOWED))
    assert [("background.glow", Kind.EXTRA, " 1.0 ")] == [
        (p.name, p.kind, p.wire) for p in edit.parameters
    ]
    assert [("pr-new", Kind.HEADER, "2")] == [(p.name, p.kind, p.wire) for p in edit.headers]


def test_extra_parameters_are_one_edit_through_either_door() -> None:
    pairs = [("background.glow", " 1.0 "), ("padding", "0.1")]
    message = edit_message_from_wire(pairs[1:], {})
    message.extra_parameters.update({pairs[0][0]: pairs[0][1], "pr-new": "2"})
    wire = read_wire(pairs, headers={"pr-new": "2"}, tenant=EXTRAS_ALLOWED)
    assert accepted(wire) == accepted(read_message(message, EXTRAS_ALLOWED))


@pytest.mark.parametrize(
    "name",
    [
        "background.color",
        "background.expandPrompt",
        "imageFile",
        "layers.main.text.content",
        "virtualModel.additionalProductImages[0].imageUrl",
        SHADOWS,
    ],
)
def test_an_extra_parameter_cannot_name_what_the_proto_knows(name: str) -> None:
    message = Edit(extra_parameters={name: "2026-04-15"})
    field = f'extra_parameters["{name}"]'
    (violation,) = read_message(message, EXTRAS_ALLOWED).violations
    assert (field, Code.EXTRA_IS_KNOWN) == (violation.field, violation.code)
    assert field == proto_path(schema(), violation.field)


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("a b", "1", Code.BAD_KEY),
        ("", "1", Code.BAD_KEY),
        ("n" * 257, "1", Code.BAD_KEY),
        ("new", "x" * 10_001, Code.TOO_LONG),
        ("pr-new", "a\r\nx-api-key: b", Code.BAD_FORMAT),
    ],
    ids=str,
)
def test_an_extra_parameter_has_a_form_that_the_wire_can_carry(
    name: str, text: str, code: Code
) -> None:
    (violation,) = read_message(Edit(extra_parameters={name: text}), EXTRAS_ALLOWED).violations
    path = f'extra_parameters["{name[:256]}"]'
    assert (path, code) == (proto_path(schema(), violation.field), violation.code)


def test_all_that_is_wrong_is_said_at_once() -> None:
    message = Edit(template_id="x", output_size="wide", extra_parameters={"new": "1"})
    message.export.dpi = 7
    message.margin.SetInParent()
    message.image_file.SetInParent()
    assert {
        ("imageFile", Code.VALUE_MISSING),
        ("templateId", Code.BAD_UUID),
        ("outputSize", Code.BAD_FORMAT),
        ("margin", Code.VALUE_MISSING),
        ("export.dpi", Code.OUT_OF_RANGE),
        ('extra_parameters["new"]', Code.EXTRA_NOT_ALLOWED),
    } == set(found(read_message(message).violations))
