"""`ledger import`: writes back what usage logs say was spent to a state Redis that has lost it."""

from __future__ import annotations

import argparse
import asyncio
import math
import sys
from collections.abc import Collection, Container, Iterable
from pathlib import Path
from typing import Final

from gateway.cli.settings import read_config
from gateway.cli.spending import month_of
from gateway.cli.state import StateError, state_link
from gateway.cli.table import table
from gateway.cli.usage_logs import LogError, read_logs
from gateway.config import Config
from gateway.domain.credits import milli_text
from gateway.store.journal import BooksChanged, Generation, Journal, Lost, Restored
from gateway.telemetry.usage_lines import UsageLine

__all__ = ["HELP", "NAME", "configure", "lost_spending", "run", "write_back"]

NAME = "ledger"
HELP = "mend the ledger in the state Redis"

_SKEW_MS: Final = 60_000
"""Milliseconds by which the clock of a replica may be behind that of Redis."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    action = actions.add_parser(
        "import", help="write back what usage logs say was spent; done twice, it is as done once"
    )
    action.add_argument("--config", type=Path, required=True, metavar="FILE")
    action.add_argument("--dry-run", action="store_true", help="only say what would be written")
    action.add_argument(
        "logs", type=Path, nargs="+", metavar="LOG", help="logs of the gateway, plain or gzip"
    )


def run(args: argparse.Namespace) -> int:
    """Import, and print what came of it; 1 when the state Redis or a log cannot be used."""
    config = read_config(args.config)
    if config is None:
        return 1
    try:
        lines = read_logs(args.logs).values()
        restored = asyncio.run(_import(config, lines, write=not args.dry_run))
    except (LogError, StateError) as error:
        print(error, file=sys.stderr)
        return 1
    print(_text(restored))
    if args.dry_run:
        print("Nothing was written.")
    for lost, now in restored:
        if now.base_after < lost.before:
            month = month_of(lost.period.start)
            print(f"{lost.tenant} {month}: too long ago, it is not kept", file=sys.stderr)
    return 0


async def _import(
    config: Config, lines: Collection[UsageLine], *, write: bool
) -> list[tuple[Lost, Restored]]:
    if not lines:
        raise LogError("no usage line in these logs: are they the gateway's own, as JSON?")
    async with state_link(config) as link:
        try:
            return await write_back(Journal(link), lines, write=write)
        except BooksChanged:
            text = "the state Redis has lost its books meanwhile, or opened new ones: import again"
            raise StateError(text) from None


async def write_back(
    journal: Journal, lines: Collection[UsageLine], *, write: bool
) -> list[tuple[Lost, Restored]]:
    """Raise what budgets have spent to what the lines say, if `write`; one line for each hold.

    Raises RedisTrouble and BooksChanged.
    """
    generation = await journal.generation()
    older = [line.hold for line in lines if _may_be_older(line, generation)]
    lost = lost_spending(lines, set(older) - await journal.known(older))
    restored = await journal.restore(generation, lost, write=write)
    return list(zip(lost, restored, strict=True))


def lost_spending(lines: Iterable[UsageLine], before: Container[str]) -> list[Lost]:
    """Add up what was spent of each budget. The holds in `before` are of earlier books alone."""
    sums: dict[tuple[str, int], Lost] = {}
    for line in lines:
        if not line.spent_milli:
            continue
        known = sums.get((line.tenant, line.period_start_ms))
        older = line.spent_milli if line.hold in before else 0
        sums[line.tenant, line.period_start_ms] = Lost(
            line.tenant,
            line.period,
            older + (known.before if known else 0),
            line.spent_milli + (known.in_all if known else 0),
        )
    return [sums[name] for name in sorted(sums)]


def _may_be_older(line: UsageLine, generation: Generation) -> bool:
    """Whether these books may lack the hold: what is settled after they were opened, is told to them."""
    cut = generation.open_at + _SKEW_MS if generation.id else math.inf
    return line.time.timestamp() * 1000 < cut


def _text(restored: Iterable[tuple[Lost, Restored]]) -> str:
    head = ("tenant", "month", "by the logs", "spent before", "spent after")
    rows = [
        (
            *(lost.tenant, month_of(lost.period.start)),
            *map(
                milli_text, (lost.in_all, now.spent + now.base_before, now.spent + now.base_after)
            ),
        )
        for lost, now in restored
    ]
    return table(head, rows, names=2)
