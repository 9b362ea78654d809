"""One codec for both doors: a proto message or wire parameters in, a draft of an `Edit` out."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.domain.edit import Operation
from gateway.transport.codec.message import INLINE_BYTES, SHA256, MessageCodec, draft_from_message
from gateway.transport.codec.resolve import proto_path, wire_names
from gateway.transport.codec.schema import BILLED_AS, Group, compile_group
from gateway.transport.codec.wire import WireCodec, WireFile
from gateway.v1.edit_pb2 import Edit
from gateway.v1.segment_pb2 import Segment

__all__ = [
    "BILLED_AS",
    "INLINE_BYTES",
    "SHA256",
    "Group",
    "MessageCodec",
    "WireCodec",
    "WireFile",
    "compile_schemas",
    "draft_from_message",
    "message_codecs",
    "proto_path",
    "wire_names",
]


def compile_schemas() -> dict[Operation, Group]:
    """Compile the tree of each operation from its message. Done once, by the composition root."""
    return {
        Operation.EDIT: compile_group(Edit.DESCRIPTOR),
        Operation.SEGMENT: compile_group(Segment.DESCRIPTOR),
    }


def message_codecs(schemas: Mapping[Operation, Group]) -> dict[Operation, MessageCodec]:
    """Return what reads the messages of each operation."""
    kinds = {Operation.EDIT: Edit, Operation.SEGMENT: Segment}
    return {
        operation: MessageCodec(schemas[operation], operation, kind)
        for operation, kind in kinds.items()
    }
