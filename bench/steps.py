"""Small steps of a hit, each alone: what a call is made of."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from bench.asks import EDIT, edit_message, picture
from bench.plan import Plan
from bench.stats import Spread
from gateway.domain.digest import edit_digest
from gateway.domain.edit import ImageRef, Operation
from gateway.domain.examine import examine
from gateway.domain.tenant import Tenant
from gateway.transport.codec import (
    WireCodec,
    WireFile,
    compile_schemas,
    draft_from_message,
    message_codecs,
)
from gateway.transport.codec.draft import LONGEST_SETTINGS
from gateway.v1.edit_service_pb2 import EditImageRequest

__all__ = ["measure_steps"]

_LOOPS = 400
_LENIENT = Tenant("bench", ignore_unknown=True)


def measure_steps(plan: Plan) -> dict[str, Spread]:
    """Time each step; microseconds by the step's name."""
    return {name: _time(step, plan.repeats) for name, step in _steps().items()}


def _steps() -> Mapping[str, Callable[[], object]]:
    data = picture()
    tenant = Tenant("bench")
    schemas = compile_schemas()
    schema, codec = schemas[Operation.EDIT], message_codecs(schemas)[Operation.EDIT]
    request = edit_message(data)
    raw = request.SerializeToString()
    texts, files = tuple(EDIT.items()), (WireFile("imageFile", data, ImageRef.of(data)),)
    wire = WireCodec(schema, Operation.EDIT)
    # A text that is too long to be remembered, and ignored: every other step is as it was.
    fresh = (*texts, ("unknown", "x" * (LONGEST_SETTINGS + 1)))
    draft = wire.read(texts, files, {}, tenant)
    return {
        "SHA-256 of the picture": lambda: hashlib.sha256(data).digest(),
        "parse the message": lambda: EditImageRequest.FromString(raw),
        "read the message, with SHA-256": lambda: draft_from_message(
            schema, Operation.EDIT, request.edit, tenant
        ),
        "parse and read it, settings seen before": lambda: codec.read(
            EditImageRequest.FromString(raw).edit, tenant
        ),
        "read wire parameters": lambda: wire.read(fresh, files, {}, _LENIENT),
        "read them, settings seen before": lambda: wire.read(texts, files, {}, tenant),
        "check picture and rules": lambda: examine(replace(draft.edit), draft.pictures),
        "check them, settings seen before": lambda: examine(draft.edit, draft.pictures),
        "digest": lambda: edit_digest(replace(draft.edit), sandbox=False),
        "digest, settings seen before": lambda: edit_digest(draft.edit, sandbox=False),
    }


def _time(step: Callable[[], object], repeats: int) -> Spread:
    figures = []
    for _ in range(repeats):
        started = time.process_time()
        for _ in range(_LOOPS):
            step()
        figures.append((time.process_time() - started) / _LOOPS * 1e6)
    return Spread.of(figures)
