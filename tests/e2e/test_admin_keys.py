"""AdminService shows how the upstream keys stand, drains and resumes them, on all replicas at once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, replace

import grpc
import pytest

from gateway.domain.keys import fingerprint
from gateway.emulator import AccountSettings, EmulatorSettings, FaultRule, KeySettings
from gateway.v1 import admin_service_pb2 as messages
from tests.client.waiting import until
from tests.e2e.asks import ask_rest, edit_of
from tests.e2e.canaries import recorded_log
from tests.e2e.fleet import ADMIN_KEY, WITHIN, admin, failure, fleet
from tests.e2e.harness import World, key_pair
from tests.e2e.metric_lines import counted
from tests.e2e.redis_texts import all_of
from tests.servers.fixtures import StartServer
from tests.support.leak_watch import leaks

PATIENCE = 40
SECRETS = {f"k{n}": f"sk_canary_key_{n}" for n in (1, 2, 3)}
ADMIN = key_pair(ADMIN_KEY)

_USABLE = messages.KEY_CONDITION_USABLE


def emulated(**statuses: int) -> EmulatorSettings:
    """Three keys of one account, some of which answer every call with a status."""
    keys = tuple(
        KeySettings(name, secret, 60, statuses.get(name)) for name, secret in SECRETS.items()
    )
    return EmulatorSettings(accounts=(AccountSettings("plus", keys),))


@dataclass(slots=True)
class Asker:
    """Buys a different edit with each call."""

    worlds: list[World]
    shade: int = 0

    async def buy(self, w: World) -> int:
        """The status of one call."""
        self.shade += 1
        return (await ask_rest(w, edit_of({"background.color": f"{self.shade:06x}"}))).status

    async def key(self, w: World) -> str:
        """The key that one call was paid with."""
        assert 200 == await self.buy(w)
        used: str = w.emulator.bill.lines[-1].key
        return used

    async def keys(self, times: int = 2) -> set[str]:
        """The keys that calls at all replicas were paid with."""
        return {await self.key(w) for _ in range(times) for w in self.worlds}


async def keys_of(w: World) -> dict[str, messages.UpstreamKey]:
    answer = await admin(w).ListKeys(messages.ListKeysRequest(), metadata=ADMIN)
    return {key.id: key for key in answer.keys}


async def account_of(w: World) -> messages.UpstreamAccount:
    answer = await admin(w).ListKeys(messages.ListKeysRequest(), metadata=ADMIN)
    [account] = answer.accounts
    return account


async def drain(w: World, key: str) -> list[str]:
    answer = await admin(w).DrainKey(messages.DrainKeyRequest(key_id=key), metadata=ADMIN)
    return list(answer.fingerprints)


async def resume(w: World, key: str) -> list[str]:
    answer = await admin(w).ResumeKey(messages.ResumeKeyRequest(key_id=key), metadata=ADMIN)
    return list(answer.fingerprints)


async def test_a_drained_key_begins_no_call_on_any_replica_and_finishes_those_under_way(
    start_server: StartServer,
) -> None:
    async with fleet(3, start_server().url, settings=emulated()) as worlds:
        one, two, three = worlds
        asker, emulator = Asker(worlds), one.emulator
        emulator.faults.add(FaultRule(gate="held", times=1))
        under_way = asyncio.ensure_future(asker.buy(one))
        await emulator.until(lambda: emulator.gates.waiting("held") == 1)
        [drained] = [key.id for key in (await keys_of(two)).values() if key.in_flight]

        for _ in range(2):
            assert [fingerprint(SECRETS[drained])] == await drain(two, drained)
        assert SECRETS.keys() - {drained} == await asker.keys(4)
        for w in worlds:
            found = await keys_of(w)
            assert (messages.KEY_CONDITION_DRAINED, 1) == (
                found[drained].condition,
                found[drained].in_flight,
            )
        emulator.gates.open("held")
        assert 200 == await under_way

        for _ in range(2):
            assert [fingerprint(SECRETS[drained])] == await resume(three, drained)
        assert SECRETS.keys() == await asker.keys(4)


async def test_how_keys_stand_is_the_same_on_every_replica(start_server: StartServer) -> None:
    async with fleet(2, start_server().url, settings=emulated()) as worlds:
        asker = Asker(worlds)
        await asker.keys(3)
        one, other = [await keys_of(w) for w in worlds]
        assert one == other
        assert list(SECRETS) == list(one)
        assert [fingerprint(secret) for secret in SECRETS.values()] == [
            key.fingerprint for key in one.values()
        ]
        assert [("plus", _USABLE, 2, 60, 60, 0)] * 3 == [
            (
                key.account,
                key.condition,
                key.calls_in_window,
                key.calls_per_window,
                key.window.seconds,
                key.in_flight,
            )
            for key in one.values()
        ]
        assert [False] * 3 == [key.HasField("max_in_flight") for key in one.values()]
        answer = await admin(worlds[0]).ListKeys(messages.ListKeysRequest(), metadata=ADMIN)
        assert [messages.UPSTREAM_OPERATION_EDIT, messages.UPSTREAM_OPERATION_SEGMENT] == [
            endpoint.operation for endpoint in answer.endpoints if not endpoint.digests_in_trouble
        ]


SHOWN: dict[int, tuple[int, Callable[[messages.UpstreamKey], bool]]] = {
    401: (messages.KEY_CONDITION_REJECTED, lambda key: not key.masked),
    403: (messages.KEY_CONDITION_FORBIDDEN, lambda key: not key.masked),
    429: (messages.KEY_CONDITION_COOLING, lambda key: key.HasField("cooling_until")),
}


@pytest.mark.parametrize("status", SHOWN)
async def test_what_a_call_has_shown_of_a_key_is_told_and_resumed(
    start_server: StartServer, status: int
) -> None:
    condition, is_right = SHOWN[status]
    async with fleet(2, start_server().url, settings=emulated()) as worlds:
        asker = Asker(worlds)
        fault = FaultRule(key="k2", status=status, wait_s=3600)
        worlds[0].emulator.faults.add(fault, replace(fault, operation="account"))
        await asker.keys(3)
        for w in worlds:
            found = (await keys_of(w))["k2"]
            assert condition == found.condition
            assert is_right(found)
        worlds[0].emulator.faults.clear()
        assert {"k1", "k3"} == await asker.keys(3)
        await resume(worlds[1], "k2")
        assert SECRETS.keys() == await asker.keys(4)
        assert {_USABLE} == {key.condition for key in (await keys_of(worlds[0])).values()}


async def test_an_operation_that_a_key_was_forbidden_alone_is_told(
    start_server: StartServer,
) -> None:
    async with fleet(2, start_server().url, settings=emulated()) as worlds:
        worlds[0].emulator.faults.add(FaultRule(key="k2", operation="edit", status=403))
        assert {"k1", "k3"} == await Asker(worlds).keys(3)
        found = (await keys_of(worlds[1]))["k2"]
        assert _USABLE == found.condition, "for the other operation"
        [masked] = found.masked
        assert messages.UPSTREAM_OPERATION_EDIT == masked.operation
        assert masked.until.seconds > 0
        await resume(worlds[1], "k2")
        assert [] == list((await keys_of(worlds[0]))["k2"].masked)


async def test_an_account_that_answered_402_is_told_as_exhausted(
    start_server: StartServer,
) -> None:
    async with fleet(2, start_server().url, settings=emulated()) as worlds:
        worlds[0].emulator.faults.add(FaultRule(operation="edit", status=402))
        assert 503 == await Asker(worlds).buy(worlds[0])

        async def is_told() -> bool:
            return (await account_of(worlds[1])).exhausted

        await until(is_told)


@pytest.mark.parametrize("key_id", ["", "k9", "K1", fingerprint(SECRETS["k1"])])
async def test_a_key_that_is_not_known_is_named(start_server: StartServer, key_id: str) -> None:
    async with fleet(1, start_server().url, settings=emulated()) as [w]:
        for call in (drain(w, key_id), resume(w, key_id)):
            refusal = await failure(call)
            assert (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST") == (
                refusal.code,
                refusal.reason,
            )
            assert (("key_id", "NOT_ALLOWED"),) == refusal.fields


async def test_without_the_state_redis_nobody_knows_and_nothing_is_changed(
    start_server: StartServer,
) -> None:
    server = start_server()
    async with fleet(1, server.url, settings=emulated()) as [w]:
        await drain(w, "k1")
        server.kill()
        for call in (keys_of(w), drain(w, "k2"), resume(w, "k1")):
            refusal = await failure(call)
            assert (grpc.StatusCode.UNAVAILABLE, "STATE_UNAVAILABLE", 1) == (
                refusal.code,
                refusal.reason,
                refusal.retry_seconds,
            )
        server.start()
        async with asyncio.timeout(WITHIN):
            while "k2" not in await drained_again(w):  # noqa: ASYNC110 - the circuit closes by itself
                await asyncio.sleep(0.05)


async def drained_again(w: World) -> set[str]:
    """Drain a key of a Redis that may be away; return those that are drained."""
    try:
        await drain(w, "k2")
        found = await keys_of(w)
    except grpc.aio.AioRpcError:
        return set()
    return {name for name, key in found.items() if key.condition != _USABLE}


async def test_every_call_about_keys_leaves_a_line_in_the_audit_log(
    start_server: StartServer,
) -> None:
    async with fleet(1, start_server().url, settings=emulated()) as [w]:
        with recorded_log() as log:
            await keys_of(w)
            await drain(w, "k2")
            await resume(w, "k2")
            await failure(drain(w, "k9"))
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    audit = [line for line in lines if line["logger"] == "gateway.audit"]
    name = [fingerprint(SECRETS["k2"])]
    assert [
        ("ops", "list_keys", None, None, "OK"),
        ("ops", "drain_key", "k2", name, "OK"),
        ("ops", "resume_key", "k2", name, "OK"),
        ("ops", "drain_key", None, None, "INVALID_REQUEST"),
    ] == [
        tuple(line.get(field) for field in ("admin", "action", "target", "fingerprints", "outcome"))
        for line in audit
    ]


async def test_keys_are_known_by_fingerprints_alone_in_answers_logs_metrics_and_redis(
    start_server: StartServer,
) -> None:
    server = start_server()
    async with fleet(1, server.url, settings=emulated(k3=401)) as [w]:
        with recorded_log() as log:
            await Asker([w]).keys(3)
            await drain(w, "k1")
            answer = await admin(w).ListKeys(messages.ListKeysRequest(), metadata=ADMIN)
        kept = all_of(server)
        found = await counted(w, "gateway_key_usable", "key", "account")
    assert {("k1", "plus"): 1.0, ("k2", "plus"): 1.0, ("k3", "plus"): 1.0} == found
    assert [] == leaks(str(answer), log.getvalue(), *kept)
    for secret in SECRETS.values():
        name = fingerprint(secret).encode()
        assert any(name in text for text in kept)
        assert name.decode() in str(answer)
