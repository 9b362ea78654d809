"""Many keys act as one over three replicas: rates are used and kept, accounts are never overspent."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from gateway.emulator import AccountSettings, EmulatorSettings
from tests.client.waiting import until
from tests.replicas.calling import OK, Replica
from tests.replicas.edits import segment_number
from tests.replicas.ledger_numbers import Books
from tests.replicas.pool_saturation import Saturation, usable
from tests.replicas.pool_worlds import UNHURRIED, WINDOW, Pool, account, upstream_of
from tests.replicas.replicas import DOORS, fleet
from tests.servers.fixtures import StartServer

REPLICAS = 3
PATIENCE = 60

WINDOWS: Final = int(os.environ.get("POOL_WINDOWS", "3"))
"""Windows for which keys are saturated. POOL_WINDOWS=50 is the long form: five minutes a shape."""

PER_WINDOW = 20

_SAMPLE: Final = 60
"""Calls after which each key that is used has been reached."""

STALL = 0.5
"""Seconds by which calls may come late on a busy machine. The gateway leaves a fiftieth of a window for
that, which is more than a second in the real one; here the upstream's window is shorter by as much.
"""

BAD_KEYS = {
    "accounts of their own": (
        account("one", "k1"),
        account("two", "k2"),
        account("invalid", "bad", bad={"bad": 401}),
        account("poor", "empty", available=0),
    ),
    "an account shared": (
        account("one", "bad", "k1", bad={"bad": 401}),
        account("two", "k2"),
        account("poor", "empty", available=0),
    ),
}


@pytest.mark.parametrize("accounts", BAD_KEYS.values(), ids=BAD_KEYS)
async def test_a_first_burst_hardly_meets_a_bad_key(
    accounts: tuple[AccountSettings, ...], start_server: StartServer, tmp_path: Path, picture: bytes
) -> None:
    """Of four keys one is invalid and one is empty: at most two calls of sixty reach these."""
    settings = EmulatorSettings(accounts, window_s=WINDOW)
    async with (
        fleet(
            REPLICAS,
            tmp_path,
            start_server().url,
            settings=settings,
            upstream=upstream_of(settings, tmp_path),
            time_out=UNHURRIED,
        ) as f,
        asyncio.timeout(PATIENCE),
    ):
        pool = Pool(f, picture)
        await pool.served(60)
        print(f"paid calls by key: {dict(pool.by_key())}")  # noqa: T201 - shown by `pytest -s`
        assert 60 == f.billed
        assert pool.by_key()["bad"] + pool.by_key()["empty"] <= 2
        assert pool.by_key()["k1"] > 0 < pool.by_key()["k2"]


SHAPES = {
    "a rate for each key": (
        tuple(account(f"a{n}", f"k{n}", per_window=PER_WINDOW) for n in range(3)),
        3 * PER_WINDOW,
    ),
    "a rate for all": (
        (
            account(
                "a", "k0", "k1", "k2", per_window=PER_WINDOW, requests_per_window=2 * PER_WINDOW
            ),
        ),
        2 * PER_WINDOW,
    ),
}


@pytest.mark.parametrize(("accounts", "most"), SHAPES.values(), ids=SHAPES)
async def test_saturated_keys_are_used_up_and_never_throttled(
    accounts: tuple[AccountSettings, ...],
    most: int,
    start_server: StartServer,
    tmp_path: Path,
    picture: bytes,
) -> None:
    """What could be used says a window that is asked whenever Redis was, for a machine that stands still."""
    settings = EmulatorSettings(accounts, window_s=WINDOW - STALL)
    server = start_server()
    async with (
        fleet(
            REPLICAS,
            tmp_path,
            server.url,
            settings=settings,
            upstream=upstream_of(settings, tmp_path),
            time_out=UNHURRIED,
        ) as f,
        asyncio.timeout(PATIENCE + WINDOWS * WINDOW),
    ):
        saturation = Saturation(Pool(f, picture))
        await saturation.run(WINDOWS * WINDOW)
        admitted = [ms / 1000 for ms in Books(lambda: server).times("held")]
        could = usable(sorted(admitted + saturation.refused_at), most)
        bill = f.emulator.bill
        print(  # noqa: T201 - shown by `pytest -s`
            f"{WINDOWS} windows: {dict(saturation.outcomes)}, upstream {dict(bill.answers)}, "
            f"{len(admitted) / (WINDOWS * most):.3f} of the rate, "
            f"{len(admitted) / could:.3f} of what the demand could use"
        )
        assert {OK, "UPSTREAM_UNAVAILABLE"} == saturation.outcomes.keys()
        assert {"200"} == bill.answers.keys()
        assert saturation.outcomes[OK] == f.billed == len(admitted)
        assert 0.95 * could <= len(admitted)


async def test_keys_come_change_and_go_under_load(
    start_server: StartServer, tmp_path: Path, picture: bytes
) -> None:
    """One is added, one has its secret replaced, one is removed: every call meanwhile is served."""
    settings = EmulatorSettings((account("a", "k1", "k2", "k3", "k4"),), window_s=WINDOW)
    upstream = upstream_of(settings, tmp_path)
    [all_keys] = [one["keys"] for one in upstream["accounts"]]
    secret = {key["id"]: key["secret_file"] for key in all_keys}
    upstream["accounts"][0]["keys"] = all_keys[:2]

    def keys(**secrets: str) -> list[dict[str, Any]]:
        mine = [
            {**all_keys[0], "id": key, "secret_file": secret[of]} for key, of in secrets.items()
        ]
        return [{**upstream["accounts"][0], "keys": mine}]

    async with (
        fleet(
            REPLICAS,
            tmp_path,
            start_server().url,
            settings=settings,
            upstream=upstream,
            time_out=UNHURRIED,
        ) as f,
        asyncio.timeout(PATIENCE),
    ):
        pool = Pool(f, picture)
        async with loaded(pool) as outcomes:
            for step, accounts, used in (
                ("two keys", keys(k1="k1", k2="k2"), {"k1", "k2"}),
                ("a third one added", keys(k1="k1", k2="k2", k3="k3"), {"k1", "k2", "k3"}),
                (
                    "the first one's secret replaced",
                    keys(k1="k4", k2="k2", k3="k3"),
                    {"k2", "k3", "k4"},
                ),
                ("the second one removed", keys(k1="k4", k3="k3"), {"k3", "k4"}),
            ):
                rewrite(pool, tmp_path, accounts)
                seconds = await until_only(pool, used)
                print(f"{step}: {seconds:.1f} s, {dict(outcomes)}")  # noqa: T201 - shown by `pytest -s`
        assert {OK} == outcomes.keys()
        assert f.billed == outcomes[OK]
        assert {"200"} == f.emulator.bill.answers.keys()


@asynccontextmanager
async def loaded(pool: Pool) -> AsyncIterator[Counter[str]]:
    """Call at every door of every replica until the end of the context; all calls are then answered."""
    outcomes = Counter[str]()
    is_over = False

    async def work(replica: Replica, door: str) -> None:
        while not is_over:
            answer = await replica.ask(door, segment_number(next(pool.numbers), pool.picture))
            outcomes[answer.outcome] += 1

    async with asyncio.TaskGroup() as group:
        for replica in pool.f.replicas:
            for door in DOORS:
                group.create_task(work(replica, door))
        try:
            yield outcomes
        finally:
            is_over = True


async def until_only(pool: Pool, used: set[str]) -> float:
    """Wait until just these keys are reached over and over; return the seconds."""
    begin = time.monotonic()

    async def is_so() -> bool:
        before = pool.by_key()
        await pool.f.emulator.until(lambda: (pool.by_key() - before).total() >= _SAMPLE)
        return used == (pool.by_key() - before).keys()

    await until(is_so)
    return time.monotonic() - begin


def rewrite(pool: Pool, folder: Path, accounts: list[dict[str, Any]]) -> None:
    """Change the accounts in the file of every replica, and have it read."""
    for file in folder.glob("replica*/gateway.yaml"):
        document = json.loads(file.read_text())
        document["upstream"]["accounts"] = accounts
        file.write_text(json.dumps(document))
    for replica in pool.f.replicas:
        replica.served.process.send_signal(signal.SIGHUP)
