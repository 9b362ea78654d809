"""What is purged and revoked on one replica holds on all of them, while they answer from memory."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import grpc
import pytest

from gateway.v1.admin_service_pb2 import PurgeCacheRequest, RevokeCredentialRequest
from tests.e2e.asks import Ask, edit_of
from tests.e2e.fleet import ADMIN_KEY, sha256
from tests.e2e.harness import CATALOG_KEY, LAB_KEY, key_pair
from tests.e2e.test_admin_holds import DEAF, PURGES, seconds_until_it_holds
from tests.replicas.replicas import DOORS, Answer, Fleet, Replica, fleet
from tests.servers.fixtures import StartServer

REPLICAS = 3
REVOKED = {
    "rest": Answer("UNAUTHENTICATED", 401),
    "grpc": Answer("UNAUTHENTICATED", grpc.StatusCode.UNAUTHENTICATED),
}


async def warm(f: Fleet, ask: Ask, key: str = CATALOG_KEY) -> str:
    """Let every replica answer from its memory; return the edit's digest."""
    bought = await f.replicas[0].ask("rest", ask, key=key)
    for replica in f.replicas:
        await replica.look(ask, key=key)
        assert "memory" == (await replica.look(ask, key=key)).source
    return bought.digest


async def purge(replica: Replica, request: PurgeCacheRequest) -> None:
    await replica.admin.PurgeCache(request, metadata=key_pair(ADMIN_KEY))


async def revoke(replica: Replica, key: str) -> None:
    request = RevokeCredentialRequest(credential_sha256=sha256(key))
    await replica.admin.RevokeCredential(request, metadata=key_pair(ADMIN_KEY))


@pytest.mark.parametrize(
    ("reach", "options"), [*((reach, ()) for reach in PURGES), ("digest", DEAF)]
)
async def test_a_purge_holds_on_every_replica(
    start_server: StartServer,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    picture: bytes,
    reach: str,
    options: tuple[str, ...],
) -> None:
    ask = edit_of({}, {"imageFile": picture})

    def is_hit(replica: Replica) -> Callable[[], Awaitable[bool]]:
        async def look() -> bool:
            answer = await replica.look(ask)
            assert (answer.outcome, answer.source) in {("200", "memory"), ("NOT_CACHED", "")}
            return answer.hit

        return look

    async with fleet(REPLICAS, tmp_path, start_server(*options).url) as f:
        digest = await warm(f, ask)
        change = purge(f.replicas[0], PURGES[reach](digest))
        seconds = await seconds_until_it_holds(change, [is_hit(r) for r in f.replicas])
        with capsys.disabled():
            how = " by the clock alone" if options else ""
            print(f"\npurge of {reach}{how}: held on {REPLICAS} processes after {seconds:.3f} s")  # noqa: T201 - the acceptance prints it
        await warm(f, ask)
        assert 2 == f.billed, "it is bought anew, once"


@pytest.mark.parametrize("door", DOORS)
async def test_a_revocation_holds_on_every_replica(
    start_server: StartServer,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    picture: bytes,
    door: str,
) -> None:
    """And others are served as before."""
    ask = edit_of({}, {"imageFile": picture})

    def is_served(replica: Replica) -> Callable[[], Awaitable[bool]]:
        async def call() -> bool:
            answer = await replica.ask(door, ask)
            assert answer.source == "memory" or answer == REVOKED[door]
            return answer.hit

        return call

    async with fleet(REPLICAS, tmp_path, start_server().url) as f:
        for key in (CATALOG_KEY, LAB_KEY):
            await warm(f, ask, key)
        change = revoke(f.replicas[0], CATALOG_KEY)
        seconds = await seconds_until_it_holds(change, [is_served(r) for r in f.replicas])
        with capsys.disabled():
            print(f"\nrevocation at {door}: held on {REPLICAS} processes after {seconds:.3f} s")  # noqa: T201 - as above
        for replica in f.replicas:
            assert "memory" == (await replica.look(ask, key=LAB_KEY)).source
        assert 2 == f.billed
