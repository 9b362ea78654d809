"""`emulator`: a Photoroom as a process."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from gateway.cli import main
from gateway.emulator import DEFAULT_KEY
from tests.cli.commands import COMMAND


@contextmanager
def emulator(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start an emulator on a free port; yield the process and its URL."""
    command = [*COMMAND, "emulator", "--port", "0", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.fullmatch(r"Photoroom emulator at (http://127\.0\.0\.1:\d+)\n", line)
            assert found, line
            yield process, found[1]
        finally:
            process.kill()


def account(url: str, key: str) -> tuple[int, object]:
    """Ask for the account's state; return the HTTP status and the answer."""
    request = urllib.request.Request(f"{url}/v2/account", headers={"x-api-key": key})  # noqa: S310 - ours
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - as above
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_one_key_until_it_is_told_to_stop(number: signal.Signals) -> None:
    with emulator("--key", "sk_one") as (process, url):
        assert (200, 401) == (account(url, "sk_one")[0], account(url, DEFAULT_KEY)[0])
        process.send_signal(number)
        assert 0 == process.wait(timeout=20)


def test_without_a_key_it_takes_the_emulators_own() -> None:
    with emulator() as (_, url):
        assert 200 == account(url, DEFAULT_KEY)[0]


def test_a_port_that_is_taken_is_1(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert 1 == main(["emulator", "--port", str(taken.getsockname()[1])])
    assert "cannot listen: " in capsys.readouterr().err
