"""One call at either door with a mode of the cache, and what it is told of the cache."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import grpc
from multidict import CIMultiDict

from gateway.domain.caching import CacheMode
from gateway.v1 import edit_service_pb2 as edits
from gateway.v1.segment_pb2 import Segment
from tests.e2e.asks import Ask, ask_rest
from tests.e2e.harness import CATALOG_KEY, Reply, World, key_pair, rpc_failure
from tests.support.structured_fields import BareItem, parse_list

__all__ = ["DOORS", "MODES", "Told", "cache_status", "had", "told", "told_by"]

DOORS = ("rest", "grpc")

MODES: Mapping[CacheMode, edits.CacheMode.ValueType] = MappingProxyType(
    {
        CacheMode.DEFAULT: edits.CACHE_MODE_UNSPECIFIED,
        CacheMode.REFRESH: edits.CACHE_MODE_REFRESH,
        CacheMode.BYPASS: edits.CACHE_MODE_BYPASS,
        CacheMode.REUSE: edits.CACHE_MODE_REUSE,
        CacheMode.ONLY_IF_CACHED: edits.CACHE_MODE_ONLY_IF_CACHED,
    }
)


@dataclass(frozen=True, slots=True)
class Told:
    """A picture, and all that its caller is told of where it came from.

    `source` is the tier of a hit, else why it was bought; `ttl` is in whole seconds, None where the
    result is not kept; costs are in thousandths of a credit. `about` is what the upstream said of it.
    """

    hit: bool
    source: str
    ttl: int | None
    cost: int
    saved: int
    digest: str
    sha256: str
    media_type: str
    body: bytes
    about: tuple[tuple[str, str], ...]


async def told(
    w: World,
    door: str,
    ask: Ask,
    mode: CacheMode = CacheMode.DEFAULT,
    *,
    key: str = CATALOG_KEY,
) -> Told | None:
    """Call; None when nothing stored answers a call that wants nothing else."""
    return await (_rest if door == "rest" else _grpc)(w, ask, mode, key)


async def had(
    w: World,
    door: str,
    ask: Ask,
    mode: CacheMode = CacheMode.DEFAULT,
    *,
    key: str = CATALOG_KEY,
) -> Told:
    """Call, and fail when it is not served."""
    answer = await told(w, door, ask, mode, key=key)
    assert answer is not None
    return answer


async def _rest(w: World, ask: Ask, mode: CacheMode, key: str) -> Told | None:
    word = {} if mode is CacheMode.DEFAULT else {"Gateway-Cache": mode.value}
    reply = await ask_rest(w, replace(ask, headers={**ask.headers, **word}), key=key)
    if reply.status == 504 and b"NOT_CACHED" in reply.body:
        return None
    return told_by(reply)


def told_by(reply: Reply) -> Told:
    """Read the headers of a served picture, each of them strictly."""
    assert 200 == reply.status, reply.body
    said = reply.headers
    status = cache_status(said)
    ttl = status.get("ttl")
    assert ttl is None or type(ttl) is int
    hit = status.get("hit", False)
    assert isinstance(hit, bool)
    assert hit == ("Age" in said)
    return Told(
        hit=hit,
        source=str(status["detail"]),
        ttl=ttl,
        cost=_milli(said["Gateway-Cost"]),
        saved=_milli(said["Gateway-Saved"]),
        digest=said["Gateway-Digest"],
        sha256=said["ETag"].removeprefix('"').removesuffix('"'),
        media_type=said["Content-Type"],
        body=reply.body,
        about=tuple((name, said[name]) for name in ("pr-edit-further-url",) if name in said),
    )


def cache_status(headers: CIMultiDict[str]) -> dict[str, BareItem]:
    """What the one cache on the way says of itself: it either has a hit or says why it forwarded."""
    [(name, said)] = parse_list(headers["Cache-Status"])
    assert "photoroom-gateway" == name
    assert ("hit" in said) is not ("fwd" in said)
    assert "stored" not in said or "fwd" in said
    return said


async def _grpc(w: World, ask: Ask, mode: CacheMode, key: str) -> Told | None:
    message, metadata = ask.message, key_pair(key)
    try:
        if isinstance(message, Segment):
            removal = edits.RemoveBackgroundRequest(segment=message, cache_mode=MODES[mode])
            result = (await w.edits.RemoveBackground(removal, metadata=metadata)).result
        else:
            request = edits.EditImageRequest(edit=message, cache_mode=MODES[mode])
            result = (await w.edits.EditImage(request, metadata=metadata)).result
    except grpc.aio.AioRpcError as error:
        failure = rpc_failure(error)
        assert (grpc.StatusCode.NOT_FOUND, "NOT_CACHED") == (failure.code, failure.reason)
        return None
    cache = result.cache
    assert cache.hit == cache.HasField("age")
    url = result.edit_further_url
    return Told(
        hit=cache.hit,
        source=cache.source,
        ttl=cache.ttl.ToSeconds() if cache.HasField("ttl") else None,
        cost=result.cost_milli_credits,
        saved=cache.saved_milli_credits,
        digest=result.digest,
        sha256=result.blob.sha256,
        media_type=result.media_type,
        body=result.image,
        about=(("pr-edit-further-url", url),) if url else (),
    )


def _milli(credits_: str) -> int:
    return round(float(credits_) * 1000)
