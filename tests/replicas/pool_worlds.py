"""Replicas whose keys are those of an emulator with many accounts, and how they say that these stand."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final

from gateway.emulator import AccountSettings, EmulatorSettings, KeySettings
from gateway.v1.admin_service_pb2 import (
    KeyCondition,
    ListKeysRequest,
    ListKeysResponse,
    ResumeKeyRequest,
    UpstreamOperation,
)
from tests.client.waiting import until
from tests.e2e.fleet import ADMIN_KEY
from tests.e2e.harness import key_pair
from tests.replicas.calling import OK, Answer, Replica
from tests.replicas.edits import edit_number, ways
from tests.replicas.replicas import Fleet
from tests.servers.process import Server

__all__ = ["UNHURRIED", "WINDOW", "Pool", "account", "account_fields", "accounts_of", "upstream_of"]

WINDOW: Final = 6.0
"""Seconds of the windows of keys and accounts."""

UNHURRIED: Final = "20s"
"""Time-out of an upstream call in a burst: this machine may be busy."""

_PLENTY: Final = 1000


def account(
    id_: str,
    *keys: str,
    per_window: int = _PLENTY,
    bad: Mapping[str, int] | None = None,
    **more: Any,
) -> AccountSettings:
    """An account of the emulator with these keys; those in `bad` answer everything with that status."""
    settings = tuple(
        KeySettings(key, f"secret-of-{key}", per_window, (bad or {}).get(key)) for key in keys
    )
    return AccountSettings(id_, settings, **more)


def accounts_of(settings: EmulatorSettings, folder: Path) -> list[dict[str, Any]]:
    """The same accounts as the gateway is told of them; the secrets lie in the folder."""
    return [
        {
            "id": one.id,
            "keys": [_key(key, folder) for key in one.keys],
            "window": f"{WINDOW:g}s",
        }
        | ({} if one.requests_per_window is None else _rate(one.requests_per_window))
        for one in settings.accounts
    ]


def upstream_of(
    settings: EmulatorSettings, folder: Path, *, poll: str = "1s", lag: str = "100ms"
) -> dict[str, Any]:
    """The upstream's part of a configuration before an emulator with these settings."""
    accounts = accounts_of(settings, folder)
    return {"accounts": accounts, "account_poll": poll, "account_lag": lag}


def _key(key: KeySettings, folder: Path) -> dict[str, Any]:
    file = folder / key.id
    file.write_text(key.secret)
    rate = _rate(key.requests_per_window)
    return {"id": key.id, "secret_file": str(file), "window": f"{WINDOW:g}s"} | rate


def _rate(per_window: int) -> dict[str, Any]:
    return {"requests_per_minute": round(per_window * 60 / WINDOW)}


def account_fields(server: Server, account_id: str) -> dict[str, str]:
    """What the book in Redis says of an account."""
    flat = server.admin("HGETALL", f"pg1:{{ctl}}:account:{account_id}")
    return {k.decode(): v.decode() for k, v in zip(flat[::2], flat[1::2], strict=True)}


@dataclass(slots=True)
class Pool:
    """The keys of a fleet, as its replicas say that they stand; and calls that are all different."""

    f: Fleet
    picture: bytes
    numbers: Iterator[int] = field(default_factory=count)

    async def burst(self, calls: int) -> list[Answer]:
        """Make so many edits at once, over all replicas and doors."""
        return await asyncio.gather(
            *(
                replica.ask(door, edit_number(next(self.numbers), self.picture))
                for replica, door in ways(self.f, calls)
            )
        )

    async def served(self, calls: int) -> None:
        """The same; all of them are answered."""
        outcomes = Counter(answer.outcome for answer in await self.burst(calls))
        assert {OK: calls} == outcomes, outcomes

    def by_key(self) -> Counter[str]:
        """How many paid calls have reached the upstream with each key."""
        return Counter(self.f.emulator.bill.requests_by_key)

    async def listed(self, replica: Replica) -> ListKeysResponse:
        """What one replica says."""
        return await replica.admin.ListKeys(ListKeysRequest(), metadata=key_pair(ADMIN_KEY))

    async def facts(self, replica: Replica) -> frozenset[str]:
        """All that keeps calls away by the word of one replica: `<who>: <why>`."""
        return frozenset(_facts(await self.listed(replica)))

    async def until_all_say(self, *facts: str) -> float:
        """Wait until every replica says just that; return the seconds that it took."""
        begin = time.monotonic()
        said: Sequence[frozenset[str]] = ()

        async def all_say() -> bool:
            nonlocal said
            said = [await self.facts(replica) for replica in self.f.replicas]
            return all(frozenset(facts) == one for one in said)

        try:
            await until(all_say)
        except TimeoutError:
            raise AssertionError(f"expected {facts}, said {said}") from None
        return time.monotonic() - begin

    async def resume(self, key: str) -> None:
        """Let calls begin with the key again."""
        [replica, *_] = self.f.replicas
        await replica.admin.ResumeKey(ResumeKeyRequest(key_id=key), metadata=key_pair(ADMIN_KEY))

    async def until_reached(self, *keys: str) -> None:
        """Call until each of the keys was used; every call is answered."""
        before = self.by_key()

        async def are_reached() -> bool:
            await self.served(len(self.f.replicas) * 2)
            return all(self.by_key()[key] > before[key] for key in keys)

        await until(are_reached)

    async def without(self, *keys: str) -> None:
        """Calls on all replicas and doors are answered, and none of these keys is asked."""
        before = self.by_key()
        await self.served(12)
        after = self.by_key()
        assert {key: before[key] for key in keys} == {key: after[key] for key in keys}


def _facts(said: ListKeysResponse) -> Iterator[str]:
    for key in said.keys:
        if key.condition != KeyCondition.KEY_CONDITION_USABLE:
            name = KeyCondition.Name(key.condition).removeprefix("KEY_CONDITION_")
            yield f"{key.id}: {name}"
        for mask in key.masked:
            operation = UpstreamOperation.Name(mask.operation)
            yield f"{key.id}: not for {operation.removeprefix('UPSTREAM_OPERATION_')}"
    for one in said.accounts:
        if one.exhausted:
            yield f"{one.id}: EXHAUSTED"
        if one.HasField("cooling_until"):
            yield f"{one.id}: COOLING"
    for endpoint in said.endpoints:
        if endpoint.HasField("open_until"):
            operation = UpstreamOperation.Name(endpoint.operation)
            yield f"{operation.removeprefix('UPSTREAM_OPERATION_')}: OPEN"
