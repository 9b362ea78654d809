"""How many images the upstream accounts have left, by their own word."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Callable
from decimal import ROUND_FLOOR, Decimal
from typing import Protocol, TypeGuard

from gateway.domain.answer import AccountState
from gateway.domain.errors import UpstreamError, UpstreamUnavailable
from gateway.domain.tenant import Tenant
from gateway.upstream.keyring import KeyRing
from gateway.upstream.reading import Reply, error_message
from gateway.upstream.settings import UpstreamKey

__all__ = [
    "FRESH",
    "PAUSE",
    "STALE",
    "AccountAsker",
    "AccountReader",
    "PhotoroomDesk",
    "read_account",
]

FRESH = 60.0
"""Seconds for which a state is answered without asking."""

STALE = 600.0
"""Seconds for which a state is still answered while the upstream does not."""

PAUSE = 5.0
"""Seconds after a failed question before the next, so that callers do not queue up for time-outs."""

_LARGEST = Decimal(10) ** 12
_THOUSANDTH = Decimal("0.001")
_LONGEST_PLAN = 100


class AccountAsker(Protocol):
    """Asks the account call of one API version with one key: `PhotoroomClient`."""

    async def ask_account(self, version: str, key: UpstreamKey) -> Reply:
        """Ask `v2` or `v1`. Raises UpstreamError."""
        ...


class PhotoroomDesk:
    """Implements `AccountDesk` with the keys of a ring."""

    def __init__(self, asker: AccountAsker, ring: KeyRing) -> None:
        self._asker = asker
        self._ring = ring
        self._first: dict[str, str] = {}

    async def ask(self, account: str) -> AccountState:
        """Ask with one key of the account after the other, first with the one that answered last.

        Raises UpstreamUnavailable when none does, or the account has none.
        """
        keys = self._keys_of(account)
        for key, after in zip(keys, keys[1:] + keys[:1], strict=True):
            self._first[account] = after.id  # the caller may give up while this one hangs
            state = await self._ask(key)
            if state is not None:
                self._first[account] = key.id
                return state
        raise UpstreamUnavailable("No key of the upstream account gets an answer.")

    def _keys_of(self, account: str) -> list[UpstreamKey]:
        keys = [key for key in self._ring.keys if key.account_id == account]
        first = next((i for i, key in enumerate(keys) if key.id == self._first.get(account)), 0)
        return keys[first:] + keys[:first]

    async def _ask(self, key: UpstreamKey) -> AccountState | None:
        try:
            reply = await self._asker.ask_account("v2", key)
            if _is_old_pricing(reply):
                reply = await self._asker.ask_account("v1", key)
        except UpstreamError:
            return None
        return read_account(reply)


class AccountReader:
    """Implements `AccountSource` for a replica that is alone: the account of the first key of the ring.

    Asked by one caller at a time while the others wait, and at most once a minute; when that caller
    hangs up, the next one asks. When the question fails, a state of less than ten minutes is answered
    in its place: a number for people to look at is better somewhat old than missing. Beyond that it is
    UpstreamUnavailable. `clock` gives seconds that never run backwards.
    """

    def __init__(
        self,
        asker: AccountAsker,
        ring: KeyRing,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._desk = PhotoroomDesk(asker, ring)
        self._ring = ring
        self._clock = clock
        self._last: tuple[str, float, AccountState] | None = None
        self._failed_at = -math.inf
        self._asking = asyncio.Lock()

    async def account(self, tenant: Tenant) -> AccountState:
        """Return the account's state, the same for every tenant. Raises UpstreamUnavailable."""
        del tenant
        if (state := self._known(FRESH)) is not None:
            return state
        async with self._asking:
            # Whoever waited here looks again: the one before may have learnt it, or failed.
            if self._known(FRESH) is None and self._clock() >= self._failed_at + PAUSE:
                await self._ask()
        if (state := self._known(STALE)) is not None:
            return state
        raise UpstreamUnavailable(
            "The upstream does not say how many images are left.", retry_after=PAUSE
        )

    def _known(self, age: float) -> AccountState | None:
        if self._last is None:
            return None
        account_id, asked_at, state = self._last
        is_it = account_id == self._ring.keys[0].account_id
        return state if is_it and self._clock() - asked_at < age else None

    async def _ask(self) -> None:
        """Note the account's state, or the time of the failure. Raises nothing of the upstream's."""
        account, asked_at = self._ring.keys[0].account_id, self._clock()
        try:
            state = await self._desk.ask(account)
        except UpstreamUnavailable:
            self._failed_at = self._clock()
        else:
            self._last = account, asked_at, state


def _is_old_pricing(reply: Reply) -> bool:
    """Whether `/v2/account` sends an account with an old price plan away; `/v1/account` then answers."""
    return reply.status == 400 and "old pricing" in error_message(reply).lower()


def read_account(reply: Reply) -> AccountState | None:
    """Read an account answer of either version, or return None for anything that is none.

    Amounts are read as decimals, never as floats, and rounded down to thousandths. `/v1/account` calls
    them credits and names no plan; a plan's name that is none is left out.
    """
    if reply.status != 200 or not reply.whole:
        return None
    try:
        value: object = json.loads(
            reply.body, parse_float=Decimal, parse_int=Decimal, parse_constant=Decimal
        )
    except (ValueError, ArithmeticError, RecursionError):
        return None
    match value:
        case {"images": {"available": left, "subscription": total}, "plan": str() as plan}:
            plan = plan if plan.isprintable() and len(plan) <= _LONGEST_PLAN else ""
        case {"credits": {"available": left, "subscription": total}}:
            plan = ""
        case _:
            return None
    if not (_is_amount(left) and _is_amount(total)):
        return None
    return AccountState(_milli(left), _milli(total), plan)


def _is_amount(value: object) -> TypeGuard[Decimal]:
    """Whether it is a number that an account can hold; below zero is an overdrawn one."""
    return isinstance(value, Decimal) and value.is_finite() and -_LARGEST < value < _LARGEST


def _milli(value: Decimal) -> int:
    return int(value.quantize(_THOUSANDTH, rounding=ROUND_FLOOR).scaleb(3))
