"""A real server process that a test may kill, freeze and start again on the same address."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import redis

from gateway.store.embedded import server_command

__all__ = ["HOST", "Server", "free_ports", "redis_server_program", "standalone", "wait_until"]

HOST = "127.0.0.1"


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 20.0) -> None:
    """Poll until `condition` holds. Raises TimeoutError, saying `what` did not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds} s")
        time.sleep(0.01)


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on: the kernel hands out different ones to every process."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((HOST, 0))
        return [one.getsockname()[1] for one in sockets]


def redis_server_program() -> Path | None:
    """The installed redis-server, which `make system-deps` provides."""
    found = shutil.which("redis-server")
    return Path(found) if found else None


class Server:
    """One server process, started by `command`, that listens on `where`: a port or a UNIX socket."""

    def __init__(self, command: Sequence[str], where: int | Path) -> None:
        self._command = command
        self._where = where
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """URL for the gateway."""
        return (
            f"unix://{self._where}" if isinstance(self._where, Path) else f"redis://{self.address}"
        )

    @property
    def address(self) -> str:
        """`host:port` of a server on a port."""
        return f"{HOST}:{self.port}"

    @property
    def port(self) -> int:
        """Its port."""
        assert isinstance(self._where, int), "this server listens on a UNIX socket"
        return self._where

    def launch(self) -> None:
        """Start the process; `start` waits for it too. It ends with the thread that calls this."""
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )

    def start(self) -> None:
        """Start the process and wait until it answers."""
        self.launch()
        self.wait()

    def wait(self) -> None:
        """Wait until it answers."""
        wait_until(self._answers, f"an answer of {self.url}")

    def admin(self, *command: str | int) -> Any:
        """Carry out one command on a connection of its own, and return the reply as it came."""
        if isinstance(self._where, Path):
            client = redis.Redis(unix_socket_path=str(self._where), protocol=2, socket_timeout=5)
        else:
            client = redis.Redis(host=HOST, port=self._where, protocol=2, socket_timeout=5)
        client.response_callbacks.clear()
        with client:
            execute: Callable[..., Any] = client.execute_command
            return execute(*command)

    def freeze(self) -> None:
        """Let it hang: it accepts connections and answers nothing."""
        self._running().send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._running().send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """Kill it without notice. A server that has been killed already stays so."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """End it: nothing that it holds is wanted any more."""
        self.kill()

    @property
    def is_running(self) -> bool:
        """Whether it has been started and not killed since."""
        return self._process is not None

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "the server does not run"
        return self._process

    def _answers(self) -> bool:
        if self._running().poll() is not None:
            raise RuntimeError(f"the server ended: {self._command}")
        try:
            return bool(self.admin("PING") == b"PONG")
        except redis.RedisError:
            return False

    def __repr__(self) -> str:
        return f"Server({self.url})"


def standalone(program: Path, directory: Path, *options: str, port: int | None = None) -> Server:
    """A data server, not yet started, on a port or else on a UNIX socket in `directory`.

    `options` are added to its command line. `directory` is made if need be.
    """
    directory.mkdir(exist_ok=True)
    if port is not None:
        listen = ["--bind", HOST, "--port", str(port)]
        return Server(server_command(program, directory, [*listen, *options]), port)
    path = directory / "redis.sock"
    listen = ["--port", "0", "--unixsocket", str(path)]
    return Server(server_command(program, directory, [*listen, *options]), path)
