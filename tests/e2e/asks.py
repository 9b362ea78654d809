"""One request in wire names, asked at either door."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import grpc
import pytest

from gateway.domain.edit import Operation
from gateway.v1 import options_pb2
from gateway.v1.edit_pb2 import Edit
from gateway.v1.edit_service_pb2 import (
    EditImageRequest,
    PlanEditRequest,
    PlanEditResponse,
    RemoveBackgroundRequest,
    Result,
)
from gateway.v1.segment_pb2 import Segment
from tests.e2e.harness import CATALOG_KEY, Reply, RpcFailure, World, key_pair, rpc_failure
from tests.support.pictures import png
from tests.support.proto_edits import (
    edit_message_from_wire,
    message_fields,
    segment_message_from_wire,
)

__all__ = [
    "Ask",
    "Found",
    "ask_rest",
    "ask_rpc",
    "edit_of",
    "plan",
    "plan_of",
    "refused",
    "rest_violations",
    "rpc_violations",
    "segment_of",
    "spent",
    "wire_field",
]

Found = list[tuple[str, str]]
"""Wire name and code of each violation or warning."""

_PICTURE = png()
_STEP = re.compile(r'[a-z0-9_]+(?:\[(\d+)\]|\["([^"]*)"\])?')
_MESSAGES = {"edit": Edit.DESCRIPTOR, "segment": Segment.DESCRIPTOR}


@dataclass(frozen=True, slots=True)
class Ask:
    """Texts, pictures and model headers by wire name."""

    texts: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    operation: Operation = Operation.EDIT

    def also(
        self,
        texts: Mapping[str, str] | None = None,
        files: Mapping[str, bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Ask:
        """The same with more; what is given here wins."""
        return replace(
            self,
            texts={**self.texts, **(texts or {})},
            files={**self.files, **(files or {})},
            headers={**self.headers, **(headers or {})},
        )

    def without_file(self, name: str) -> Ask:
        """The same without the picture of that name."""
        return replace(self, files={n: data for n, data in self.files.items() if n != name})

    @property
    def message(self) -> Edit | Segment:
        """The message that says the same."""
        texts = list(self.texts.items())
        if self.operation is Operation.SEGMENT:
            return segment_message_from_wire(texts, self.files, self.headers)
        return edit_message_from_wire(texts, self.files, self.headers)


def edit_of(
    texts: Mapping[str, str] | None = None,
    files: Mapping[str, bytes] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Ask:
    """An edit of a small picture, unless `files` say otherwise."""
    return Ask(texts or {}, {"imageFile": _PICTURE} if files is None else files, headers or {})


def segment_of(texts: Mapping[str, str] | None = None, picture: bytes = _PICTURE) -> Ask:
    """A background removal."""
    return Ask(texts or {}, {"image_file": picture}, operation=Operation.SEGMENT)


async def ask_rest(w: World, ask: Ask, *, key: str = CATALOG_KEY) -> Reply:
    """Ask at the drop-in door: a form, or a query when there is no picture to send."""
    path = f"/{ask.operation}"
    if ask.files or ask.operation is Operation.SEGMENT:
        fields = list(ask.texts.items())
        return await w.post(path, fields, ask.files, headers=ask.headers, key=key)
    return await w.request("GET", path, params=dict(ask.texts), headers=ask.headers, key=key)


async def ask_rpc(w: World, ask: Ask, *, key: str = CATALOG_KEY) -> Result:
    """Ask at the gRPC door. Raises AioRpcError."""
    return await send(w, ask.message, key=key)


async def send(w: World, message: Edit | Segment, *, key: str = CATALOG_KEY) -> Result:
    """Send a message to the gRPC door. Raises AioRpcError."""
    metadata = key_pair(key)
    if isinstance(message, Segment):
        removal = RemoveBackgroundRequest(segment=message)
        return (await w.edits.RemoveBackground(removal, metadata=metadata)).result
    return (await w.edits.EditImage(EditImageRequest(edit=message), metadata=metadata)).result


async def refused(w: World, message: Edit | Segment, *, key: str = CATALOG_KEY) -> RpcFailure:
    """Send a message that is wrong."""
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await send(w, message, key=key)
    failure = rpc_failure(error.value)
    assert grpc.StatusCode.INVALID_ARGUMENT == failure.code, failure.message
    assert "INVALID_REQUEST" == failure.reason
    return failure


async def plan(w: World, ask: Ask, *, key: str = CATALOG_KEY) -> PlanEditResponse:
    """Ask what it would do."""
    return await plan_of(w, ask.message, key=key)


async def plan_of(w: World, message: Edit | Segment, *, key: str = CATALOG_KEY) -> PlanEditResponse:
    """Ask what a message would do."""
    if isinstance(message, Segment):
        request = PlanEditRequest(segment=message)
    else:
        request = PlanEditRequest(edit=message)
    return await w.edits.PlanEdit(request, metadata=key_pair(key))


def rest_violations(reply: Reply) -> Found:
    """What a REST refusal names, in Photoroom's shape of the route."""
    assert 400 == reply.status, reply.body
    assert "application/json" == reply.headers["Content-Type"]
    body: dict[str, Any] = reply.json
    if "error" in body:
        body = body["error"]
        message = body["message"]
    else:
        message = body["detail"]
        assert 400 == body["status_code"]
    assert "INVALID_REQUEST" == body["type"]
    violations = body["violations"]
    assert message == "; ".join(f"{v['field']}: {v['description']}" for v in violations)
    return [(v["field"], v["code"]) for v in violations]


async def rpc_violations(w: World, call: Ask | Edit | Segment) -> Found:
    """What a gRPC refusal names, its fields as wire names."""
    failure = await refused(w, call.message if isinstance(call, Ask) else call)
    return [(wire_field(path), code) for path, code in failure.fields]


def wire_field(path: str) -> str:
    """The wire name of `edit.background.image_url` or `edit.layers["a"].text`, by the descriptors.

    The number of an unknown field stays: `edit.background.#9` is `background.#9`. Raises KeyError for a
    path that leads nowhere.
    """
    root, _, rest = path.partition(".")
    known, _, number = rest.rpartition("#")
    known = known.removesuffix(".") if number.isdecimal() else rest
    names: list[str] = []
    fields = message_fields(_MESSAGES[root], known)
    for field_, step in zip(fields, _STEP.findall(known), strict=True):
        header = field_.GetOptions().Extensions[options_pb2.param].header
        if header:
            return str(header)
        index, key = step
        names.append(field_.json_name + (f"[{index}]" if index else ""))
        names += [key] if key else []
    return ".".join([*names, f"#{number}"] if known != rest else names)


def spent(w: World) -> int:
    """How many calls that cost something have reached the emulator."""
    paid = (f"/{operation}" for operation in Operation)
    return sum(w.emulator.bill.requests[f"{m} {path}"] for path in paid for m in ("GET", "POST"))
