"""Calls at either door under idempotency keys, how they end, and two replicas that know the keys."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import grpc

from gateway.domain.caching import CacheMode
from gateway.emulator import Emulator
from gateway.v1 import edit_service_pb2 as edits
from gateway.v1.segment_pb2 import Segment
from tests.client.waiting import until
from tests.e2e.asks import Ask, ask_rest
from tests.e2e.fleet import ADMINS
from tests.e2e.harness import CATALOG_KEY, Reply, World, key_pair, replica, rpc_failure
from tests.e2e.purchases import MODES, told_by
from tests.servers.process import Server

__all__ = ["End", "aboard", "held", "keyed", "two_replicas"]

_WAIT = 20  # seconds after which a test has failed


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


@asynccontextmanager
async def two_replicas(server: Server, **changes: object) -> AsyncIterator[tuple[World, World]]:
    """Two gateways over one Redis, that keep nothing in their own memory."""
    merged = {"redis": {"state_url": server.url}, "cache": {"memory": "0B"}, **ADMINS, **changes}
    async with (
        Emulator() as emulator,
        replica(emulator, changes=merged) as one,
        replica(emulator, changes=merged) as other,
    ):
        yield one, other


async def held(w: World, calls: int = 1) -> None:
    """Wait until the emulator holds so many calls at its gate."""
    async with asyncio.timeout(_WAIT):
        await w.emulator.until(lambda: w.emulator.gates.waiting("held") == calls)


async def aboard(w: World, waiters: int) -> None:
    """Wait until so many callers of a replica wait for flights."""

    async def are() -> bool:
        return waiters == sum(f.waiters for f in w.gateway.flights._flights.values())

    await until(are)
