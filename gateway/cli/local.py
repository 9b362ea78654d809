"""Everything on one machine, with nothing else installed: emulator, gateway and a demo tenant."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from gateway.app import Gateway, running_gateway
from gateway.config import parse_config
from gateway.emulator import DEFAULT_KEY, Emulator

__all__ = ["DEMO_KEY", "Local", "Ports", "running_locally"]

DEMO_KEY = "demo-key"
"""The demo tenant's key. It opens nothing but a gateway on loopback before an emulator."""

_UPSTREAM_KEY = "EMULATOR_KEY"


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the doors listen on loopback; 0 takes a free port."""

    rest: int = 0
    grpc: int = 0
    ops: int = 0


@dataclass(frozen=True, slots=True)
class Local:
    """A gateway on loopback, and the emulator behind it."""

    gateway: Gateway
    emulator: Emulator

    @property
    def rest_url(self) -> str:
        """Base URL of the REST door."""
        return f"http://127.0.0.1:{self.gateway.rest.port}"

    @property
    def grpc_address(self) -> str:
        """Address of the gRPC door."""
        return f"127.0.0.1:{self.gateway.grpc.port}"


@asynccontextmanager
async def running_locally(ports: Ports) -> AsyncIterator[Local]:
    """Run both until the end of the context. Raises OSError and StartError."""
    async with Emulator() as emulator:
        # JSON is YAML: the demo goes through the reader that every configuration goes through.
        config = parse_config(
            json.dumps(_document(emulator.url, ports)), {_UPSTREAM_KEY: DEFAULT_KEY}
        )
        async with running_gateway(config) as gateway:
            yield Local(gateway, emulator)


def _document(upstream: str, ports: Ports) -> dict[str, object]:
    key = {"id": "emulator", "secret_env": _UPSTREAM_KEY}
    hashed = hashlib.sha256(DEMO_KEY.encode()).hexdigest()
    return {
        "listen": {
            "rest": f"127.0.0.1:{ports.rest}",
            "grpc": f"127.0.0.1:{ports.grpc}",
            "ops": f"127.0.0.1:{ports.ops}",
        },
        "redis": "embedded",
        "upstream": {
            "edit_url": upstream,
            "segment_url": upstream,
            "accounts": [{"id": "emulator", "plan": "plus", "keys": [key]}],
        },
        "tenants": [{"id": "demo", "credentials_sha256": [hashed]}],
        "telemetry": {"log_format": "text"},
    }
