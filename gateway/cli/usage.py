"""`usage`: what tenants have spent, from the ledger in the state Redis or from usage logs."""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from gateway.cli.settings import read_config
from gateway.cli.spending import BudgetRow, Choice, Fate, Report, count
from gateway.cli.state import StateError, state_link
from gateway.cli.usage_logs import LogError, read_logs
from gateway.config import Config
from gateway.store.journal import Event, Journal
from gateway.telemetry.usage_lines import UsageLine

__all__ = ["HELP", "NAME", "configure", "run"]

NAME = "usage"
HELP = "say what tenants have spent, and what is left of their budgets"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--config", type=Path, required=True, metavar="FILE")
    parser.add_argument(
        "--log",
        type=Path,
        nargs="+",
        action="extend",
        metavar="FILE",
        help="logs of the gateway, plain or gzip: count their usage lines, and leave Redis alone",
    )
    parser.add_argument("--month", type=_month, metavar="YYYY-MM", help="default: this month")
    parser.add_argument("--tenant", metavar="ID", help="default: all")
    parser.add_argument("--json", action="store_true", help="print JSON, amounts in thousandths")


def run(args: argparse.Namespace) -> int:
    """Print the report; 1 when the state Redis or a log cannot be read."""
    config = read_config(args.config)
    if config is None:
        return 1
    tenants = {one.id: one.value for one in config.tenants}
    choice = Choice(tenants, time.time(), args.tenant, args.month)
    try:
        if args.log:
            report = _by_logs(read_logs(args.log).values(), choice)
        else:
            report = asyncio.run(_by_ledger(config, choice))
    except (LogError, StateError) as error:
        print(error, file=sys.stderr)
        return 1
    print(report.json() if args.json else report.text())
    return 0


async def _by_ledger(config: Config, choice: Choice) -> Report:
    async with state_link(config) as link:
        journal = Journal(link)
        generation = await journal.generation()
        if not generation.id:
            raise StateError("the state Redis has no books: it is new or was emptied")
        since, last = None, dict[str, Event]()
        async for event in journal.events():
            since = since or event.at
            last[event.hold] = event
        events = [one for one in last.values() if choice.takes(one.tenant, one.period_start)]
        periods = {(one.tenant, one.period_start) for one in events}
        names = sorted(periods.union(choice.periods()))
        totals = await journal.totals(names)
    budgets = [
        BudgetRow(*name, one.posted, one.presumed, one.base, one.held, choice.budget(*name))
        for name, one in zip(names, totals, strict=True)
    ]
    calls = count(
        Fate(one.tenant, one.operation, one.period_start, one.state, one.cost_milli)
        for one in events
    )
    return Report("journal", since, generation.open_at, calls, budgets)


def _by_logs(lines: Iterable[UsageLine], choice: Choice) -> Report:
    since, fates, spent = None, list[Fate](), defaultdict[tuple[str, int], dict[str, int]](dict)
    for line in lines:
        at = int(line.time.timestamp() * 1000)
        since = at if since is None else min(since, at)
        name = (line.tenant, line.period_start_ms)
        if not choice.takes(*name):
            continue
        state = line.outcome.value
        fates.append(Fate(line.tenant, line.operation, name[1], state, line.cost_milli))
        spent[name][state] = spent[name].get(state, 0) + line.cost_milli
    budgets = [
        BudgetRow(
            *name,
            posted_milli=spent[name].get("posted", 0),
            presumed_milli=spent[name].get("presumed", 0),
            budget_milli=choice.budget(*name),
        )
        for name in sorted({*spent, *choice.periods()})
    ]
    return Report("log", since, None, count(fates), budgets)


def _month(text: str) -> str:
    if not re.fullmatch(r"20[0-9]{2}-(0[1-9]|1[0-2])", text):
        raise argparse.ArgumentTypeError("has to be a year and a month, such as 2026-07")
    return text
