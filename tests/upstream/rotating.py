"""A rotation of keys that runs before an emulator, and marks that a test can silence."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from gateway.domain.credits import PLUS
from gateway.domain.errors import StateUnavailable
from gateway.domain.keys import PoolAccount, PoolKey, Verdict, fingerprint
from gateway.emulator import AccountSettings, Emulator, EmulatorSettings, FaultRule, KeySettings
from gateway.store.background import in_background
from gateway.store.pool import Pool
from gateway.upstream.client import PhotoroomClient
from gateway.upstream.keyring import KeyRing
from gateway.upstream.rotation import KeyRotation
from gateway.upstream.settings import UpstreamKey
from tests.client.waiting import until
from tests.upstream.purchases import settings

__all__ = [
    "BAD",
    "SECRETS",
    "START",
    "Document",
    "Marks",
    "World",
    "on_account",
    "plus",
    "read",
    "secrets_of",
    "world",
]

SECRETS = {f"s{n}": f"sk_canary_{n}" for n in range(1, 7)}
"""Those that the emulator knows, by their names on its side."""

BAD = "sk_canary_bad"
Document: TypeAlias = Mapping[str, Mapping[str, str]]
"""A configuration: account -> id of a key -> its secret."""

START: Document = {"plus": {"a": SECRETS["s1"]}}


@dataclass(slots=True)
class Marks:
    """KeyMarks that keep what is said, or are silent like a Redis that is gone."""

    silent: bool = False
    said: dict[str, Verdict] = field(default_factory=dict)
    asked: int = 0

    async def mark(self, key: str, verdict: Verdict) -> None:
        self.asked += 1
        if self.silent:
            raise StateUnavailable("silent")
        self.said[key] = verdict


@dataclass(slots=True)
class World:
    """A rotation that runs before an emulator."""

    emulator: Emulator
    ring: KeyRing
    pool: Pool
    marks: Marks
    rotation: KeyRotation
    closed: set[str]

    def change(self, document: Document) -> None:
        self.rotation.replace(*read(document))

    @property
    def used(self) -> list[str]:
        """The secrets that are used. Ring and pool have the same ones."""
        names = [key.fingerprint for account in self.pool.accounts for key in account.keys]
        assert sorted(fingerprint(key.secret) for key in self.ring.keys) == sorted(names)
        return sorted(key.secret for key in self.ring.keys)

    @property
    def told(self) -> list[tuple[str, str]]:
        """What an operator sees of keys that are not simply used: id, and why."""
        return [
            (one.key.id, "checking" if one.checking else "leaving")
            for one in self.pool.known()
            if one.checking or one.leaving
        ]

    async def until_used(self, *secrets: str) -> None:
        async def are() -> bool:
            return self.used == sorted(secrets)

        await until(are)

    async def until_marked(self, secret: str, verdict: Verdict) -> None:
        async def is_marked() -> bool:
            return self.marks.said.get(fingerprint(secret)) is verdict

        await until(is_marked)

    async def until_asked(self, secret: str, times: int) -> None:
        """Wait until the account call of a key that the emulator knows was answered so often."""
        [name] = [name for name, known in SECRETS.items() if known == secret]

        async def was() -> bool:
            return times <= [request.key for request in self.emulator.requests].count(name)

        await until(was)


def read(document: Document) -> tuple[list[PoolAccount], list[UpstreamKey]]:
    accounts = [
        PoolAccount(
            account,
            tuple(PoolKey(key, fingerprint(secret), 60, 60_000) for key, secret in keys.items()),
            PLUS,
        )
        for account, keys in document.items()
    ]
    secrets = [
        UpstreamKey(key, secret, account)
        for account, keys in document.items()
        for key, secret in keys.items()
    ]
    return accounts, secrets


@asynccontextmanager
async def world(
    document: Document = START, *faults: FaultRule, pause: float = 0.02, moment: float = 60.0
) -> AsyncIterator[World]:
    known = tuple(KeySettings(name, secret) for name, secret in SECRETS.items())
    upstream = EmulatorSettings(accounts=(AccountSettings("plus", known),))
    accounts, secrets = read(document)
    async with (
        Emulator(upstream) as emulator,
        PhotoroomClient(settings(emulator.url, keys=secrets)) as client,
    ):
        emulator.faults.add(*faults)
        ring, pool, marks = KeyRing(secrets), Pool(accounts), Marks()
        closed: set[str] = set()
        rotation = KeyRotation(
            accounts,
            client,
            marks,
            ring,
            pool,
            is_open=lambda account: account not in closed,
            moment=moment,
            pause=pause,
        )
        async with in_background(rotation=rotation.run()):
            yield World(emulator, ring, pool, marks, rotation, closed)


def on_account(**fault: Any) -> FaultRule:
    """A fault that the account call meets."""
    return FaultRule(operation="account", **fault)


def plus(**keys: str) -> Document:
    return {"plus": {name: SECRETS.get(secret, secret) for name, secret in keys.items()}}


def secrets_of(document: Document) -> list[str]:
    return [secret for keys in document.values() for secret in keys.values()]
