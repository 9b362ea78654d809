"""One call at either door under an idempotency key, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import grpc

from gateway.domain.caching import CacheMode
from gateway.v1 import edit_service_pb2 as edits
from gateway.v1.segment_pb2 import Segment
from tests.e2e.asks import Ask, ask_rest
from tests.e2e.harness import CATALOG_KEY, Reply, World, key_pair, rpc_failure
from tests.e2e.purchases import MODES, told_by

__all__ = ["End", "keyed"]


@dataclass(frozen=True, slots=True)
class End:
    """How a call ended: with a picture, or with a status and a reason.

    `source` is the tier of a hit, else why it was bought; costs are in thousandths of a credit. `fields`
    are those that a refusal names.
    """

    code: int | grpc.StatusCode = grpc.StatusCode.OK
    reason: str = ""
    source: str = ""
    cost: int = 0
    saved: int = 0
    body: bytes = field(default=b"", repr=False)
    fields: tuple[str, ...] = ()


async def keyed(
    w: World,
    door: str,
    ask: Ask,
    name: str | None,
    mode: CacheMode = CacheMode.DEFAULT,
    *,
    key: str = CATALOG_KEY,
    seconds: float | None = None,
) -> End:
    """Call under the idempotency key `name`, with a deadline in `seconds`, if they are given."""
    return await (_rest if door == "rest" else _grpc)(w, ask, name, mode, key, seconds)


async def _rest(
    w: World, ask: Ask, name: str | None, mode: CacheMode, key: str, seconds: float | None
) -> End:
    headers = {
        **ask.headers,
        **({} if name is None else {"Idempotency-Key": name}),
        **({} if mode is CacheMode.DEFAULT else {"Gateway-Cache": mode.value}),
        **({} if seconds is None else {"Request-Timeout": str(seconds)}),
    }
    reply = await ask_rest(w, replace(ask, headers=headers), key=key)
    if reply.status != 200:
        return _refused(reply)
    told = told_by(reply)
    return End(200, "", told.source, told.cost, told.saved, told.body)


def _refused(reply: Reply) -> End:
    said = reply.json.get("error", reply.json)
    fields = tuple(v["field"] for v in said.get("violations", ()))
    return End(reply.status, said["type"], fields=fields)


async def _grpc(
    w: World, ask: Ask, name: str | None, mode: CacheMode, key: str, seconds: float | None
) -> End:
    message, metadata = ask.message, key_pair(key)
    named = name or ""
    try:
        if isinstance(message, Segment):
            removal = edits.RemoveBackgroundRequest(
                segment=message, cache_mode=MODES[mode], idempotency_key=named
            )
            removing = w.edits.RemoveBackground(removal, metadata=metadata, timeout=seconds)
            result = (await removing).result
        else:
            request = edits.EditImageRequest(
                edit=message, cache_mode=MODES[mode], idempotency_key=named
            )
            editing = w.edits.EditImage(request, metadata=metadata, timeout=seconds)
            result = (await editing).result
    except grpc.aio.AioRpcError as error:
        failure = rpc_failure(error)
        return End(failure.code, failure.reason, fields=tuple(f for f, _ in failure.fields))
    cache = result.cache
    return End(
        source=cache.source,
        cost=result.cost_milli_credits,
        saved=cache.saved_milli_credits,
        body=result.image,
    )
