"""The walk from a proto message: gRPC's side of the codec."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache, partial
from operator import attrgetter

from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from gateway.domain.edit import ImageRef, ImageSlot, Operation
from gateway.domain.tenant import Tenant
from gateway.domain.violations import Code
from gateway.ports import Draft
from gateway.transport.codec.draft import LONGEST_SETTINGS, MOST_SETTINGS, DraftBuilder
from gateway.transport.codec.resolve import KEY, extra_path, header_leaves, resolve
from gateway.transport.codec.schema import Group, Leaf, Many, Slot, Union
from gateway.v1.image_pb2 import BlobRef, Image

__all__ = ["INLINE_BYTES", "SHA256", "MessageCodec", "draft_from_message", "unknown_fields"]

INLINE_BYTES = 3 * 1024 * 1024
"""Bytes of all inline pictures of a message together: with what stands around them it stays below the
4 MiB that a client takes by default."""

SHA256 = re.compile(r"[0-9a-f]{64}")
"""A SHA-256 in lower-case hex."""

_KEY_FORM = "keys have 1 to 128 characters, no . [ ] and no control character among them"


def draft_from_message(
    root: Group, operation: Operation, message: Message, tenant: Tenant
) -> Draft:
    """Read a message into a draft; every violation is found, none is raised."""
    walk = _Walk(root, DraftBuilder(operation), tenant)
    walk.group(root, message, "")
    return walk.out.build()


def unknown_fields(message: Message) -> Iterable[int]:
    """Return the numbers of fields that this gateway's proto does not know."""
    fields = UnknownFieldSet(message)
    count = len(fields)
    return sorted({fields[i].field_number for i in range(count)}) if count else ()


class MessageCodec:
    """Reads messages of one operation."""

    def __init__(self, root: Group, operation: Operation, kind: type[Message]) -> None:
        self._root = root
        self._operation = operation
        self._kind = kind
        self._slot = next(node for node in root.by_number.values() if isinstance(node, Slot))
        self._settings = lru_cache(MOST_SETTINGS)(self._read_settings)

    def read(self, message: Message, tenant: Tenant) -> Draft:
        """Read a message into a draft, and take the picture out of it; as `draft_from_message`."""
        name = self._slot.field
        image: Image = getattr(message, name)
        data = image.data
        settings_size = message.ByteSize() - len(data)
        if (
            not data
            or settings_size > LONGEST_SETTINGS
            or len(data) + settings_size > INLINE_BYTES
            or unknown_fields(image)
        ):
            return draft_from_message(self._root, self._operation, message, tenant)
        message.ClearField(name)
        draft = self._settings(message.SerializeToString(deterministic=True), tenant)
        slot = ImageSlot(self._slot.wire, ImageRef.of(data))
        slots = sorted((*draft.edit.images, slot), key=attrgetter("name"))
        pictures = {**draft.pictures, slot.image: data}
        return replace(draft, edit=draft.edit.on(*slots), pictures=pictures)

    def _read_settings(self, raw: bytes, tenant: Tenant) -> Draft:
        message = self._kind()
        message.ParseFromString(raw)
        return draft_from_message(self._root, self._operation, message, tenant)


class _Walk:
    def __init__(self, root: Group, out: DraftBuilder, tenant: Tenant) -> None:
        self._root = root
        self.out = out
        self._tenant = tenant
        self._inline = 0

    def group(self, group: Group, message: Message, prefix: str) -> None:
        self._refuse_unknown(message, prefix)
        found = set()
        for field, value in message.ListFields():
            found.add(field.json_name)
            node = group.by_number.get(field.number)
            if node is None:
                self._extra(value)
                continue
            name = prefix + node.wire
            match node:
                case Leaf():
                    self._leaf(node, name, value)
                case Slot():
                    self._slot(name, value)
                case Group():
                    self.group(node, value, name + ".")
                case Many():
                    self._many(node, name, value)
        for choice in group.choices:
            if not found.intersection(choice):
                self.out.refuse(
                    prefix.removesuffix("."),
                    Code.VALUE_MISSING,
                    f"needs {' or '.join(choice)}",
                )

    def _leaf(self, leaf: Leaf, name: str, value: object) -> None:
        if isinstance(leaf.reader, Union) and isinstance(value, Message):
            self._refuse_unknown(value, name + ".")
            members = value.ListFields()
            value = (members[0][0].number, members[0][1]) if members else None
        self.out.read(name, leaf, partial(leaf.reader.from_field, value))

    def _slot(self, name: str, image: Image) -> None:
        self._refuse_unknown(image, name + ".")
        match image.WhichOneof("content"):
            case None:
                self.out.refuse(name, Code.VALUE_MISSING, "needs the picture's bytes")
            case "blob":
                self._blob(name, image.blob)
            case _:
                data = image.data  # once: each look copies it
                self._inline += len(data)
                if self._inline > INLINE_BYTES:
                    why = f"inline pictures have {INLINE_BYTES} bytes together at most: upload it"
                    self.out.refuse(name, Code.INLINE_TOO_LARGE, why)
                self.out.picture(name, data)

    def _blob(self, name: str, blob: BlobRef) -> None:
        self._refuse_unknown(blob, name + ".")
        if not SHA256.fullmatch(blob.sha256) or blob.size_bytes < 0:
            why = "needs a SHA-256 of 64 lower-case hex digits, and a size"
            self.out.refuse(name, Code.BAD_DIGEST, why)
        else:
            self.out.named(name, ImageRef(blob.sha256, blob.size_bytes))

    def _many(self, many: Many, name: str, value: object) -> None:
        if isinstance(value, Mapping):
            for key in sorted(value):
                if KEY.fullmatch(key):
                    self.group(many.item, value[key], f"{name}.{key}.")
                else:
                    self.out.refuse(name, Code.BAD_KEY, _KEY_FORM)
        elif isinstance(value, Iterable):
            items = list(value)
            if many.most and len(items) > many.most:
                self.out.refuse(name, Code.TOO_MANY_ITEMS, f"takes at most {many.most} items")
            for index, item in enumerate(items[: many.most or None]):
                self.group(many.item, item, f"{name}[{index}].")

    def _extra(self, extra: Mapping[str, str]) -> None:
        headers = header_leaves(self._root)
        for name in sorted(extra):
            field = extra_path(name)
            if not self._tenant.extra_parameters:
                why = "this tenant may not send extra parameters"
                self.out.refuse(field, Code.EXTRA_NOT_ALLOWED, why)
            elif name in headers or resolve(self._root, name) is not None:
                self.out.refuse(field, Code.EXTRA_IS_KNOWN, "has a field of its own")
            else:
                self.out.carry(name, extra[name])

    def _refuse_unknown(self, message: Message, prefix: str) -> None:
        for number in unknown_fields(message):
            self.out.refuse(
                f"{prefix}#{number}",
                Code.UNKNOWN_FIELD,
                f"field {number} is newer than this gateway's proto",
            )
