"""A gateway that follows its configuration file, before an emulator with two keys."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import grpc

from gateway.app import running_gateway
from gateway.config import ConfigWatch, load_config
from gateway.emulator import AccountSettings, Emulator, EmulatorSettings, KeySettings
from tests.client.waiting import until
from tests.config.mounted import Mounted
from tests.e2e.harness import CATALOG_KEY, World, tenant

__all__ = ["SECRETS", "Following", "following", "metric_lines"]

SECRETS = {"k1": "canary-first-secret", "k2": "canary-other-secret"}
"""The emulator's keys by their names on its bill."""

_OFTEN = 0.02  # seconds between two looks at the files
_FILE = "gateway.yaml"


@dataclass(frozen=True, slots=True)
class Following:
    """The gateway's world, and the two volumes that its configuration is mounted from."""

    world: World
    config: Mounted
    secrets: Mounted
    document: dict[str, Any]

    def change(self, **changes: Any) -> None:
        """Mount the first configuration with other values for some of its top-level keys."""
        self.write(json.dumps(self.document | changes))

    def write(self, text: str) -> None:
        """Mount a configuration as it is."""
        self.config.swap({_FILE: text})

    async def until_metrics_have(self, *lines: str) -> None:
        """Wait until the page of the metrics has these lines."""

        async def has() -> bool:
            return {*lines} <= await metric_lines(self.world.http, self.world.ops_url)

        await until(has)


@asynccontextmanager
async def following(folder: Path, **changes: Any) -> AsyncIterator[Following]:
    """Run it with one tenant, `catalog`; `changes` replaces top-level keys."""
    keys = tuple(KeySettings(name, secret) for name, secret in SECRETS.items())
    settings = EmulatorSettings(accounts=(AccountSettings("plus", keys),))
    config, secrets = Mounted(folder / "config"), Mounted(folder / "secrets")
    async with Emulator(settings) as emulator:
        secrets.swap({"key": SECRETS["k1"]})
        document = _document(emulator, folder / "secrets/key") | changes
        config.swap({_FILE: json.dumps(document)})
        watch = ConfigWatch(partial(load_config, folder / "config" / _FILE, {}), interval=_OFTEN)
        async with (
            running_gateway(watch.load(), watch) as gateway,
            aiohttp.ClientSession() as http,
            grpc.aio.insecure_channel(f"127.0.0.1:{gateway.grpc.port}") as channel,
        ):
            yield Following(World(gateway, emulator, http, channel), config, secrets, document)


async def metric_lines(http: aiohttp.ClientSession, ops_url: str) -> set[str]:
    """The lines of the page of metrics."""
    async with http.get(f"{ops_url}/metrics") as response:
        return set((await response.text()).splitlines())


def _document(emulator: Emulator, secret: Path) -> dict[str, Any]:
    key = {"id": "main", "secret_file": str(secret)}
    return {
        "listen": {"rest": "127.0.0.1:0", "grpc": "127.0.0.1:0", "ops": "127.0.0.1:0"},
        "upstream": {
            "edit_url": emulator.url,
            "segment_url": emulator.url,
            "accounts": [{"id": "plus", "plan": "plus", "keys": [key]}],
        },
        "tenants": [tenant("catalog", CATALOG_KEY)],
    }
