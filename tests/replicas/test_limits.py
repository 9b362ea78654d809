"""A tenant's limits hold over four replicas: edit rate, calls at once, request rate."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, count, cycle, islice
from pathlib import Path

import grpc

from gateway.domain.leases import LEASE_US
from gateway.domain.limits import TRUSTED_PART, Rate
from gateway.emulator import FaultRule
from tests.client.waiting import until
from tests.e2e.asks import Ask
from tests.replicas.calling import CUT, OK, Answer, Replica
from tests.replicas.edits import RICH, edit_number, ways
from tests.replicas.ledger_numbers import Books, Totals
from tests.replicas.replicas import DOORS, Fleet, fleet
from tests.servers.fixtures import StartServer
from tests.support.structured_fields import parse_list

REPLICAS = 4
PATIENCE = 90
LONG = 60.0
"""Seconds that a caller gives a call which stands among two thousand."""

UNHURRIED = "40s"
"""Time-out of an upstream whose test keeps it waiting."""

HELD = "held"
HOUR = 3600
Code = grpc.StatusCode

REFUSED = {
    reason: {"rest": Answer(reason, 429), "grpc": Answer(reason, Code.RESOURCE_EXHAUSTED)}
    for reason in ("TENANT_RATE", "TENANT_CONCURRENCY")
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A call, and when it was made and answered, in seconds since the epoch."""

    door: str
    at: float
    answer: Answer
    until: float


async def asked(replica: Replica, door: str, ask: Ask) -> Asked:
    at = time.time()
    answer = await replica.ask(door, ask, deadline=LONG)
    return Asked(door, at, answer, time.time())


def split(calls: Sequence[Asked], reason: str) -> tuple[list[Asked], list[Asked]]:
    """Those that were served, and those that were refused for the reason, in the door's words."""
    served = [call for call in calls if call.answer.outcome == OK]
    refused = [call for call in calls if call.answer == REFUSED[reason][call.door]]
    outcomes = Counter(call.answer.outcome for call in calls)
    print(f"{len(calls)} calls: {dict(outcomes)}")  # noqa: T201 - shown by `pytest -s`
    assert len(calls) == len(served) + len(refused), outcomes
    return served, refused


async def test_a_burst_of_100_admits_exactly_100_of_2000_calls_at_once(
    start_server: StartServer, tmp_path: Path, picture: bytes
) -> None:
    """The others are told when the next one may come: an hour after the first was admitted."""
    server = start_server()
    limits = {"edits": {"per_minute": 1 / 60, "burst": 100}}
    async with (
        fleet(
            REPLICAS, tmp_path, server.url, settings=RICH, time_out=UNHURRIED, limits=limits
        ) as f,
        asyncio.timeout(PATIENCE),
    ):
        calls = await asyncio.gather(
            *(
                asked(replica, door, edit_number(number, picture))
                for number, (replica, door) in enumerate(ways(f, 2000))
            )
        )
        served, refused = split(calls, "TENANT_RATE")
        assert [100, 100] == [len(served), f.billed]
        admitted = Books(lambda: server).times("held")
        assert 100 == len(admitted)
        next_at = admitted[0] / 1000 + HOUR
        for call in refused:
            wait = call.answer.wait
            assert wait is not None
            # Whole seconds, rounded up; the journal's time is cut to a millisecond.
            assert call.at + wait - 1 < next_at + 0.001
            assert next_at <= call.until + wait
            assert ("edits", 0) == told_left(call.answer)


def told_left(answer: Answer) -> tuple[object, object]:
    """The name of the one limit that an answer tells of, and how many calls it leaves."""
    [(name, state)] = parse_list(str(answer.said["ratelimit"]))
    [(same, policy)] = parse_list(str(answer.said["ratelimit-policy"]))
    assert (name, 100, 100 * HOUR) == (same, policy["q"], policy["w"])
    return name, state["r"]


async def test_100_calls_are_in_flight_at_most_and_their_places_return(
    start_server: StartServer, tmp_path: Path, picture: bytes
) -> None:
    server = start_server()
    books = Books(lambda: server)
    limits = {"max_in_flight": 100}
    async with (
        fleet(REPLICAS, tmp_path, server.url, time_out=UNHURRIED, limits=limits) as f,
        asyncio.timeout(PATIENCE),
    ):
        gates, numbers = f.emulator.gates, count()
        for turn in ("first", "second"):
            f.emulator.faults.clear()
            f.emulator.faults.add(FaultRule(gate=turn))
            calls = [
                asyncio.create_task(asked(replica, door, edit_number(next(numbers), picture)))
                for replica, door in ways(f, 300)
            ]
            await until_answered(calls, 200)
            await f.emulator.until(lambda gate=turn: gates.waiting(gate) == 100)  # type: ignore[misc] # a default is bound now
            assert 100 == books.places()
            gates.open(turn)
            served, _ = split(await asyncio.gather(*calls), "TENANT_CONCURRENCY")
            assert 100 == len(served)
            await books.until_nothing_is_held()
        assert {"POST /v2/edit": 200} == dict(f.emulator.bill.requests)


async def until_answered(calls: Sequence[asyncio.Task[Asked]], number: int) -> None:
    """Wait until so many calls have been answered."""

    async def are() -> bool:
        return sum(call.done() for call in calls) >= number

    await until(are)


async def test_the_places_of_a_killed_replica_return_by_themselves(
    start_server: StartServer, tmp_path: Path, picture: bytes
) -> None:
    """After the time-out of a call and a lease. What it had sent is presumed to be spent."""
    server = start_server()
    books = Books(lambda: server)
    async with (
        fleet(REPLICAS, tmp_path, server.url, limits={"max_in_flight": 20}) as f,
        asyncio.timeout(PATIENCE),
    ):
        f.emulator.faults.add(FaultRule(gate=HELD, times=20))
        victim, *others = f.replicas
        lost = [
            asyncio.create_task(victim.ask(door, edit_number(number, picture)))
            for number, door in enumerate(islice(cycle(DOORS), 20))
        ]
        await f.emulator.until(lambda: f.emulator.gates.waiting(HELD) == 20)
        victim.kill()
        assert {CUT} == {answer.outcome for answer in await asyncio.gather(*lost)}
        ask = edit_number(100, picture)
        for door in DOORS:
            answers = [await replica.ask(door, ask) for replica in others]
            assert [REFUSED["TENANT_CONCURRENCY"][door]] * len(others) == answers

        await books.until_nothing_is_held()
        assert Totals(base=0, posted=0, presumed=20_000, held=0) == books.totals()
        calls = [
            others[number % len(others)].ask("rest", edit_number(200 + number, picture))
            for number in range(20)
        ]
        assert [OK] * 20 == [answer.outcome for answer in await asyncio.gather(*calls)]
        f.emulator.gates.open(HELD)
        await f.emulator.until(lambda: f.billed == 40)
        await books.until_nothing_is_held()
        assert Totals(base=0, posted=20_000, presumed=20_000, held=0) == books.totals()


async def test_a_rate_is_kept_in_every_window_and_used(
    start_server: StartServer, tmp_path: Path, picture: bytes
) -> None:
    """50 a second and 20 at once, while 100 a second are asked for.

    The journal's times are whole milliseconds: two of them are up to one more apart than they say.
    How much could be used, a perfect bucket says that is asked whenever Redis was: a machine that is too
    slow to ask for more than the rate, or that stands still, has not used it up.
    """
    server = start_server()
    rate = Rate.of(per_minute=3000, burst=20)
    limits = {"edits": {"per_minute": 3000, "burst": 20}}
    async with (
        fleet(
            REPLICAS, tmp_path, server.url, settings=RICH, time_out=UNHURRIED, limits=limits
        ) as f,
        asyncio.timeout(PATIENCE),
    ):
        calls = await paced(f, picture, calls=2000, per_second=100)
        served, refused = split(calls, "TENANT_RATE")
        assert len(served) == f.billed

        admitted = Books(lambda: server).times("held")
        for (i, first), (j, last) in combinations(enumerate(admitted), 2):
            window = (last - first + 1) * 1000
            assert (j - i + 1 - rate.burst) * rate.interval_us <= window
        demand = sorted(
            [ms * 1000 for ms in admitted] + [round(call.until * 1e6) for call in refused]
        )
        usable = granted(rate, demand)
        span = admitted[-1] - admitted[0]
        print(  # noqa: T201 - shown by `pytest -s`
            f"admitted {len(admitted)} in {span / 1000:.1f} s; allowed "
            f"{rate.burst + span * 1000 // rate.interval_us}, by the demand {usable}"
        )
        assert 0.95 * usable <= len(admitted)
        assert len(served) == len(admitted)


async def paced(f: Fleet, picture: bytes, *, calls: int, per_second: int) -> list[Asked]:
    """Ask for edits at that pace, however slow the answers are."""
    loop = asyncio.get_running_loop()
    begin = loop.time()
    tasks = []
    async with asyncio.TaskGroup() as group:
        for number, (replica, door) in enumerate(ways(f, calls)):
            await asyncio.sleep(begin + number / per_second - loop.time())
            call = asked(replica, door, edit_number(number, picture))
            tasks.append(group.create_task(call))
    return [task.result() for task in tasks]


def granted(rate: Rate, times: Sequence[int]) -> int:
    """How many of the calls at these microseconds, in order, a bucket lets through."""
    full_at = calls = 0
    for at in times:
        taken = rate.take(full_at, at)
        full_at = taken.full_at
        calls += not taken.wait_us
    return calls


async def test_the_request_rate_keeps_to_its_bound_on_hits_from_memory(
    start_server: StartServer, tmp_path: Path, picture: bytes
) -> None:
    """In any time t at most burst + (t + 0.25 s) / interval calls are let through (`store/requests.py`).

    A call was let through between its asking and its answer; so those that lie in a window as a whole are
    the fewest that were let through in it. A replica that cannot hear Redis within a quarter second, as on
    a machine that stands still, lets through its share of another 80 %.
    """
    rate = Rate.of(per_minute=6000, burst=500)
    limits = {"requests": {"per_minute": 6000, "burst": 500}}
    ask = edit_number(0, picture)
    async with (
        fleet(REPLICAS, tmp_path, start_server().url, limits=limits) as f,
        asyncio.timeout(PATIENCE),
    ):
        calls = [await asked(replica, "rest", ask) for replica in f.replicas for _ in range(2)]
        todo = ways(f, 3000)

        async def work() -> None:
            for replica, door in todo:
                calls.append(await asked(replica, door, ask))

        await asyncio.gather(*(work() for _ in range(32)))
        served, refused = split(calls, "TENANT_RATE")
        sources = Counter(call.answer.source for call in served)
        print(dict(sources))  # noqa: T201 - shown by `pytest -s`
        assert 1 == f.billed
        assert len(served) - 2 * REPLICAS <= sources["memory"]
        assert len(refused) > 0
        trusted = any(
            line["message"].startswith("request rates go on by local shares")
            for replica in f.replicas
            for line in replica.served.log
        )
        assert_bound(served, rate, 1 + TRUSTED_PART * trusted)


def assert_bound(served: Sequence[Asked], rate: Rate, times: float) -> None:
    """No window has more calls than `times` the bound."""
    tightest = 0.0
    for first in served:
        ends = sorted(call.until for call in served if call.at >= first.at)
        for calls, end in enumerate(ends, 1):
            seconds = end - first.at + LEASE_US / 1e6
            bound = times * (rate.burst + seconds * 1e6 / rate.interval_us)
            tightest = max(tightest, calls / bound)
            assert calls <= bound
    print(f"the fullest window has {tightest:.3f} of its bound")  # noqa: T201 - shown by `pytest -s`
