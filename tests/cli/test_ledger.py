"""`ledger import`: what a Redis has lost is written back from the log, and nothing is counted twice."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import main
from gateway.domain.edit import Operation
from gateway.domain.errors import TenantBudget
from gateway.domain.limits import Limits
from gateway.domain.tenant import Tenant
from gateway.ports import Claim, Settlement
from tests.cli.books import configured, till
from tests.servers.fixtures import StartServer
from tests.servers.process import Server

AN_HOUR_AGO = datetime.now(UTC) - timedelta(hours=1)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "gateway.log"


@pytest.fixture
def server(start_server: StartServer) -> Server:
    return start_server()


@pytest.fixture
def file(tmp_path: Path, server: Server) -> Path:
    budget = {"monthly_images": 10}
    return configured(tmp_path, {"state_url": server.url}, catalog=budget, web=budget)


async def spend(url: str, log: Path, calls: int) -> None:
    async with till(url, log) as desk:
        await desk.spend("catalog", calls)
        await desk.spend("catalog", 1, Settlement.PRESUMED, cost=200)
        await desk.spend("catalog", 2, Settlement.VOIDED)
        await desk.spend("web", 1)


def date_back(log: Path) -> None:
    """Have all lines of a log be an hour older: from before the Redis was lost."""
    stamp = f"{AN_HOUR_AGO:%Y-%m-%dT%H:%M:%S}.000Z"
    lines = [json.loads(line) | {"time": stamp} for line in log.read_text().splitlines()]
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))


def imported(capsys: pytest.CaptureFixture[str], file: Path, *arguments: str | Path) -> list[Any]:
    """Import, and return the rows of the answer."""
    capsys.readouterr()
    assert 0 == main(["ledger", "import", "--config", str(file), *map(str, arguments)])
    return [line.split() for line in capsys.readouterr().out.splitlines()[1:]]


def spent(capsys: pytest.CaptureFixture[str], file: Path) -> dict[str, int]:
    """What each budget has spent, in thousandths of a credit."""
    capsys.readouterr()
    assert 0 == main(["usage", "--json", "--config", str(file)])
    rows = json.loads(capsys.readouterr().out)["budgets"]
    parts = ("posted_milli", "presumed_milli", "earlier_milli")
    return {row["tenant"]: sum(row[part] for part in parts) for row in rows}


def test_what_a_redis_has_lost_is_written_back_once(
    server: Server, file: Path, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(spend(server.url, log, 4))
    before = spent(capsys, file)
    server.admin("FLUSHALL")
    date_back(log)
    month = f"{datetime.now(UTC):%Y-%m}"

    first = [["catalog", month, "4.2", "0", "4.2"], ["web", month, "1", "0", "1"]]
    dry = [*first, ["Nothing", "was", "written."]]
    assert dry == imported(capsys, file, "--dry-run", log)
    assert [] == server.admin("KEYS", "*")
    assert first == imported(capsys, file, log)
    again = [["catalog", month, "4.2", "4.2", "4.2"], ["web", month, "1", "1", "1"]]
    assert again == imported(capsys, file, log)
    asyncio.run(spend(server.url, log, 0))  # books are opened over what was written
    assert {"catalog": 4400, "web": 2000} == spent(capsys, file)
    assert {"catalog": 4200, "web": 1000} == before


def test_what_these_books_know_is_not_counted_again(
    server: Server, file: Path, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The log of the whole month holds calls of the books before and of those that are there now."""
    asyncio.run(spend(server.url, log, 4))
    date_back(log)
    server.admin("FLUSHALL")
    asyncio.run(spend(server.url, log, 2))
    for _ in range(2):
        imported(capsys, file, log)
        assert {"catalog": 6400, "web": 2000} == spent(capsys, file)


async def spend_over_a_loss(server: Server, log: Path) -> None:
    """A call is sent, Redis is emptied, and its replica tells the new books how the call ended."""
    async with till(server.url, log) as desk:
        hold = await desk.hold("catalog")
        server.admin("FLUSHALL")
        desk.admission.settle(hold, Settlement.POSTED)


def test_a_call_over_a_loss_is_counted_once(
    server: Server, file: Path, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its line may be from before the new books; they know it all the same."""
    asyncio.run(spend_over_a_loss(server, log))
    date_back(log)
    imported(capsys, file, log)
    assert {"catalog": 1000, "web": 0} == spent(capsys, file)


def test_books_that_know_everything_are_left_as_they_are(
    server: Server, file: Path, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also when every hold is forgotten by name: what was settled after they were opened is theirs."""
    asyncio.run(spend(server.url, log, 4))
    names = server.admin("KEYS", "*hold:*") + server.admin("KEYS", "*journal")
    server.admin("DEL", *names)
    server.admin("HSET", "pg1:{ctl}:gen", "open_at", int(time.time() * 1000) - 600_000)
    before = spent(capsys, file)
    imported(capsys, file, log)
    assert before == spent(capsys, file)


def test_books_out_of_a_backup_are_filled_up(
    server: Server, file: Path, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are of the same generation, and lack what was spent since."""
    asyncio.run(spend(server.url, log, 2))
    backup = {name: server.admin("DUMP", name) for name in server.admin("KEYS", "*")}
    asyncio.run(spend(server.url, log, 3))
    expected = spent(capsys, file)
    server.admin("FLUSHALL")
    for name, dump in backup.items():
        server.admin("RESTORE", name, 0, dump)
    assert {"catalog": 2200, "web": 1000} == spent(capsys, file)

    for _ in range(2):
        imported(capsys, file, log)
        assert expected == spent(capsys, file)


async def admit(url: str, log: Path, limits: Limits) -> None:
    async with till(url, log) as desk:
        tenant = Tenant("catalog", limits=limits)
        await desk.admission.admit(Claim(uuid.uuid4().hex, tenant, Operation.EDIT, 1000, 60.0))


def test_a_budget_that_was_written_back_refuses(
    server: Server, file: Path, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(spend(server.url, log, 9))
    server.admin("FLUSHALL")
    date_back(log)
    imported(capsys, file, log)
    with pytest.raises(TenantBudget):
        asyncio.run(admit(server.url, log, Limits(budget_milli=10_000)))
    asyncio.run(admit(server.url, log, Limits(budget_milli=10_200)))


def refused(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    capsys.readouterr()
    assert 1 == main(["ledger", "import", *map(str, arguments)])
    shown = capsys.readouterr()
    assert "" == shown.out
    return shown.err


def test_logs_without_usage_lines_are_a_mistake(
    file: Path, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log.write_text("2026-07-02T10:00:00Z info usage logger=gateway.usage hold=ab12\n")
    assert "no usage line" in refused(capsys, "--config", file, log)


def test_a_redis_that_does_not_answer_is_1(
    server: Server, file: Path, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(spend(server.url, log, 1))
    server.kill()
    assert refused(capsys, "--config", file, log).startswith("the state Redis fails: ")


def test_a_ledger_inside_the_gateway_cannot_be_imported_to(
    server: Server, tmp_path: Path, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(spend(server.url, log, 1))
    file = configured(tmp_path, "embedded", catalog={})
    assert "redis: embedded" in refused(capsys, "--config", file, log)


def test_a_month_that_is_not_kept_any_more_is_named(
    server: Server, file: Path, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(spend(server.url, log, 1))
    server.admin("FLUSHALL")
    start, end = 1_577_836_800_000, 1_580_515_200_000
    period = {"period_start_ms": start, "period_end_ms": end, "time": "2020-01-02T10:00:00.000Z"}
    lines = [json.loads(line) | period for line in log.read_text().splitlines()]
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))

    assert 0 == main(["ledger", "import", "--config", str(file), str(log)])
    assert "web 2020-01: too long ago, it is not kept\n" in capsys.readouterr().err
    assert [] == server.admin("KEYS", "*budget*")


@pytest.mark.parametrize(
    "arguments", [[], ["export"], ["import", "x"], ["import", "--config", "x"]]
)
def test_wrong_usage_is_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["ledger", *arguments])
    assert 2 == left.value.code
    assert "usage: photoroom-gateway ledger" in capsys.readouterr().err
