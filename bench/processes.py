"""The servers under measurement, each a process of its own that ends with the run."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path

from bench.machine import SERVER_CORE, on_core

__all__ = [
    "KEY",
    "UPSTREAM_KEY",
    "Bare",
    "Emulator",
    "Gateway",
    "bare_server",
    "free_ports",
    "write_config",
]

KEY = "bench-key"
UPSTREAM_KEY = "emulator-key"
_HOST = "127.0.0.1"
_START = 20.0
_STOP = 15.0


@contextmanager
def _server(
    *arguments: str, log: Path, core: int = SERVER_CORE, env: Mapping[str, str] | None = None
) -> Iterator[int]:
    """Run `python ARGUMENTS` on a core, its output in `log`; yields its process id."""
    with log.open("wb") as out, on_core(core):
        process = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env={**os.environ, **(env or {})},
        )
    try:
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((_HOST, 0))
        return [one.getsockname()[1] for one in sockets]


def _wait_for(url: str, log: Path) -> float:
    """Wait until a GET is answered with 200; returns when that was. Raises TimeoutError."""
    deadline = time.monotonic() + _START
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=1) as answer:  # noqa: S310 - loopback
                answer.read()
                return time.monotonic()
        except (OSError, HTTPException):
            time.sleep(0.002)
    raise TimeoutError(f"{url} is not ready: {log.read_text()[-2000:]}")


def _wait_for_port(port: int, log: Path) -> None:
    """Wait until somebody listens. Raises TimeoutError."""
    deadline = time.monotonic() + _START
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex((_HOST, port)) == 0:
                return
        time.sleep(0.01)
    raise TimeoutError(f"nobody listens on {port}: {log.read_text()[-2000:]}")


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway by its configuration, and where it listens."""

    config: Path
    rest: int
    grpc: int
    ops: int
    log: Path

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("-m", "gateway", "serve", "--config", str(self.config))

    @contextmanager
    def running(self) -> Iterator[int]:
        """Run it until the end of the context; yields its process id once it is ready."""
        with self.starting() as pid:
            self.wait()
            yield pid

    @contextmanager
    def starting(self) -> Iterator[int]:
        """Start it, and wait for nothing."""
        with _server(*self.arguments, log=self.log, env={"BENCH_UPSTREAM": UPSTREAM_KEY}) as pid:
            yield pid

    def wait(self) -> float:
        """Wait until it takes calls; returns when that was."""
        return _wait_for(f"http://{_HOST}:{self.ops}/readyz", self.log)


def write_config(folder: Path, name: str, upstream: str, **changes: object) -> Gateway:
    """Write the configuration of a gateway; `changes` are top-level keys of the file."""
    rest, rpc, ops = free_ports(3)
    document = {
        "listen": {"rest": f"{_HOST}:{rest}", "grpc": f"{_HOST}:{rpc}", "ops": f"{_HOST}:{ops}"},
        "redis": "embedded",
        "upstream": {
            "edit_url": upstream,
            "segment_url": upstream,
            "accounts": [
                {
                    "id": "emulator",
                    "plan": "plus",
                    "keys": [{"id": "k1", "secret_env": "BENCH_UPSTREAM"}],
                }
            ],
        },
        "tenants": [
            {"id": "bench", "credentials_sha256": [hashlib.sha256(KEY.encode()).hexdigest()]}
        ],
        **changes,
    }
    path = folder / f"{name}.yaml"
    path.write_text(json.dumps(document))  # JSON is YAML
    return Gateway(path, rest, rpc, ops, folder / f"{name}.log")


@dataclass(frozen=True, slots=True)
class Emulator:
    """The upstream, and its control calls."""

    port: int
    log: Path = field(repr=False)

    @property
    def url(self) -> str:
        return f"http://{_HOST}:{self.port}"

    @contextmanager
    def running(self, core: int) -> Iterator[int]:
        """Run it until the end of the context; yields its process id."""
        command = ("-m", "gateway", "emulator", "--port", str(self.port), "--key", UPSTREAM_KEY)
        with _server(*command, log=self.log, core=core) as pid:
            _wait_for(f"{self.url}/_emulator/healthz", self.log)
            yield pid

    def charges(self) -> int:
        """How many calls it has been paid for."""
        with urllib.request.urlopen(f"{self.url}/_emulator/bill", timeout=5) as answer:  # noqa: S310 - loopback
            return int(json.loads(answer.read())["charges"])


@dataclass(frozen=True, slots=True)
class Bare:
    """A bare server that runs."""

    pid: int
    port: int


@contextmanager
def bare_server(folder: Path, name: str, kind: str, answer: bytes, core: int) -> Iterator[Bare]:
    """Run a server of `bench.bare` that answers with these bytes."""
    path, log = folder / f"{name}.answer", folder / f"bare-{name}.log"
    path.write_bytes(answer)
    port = free_ports(1)[0]
    command = ("-m", "bench.bare", kind, "--port", str(port), "--answer", str(path))
    with _server(*command, log=log, core=core) as pid:
        _wait_for_port(port, log)
        yield Bare(pid, port)
