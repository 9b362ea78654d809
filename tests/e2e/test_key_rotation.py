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
from tests.e2e.rotating import BAD, SECRETS, Keys, Load, Rotating, rotating
from tests.servers.fixtures import StartServer
from tests.support.leak_watch import leaks

PATIENCE = 60
USABLE = messages.KEY_CONDITION_USABLE
REJECTED = messages.KEY_CONDITION_REJECTED

CHANGES: tuple[tuple[str, Keys, tuple[tuple[str, int], ...], set[str]], ...] = (
    # what changes, the keys from then on, how they stand, the secrets that may be used from then on
    (
        "one key is added",
        {"plus": {"a": "s1", "b": "s2"}},
        (("a", USABLE), ("b", USABLE)),
        {"s1", "s2"},
    ),
    (
        "both secrets are rotated",
        {"plus": {"a": "s3", "b": "s4"}},
        (("a", USABLE), ("b", USABLE)),
        {"s3", "s4"},
    ),
    (
        "one key is removed",
        {"plus": {"b": "s4"}},
        (("b", USABLE),),
        {"s4"},
    ),
    (
        "a key that is refused is added",
        {"plus": {"b": "s4", "c": BAD}},
        (("b", USABLE), ("c", REJECTED)),
        {"s4"},
    ),
    (
        "the account is replaced by another",
        {"other": {"d": "s5", "e": "s6"}},
        (("d", USABLE), ("e", USABLE)),
        {"s5", "s6"},
    ),
)


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
                await load.more(10)
                for _, keys, conditions, used in CHANGES:
                    for number in range(len(r.worlds)):
                        r.change(keys, number)
                        await r.until_known(*conditions, replicas=[number])
                        await load.more(10)
                    charges = len(r.emulator.bill.lines)
                    await load.more(4 * len(load.statuses[:10]))
                    under_way = 6  # calls that had their key before
                    assert used == r.used_since(charges + under_way)
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
        await r.until_known(("a", USABLE))
        assert fingerprint(SECRETS["s2"]) == (await r.keys(w))[0].fingerprint
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
        forbidden = messages.KEY_CONDITION_FORBIDDEN
        await r.until_known(("a", USABLE), ("b", forbidden))
        r.emulator.accounts.set_status("s2", None)
        await r.until_known(("a", USABLE), ("b", USABLE))


async def test_what_one_replica_does_not_know_another_may_go_on_with(
    start_server: StartServer, tmp_path: Path
) -> None:
    """They are told apart by fingerprints: the same id may be another secret elsewhere."""
    async with (
        asyncio.timeout(PATIENCE),
        rotating(tmp_path, start_server(), {"plus": {"a": "s1"}}) as r,
    ):
        r.change({"plus": {"a": "s2"}}, 1)
        await until_fingerprint(r, 1, "s2")
        assert [fingerprint(SECRETS["s1"])] == [
            key.fingerprint for key in await r.keys(r.worlds[0])
        ]
        load = Load(r.worlds)
        async with load.running(1):
            await load.more(20)
        assert {200} == set(load.statuses)
        assert {"s1", "s2"} == r.used_since(0)


async def until_fingerprint(r: Rotating, replica: int, secret: str) -> None:
    async def is_known() -> bool:
        known = await r.keys(r.worlds[replica])
        return [fingerprint(SECRETS[secret])] == [key.fingerprint for key in known]

    await until(is_known)
