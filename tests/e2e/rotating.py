"""Replicas on one Redis that each follow a configuration file of their own, and the load on them."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import aiohttp
import grpc

from gateway.app import running_gateway
from gateway.config import ConfigWatch, load_config
from gateway.domain.keys import fingerprint
from gateway.emulator import AccountSettings, Emulator, EmulatorSettings, KeySettings
from gateway.v1 import admin_service_pb2 as messages
from tests.client.waiting import until
from tests.config.mounted import Mounted
from tests.e2e.asks import ask_rest, edit_of
from tests.e2e.fleet import ADMIN_KEY, ADMINS, admin
from tests.e2e.harness import CATALOG_KEY, World, key_pair, tenant
from tests.servers.process import Server

__all__ = ["BAD", "SECRETS", "Load", "Rotating", "rotating"]

_ACCOUNTS = {"plus": ("s1", "s2", "s3", "s4"), "other": ("s5", "s6")}
SECRETS = {name: f"canary-secret-{name}" for names in _ACCOUNTS.values() for name in names}
"""The secrets that the emulator knows, by their names on its bill."""

BAD = "bad"
"""The name of one that it does not know."""

_ENVIRON = {name.upper(): secret for name, secret in (SECRETS | {BAD: "canary-secret-bad"}).items()}
_PER_WINDOW = 6000
_OFTEN = 0.02  # seconds between two looks at a file
_FILE = "gateway.yaml"
_USABLE = int(messages.KEY_CONDITION_USABLE)

Keys: TypeAlias = Mapping[str, Mapping[str, str]]
"""Account -> id of a key -> name of its secret."""


@dataclass(slots=True)
class Load:
    """Calls that are made one after the other by some workers for each replica; no two are equal.

    `calls` has how many each worker has made.
    """

    worlds: Sequence[World]
    statuses: list[int] = field(default_factory=list)
    calls: list[int] = field(default_factory=list)
    _shades: Iterator[int] = field(default_factory=itertools.count)
    _stopped: bool = False

    @asynccontextmanager
    async def running(self, workers: int = 3) -> AsyncIterator[None]:
        """Load all replicas until the end of the context; each call is then answered."""
        self.calls = [0] * (workers * len(self.worlds))
        async with asyncio.TaskGroup() as group:
            for number in range(len(self.calls)):
                group.create_task(self._go_on(number))
            try:
                yield
            finally:
                self._stopped = True

    async def rounds(self, number: int = 1) -> None:
        """Wait until each worker has made so many calls, from their beginning to their end."""
        least = [made + number + 1 for made in self.calls]

        async def were() -> bool:
            return all(made >= wanted for made, wanted in zip(self.calls, least, strict=True))

        await until(were)

    async def _go_on(self, number: int) -> None:
        while not self._stopped:
            ask = edit_of({"background.color": f"{next(self._shades):06x}"})
            reply = await ask_rest(self.worlds[number % len(self.worlds)], ask)
            self.statuses.append(reply.status)
            self.calls[number] += 1


@dataclass(frozen=True, slots=True)
class Rotating:
    """The replicas with their files, before one emulator."""

    worlds: list[World]
    files: list[Mounted]
    emulator: Emulator
    server: Server

    def change(self, keys: Keys, *replicas: int) -> None:
        """Give these replicas, or all of them, other keys."""
        for number in replicas or range(len(self.files)):
            self.files[number].swap({_FILE: _document(self.emulator, self.server, keys)})

    async def keys(self, w: World) -> list[messages.UpstreamKey]:
        """How the keys stand that a replica knows."""
        request, metadata = messages.ListKeysRequest(), key_pair(ADMIN_KEY)
        return list((await admin(w).ListKeys(request, metadata=metadata)).keys)

    async def until_known(self, keys: Keys, *replicas: int, **refused: int) -> None:
        """Wait until these are the keys that the replicas know, and none leaves.

        All are usable, but for those that are `refused`: id -> condition.
        """
        wanted = {
            (key, fingerprint(_ENVIRON[name.upper()]), refused.get(key, _USABLE), False)
            for mine in keys.values()
            for key, name in mine.items()
        }

        async def are() -> bool:
            known = [key for number in numbers for key in await self.keys(self.worlds[number])]
            found = {(key.id, key.fingerprint, int(key.condition), key.leaving) for key in known}
            return found == wanted

        numbers = replicas or range(len(self.worlds))
        await until(are)

    def used_since(self, charges: int) -> set[str]:
        """Names of the secrets that were charged after so many charges."""
        return {line.key for line in itertools.islice(self.emulator.bill.lines, charges, None)}


def _document(emulator: Emulator, server: Server, keys: Keys) -> str:
    accounts = [
        {
            "id": account,
            "plan": "plus",
            "keys": [
                {"id": key, "secret_env": name.upper(), "requests_per_minute": _PER_WINDOW}
                for key, name in mine.items()
            ],
        }
        for account, mine in keys.items()
    ]
    document: dict[str, Any] = {
        "listen": {"rest": "127.0.0.1:0", "grpc": "127.0.0.1:0", "ops": "127.0.0.1:0"},
        "redis": {"state_url": server.url},
        "upstream": {
            "edit_url": emulator.url,
            "segment_url": emulator.url,
            "accounts": accounts,
        },
        "tenants": [tenant("catalog", CATALOG_KEY)],
        **ADMINS,
    }
    return json.dumps(document)


@asynccontextmanager
async def rotating(
    folder: Path, server: Server, keys: Keys, count: int = 2
) -> AsyncIterator[Rotating]:
    """Run that many replicas with these keys."""
    settings = EmulatorSettings(
        accounts=tuple(
            AccountSettings(
                account,
                tuple(KeySettings(n, SECRETS[n], _PER_WINDOW) for n in names),
                available=9e5,
            )
            for account, names in _ACCOUNTS.items()
        )
    )
    async with AsyncExitStack() as stack:
        emulator = await stack.enter_async_context(Emulator(settings))
        files = [Mounted(folder / f"replica-{number}") for number in range(count)]
        made = Rotating([], files, emulator, server)
        made.change(keys)
        for number in range(count):
            path = folder / f"replica-{number}" / _FILE
            watch = ConfigWatch(partial(load_config, path, _ENVIRON), interval=_OFTEN)
            gateway = await stack.enter_async_context(running_gateway(watch.load(), watch))
            http = await stack.enter_async_context(aiohttp.ClientSession())
            channel = await stack.enter_async_context(
                grpc.aio.insecure_channel(f"127.0.0.1:{gateway.grpc.port}")
            )
            made.worlds.append(World(gateway, emulator, http, channel))
        yield made
