"""The `serve` command as a process of its own, on free ports."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.emulator import DEFAULT_KEY, Emulator
from tests.e2e.harness import CATALOG_KEY

__all__ = ["PATIENCE", "Serving", "configuration", "serving", "start"]

PATIENCE = 30  # seconds after which a test has failed
_UPSTREAM_KEY = "UPSTREAM_KEY"


@dataclass(slots=True)
class Serving:
    """A gateway in a process; `log` grows while it runs."""

    process: Process
    log: list[dict[str, Any]] = field(default_factory=list)
    plain: list[str] = field(default_factory=list)
    reading: asyncio.Task[None] | None = None
    started: asyncio.Event = field(default_factory=asyncio.Event)
    rest: int = 0
    grpc: int = 0
    ops: int = 0

    @property
    def rest_url(self) -> str:
        return f"http://127.0.0.1:{self.rest}"

    @property
    def ops_url(self) -> str:
        return f"http://127.0.0.1:{self.ops}"

    async def ended(self) -> int:
        """Wait until the process has ended and all that it wrote is read; return its exit code."""
        async with asyncio.timeout(PATIENCE):
            code = await self.process.wait()
            if self.reading is not None:
                await self.reading
        return code

    async def read(self) -> None:
        """Take what the process writes until it ends; the ports are in the line that says `serving`."""
        assert self.process.stderr is not None
        async for raw in self.process.stderr:
            text = raw.decode().rstrip()
            if not text.startswith("{"):
                self.plain.append(text)
                continue
            line = json.loads(text)
            self.log.append(line)
            if line["message"] == "serving":
                self.rest, self.grpc, self.ops = line["rest"], line["grpc"], line["ops"]
                self.started.set()
        self.started.set()


def configuration(emulator: Emulator, **changes: Any) -> dict[str, Any]:
    """A configuration with one tenant before an emulator; `changes` replaces top-level keys."""
    hashed = hashlib.sha256(CATALOG_KEY.encode()).hexdigest()
    key = {"id": "k1", "secret_env": _UPSTREAM_KEY, "requests_per_minute": 60_000}
    return {
        "listen": {"rest": "127.0.0.1:0", "grpc": "127.0.0.1:0", "ops": "127.0.0.1:0"},
        "redis": "embedded",
        "upstream": {
            "edit_url": emulator.url,
            "segment_url": emulator.url,
            "accounts": [{"id": "plus", "plan": "plus", "keys": [key]}],
        },
        "tenants": [{"id": "catalog", "credentials_sha256": [hashed]}],
    } | changes


async def start(document: Mapping[str, Any], folder: Path) -> Serving:
    """Start the command; the caller waits for it to end."""
    file = folder / "gateway.yaml"
    file.write_text(json.dumps(document))  # JSON is YAML
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", "serve", "--config", str(file)),
        env={**os.environ, _UPSTREAM_KEY: DEFAULT_KEY},
        stderr=PIPE,
    )
    served = Serving(process)
    served.reading = asyncio.create_task(served.read())
    return served


@asynccontextmanager
async def serving(document: Mapping[str, Any], folder: Path) -> AsyncIterator[Serving]:
    """Run the command until it takes calls; end it with the test, however that ends."""
    served = await start(document, folder)
    try:
        async with asyncio.timeout(PATIENCE):
            await served.started.wait()
        assert served.rest, served.plain
        yield served
    finally:
        if served.process.returncode is None:
            served.process.kill()
        await served.ended()
