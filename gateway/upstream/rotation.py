"""Takes upstream keys in and out while calls go on.

A key that a change of the configuration brings is used once the upstream has answered for it. One that
it takes out begins no call any more, and those under way finish with it. But it goes on for a moment:
until each key that came was asked once, and each account that came is open for calls. And it goes on for
as long as its account would have no other key; if the account is gone too, as nothing else would serve.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final, Protocol

from gateway.domain.errors import StateUnavailable
from gateway.domain.keys import PoolAccount, PoolKey, Verdict, fingerprint
from gateway.ports import KeyMarks
from gateway.upstream.key_check import AccountCall, check_key
from gateway.upstream.keyring import KeyRing
from gateway.upstream.settings import UpstreamKey

__all__ = ["KeyChoice", "KeyRotation"]

_LONGEST_PAUSE: Final = 60.0
"""Seconds between two questions about a key that is not used: they begin with `pause`, and double."""

_log = logging.getLogger(__name__)


class KeyChoice(Protocol):
    """What chooses among the keys: the pool."""

    def replace(
        self,
        accounts: Sequence[PoolAccount],
        *,
        checking: Sequence[PoolAccount] = (),
        leaving: frozenset[str] = frozenset(),
    ) -> None:
        """Choose among the keys of `accounts` from now on; those of `checking` are not used yet."""
        ...


@dataclass(frozen=True, slots=True)
class _Place:
    """A key, its secret, and its account: of that, all but the keys counts."""

    account: PoolAccount
    key: PoolKey
    secret: UpstreamKey

    def said(self) -> dict[str, str]:
        """What a log line says of it."""
        key = self.key
        return {"key": key.id, "fingerprint": key.fingerprint, "account": self.account.id}


class KeyRotation:
    """Keeps `ring` and `choice` at the keys that are used.

    Those that it begins with are used before they were asked; `begin` finds out which of them the
    upstream refuses. `run` asks the upstream, and has to go on for as long as keys may come; `marks` tells all replicas
    what it heard. `is_open` says whether an account may serve: it may have to say first what it has.
    `moment` is in seconds: an account call, or the first poll of an account, takes less.
    """

    def __init__(
        self,
        accounts: Sequence[PoolAccount],
        asker: AccountCall,
        marks: KeyMarks,
        ring: KeyRing,
        choice: KeyChoice,
        *,
        is_open: Callable[[str], bool] = lambda _: True,
        moment: float = 15.0,
        pause: float = 1.0,
    ) -> None:
        self._asker = asker
        self._marks = marks
        self._ring = ring
        self._choice = choice
        self._is_open = is_open
        self._moment = moment
        self._pause = pause
        self._moment_ends = 0.0
        self._not_open: frozenset[str] = frozenset()
        self._configured = _places(accounts, ring.keys)
        self._leaving: dict[str, _Place] = {}
        # Configured and not used, with what was last heard of it; None: it was not asked yet.
        self._unused: dict[str, Verdict | None] = {}
        self._changed = asyncio.Event()

    def replace(self, accounts: Sequence[PoolAccount], keys: Sequence[UpstreamKey]) -> None:
        """Take over a configuration. Neither fails nor waits."""
        used = self._used() | self._leaving
        self._configured = _places(accounts, keys)
        now = {account.id: account for account in accounts}
        came = now.keys() - {place.account.id for place in used.values()}
        self._not_open = (self._not_open & now.keys()) | came
        self._moment_ends = asyncio.get_running_loop().time() + self._moment
        self._unused = {
            name: self._unused.get(name) for name in self._configured if name not in used
        }
        self._leaving = {
            name: replace(place, account=now.get(place.account.id, place.account))
            for name, place in used.items()
            if name not in self._configured
        }
        self._put_in_force()
        self._changed.set()

    async def begin(self, patience: float) -> None:
        """Ask once for each first key whose account has others, and tell all replicas what it showed.

        An account with one key is asked with that key before it serves. Waits `patience` seconds at most.
        """
        keys = Counter(place.account.id for place in self._configured.values())
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await asyncio.gather(
                    *(
                        self._ask_first(place)
                        for place in self._configured.values()
                        if keys[place.account.id] > 1
                    )
                )

    async def _ask_first(self, place: _Place) -> None:
        verdict = await check_key(self._asker, place.secret)
        if verdict is Verdict.NOTHING:
            return
        if verdict is not Verdict.SERVED:
            _tell(place, verdict)
        try:
            await self._marks.mark(place.key.fingerprint, verdict)
        except StateUnavailable:
            _log.info("what an upstream key has shown could not be noted", extra=place.said())

    async def run(self) -> None:
        """Ask for the keys that are not used, again and again, until each of them is."""
        pause = self._pause
        while True:
            self._changed.clear()
            await asyncio.gather(*(self._ask(self._configured[name]) for name in self._unused))
            if self._leaving:
                self._put_in_force()
            with suppress(TimeoutError):
                async with asyncio.timeout(pause if self._unused or self._leaving else None):
                    await self._changed.wait()
            pause = self._pause if self._changed.is_set() else min(2 * pause, _LONGEST_PAUSE)

    async def _ask(self, place: _Place) -> None:
        name, verdict = place.key.fingerprint, Verdict.NOTHING
        try:
            shown = await check_key(self._asker, place.secret)
            if shown is not Verdict.NOTHING:
                await self._marks.mark(name, shown)
            verdict = shown
        except StateUnavailable:
            # It would stay switched off by what was seen before: asked again, it is told again.
            _log.info("what an upstream key has shown could not be noted", extra=place.said())
        except Exception:  # noqa: BLE001 - it is logged
            # The other keys are asked; this one is asked again.
            _log.exception("an upstream key was not checked by a mistake of ours")
        if name not in self._unused:
            return  # a change has taken it out
        if verdict is not self._unused[name]:
            _tell(place, verdict)
        self._unused[name] = verdict
        if verdict is Verdict.SERVED:
            del self._unused[name]
        self._put_in_force()

    def _used(self) -> dict[str, _Place]:
        """The configured keys that are used."""
        return {name: place for name, place in self._configured.items() if name not in self._unused}

    def _put_in_force(self) -> None:
        used = self._used()
        self._not_open = frozenset(one for one in self._not_open if not self._is_open(one))
        staying = {name: place for name, place in self._leaving.items() if self._stays(place, used)}
        for name in self._leaving.keys() - staying:
            _log.info("an upstream key was taken out", extra=self._leaving[name].said())
        self._leaving = staying
        serving = [*used.values(), *staying.values()]
        self._ring.replace([place.secret for place in serving])
        self._choice.replace(
            _accounts(serving),
            checking=_accounts(self._configured[name] for name in self._unused),
            leaving=frozenset(staying),
        )

    def _stays(self, leaving: _Place, used: Mapping[str, _Place]) -> bool:
        """Whether a key that was taken out goes on: see the module."""
        is_settling = None in self._unused.values() or self._not_open
        if is_settling and asyncio.get_running_loop().time() < self._moment_ends:
            return True
        account = leaving.account.id
        is_kept = any(place.account.id == account for place in self._configured.values())
        return not any(
            place.account.id == account if is_kept else place.account.id not in self._not_open
            for place in used.values()
        )


def _places(accounts: Iterable[PoolAccount], keys: Iterable[UpstreamKey]) -> dict[str, _Place]:
    """Return the keys by their fingerprints, in the order of the accounts."""
    secrets = {fingerprint(key.secret): key for key in keys}
    return {
        key.fingerprint: _Place(account, key, secrets[key.fingerprint])
        for account in accounts
        for key in account.keys
    }


def _accounts(places: Iterable[_Place]) -> list[PoolAccount]:
    """Return the accounts of these places, each with its keys among them alone."""
    keys: dict[str, tuple[PoolAccount, list[PoolKey]]] = {}
    for place in places:
        keys.setdefault(place.account.id, (place.account, []))[1].append(place.key)
    return [replace(account, keys=tuple(mine)) for account, mine in keys.values()]


def _tell(place: _Place, verdict: Verdict) -> None:
    if verdict is Verdict.SERVED:
        _log.info("an upstream key was checked and is used now", extra=place.said())
    elif verdict is Verdict.NOTHING:
        text = "an upstream key cannot be checked yet, and is not used before that"
        _log.warning(text, extra=place.said())
    else:
        text = "an upstream key is refused, and is not used"
        _log.error(text, extra=place.said() | {"why": verdict.value})
