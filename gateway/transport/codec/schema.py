"""The compiled form of a message: one tree, walked by both doors.

The tree is made once, at start, from the descriptor of `Edit` or `Segment` and the options of
`options.proto`. Nobody maps parameters by hand: the dotted path of JSON names is the wire name. Four
kinds of node:

- `Leaf`: one value on the wire (a scalar, an enum, or a message that is a scalar union);
- `Slot`: a picture, given by its bytes;
- `Group`: a message of further nodes;
- `Many`: a list (`name[i].`) or a map (`name.{key}.`) of groups.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from gateway.domain.edit import Kind, Operation
from gateway.domain.violations import Code
from gateway.transport.codec import values
from gateway.transport.codec.values import Choice, Color, Flag, Number, Reader, Seed, Text
from gateway.v1 import image_pb2, model_versions_pb2, options_pb2
from gateway.v1.options_pb2 import Param

__all__ = ["BILLED_AS", "EXTRA", "Group", "Leaf", "Many", "Node", "Slot", "Union", "compile_group"]

BILLED_AS: Final[Mapping[Operation, options_pb2.Billing.ValueType]] = {
    Operation.EDIT: options_pb2.BILLING_EDIT,
    Operation.SEGMENT: options_pb2.BILLING_SEGMENT,
}

_FORMS: Final = {
    options_pb2.FORMAT_UNSPECIFIED: None,
    options_pb2.FORMAT_PROMPT: values.prompt_form,
    options_pb2.FORMAT_UUID: values.uuid_form,
    options_pb2.FORMAT_URL: values.url_form,
}
_LONGEST_TEXT = 10_000
_LONGEST_URL = 8192
_IMAGE = image_pb2.Image.DESCRIPTOR
EXTRA: Final = "extra_parameters"
"""The one map of texts: it has no names of its own, so the walks treat it apart."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """One value on the wire. `seed` is the sibling's wire name; `header` carries a model version."""

    wire: str
    field: str
    reader: Reader
    same_as_absent: str | None
    generative: bool
    seed: str | None
    header: str
    required: bool


@dataclass(frozen=True, slots=True)
class Slot:
    """A picture, given by its bytes."""

    wire: str
    field: str


@dataclass(frozen=True, slots=True)
class Group:
    """A message of further nodes.

    `bare` reads the group's own wire name as one of its leaves, in older texts only. Of each tuple in
    `choices`, one member must be set.
    """

    wire: str
    field: str
    by_number: Mapping[int, Node]
    by_wire: Mapping[str, Node]
    choices: tuple[tuple[str, ...], ...] = ()
    bare: tuple[str, Reader] | None = None


@dataclass(frozen=True, slots=True)
class Many:
    """A list or a map of groups; `most` bounds a list."""

    wire: str
    field: str
    item: Group
    is_map: bool
    most: int


Node: TypeAlias = Leaf | Slot | Group | Many


@dataclass(frozen=True, slots=True)
class Union:
    """Reads a message that is one value: a number with or without a unit, or a text of a list."""

    members: Mapping[int, Reader]
    units: Mapping[str, Number]
    choice: Choice | None

    def from_text(self, text: str) -> values.Value:
        for suffix, number in self.units.items():
            if suffix and text.endswith(suffix):
                return number.from_text(text)
        if self.choice is not None and text in self.choice.by_text:
            return self.choice.from_text(text)
        try:
            return self.units[""].from_text(text)
        except values.Unreadable as error:
            if error.code is not Code.NOT_A_NUMBER:
                raise
            raise values.Unreadable(error.code, f"must be {self._forms()}") from None

    def from_field(self, value: object) -> values.Value:
        """Read the member that is set, given as (field number, value)."""
        match value:
            case (int(number), member):
                return self.members[number].from_field(member)
            case _:
                raise values.Unreadable(Code.VALUE_MISSING, f"must be {self._forms()}")

    def _forms(self) -> str:
        forms = [f"a number{' followed by ' + suffix if suffix else ''}" for suffix in self.units]
        return " or ".join(forms + (list(self.choice.by_text) if self.choice else []))


def compile_group(descriptor: Descriptor, *, wire: str = "", field: str = "") -> Group:
    """Compile a message and all below it. Raises TypeError for a field the walk has no form for."""
    nodes = {f.number: _node(f) for f in descriptor.fields if f.name != EXTRA}
    choices = tuple(
        tuple(f.json_name for f in oneof.fields)
        for oneof in descriptor.oneofs
        if oneof.GetOptions().Extensions[options_pb2.member_required]
    )
    required = tuple((n.wire,) for n in nodes.values() if isinstance(n, Leaf) and n.required)
    return Group(wire, field, nodes, {n.wire: n for n in nodes.values()}, choices + required)


def _node(field: FieldDescriptor) -> Node:
    param = field.GetOptions().Extensions[options_pb2.param]
    wire, message = field.json_name, field.message_type
    if message is None:
        return _leaf(field, param, _scalar_reader(field, param))
    if message.GetOptions().Extensions[options_pb2.shape].scalar_union:
        return _leaf(field, param, _union_reader(message))
    if message is _IMAGE:
        return Slot(wire, field.name)
    if message.GetOptions().map_entry:
        value = message.fields_by_name["value"].message_type
        if value is None:
            raise TypeError(f"{field.full_name}: a map of scalars has no names of its own")
        item = compile_group(value)
        return Many(wire, field.name, item, is_map=True, most=param.max_items)
    group = compile_group(message, wire=wire, field=field.name)
    if field.is_repeated:
        return Many(wire, field.name, group, is_map=False, most=param.max_items)
    if param.bare:
        group = _with_bare(group, message, param.bare)
    return group


def _with_bare(group: Group, message: Descriptor, name: str) -> Group:
    """Let the group's own name be read as its field `name`, in that enum's older texts only.

    Those texts are then no longer read under the field's own name: the upstream refuses them there.
    """
    leaf = group.by_wire[name]
    enum = message.fields_by_name[name].enum_type
    if not isinstance(leaf, Leaf) or enum is None:
        raise TypeError(f"{message.full_name}: bare names an enum field")
    current, older = _texts(enum)
    leaf = replace(leaf, reader=Choice({t: t for t in current.values()}, current))
    nodes = {n: leaf if node.wire == name else node for n, node in group.by_number.items()}
    by_wire = {node.wire: node for node in nodes.values()}
    bare = (name, Choice(older, current))
    return Group(group.wire, group.field, nodes, by_wire, group.choices, bare)


def _leaf(field: FieldDescriptor, param: Param, reader: Reader) -> Leaf:
    return Leaf(
        wire=field.json_name,
        field=field.name,
        reader=reader,
        same_as_absent=param.same_as_absent or None,
        generative=param.generative,
        seed=param.seed or None,
        header=param.header,
        required=param.required,
    )


def _scalar_reader(field: FieldDescriptor, param: Param) -> Reader:
    if field.enum_type is not None:
        current, older = _texts(field.enum_type)
        return Choice({t: t for t in current.values()} | older, current)
    if param.format == options_pb2.FORMAT_SEED:
        return Seed()
    match field.type:
        case FieldDescriptor.TYPE_BOOL:
            return Flag()
        case FieldDescriptor.TYPE_DOUBLE:
            return _number(param)
        case FieldDescriptor.TYPE_STRING:
            return _text(field, param)
        case _:
            raise TypeError(f"{field.full_name}: no wire form for this type")


def _number(param: Param) -> Number:
    return Number(
        low=param.min if param.HasField("min") else None,
        high=param.max if param.HasField("max") else None,
        above=param.exclusive_min if param.HasField("exclusive_min") else None,
        below=param.exclusive_max if param.HasField("exclusive_max") else None,
        whole=param.whole,
        suffix=param.suffix,
        divisor=param.divisor,
    )


def _text(field: FieldDescriptor, param: Param) -> Reader:
    if param.format == options_pb2.FORMAT_COLOR:
        return Color(hash_sign=param.hash)
    kind, longest = Kind.TEXT, _LONGEST_TEXT
    if param.format == options_pb2.FORMAT_URL:
        kind, longest = Kind.URL, _LONGEST_URL
    if field.containing_type is model_versions_pb2.ModelVersions.DESCRIPTOR:
        kind = Kind.HEADER
    return Text(
        shortest=param.min_length,
        longest=param.max_length or longest,
        pattern=re.compile(param.pattern) if param.pattern else None,
        form=_FORMS[param.format],
        kind=kind,
    )


def _union_reader(message: Descriptor) -> Union:
    members = {
        f.number: _scalar_reader(f, f.GetOptions().Extensions[options_pb2.param])
        for f in message.fields
    }
    units = {m.suffix: m for m in members.values() if isinstance(m, Number)}
    choice = next((m for m in members.values() if isinstance(m, Choice)), None)
    return Union(members, units, choice)


def _texts(enum: EnumDescriptor) -> tuple[dict[int, str], dict[str, str]]:
    """Return the enum's wire texts by number, and its older texts with the wire text of each."""
    texts = {
        value.number: value.GetOptions().Extensions[options_pb2.text]
        for value in enum.values
        if value.number != 0
    }
    current = {number: text.wire for number, text in texts.items()}
    older = {old: text.wire for text in texts.values() for old in text.older}
    return current, older
