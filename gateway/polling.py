"""Asks the upstream accounts what they have left, for all replicas: one asks, all of them know.

Every replica looks at the book of accounts once a second. That tells it how each account stands, and
which ones it is to ask now. What a call may spend is decided elsewhere, from the same book: an account
that has never answered serves nobody.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

from gateway.domain.accounts import Refill, Rhythm, Standing, plan_price
from gateway.domain.answer import AccountState
from gateway.domain.errors import UpstreamError, UpstreamUnavailable
from gateway.domain.tenant import Tenant
from gateway.ports import AccountBook, AccountDesk, AccountPool, BookUnavailable, Look, Question

__all__ = ["Poller"]

_AT_START: Final = 0.1
"""Seconds between two looks until all accounts were asked: others may be asking them."""

_STALE: Final = 10
"""An account's word is told for so many times as long as it is asked: old is better than nothing."""

_log = logging.getLogger(__name__)


class Poller:
    """Implements `AccountSource`; `polls` has to run for it. `clock` is monotonic, in seconds."""

    def __init__(
        self,
        book: AccountBook,
        desk: AccountDesk,
        pool: AccountPool,
        rhythm: Rhythm,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._book = book
        self._desk = desk
        self._pool = pool
        self._rhythm = rhythm
        self._clock = clock
        self._last = Look(0.0, (), ())
        self._looked_at = 0.0
        self._unseen: dict[str, tuple[float, int]] = {}
        self._asking: set[str] = set()
        self._silent: set[str] = set()
        self._is_lost = False
        self._look_again = asyncio.Event()
        self._began = asyncio.Event()

    @property
    def standings(self) -> tuple[Standing, ...]:
        """How the accounts stood when the book was last read, in the order of the configuration."""
        return self._last.standings

    async def began(self) -> None:
        """Wait until every account was asked once, by any replica; no longer than a question takes.

        One that has not answered stays closed, and is asked again. Nobody waits for a book that is away.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(self._rhythm.patience + self._rhythm.look):
                await self._began.wait()

    async def account(self, tenant: Tenant) -> AccountState:
        """Return the sum of what is left in the accounts that may serve the tenant.

        Raises UpstreamUnavailable when none of them has answered for long.
        """
        serving = {account.id for account in self._pool.serving(tenant)}
        oldest = self._last.at + self._clock() - self._looked_at - _STALE * self._rhythm.every
        left, whole, plans = 0, 0, list[str]()
        for standing in self._last.standings:
            word = standing.word
            if word is not None and standing.account.id in serving and standing.polled_at > oldest:
                left += max(0, standing.left)
                whole += word.subscription_milli
                plans.append(word.plan)
        if not plans:
            text = "The upstream does not say how many images are left."
            raise UpstreamUnavailable(text, retry_after=self._rhythm.soon)
        return AccountState(left, whole, plans[0])

    async def polls(self) -> None:
        """Look and ask for ever."""
        async with asyncio.TaskGroup() as asking:
            while True:
                for question in await self._look():
                    self._asking.add(question.account.id)
                    asking.create_task(self._ask(question))
                pause = self._rhythm.look
                if not self._began.is_set():
                    pause = min(pause, _AT_START)
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._look_again.wait()
                self._look_again.clear()

    async def _look(self) -> Sequence[Question]:
        """Learn how the accounts stand; return those that are to be asked and are not being asked."""
        try:
            look = await self._book.look(self._pool.accounts)
        except BookUnavailable as trouble:
            if not self._is_lost:
                _log.warning("the book of accounts is silent: %s; what is known holds", trouble)
            self._is_lost = True
            self._began.set()
            return ()
        except Exception:  # noqa: BLE001 - it is logged
            # What this look choked on may be gone at the next one.
            _log.exception("the book of accounts was not read by a mistake of ours")
            return ()
        self._is_lost = False
        self._last, self._looked_at = look, self._clock()
        for standing in look.standings:
            if standing.word is not None:
                account = standing.account.id
                self._pool.learn_price(account, plan_price(standing.word.plan))
                self._unseen[account] = (self._looked_at, max(0, standing.since))
        if not any(standing.is_asked for standing in look.standings):
            self._began.set()
        return [
            replace(one, unseen=self._unseen_of(one.account.id))
            for one in look.questions
            if one.account.id not in self._asking
        ]

    def _unseen_of(self, account: str) -> int:
        """What an account may not show yet by books that may be lost since."""
        known_at, unseen = self._unseen.get(account, (-math.inf, 0))
        return unseen if self._looked_at - known_at <= self._rhythm.lag else 0

    async def _ask(self, question: Question) -> None:
        """Ask one account, and write down what it says. Raises nothing: the next look asks again."""
        account = question.account.id
        try:
            word = await self._word_of(account)
            findings = await self._book.note(question, word)
        except BookUnavailable as trouble:
            _log.warning("what an account said is lost: %s", trouble, extra={"account": account})
        except Exception:  # noqa: BLE001 - it is logged
            # The other accounts are asked from the same group of tasks.
            _log.exception("an account was not asked by a mistake of ours")
        else:
            _tell(account, findings.refill, findings.booked)
        finally:
            self._asking.discard(account)
            self._look_again.set()

    async def _word_of(self, account: str) -> AccountState | None:
        try:
            async with asyncio.timeout(self._rhythm.patience):
                word = await self._desk.ask(account)
        except (UpstreamError, TimeoutError):
            if account not in self._silent:
                _log.warning("an upstream account does not answer", extra={"account": account})
            self._silent.add(account)
            return None
        if account in self._silent:
            self._silent.remove(account)
            _log.info("an upstream account answers again", extra={"account": account})
        return word


def _tell(account: str, refill: Refill, booked: int) -> None:
    """Log what an account's word has shown."""
    line: dict[str, object] = {"account": account}
    if refill:
        _log.info("an upstream account was refilled", extra=line | {"refill": refill.value})
    line["images"] = abs(booked) / 1000
    if booked > 0:
        _log.warning("images were spent outside of the gateway", extra=line)
    elif booked < 0:
        _log.info("images that were presumed to be spent were not", extra=line)
