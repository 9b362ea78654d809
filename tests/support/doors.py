"""Reads one request through both sides of the codec."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from functools import cache

from gateway.domain.digest import edit_digest
from gateway.domain.edit import Edit, ImageRef, Operation
from gateway.domain.errors import Violation
from gateway.domain.examine import examine
from gateway.domain.tenant import Tenant
from gateway.ports import Draft
from gateway.transport.codec import (
    Group,
    MessageCodec,
    WireCodec,
    WireFile,
    compile_schemas,
    draft_from_message,
    message_codecs,
)
from gateway.v1 import edit_pb2, segment_pb2

__all__ = [
    "EXTRAS_ALLOWED",
    "IGNORES_UNKNOWN",
    "PLAIN",
    "Pairs",
    "accepted",
    "digest",
    "found",
    "read_message",
    "read_wire",
    "schema",
    "sent_upstream",
]

Pairs = Sequence[tuple[str, str]]

PLAIN = Tenant("catalog")
EXTRAS_ALLOWED = Tenant("lab", extra_parameters=True)
IGNORES_UNKNOWN = Tenant("legacy", ignore_unknown=True)


@cache
def schema(operation: Operation = Operation.EDIT) -> Group:
    """The compiled message of an operation."""
    return compile_schemas()[operation]


def read_wire(
    pairs: Pairs,
    files: Mapping[str, bytes] | None = None,
    headers: Mapping[str, str] | None = None,
    *,
    operation: Operation = Operation.EDIT,
    tenant: Tenant = PLAIN,
) -> Draft:
    """Read a request as a drop-in route does: afresh, and as one whose settings were read before."""
    parts = [WireFile(name, data, ImageRef.of(data)) for name, data in (files or {}).items()]
    codec = _wire_codec(operation)
    draft = codec._walk(pairs, parts, headers or {}, tenant)
    for _ in range(2):
        _assert_same(draft, codec.read(pairs, parts, headers or {}, tenant))
    return draft


def read_message(message: edit_pb2.Edit | segment_pb2.Segment, tenant: Tenant = PLAIN) -> Draft:
    """Read a message as the gRPC door does: afresh, and as one whose settings were read before."""
    segment = isinstance(message, segment_pb2.Segment)
    operation = Operation.SEGMENT if segment else Operation.EDIT
    draft = draft_from_message(schema(operation), operation, message, tenant)
    for _ in range(2):
        # A copy: the codec takes the picture out of the message.
        _assert_same(draft, _message_codec(operation).read(deepcopy(message), tenant))
    return draft


@cache
def _wire_codec(operation: Operation) -> WireCodec:
    return WireCodec(schema(operation), operation)


@cache
def _message_codec(operation: Operation) -> MessageCodec:
    return message_codecs(compile_schemas())[operation]


def _assert_same(afresh: Draft, remembered: Draft) -> None:
    assert afresh == remembered
    assert edit_digest(afresh.edit, sandbox=False) == edit_digest(remembered.edit, sandbox=False)
    assert examine(afresh.edit, afresh.pictures) == examine(remembered.edit, remembered.pictures)


def accepted(draft: Draft) -> Edit:
    """The edit of a draft in which nothing is wrong."""
    assert () == draft.violations
    return draft.edit


def digest(draft: Draft) -> str:
    """The content address of a draft in which nothing is wrong."""
    return edit_digest(accepted(draft), sandbox=False)


def found(violations: Sequence[Violation]) -> list[tuple[str, str]]:
    """Field and code of each violation."""
    return [(violation.field, str(violation.code)) for violation in violations]


def sent_upstream(edit: Edit) -> tuple[list[tuple[str, str]], dict[str, str]]:
    """Parameters and model headers in the spelling that goes upstream."""
    return [(p.name, p.wire) for p in edit.parameters], {p.name: p.wire for p in edit.headers}
