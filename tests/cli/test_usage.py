"""`usage`: the numbers of the ledger and of the log, by tenant, month and operation."""

from __future__ import annotations

import asyncio
import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import main
from gateway.cli.spending import month_of
from gateway.domain.periods import months_around
from gateway.ports import Settlement
from gateway.store.keyspace import JOURNAL
from tests.cli.books import configured, till
from tests.servers.fixtures import StartServer
from tests.servers.process import Server

MONTH = f"{datetime.now(UTC):%Y-%m}"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "gateway.log"


@pytest.fixture
def server(start_server: StartServer) -> Server:
    return start_server()


@pytest.fixture
def file(tmp_path: Path, server: Server) -> Path:
    """The configuration of a tenant with a budget and of one without."""
    redis = {"state_url": server.url}
    return configured(tmp_path, redis, catalog={"monthly_images": 100}, web={})


async def spend(url: str, log: Path) -> None:
    """Calls of two configured tenants and of one that is gone; one call is left under way."""
    async with till(url, log) as desk:
        await desk.spend("catalog", 3)
        await desk.spend("catalog", 2, cost=200)
        await desk.spend("catalog", 1, Settlement.PRESUMED)
        await desk.spend("catalog", 2, Settlement.VOIDED)
        await desk.hold("catalog")
        await desk.spend("web", 1, Settlement.VOIDED, cost=200)
        await desk.spend("gone", 2)


def asked(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> dict[str, Any]:
    capsys.readouterr()
    assert 0 == main(["usage", "--json", *map(str, arguments)])
    said: dict[str, Any] = json.loads(capsys.readouterr().out)
    return said


def calls(said: dict[str, Any]) -> dict[tuple[str, str], tuple[int, ...]]:
    """Calls posted, presumed, voided, open, and credits posted, presumed, held."""
    counts = ("posted", "presumed", "voided", "open")
    amounts = ("posted_milli", "presumed_milli", "held_milli")
    return {
        (one["tenant"], one["operation"]): tuple(one[name] for name in (*counts, *amounts))
        for one in said["calls"]
    }


def budgets(said: dict[str, Any]) -> dict[str, tuple[int | None, ...]]:
    """Credits posted, presumed, of earlier books, held, budget, left."""
    names = ("posted", "presumed", "earlier", "held", "budget", "left")
    return {one["tenant"]: tuple(one[f"{name}_milli"] for name in names) for one in said["budgets"]}


SPENT = {
    ("catalog", "v1/segment"): (2, 0, 0, 0, 400, 0, 0),
    ("catalog", "v2/edit"): (3, 1, 2, 1, 3000, 1000, 1000),
    ("gone", "v2/edit"): (2, 0, 0, 0, 2000, 0, 0),
    ("web", "v1/segment"): (0, 0, 1, 0, 0, 0, 0),
}
BUDGETS = {
    "catalog": (3400, 1000, 0, 1000, 100_000, 94_600),
    "gone": (2000, 0, 0, 0, None, None),
    "web": (0, 0, 0, 0, None, None),
}


def test_the_ledger_tells_what_became_of_calls_and_of_budgets(
    server: Server, file: Path, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(spend(server.url, log))
    said = asked(capsys, "--config", file)
    assert SPENT == calls(said)
    assert BUDGETS == budgets(said)
    assert {MONTH} == {one["month"] for one in said["calls"] + said["budgets"]}


def test_the_log_tells_the_same_of_what_is_settled(
    server: Server, file: Path, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(spend(server.url, log))
    server.kill()
    said = asked(capsys, "--config", file, "--log", log)

    settled = {name: (*row[:3], 0, *row[4:6], 0) for name, row in SPENT.items()}
    assert settled == calls(said)
    assert (3400, 1000, 0, None, 100_000, 95_600) == budgets(said)["catalog"]
    assert ("log", None) == (said["source"], said["books_since_ms"])


def test_the_report_is_two_tables(
    server: Server, file: Path, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(spend(server.url, log))
    assert 0 == main(["usage", "--config", str(file), "--tenant", "catalog"])
    lines = capsys.readouterr().out.splitlines()
    rows = [line.split() for line in lines]

    assert lines[0].startswith("Calls since ")
    assert lines[0].endswith(", as the journal has them; it forgets the oldest.")
    expected = [
        ["catalog", MONTH, "v1/segment", "2", "0", "0", "0", "0.4", "0", "0"],
        ["catalog", MONTH, "v2/edit", "3", "1", "2", "1", "3", "1", "1"],
    ]
    assert expected == rows[2:4]
    assert ["catalog", MONTH, "3.4", "1", "0", "1", "100", "94.6"] == rows[-1]
    assert 8 == len(rows)


def test_a_journal_that_forgot_the_oldest_leaves_the_totals_exact(
    server: Server, file: Path, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(spend(server.url, log))
    server.admin("XTRIM", JOURNAL, "MAXLEN", 1)
    [[name, _]] = server.admin("XRANGE", JOURNAL, "-", "+")
    said = asked(capsys, "--config", file)

    assert {("gone", "v2/edit"): (1, 0, 0, 0, 1000, 0, 0)} == calls(said)
    assert int(name.split(b"-")[0]) == said["since_ms"]
    assert BUDGETS["catalog"] == budgets(said)["catalog"]


async def told_again(url: str, log: Path) -> None:
    async with till(url, log) as desk:
        hold = await desk.hold("catalog")
        desk.admission.settle(hold, Settlement.PRESUMED)
    async with till(url, log) as desk:
        await desk.spend("catalog", 1)


def test_a_hold_counts_once_by_its_known_outcome(
    server: Server, file: Path, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A process may crash between two words about one call; logs may be read twice, in any order."""
    asyncio.run(told_again(server.url, log))
    later = log.with_name("later.log")
    later.write_text(log.read_text().replace("presumed", "posted"))
    for logs in ([log, later], [later, log], [log, later, log]):
        said = asked(capsys, "--config", file, "--log", *logs)
        assert {("catalog", "v2/edit"): (2, 0, 0, 0, 2000, 0, 0)} == calls(said)


def test_a_log_may_be_compressed_and_has_other_lines_between(
    server: Server, file: Path, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(spend(server.url, log))
    lines = log.read_text().splitlines()
    noise = ["", "no JSON", '{"logger": "gateway.requests"}', lines[0][:-20], "\x00\xff"]
    mixed = [text for line in lines for text in (*noise, f"2026-07-02T10:00:00Z stdout F {line}")]
    packed = log.with_name("gateway.log.1")
    packed.write_bytes(gzip.compress("\n".join([*mixed, lines[0][:40]]).encode()))

    expected = asked(capsys, "--config", file, "--log", log)
    assert expected == asked(capsys, "--config", file, "--log", packed)
    assert 4 == len(calls(expected))


def of_month(log: Path, month: str) -> None:
    """Date the lines of a log back: into the month of another time zone, as a tenant there has it."""
    july = months_around(datetime.fromisoformat(f"{month}-15T00:00:00+14:00").timestamp(), UTC)[1]
    shifted = {"period_start_ms": july.start - 14 * 3_600_000}
    lines = [json.loads(line) | shifted for line in log.read_text().splitlines()]
    log.write_text("".join(json.dumps(line | {"period_end_ms": july.end}) + "\n" for line in lines))


def test_a_month_is_one_in_every_time_zone(
    server: Server, file: Path, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(spend(server.url, log))
    of_month(log, "2026-07")
    there = asked(capsys, "--config", file, "--log", log, "--month", "2026-07")
    assert SPENT.keys() == calls(there).keys()
    for month in ("2026-06", "2026-08"):
        assert {} == calls(asked(capsys, "--config", file, "--log", log, "--month", month))


def test_months_are_named_alike_from_either_edge_of_the_world() -> None:
    for month in ("2026-02", "2026-12", "2028-02"):
        for offset in ("-12:00", "+00:00", "+14:00"):
            start = datetime.fromisoformat(f"{month}-01T00:00:00{offset}").timestamp()
            assert month == month_of(int(start * 1000))


def test_a_budget_is_that_of_the_tenants_own_month(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {"time_zone": "Pacific/Kiritimati", "monthly_images": 1}
    file = configured(tmp_path, {"state_url": server.url}, far=settings)
    server.admin("HSET", "pg1:{ctl}:gen", "id", "g", "open_at", 0)
    said = asked(capsys, "--config", file, "--month", "2026-07")
    [row] = said["budgets"]

    expected = int(datetime.fromisoformat("2026-07-01T00:00:00+14:00").timestamp() * 1000)
    assert (expected, "2026-07", 1000) == (row["period_start_ms"], row["month"], row["left_milli"])


def refused(capsys: pytest.CaptureFixture[str], *arguments: str | Path, code: int = 1) -> str:
    capsys.readouterr()
    assert code == main(["usage", *map(str, arguments)])
    shown = capsys.readouterr()
    assert "" == shown.out
    return shown.err


def test_books_that_are_not_there_are_no_zeros(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = "the state Redis has no books: it is new or was emptied\n"
    assert expected == refused(capsys, "--config", file)


def test_a_redis_that_does_not_answer_is_1(
    server: Server, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.kill()
    assert refused(capsys, "--config", file).startswith("the state Redis fails: ")


def test_a_ledger_inside_the_gateway_is_read_by_its_log(
    server: Server, tmp_path: Path, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(spend(server.url, log))
    file = configured(tmp_path, "embedded", catalog={})
    assert "redis: embedded" in refused(capsys, "--config", file)
    assert SPENT.keys() == calls(asked(capsys, "--config", file, "--log", log)).keys()


def test_a_log_that_is_damaged_is_1_and_named(
    server: Server, file: Path, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(spend(server.url, log))
    packed = log.with_name("cut.gz")
    packed.write_bytes(gzip.compress(log.read_bytes())[:-20])
    error = refused(capsys, "--config", file, "--log", packed)
    assert f"{packed}: is damaged or cut off\n" == error
    missing = log.with_name("missing")
    error = refused(capsys, "--config", file, "--log", missing)
    assert f"{missing}: cannot be read: No such file or directory\n" == error


def test_a_wrong_configuration_is_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "cannot be read" in refused(capsys, "--config", tmp_path / "missing.yaml")


@pytest.mark.parametrize(
    "arguments",
    [[], ["--config", "x", "--month", "2026-13"], ["--config", "x", "--log"]],
    ids=" ".join,
)
def test_wrong_usage_is_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["usage", *arguments])
    assert 2 == left.value.code
    assert "usage: photoroom-gateway usage" in capsys.readouterr().err
