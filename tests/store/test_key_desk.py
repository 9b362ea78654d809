"""Keys are switched off and on for all replicas at once, and what all have seen of them can be read."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from gateway.domain.edit import Operation
from gateway.domain.errors import StateUnavailable, UpstreamUnavailable
from gateway.domain.keys import PoolAccount, Seen, Verdict
from gateway.ports import AccountStanding, CallTraits, EndpointStanding, KeyStanding, Settlement
from gateway.store.connect import connect
from gateway.store.key_desk import KeyScripts
from gateway.store.keyspace import LEDGER_ROOT
from gateway.store.link import Link, TimeOuts
from gateway.store.scripts import ScriptCall, run
from tests.servers.fixtures import StartServer
from tests.store.conftest import SERVERS
from tests.store.desk_tools import KeyReplica, account_of, key_of, replicas

QUICK = TimeOuts(connect=0.2, operation=0.3)
SWITCH = KeyScripts.load().switch

SWITCHED = [
    # why it was off, what is said, why it is off then
    ("", "drained", "drained"),
    ("rejected", "drained", "drained"),
    ("", "resumed", ""),
    ("drained", "resumed", ""),
    ("forbidden", "resumed", ""),
    ("", "served", ""),
    ("rejected", "served", ""),
    ("forbidden", "served", ""),
    ("drained", "served", "drained"),
    ("", "rejected", "rejected"),
    ("forbidden", "rejected", "rejected"),
    ("drained", "rejected", "drained"),
    ("", "forbidden", "forbidden"),
    ("drained", "forbidden", "drained"),
]


@pytest.fixture(params=SERVERS)
async def link(request: pytest.FixtureRequest) -> AsyncIterator[Link]:
    made = connect(request.getfixturevalue(request.param).url)
    yield made
    await made.aclose()


def field_of(key: str) -> str:
    return f"{LEDGER_ROOT}key:{key}"


async def said(link: Link, word: str, *keys: str) -> int:
    """Say the word of the keys; return how many have changed."""
    [changed] = await run(link, ScriptCall(SWITCH, (LEDGER_ROOT,), (word, *keys)))
    return int(changed)


@pytest.mark.parametrize(("before", "word", "after"), SWITCHED)
async def test_what_is_said_twice_is_as_said_once(
    link: Link, before: str, word: str, after: str
) -> None:
    keys = [key_of(name).fingerprint for name in ("k1", "k2")]
    if before:
        for key in keys:
            await link.exchange(("HSET", field_of(key), "off", before))
    changes = [await said(link, word, *keys) for _ in range(2)]
    assert [0 if before == after else 2, 0] == changes
    for key in keys:
        [off] = await link.exchange(("HGET", field_of(key), "off"))
        assert (after.encode() or None) == off


async def test_resuming_forgets_all_that_was_seen_of_the_key_and_nothing_of_another(
    link: Link,
) -> None:
    one, other = (key_of(name).fingerprint for name in ("k1", "k2"))
    seen = ("off", "rejected", "cool", 9**15, "cool:sandbox", 9**15, "mask:v2/edit", 9**15)
    for key in (one, other):
        await link.exchange(("HSET", field_of(key), *seen))
    assert [1, 0] == [await said(link, "resumed", one) for _ in range(2)]
    assert [0, 1] == [
        reply for key in (one, other) for reply in await link.exchange(("EXISTS", field_of(key)))
    ]


@pytest.fixture(params=SERVERS)
def url(request: pytest.FixtureRequest) -> str:
    found: str = request.getfixturevalue(request.param).url
    return found


def a_pool() -> PoolAccount:
    return account_of("plus", key_of("k1"), key_of("k2"))


async def standing_of(replica: KeyReplica, key: str) -> KeyStanding:
    [found] = [one for one in (await replica.desk.state()).keys if one.key.fingerprint == key]
    return found


async def test_a_drained_key_begins_no_call_on_any_replica_and_finishes_those_under_way(
    url: str,
) -> None:
    account = a_pool()
    async with replicas(url, [account], count=3) as made:
        under_way = await made[0].admit()
        drained, other = under_way.key.key, {k.fingerprint for k in account.keys}
        await made[1].desk.drain([drained])
        await made[2].desk.drain([drained])
        other -= {drained}

        chosen = {(await replica.admit()).key.key for replica in made for _ in range(4)}
        assert other == chosen
        assert ("drained", 1) == (
            (await standing_of(made[2], drained)).off,
            (await standing_of(made[2], drained)).in_flight,
        )
        made[0].admission.settle(under_way, Settlement.POSTED)
        await made[0].told()
        assert 0 == (await standing_of(made[1], drained)).in_flight

        await made[0].desk.resume([drained])
        await made[0].desk.resume([drained])
        chosen = {(await replica.admit()).key.key for replica in made for _ in range(8)}
        assert {drained, *other} == chosen


async def test_when_all_keys_are_drained_nobody_can_serve(url: str) -> None:
    account = a_pool()
    async with replicas(url, [account]) as [replica]:
        await replica.desk.drain([key.fingerprint for key in account.keys])
        with pytest.raises(UpstreamUnavailable):
            await replica.admit()


async def test_a_drained_key_stays_so_while_redis_is_gone(start_server: StartServer) -> None:
    """Calls that are granted on trust go with the other key; the desk says that it knows nothing."""
    server = start_server()
    account = a_pool()
    drained, other = (key.fingerprint for key in account.keys)
    async with replicas(server.url, [account], count=2, time_outs=QUICK) as made:
        await made[0].desk.drain([drained])
        assert drained == (await made[1].desk.state()).keys[0].key.fingerprint
        server.kill()
        for replica in made:
            assert [other] * 3 == [(await replica.admit()).key.key for _ in range(3)]
            for asked in (
                replica.desk.state(),
                replica.desk.drain([other]),
                replica.desk.resume([drained]),
                replica.desk.mark(other, Verdict.SERVED),
            ):
                with pytest.raises(StateUnavailable) as refusal:
                    await asked
                assert 1.0 == refusal.value.retry_after
        server.start()


async def test_what_an_account_call_has_shown_is_marked(url: str) -> None:
    account = a_pool()
    key, _ = (one.fingerprint for one in account.keys)
    async with replicas(url, [account], count=2) as [one, other]:
        for verdict in (Verdict.REJECTED, Verdict.FORBIDDEN, Verdict.REJECTED):
            await one.desk.mark(key, verdict)
            assert verdict.value == (await standing_of(other, key)).off
        await one.desk.mark(key, Verdict.SERVED)
        assert "" == (await standing_of(other, key)).off
        with pytest.raises(ValueError, match="does not show"):
            await one.desk.mark(key, Verdict.THROTTLED)


async def test_of_a_key_its_calls_and_why_it_is_left_alone_are_told(url: str) -> None:
    account = account_of("plus", key_of("k1", places=5), calls=100)
    [key] = account.keys
    async with replicas(url, [account], count=2) as [one, other]:
        assert KeyStanding(key, account.id) == await standing_of(other, key.fingerprint)
        began = time.time()
        await one.show(Verdict.SERVED)
        under_way = await one.admit(Operation.SEGMENT)
        await one.show(Verdict.SERVED, masks=(key.fingerprint,))
        found = await standing_of(other, key.fingerprint)
        assert (3, 1, "") == (found.calls, found.in_flight, found.off)
        assert [Operation.EDIT] == list(found.masked)
        assert 3500 < found.masked[Operation.EDIT] - began < 3700
        assert found.usable

        sandbox = CallTraits(sandbox=True, digest="d")
        await one.show(Verdict.THROTTLED, 60.0, Operation.SEGMENT)
        found = await standing_of(other, key.fingerprint)
        assert found.cooling_until is not None
        assert 50 < found.cooling_until - began < 90
        assert not found.usable
        hold = await one.admit(Operation.SEGMENT, sandbox)
        one.admission.settle(hold, Settlement.VOIDED, Seen(Verdict.THROTTLED, 60.0))
        await one.told()
        found = await standing_of(other, key.fingerprint)
        assert found.sandbox_cooling_until is not None

        await other.desk.resume([key.fingerprint])
        found = await standing_of(one, key.fingerprint)
        assert KeyStanding(key, account.id, calls=5, in_flight=1) == found
        [standing] = (await one.desk.state()).accounts
        assert (5, None, None) == (
            standing.calls,
            standing.available_milli,
            standing.headroom_milli,
        )
        one.admission.settle(under_way, Settlement.POSTED)


async def test_of_an_account_what_it_has_left_and_why_it_is_left_alone_is_told(url: str) -> None:
    account = replace(account_of("plus", key_of("k1"), key_of("k2")), reserve_milli=500)
    async with replicas(url, [account], count=2) as [one, other]:
        name = f"{LEDGER_ROOT}account:{account.id}"
        await one.link.exchange(("HSET", name, "available", 10_000, "since", 2_000))
        hold = await one.admit()
        assert (AccountStanding(account, 10_000, 6_500),) == (await other.desk.state()).accounts

        second = await one.admit()
        assert second.key.key != hold.key.key
        for throttled in (hold, second):
            one.admission.settle(throttled, Settlement.VOIDED, Seen(Verdict.THROTTLED, 60.0))
        await one.told()
        [standing] = (await other.desk.state()).accounts
        assert standing.cooling_until is not None
        assert (10_000, 7_500, False) == (
            standing.available_milli,
            standing.headroom_milli,
            standing.exhausted,
        )


async def test_an_account_that_answered_402_is_told_as_exhausted(url: str) -> None:
    account = a_pool()
    async with replicas(url, [account], count=2) as [one, other]:
        await one.show(Verdict.EXHAUSTED)
        [standing] = (await other.desk.state()).accounts
        assert standing.exhausted


async def test_of_an_endpoint_its_digests_in_trouble_are_told_until_it_serves(
    start_server: StartServer,
) -> None:
    """On a server of its own: the endpoints are everybody's."""
    async with replicas(start_server().url, [a_pool()], count=2) as [one, other]:
        quiet = tuple(EndpointStanding(operation) for operation in Operation)
        assert quiet == (await other.desk.state()).endpoints
        for _ in range(2):
            await one.show(Verdict.FAILED)
        assert EndpointStanding(Operation.EDIT, 2) in (await other.desk.state()).endpoints
        serving = await one.admit()
        began = time.time()
        await one.show(Verdict.FAILED)
        [edit] = [e for e in (await other.desk.state()).endpoints if e.operation is Operation.EDIT]
        assert 3 == edit.in_trouble
        assert edit.open_until is not None
        assert 0 < edit.open_until - began < 15
        one.admission.settle(serving, Settlement.POSTED, Seen(Verdict.SERVED))
        await one.told()
        assert quiet == (await other.desk.state()).endpoints


async def test_keys_that_are_checked_or_leave_are_told_with_the_others(url: str) -> None:
    used, leaving, checked = (key_of(name) for name in ("k1", "k2", "k2"))
    account = account_of("plus", used, leaving)
    async with replicas(url, []) as [replica]:
        replica.pool.replace(
            [account],
            checking=[replace(account, keys=(checked,))],
            leaving=frozenset({leaving.fingerprint}),
        )
        standing = await replica.desk.state()
        assert (
            KeyStanding(used, account.id),
            KeyStanding(leaving, account.id, leaving=True),
            KeyStanding(checked, account.id, checking=True),
        ) == standing.keys
        assert [account.id] == [one.account.id for one in standing.accounts]
        assert (used.fingerprint,) == replica.desk.named("k1")
        assert (leaving.fingerprint, checked.fingerprint) == replica.desk.named("k2")
        assert () == replica.desk.named("k3")
        chosen = {(await replica.admit()).key.key for _ in range(4)}
        assert {used.fingerprint, leaving.fingerprint} == chosen
