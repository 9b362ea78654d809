"""The table of commands, usage and exit codes."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from importlib import metadata

import pytest

from gateway.cli import COMMANDS, main
from tests.cli.commands import run


@pytest.mark.parametrize(("name", "module"), COMMANDS.items())
def test_a_command_is_called_what_its_module_says(name: str, module: str) -> None:
    command = importlib.import_module(module)
    assert name == command.NAME
    assert re.fullmatch(r"[a-z].*[^.]", command.HELP), "one line, as argparse writes its own"


def test_the_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--help"])
    shown = capsys.readouterr().out
    assert 0 == left.value.code
    assert list(COMMANDS) == re.findall(r"^    (\w+) ", shown, re.MULTILINE)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["sreve"],
        ["check"],
        ["check", "--config"],
        ["check", "--reference", "--config", "x"],
        ["keys"],
        ["keys", "new"],
        ["keys", "new", "a b"],
        ["protos"],
        ["emulator", "--port", "x"],
        ["emulator", "--port", "65536"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_2_and_said_on_standard_error(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    shown = capsys.readouterr()
    assert (2, "") == (left.value.code, shown.out)
    assert "usage: photoroom-gateway" in shown.err


def test_python_m_gateway_is_the_command() -> None:
    done = run("--version")
    expected = f"photoroom-gateway {metadata.version('photoroom-gateway')}\n"
    assert (0, expected, "") == (done.returncode, done.stdout, done.stderr)


WITHOUT_EXTRAS = """
import sys
for package in ("numpy", "PIL", "skimage"):
    sys.modules[package] = None
from gateway.cli import main
sys.exit(main(sys.argv[1:]))
"""


def run_without_extras(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WITHOUT_EXTRAS, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_a_command_without_its_extra_says_what_is_missing() -> None:
    done = run_without_extras("emulator", "--port", "0")
    assert 1 == done.returncode
    expected = r"this command needs (numpy|PIL): install an extra of photoroom-gateway\n"
    assert re.fullmatch(expected, done.stderr)


def test_the_help_needs_no_extra() -> None:
    assert 0 == run_without_extras("--help").returncode


def test_a_small_command_starts_without_the_large_parts() -> None:
    """`check` in an init container or a hook does not wait for gRPC to be imported."""
    code = (
        "import sys; from gateway.cli import main; main(['check', '--reference']); "
        "sys.exit(bool({'grpc', 'aiohttp', 'numpy', 'redis', 'uvloop'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (0, b"") == (done.returncode, done.stderr)
