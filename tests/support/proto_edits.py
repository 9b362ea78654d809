"""Builds proto messages from wire names and texts, without the gateway's codec.

It knows the descriptors' JSON names and the wire texts of enums, and nothing else of how the gateway
reads a request: what both doors make of one request can then be compared.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import Message

from gateway.v1 import image_pb2, options_pb2
from gateway.v1.edit_pb2 import Edit
from gateway.v1.model_versions_pb2 import ModelVersions
from gateway.v1.segment_pb2 import Segment

__all__ = [
    "NotExpressible",
    "edit_message_from_wire",
    "message_fields",
    "segment_message_from_wire",
]

_AnyMessage = TypeVar("_AnyMessage", bound=Message)
_INDEXED = re.compile(r"(.+)\[(\d+)\]")
_UNITS = (("%", "percent"), ("px", "pixels"))


class NotExpressible(Exception):
    """The message has no way to say this: an unknown text of an enum, two members of a oneof."""


def edit_message_from_wire(
    pairs: Sequence[tuple[str, str]],
    images: Mapping[str, bytes],
    headers: Mapping[str, str] | None = None,
) -> Edit:
    """Build the Edit that says what these wire parameters, pictures and model headers say."""
    return _build(Edit(), Edit.DESCRIPTOR, pairs, images, headers or {})


def segment_message_from_wire(
    pairs: Sequence[tuple[str, str]],
    images: Mapping[str, bytes],
    headers: Mapping[str, str] | None = None,
) -> Segment:
    """Build the Segment that says what these wire parameters, pictures and model headers say."""
    return _build(Segment(), Segment.DESCRIPTOR, pairs, images, headers or {})


def message_fields(descriptor: Descriptor, path: str) -> list[FieldDescriptor]:
    """Walk a path of proto field names, as `layers["logo"].image.margin`; raises KeyError if it breaks.

    Brackets have to stand behind maps and lists, and nowhere else.
    """
    found: list[FieldDescriptor] = []
    current: Descriptor | None = descriptor
    for segment in re.findall(r"(?:[^.\[]|\[\"[^\"]*\"\]|\[\d+\])+", path):
        name, _, rest = segment.partition("[")
        if current is None:
            raise KeyError(path)
        field = current.fields_by_name[name]
        if field.is_repeated != bool(rest):
            raise KeyError(path)
        found.append(field)
        current = field.message_type
        if current is not None and current.GetOptions().map_entry:
            current = current.fields_by_name["value"].message_type
    return found


def _build(
    message: _AnyMessage,
    descriptor: Descriptor,
    pairs: Sequence[tuple[str, str]],
    images: Mapping[str, bytes],
    headers: Mapping[str, str],
) -> _AnyMessage:
    tree: dict[str, Any] = {}
    for name, text in pairs:
        _put(tree, descriptor, name.split("."), text)
    for name, data in images.items():
        _put(tree, descriptor, name.split("."), data)
    versions = {
        field.GetOptions().Extensions[options_pb2.param].header: field.json_name
        for field in ModelVersions.DESCRIPTOR.fields
    }
    for name, text in headers.items():
        tree.setdefault("modelVersions", {})[versions[name]] = text
    try:
        return ParseDict(_with_lists(tree), message)
    except ParseError as error:
        raise NotExpressible(str(error)) from None


def _put(
    tree: dict[str, Any], descriptor: Descriptor, segments: list[str], value: str | bytes
) -> None:
    """Put a value at its place; a list is kept as a dict by index until all its items are known."""
    head, *rest = segments
    indexed = _INDEXED.fullmatch(head)
    name = indexed[1] if indexed else head
    field = next(f for f in descriptor.fields if f.json_name == name)
    below = field.message_type
    if below is None or not rest:
        tree[name] = {"mode": _enum(value)} if name == "expandPrompt" else _value(field, value)
        return
    branch = tree.setdefault(name, {})
    if indexed:
        branch = branch.setdefault(int(indexed[2]), {})
    elif below.GetOptions().map_entry:
        branch = branch.setdefault(rest.pop(0), {})
        item = below.fields_by_name["value"].message_type
        if item is None:
            raise KeyError(name)
        below = item
    _put(branch, below, rest, value)


def _enum(text: str | bytes) -> str:
    """The value that the older, bare `background.expandPrompt` stands for."""
    old = {"auto": "EXPAND_PROMPT_MODE_AI_AUTO", "never": "EXPAND_PROMPT_MODE_AI_NEVER"}
    if not isinstance(text, str) or text not in old:
        raise NotExpressible
    return old[text]


def _value(field: FieldDescriptor, value: str | bytes) -> Any:
    if field.message_type is image_pb2.Image.DESCRIPTOR:
        if isinstance(value, str):
            raise NotExpressible
        return {"data": base64.b64encode(value).decode()}
    if not isinstance(value, str):
        raise NotExpressible
    if field.message_type is not None:
        return _union(field.message_type, value)
    if field.enum_type is not None:
        return _enum_name(field.enum_type, value)
    match field.type:
        case FieldDescriptor.TYPE_BOOL:
            return _flag(value)
        case FieldDescriptor.TYPE_DOUBLE:
            return _number(value)
        case FieldDescriptor.TYPE_UINT64:
            return _whole(value)
        case _:
            return value


def _union(message: Descriptor, text: str) -> dict[str, Any]:
    """A member by its unit; else a preset by its text; else the plain number."""
    members = message.fields_by_name
    for suffix, member in _UNITS:
        if member in members and text.endswith(suffix):
            return {member: _number(text.removesuffix(suffix))}
    preset = members.get("preset")
    if preset is not None and preset.enum_type is not None:
        try:
            return {"preset": _enum_name(preset.enum_type, text)}
        except NotExpressible:
            return {"degrees": _number(text)}
    return {"ratio" if "ratio" in members else "degrees": _number(text)}


def _enum_name(enum: EnumDescriptor, text: str) -> str:
    for value in enum.values:
        option = value.GetOptions().Extensions[options_pb2.text]
        if value.number and text in {option.wire, *option.older}:
            return str(value.name)
    raise NotExpressible


def _flag(text: str) -> bool:
    if text not in {"true", "false"}:
        raise NotExpressible
    return text == "true"


def _number(text: str) -> float | str:
    """JSON has no infinity and no NaN; protobuf's JSON has words for them."""
    try:
        number = float(text)
    except ValueError:
        raise NotExpressible from None
    words = {"inf": "Infinity", "-inf": "-Infinity", "nan": "NaN"}
    return words.get(str(number), number)


def _whole(text: str) -> str:
    number = _number(text)
    if isinstance(number, str) or not number.is_integer() or not 0 <= number < 2**64:
        raise NotExpressible
    return str(int(number))


def _with_lists(tree: dict[Any, Any]) -> Any:
    items = {key: _with_lists(v) if isinstance(v, dict) else v for key, v in tree.items()}
    if items and all(isinstance(key, int) for key in items):
        return [items[index] for index in sorted(items)]
    return items
