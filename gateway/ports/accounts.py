"""What upstream accounts have left: who asks them, where it is written, and who wants to know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.domain.accounts import Refill, Standing
from gateway.domain.answer import AccountState
from gateway.domain.credits import Price
from gateway.domain.keys import PoolAccount
from gateway.domain.tenant import Tenant

__all__ = [
    "AccountBook",
    "AccountDesk",
    "AccountPool",
    "AccountSource",
    "BookUnavailable",
    "Findings",
    "Look",
    "Question",
]


class BookUnavailable(Exception):
    """The book of accounts cannot be reached, or did not answer in time. Nothing is known to be done."""


@dataclass(frozen=True, slots=True)
class Question:
    """An account that this replica is to ask; `asked` is the book's time, in milliseconds.

    `unseen` is what the replica knows to be spent, in thousandths of an image, where the book has lost it.
    """

    account: PoolAccount
    asked: int
    unseen: int = 0


@dataclass(frozen=True, slots=True)
class Look:
    """How the accounts stand, in the order in which they were named, and what is to be asked.

    `at` is the book's time, in seconds since the epoch.
    """

    at: float
    standings: tuple[Standing, ...]
    questions: tuple[Question, ...]


@dataclass(frozen=True, slots=True)
class Findings:
    """What an account's word has shown: a refill, and the thousandths of an image that were booked.

    Above zero, `booked` was spent by others; below, it was presumed to be spent, and was not.
    """

    refill: Refill
    booked: int


class AccountBook(Protocol):
    """How the accounts stand, for all replicas. Both methods raise BookUnavailable."""

    async def look(self, accounts: Sequence[PoolAccount]) -> Look:
        """Read how accounts stand, and take on the questions that are due: one replica asks at a time."""
        ...

    async def note(self, question: Question, word: AccountState | None) -> Findings:
        """Write what a question was answered with, None: it was not. Twice is as once."""
        ...


class AccountDesk(Protocol):
    """Asks upstream accounts. Asking is free."""

    async def ask(self, account: str) -> AccountState:
        """Return what the account of that id says of itself. Raises UpstreamError."""
        ...


class AccountPool(Protocol):
    """The accounts of the configuration as it is now."""

    @property
    def accounts(self) -> Sequence[PoolAccount]:
        """All of them."""
        ...

    def serving(self, tenant: Tenant) -> Sequence[PoolAccount]:
        """Return those that may serve a tenant."""
        ...

    def learn_price(self, account: str, price: Price) -> None:
        """Take the price that an account's own plan says, for an account without one."""
        ...


class AccountSource(Protocol):
    """Where the state of the upstream accounts is read."""

    async def account(self, tenant: Tenant) -> AccountState:
        """Return what the accounts that may serve a tenant have left. Raises UpstreamError.

        At most a minute old, or ten while the upstream does not answer.
        """
        ...
