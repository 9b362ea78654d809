"""Keys are added, rotated and removed under load on two replicas: no call fails, none is bought twice."""

from __future__ import annotations

import asyncio
from pathlib import Path

from gateway.domain.keys import fingerprint
from gateway.emulator import FaultRule
from gateway.v1 import admin_service_pb2 as messages
from tests.client.waiting import until
from tests.e2e.asks import ask_rest, edit_of
from tests.e2e.canaries import recorded_log
from tests.e2e.redis_texts import all_of
from tests.e2e.reloading import metric_lines
from tests.e2e.rotating import BAD, Keys, Load, rotating
from tests.servers.fixtures import StartServer
from tests.support.leak_watch import leaks

PATIENCE = 60
USABLE = messages.KEY_CONDITION_USABLE
REJECTED = messages.KEY_CONDITION_REJECTED

CHANGES: dict[str, tuple[Keys, set[str]]] = {
    # the keys from then on, and the secrets that are used from then on
    "one key is added": ({"plus": {"a": "s1", "b": "s2"}}, {"s1", "s2"}),
    "both secrets are rotated": ({"plus": {"a": "s3", "b": "s4"}}, {"s3", "s4"}),
    "one key is removed": ({"plus": {"b": "s4"}}, {"s4"}),
    "a key that is refused is added": ({"plus": {"b": "s4", "c": BAD}}, {"s4"}),
    "the account is replaced by another": ({"other": {"d": "s5", "e": "s6"}}, {"s5", "s6"}),
}


async def test_keys_come_and_go_under_load_and_no_call_fails(
    start_server: StartServer, tmp_path: Path
) -> None:
    """The replicas change one after the other: for a while each knows keys that the other does not."""
    server = start_server()
    with recorded_log() as log:
        async with (
            asyncio.timeout(PATIENCE),
            rotating(tmp_path, server, {"plus": {"a": "s1"}}) as r,
        ):
            load = Load(r.worlds)
            async with load.running():
                await load.rounds()
                for what, (keys, used) in CHANGES.items():
                    for number in range(len(r.worlds)):
                        r.change(keys, number)
                        await r.until_known(keys, number, c=REJECTED)
                        await load.rounds()
                    charges = len(r.emulator.bill.lines)
                    await load.rounds(4)
                    assert used == r.used_since(charges), what
            assert {200} == set(load.statuses)
            assert len(load.statuses) == r.emulator.bill.charges
            pages = [await metric_lines(w.http, w.ops_url) for w in r.worlds]
    assert [] == leaks(log.getvalue(), *all_of(server), *(line for page in pages for line in page))
    assert fingerprint("canary-secret-bad") in log.getvalue()
    assert 2 == log.getvalue().count("an upstream key is refused")


async def test_a_call_finishes_with_the_secret_that_it_began_with(
    start_server: StartServer, tmp_path: Path
) -> None:
    async with (
        asyncio.timeout(PATIENCE),
        rotating(tmp_path, start_server(), {"plus": {"a": "s1"}}, 1) as r,
    ):
        [w] = r.worlds
        r.emulator.faults.add(FaultRule(operation="edit", gate="held", times=1))
        call = asyncio.ensure_future(ask_rest(w, edit_of()))
        await r.emulator.until(lambda: r.emulator.gates.waiting("held") == 1)
        r.change({"plus": {"a": "s2"}})
        await r.until_known({"plus": {"a": "s2"}})
        r.emulator.gates.open("held")
        assert 200 == (await call).status
        assert {"s1"} == r.used_since(0)


async def test_a_secret_that_is_refused_is_named_and_the_one_before_goes_on(
    start_server: StartServer, tmp_path: Path
) -> None:
    async with (
        asyncio.timeout(PATIENCE),
        rotating(tmp_path, start_server(), {"plus": {"a": "s1"}}, 1) as r,
    ):
        [w] = r.worlds
        r.change({"plus": {"a": BAD}})

        async def is_refused() -> bool:
            return any(key.condition == REJECTED for key in await r.keys(w))

        await until(is_refused)
        assert [("a", USABLE, True), ("a", REJECTED, False)] == [
            (key.id, key.condition, key.leaving) for key in await r.keys(w)
        ]
        assert 200 == (await ask_rest(w, edit_of())).status

        async def is_shown() -> bool:
            line = 'gateway_key_usable{account="plus",key="a"} 0.0'
            return line in await metric_lines(w.http, w.ops_url)

        await until(is_shown)


async def test_a_key_that_is_refused_is_used_when_the_upstream_knows_it(
    start_server: StartServer, tmp_path: Path
) -> None:
    """On the replica that checks it, and on the one that began with it."""
    both: Keys = {"plus": {"a": "s1", "b": "s2"}}
    async with (
        asyncio.timeout(PATIENCE),
        rotating(tmp_path, start_server(), {"plus": {"a": "s1"}}) as r,
    ):
        r.emulator.accounts.set_status("s2", 403)
        r.change(both)
        await r.until_known(both, b=messages.KEY_CONDITION_FORBIDDEN)
        r.emulator.accounts.set_status("s2", None)
        await r.until_known(both)


async def test_what_one_replica_does_not_know_another_may_go_on_with(
    start_server: StartServer, tmp_path: Path
) -> None:
    """They are told apart by fingerprints: the same id may be another secret elsewhere."""
    async with (
        asyncio.timeout(PATIENCE),
        rotating(tmp_path, start_server(), {"plus": {"a": "s1"}}) as r,
    ):
        r.change({"plus": {"a": "s2"}}, 1)
        await r.until_known({"plus": {"a": "s2"}}, 1)
        await r.until_known({"plus": {"a": "s1"}}, 0)
        load = Load(r.worlds)
        async with load.running(1):
            await load.rounds(4)
        assert {200} == set(load.statuses)
        assert {"s1", "s2"} == r.used_since(0)
