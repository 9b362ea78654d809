"""The book of accounts in Redis: how each stands, and which replica asks it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from gateway.domain.accounts import Refill, Rhythm, Standing, least_cost
from gateway.domain.answer import AccountState
from gateway.domain.keys import PoolAccount
from gateway.ports import BookUnavailable, Findings, Look, Question
from gateway.store.keyspace import LEDGER_ROOT
from gateway.store.link import Link, RedisTrouble
from gateway.store.scripts import Script, ScriptCall, load, run

__all__ = ["AccountCalls", "AccountScripts", "RedisAccounts", "read_findings", "read_look"]

_HOLDING: Final = 2.0
"""Seconds that a replica has to write down an answer, before another one may ask."""


@dataclass(frozen=True, slots=True)
class AccountScripts:
    """The scripts, each with what it shares with the ledger's before it."""

    poll: Script
    polled: Script

    @classmethod
    def load(cls) -> AccountScripts:
        """Read them from the package."""
        return cls(poll=load("hold", "poll"), polled=load("hold", "polled"))


@dataclass(frozen=True, slots=True)
class AccountCalls:
    """Makes the calls of one replica."""

    replica: str
    rhythm: Rhythm
    scripts: AccountScripts

    def poll(self, accounts: Sequence[PoolAccount]) -> ScriptCall:
        """Look at accounts, and take on what is due."""
        rhythm = self.rhythm
        arguments: list[str | int] = [self.replica, _ms(rhythm.patience + _HOLDING)]
        arguments += (_ms(rhythm.every), _ms(rhythm.soon))
        for account in accounts:
            arguments += (account.id, account.reserve_milli)
        return ScriptCall(self.scripts.poll, (LEDGER_ROOT,), tuple(arguments))

    def polled(self, question: Question, word: AccountState | None) -> ScriptCall:
        """Write the answer to a question."""
        account = question.account
        arguments: list[str | int] = [self.replica, account.id, question.asked]
        arguments.append(_ms(self.rhythm.lag))
        if word is None:
            arguments.append("")
        else:
            arguments += (word.available_milli, word.subscription_milli, word.plan)
            least = least_cost(account, word.plan)
            arguments += (least, account.reserve_milli, question.unseen)
        return ScriptCall(self.scripts.polled, (LEDGER_ROOT,), tuple(arguments))


class RedisAccounts:
    """Implements `AccountBook`. `replica` is this process's own name."""

    def __init__(
        self, link: Link, replica: str, rhythm: Rhythm, *, scripts: AccountScripts | None = None
    ) -> None:
        self._link = link
        self._calls = AccountCalls(replica, rhythm, scripts or AccountScripts.load())

    async def look(self, accounts: Sequence[PoolAccount]) -> Look:
        return read_look(accounts, await self._run(self._calls.poll(accounts)))

    async def note(self, question: Question, word: AccountState | None) -> Findings:
        return read_findings(await self._run(self._calls.polled(question, word)))

    async def _run(self, call: ScriptCall) -> list[Any]:
        try:
            [answer] = await run(self._link, call)
        except RedisTrouble as trouble:
            raise BookUnavailable(str(trouble)) from None
        return list(answer)


def read_look(accounts: Sequence[PoolAccount], answer: Sequence[Any]) -> Look:
    """Return what an answer of `poll` about these accounts says."""
    at, *told = answer
    standings: list[Standing] = []
    questions: list[Question] = []
    rows = zip(told[::4], told[1::4], told[2::4], told[3::4], strict=True)
    for account, (asker, used, used_for, flat) in zip(accounts, rows, strict=True):
        fields = dict(zip(flat[::2], flat[1::2], strict=True))
        standing = _standing(account, fields)
        standings.append(
            replace(standing, is_asked=asker != b"", used=used, used_for=used_for / 1000)
        )
        if asker == b"ask":
            questions.append(Question(account, int(fields[b"asked"])))
    return Look(at / 1000, tuple(standings), tuple(questions))


def read_findings(answer: Sequence[Any]) -> Findings:
    """Return what an answer of `polled` says."""
    refill, booked = answer
    return Findings(Refill(refill.decode()), booked)


def _standing(account: PoolAccount, fields: Mapping[bytes, bytes]) -> Standing:
    def number(name: bytes) -> int:
        return int(fields.get(name, 0))

    word = None
    if b"available" in fields:
        plan = fields[b"plan"].decode()
        word = AccountState(number(b"available"), number(b"subscription"), plan)
    return Standing(
        account=account,
        word=word,
        polled_at=number(b"polled") / 1000,
        since=number(b"since"),
        held=number(b"held"),
        external=number(b"external"),
        returned=number(b"returned"),
        refill=Refill(fields.get(b"refill", b"").decode()),
        refilled_at=number(b"refilled") / 1000,
        is_exhausted=b"exhausted" in fields,
    )


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
