"""The accounts and keys of a replica, and how `lua/keys.lua` reads those that may serve a call."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.domain.credits import BASIC, Price
from gateway.domain.edit import Operation
from gateway.domain.keys import PoolAccount, PoolKey
from gateway.domain.tenant import Tenant

__all__ = ["KnownKey", "Pool"]


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A key with its account. `checking`: it is not used yet; `leaving`: it is used no more soon."""

    key: PoolKey
    account: PoolAccount
    checking: bool = False
    leaving: bool = False


class Pool:
    """The accounts and their keys, which may be replaced at any time.

    `gated` says that accounts are polled: one that was not yet answers for nothing. `off` are the keys
    of which this replica last heard that nobody uses them, by their fingerprints.
    """

    def __init__(self, accounts: Sequence[PoolAccount] = (), *, gated: bool = False) -> None:
        self._gated = gated
        self._prices: dict[str, Price] = {}
        self._accounts = tuple(accounts)
        self._checking: tuple[PoolAccount, ...] = ()
        self._leaving: frozenset[str] = frozenset()
        self.off: frozenset[str] = frozenset()
        self._written: dict[tuple[str, frozenset[str] | None, Operation], str] = {}

    @property
    def accounts(self) -> tuple[PoolAccount, ...]:
        """The accounts, in the order of the configuration."""
        return self._accounts

    def replace(
        self,
        accounts: Sequence[PoolAccount],
        *,
        checking: Sequence[PoolAccount] = (),
        leaving: frozenset[str] = frozenset(),
    ) -> None:
        """Use other accounts and keys from now on.

        `checking` has those that are not used before they are checked; `leaving` names the keys among
        `accounts` that the configuration has no more.
        """
        self._accounts = tuple(accounts)
        self._checking = tuple(checking)
        self._leaving = leaving
        self._written.clear()

    def known(self) -> list[KnownKey]:
        """Return every key that this replica knows, used or not."""
        used = [
            KnownKey(key, account, leaving=key.fingerprint in self._leaving)
            for account in self._accounts
            for key in account.keys
        ]
        return used + [
            KnownKey(key, account, checking=True)
            for account in self._checking
            for key in account.keys
        ]

    def named(self, key_id: str) -> tuple[str, ...]:
        """Return the fingerprints of the key of that id: two while its secret is being replaced."""
        return tuple(one.key.fingerprint for one in self.known() if one.key.id == key_id)

    def learn_price(self, account: str, price: Price) -> None:
        """Take the price that an account's own plan says, for an account without one."""
        if self._prices.get(account) != price:
            self._prices[account] = price
            self._written.clear()

    def price_of(self, account: PoolAccount) -> Price:
        """What a call costs the account; the dearest plan where nothing is known."""
        return account.price or self._prices.get(account.id, BASIC)

    def serving(self, tenant: Tenant) -> list[PoolAccount]:
        """Return the accounts that may serve a tenant."""
        return [
            account
            for account in self._accounts
            if (tenant.accounts is None or account.id in tenant.accounts)
            and (account.tenants is None or tenant.id in account.tenants)
        ]

    def candidates(self, tenant: Tenant, operation: Operation) -> str:
        """Return the keys that may serve a tenant as JSON; empty where there is no pool at all.

        `lua/admit.lua` says what stands there.
        """
        if not self._accounts:
            return ""
        name = (tenant.id, tenant.accounts, operation)
        written = self._written.get(name)
        if written is None:
            serving = [self._written_account(one, operation) for one in self.serving(tenant)]
            written = self._written[name] = json.dumps(serving, separators=(",", ":"))
        return written

    def _written_account(self, account: PoolAccount, operation: Operation) -> dict[str, object]:
        return {
            "account": account.id,
            "price": self.price_of(account).of(operation),
            "gated": self._gated,
            "reserve": account.reserve_milli,
            "calls": account.calls or 0,
            "window": account.window_ms,
            "keys": [
                {
                    "key": key.fingerprint,
                    "calls": key.calls,
                    "window": key.window_ms,
                    "places": -1 if key.places is None else key.places,
                }
                for key in account.keys
            ],
        }
