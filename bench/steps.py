"""Small steps of a hit, each alone: what a call is made of."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping

from bench.asks import EDIT, edit_message, picture
from bench.plan import Plan
from bench.stats import Spread
from gateway.domain.digest import edit_digest
from gateway.domain.edit import ImageRef, Operation
from gateway.domain.examine import examine
from gateway.domain.tenant import Tenant
from gateway.transport.codec import WireCodec, WireFile, compile_schemas, draft_from_message
from gateway.v1.edit_service_pb2 import EditImageRequest

__all__ = ["measure_steps"]

_LOOPS = 400


def measure_steps(plan: Plan) -> dict[str, Spread]:
    """Time each step; microseconds by the step's name."""
    return {name: _time(step, plan.repeats) for name, step in _steps().items()}


def _steps() -> Mapping[str, Callable[[], object]]:
    data = picture()
    tenant = Tenant("bench")
    schema = compile_schemas()[Operation.EDIT]
    codec = WireCodec(schema, Operation.EDIT)
    texts = tuple(EDIT.items())
    files = (WireFile("imageFile", data, ImageRef.of(data)),)
    message = edit_message(data)
    raw = message.SerializeToString()
    draft = codec.read(texts, files, {}, tenant)
    return {
        "parse the message": lambda: EditImageRequest.FromString(raw),
        "walk the message, SHA-256 of the picture included": lambda: draft_from_message(
            schema, Operation.EDIT, message.edit, tenant
        ),
        "SHA-256 of the picture": lambda: hashlib.sha256(data).digest(),
        "walk the wire parameters": lambda: codec.read(texts, files, {}, tenant),
        "check picture and rules": lambda: examine(draft.edit, draft.pictures),
        "digest of the edit": lambda: edit_digest(draft.edit, sandbox=False),
    }


def _time(step: Callable[[], object], repeats: int) -> Spread:
    figures = []
    for _ in range(repeats):
        started = time.process_time()
        for _ in range(_LOOPS):
            step()
        figures.append((time.process_time() - started) / _LOOPS * 1e6)
    return Spread.of(figures)
