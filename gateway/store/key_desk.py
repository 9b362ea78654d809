"""How the upstream keys stand by the word of the state Redis, and what switches them off and on there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.domain.edit import Operation
from gateway.domain.errors import StateUnavailable
from gateway.domain.keys import PoolAccount, Verdict
from gateway.ports import (
    AccountStanding,
    EndpointStanding,
    KeyStanding,
    PoolStanding,
)
from gateway.store.keyspace import LEDGER_ROOT
from gateway.store.link import Link, RedisTrouble
from gateway.store.pool import KnownKey, Pool
from gateway.store.scripts import Script, ScriptCall, load, run

__all__ = ["KeyScripts", "RedisKeyDesk"]

_OPERATIONS: Final = tuple(Operation)
_MARKED: Final = frozenset({Verdict.SERVED, Verdict.REJECTED, Verdict.FORBIDDEN})


@dataclass(frozen=True, slots=True)
class KeyScripts:
    """The scripts, each with what it shares with those of the ledger."""

    state: Script
    switch: Script

    @classmethod
    def load(cls) -> KeyScripts:
        """Read them from the package."""
        return cls(state=load("hold", "health", "key_state"), switch=load("key_switch"))


class RedisKeyDesk:
    """KeyDesk and KeyMarks: `admit` reads what is switched here with the next call of any replica.

    The replica's own `pool` hears of what is off, for the time when Redis cannot be asked.
    """

    def __init__(self, link: Link, pool: Pool, *, scripts: KeyScripts | None = None) -> None:
        self._link = link
        self._pool = pool
        self._scripts = scripts or KeyScripts.load()

    def named(self, key_id: str) -> tuple[str, ...]:
        return self._pool.named(key_id)

    async def state(self) -> PoolStanding:
        known = self._pool.known()
        accounts = list({one.account.id: one.account for one in known}.values())
        words = await self._run(
            self._scripts.state,
            json.dumps([operation.value for operation in _OPERATIONS]),
            json.dumps([one.key.fingerprint for one in known]),
            json.dumps([account.id for account in accounts]),
        )
        standing = PoolStanding(
            tuple(_key(one, told) for one, told in zip(known, words[0], strict=True)),
            tuple(_account(one, told) for one, told in zip(accounts, words[1], strict=True)),
            tuple(_endpoint(one, told) for one, told in zip(_OPERATIONS, words[2], strict=True)),
        )
        self._pool.off = frozenset(one.key.fingerprint for one in standing.keys if one.off)
        return standing

    async def drain(self, keys: Sequence[str]) -> None:
        await self._switch("drained", keys)
        self._pool.off |= frozenset(keys)

    async def resume(self, keys: Sequence[str]) -> None:
        await self._switch("resumed", keys)
        self._pool.off -= frozenset(keys)

    async def mark(self, key: str, verdict: Verdict) -> None:
        if verdict not in _MARKED:
            raise ValueError(f"an account call does not show {verdict}")
        await self._switch(verdict.value, [key])

    async def _switch(self, word: str, keys: Sequence[str]) -> None:
        await self._run(self._scripts.switch, word, *keys)

    async def _run(self, script: Script, *arguments: str) -> Any:  # noqa: ANN401 - each script's own
        try:
            [answer] = await run(self._link, ScriptCall(script, (LEDGER_ROOT,), arguments))
        except RedisTrouble as trouble:
            text = "The state Redis does not answer; ask again."
            raise StateUnavailable(text, retry_after=1.0) from trouble
        return answer


def _key(known: KnownKey, told: Sequence[Any]) -> KeyStanding:
    off, cool, sandbox, calls, in_flight, *masks = told
    return KeyStanding(
        known.key,
        known.account.id,
        checking=known.checking,
        leaving=known.leaving,
        off=off.decode(),
        cooling_until=_seconds(cool),
        sandbox_cooling_until=_seconds(sandbox),
        masked={
            operation: until / 1000
            for operation, until in zip(_OPERATIONS, masks, strict=True)
            if until
        },
        calls=calls,
        in_flight=in_flight,
    )


def _account(account: PoolAccount, told: Sequence[Any]) -> AccountStanding:
    available, taken, exhausted, cool, calls = told
    return AccountStanding(
        account,
        available_milli=available,
        headroom_milli=None if available is None else available - taken - account.reserve_milli,
        exhausted=bool(exhausted),
        cooling_until=_seconds(cool),
        calls=calls,
    )


def _endpoint(operation: Operation, told: Sequence[Any]) -> EndpointStanding:
    in_trouble, open_until = told
    return EndpointStanding(operation, in_trouble, _seconds(open_until))


def _seconds(ms: int) -> float | None:
    return ms / 1000 if ms else None
