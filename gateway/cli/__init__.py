"""The photoroom-gateway command: one module a command, imported when it is asked for.

Exit codes: 0 is success, 1 a wrong configuration or surroundings that do not allow the command, 2 wrong
usage.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Final, Protocol, cast

__all__ = ["COMMANDS", "Command", "main"]

COMMANDS: Final[Mapping[str, str]] = {
    "serve": "gateway.cli.serve",
    "dev": "gateway.cli.dev",
    "demo": "gateway.cli.demo",
    "check": "gateway.cli.check",
    "keys": "gateway.cli.keys",
    "usage": "gateway.cli.usage",
    "ledger": "gateway.cli.ledger",
    "protos": "gateway.cli.protos",
    "emulator": "gateway.cli.emulator",
}
"""Module of each command, in the order of the help."""

_PACKAGE = "photoroom-gateway"


class Command(Protocol):
    """What the module of a command offers. What is slow to import is imported by `run`."""

    NAME: str
    HELP: str

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        ...

    def run(self, args: argparse.Namespace) -> int:
        """Do it and return the exit code."""
        ...


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that `argv` names (default: of this process) and return its exit code."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    try:
        args = _parser(arguments[:1]).parse_args(arguments)
        command: Command = args.command
        return command.run(args)
    except ModuleNotFoundError as error:
        missing = _extra_package(error)
        print(f"this command needs {missing}: install an extra of {_PACKAGE}", file=sys.stderr)
        return 1


def _parser(asked: Sequence[str]) -> argparse.ArgumentParser:
    """Return a parser of the command that is asked for, or of all for help and for a wrong name."""
    parser = argparse.ArgumentParser(
        prog=_PACKAGE,
        description="A typed, money-safe gateway for the Photoroom image API.",
    )
    version = f"%(prog)s {metadata.version(_PACKAGE)}"
    parser.add_argument("--version", action="version", version=version)
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for name in [name for name in asked if name in COMMANDS] or COMMANDS:
        try:
            command = cast("Command", importlib.import_module(COMMANDS[name]))
        except ModuleNotFoundError as error:
            if name in asked:
                raise
            subparsers.add_parser(name, help=f"needs {_extra_package(error)}: not installed")
            continue
        subparser = subparsers.add_parser(name, help=command.HELP, description=command.HELP)
        command.configure(subparser)
        subparser.set_defaults(command=command)
    return parser


def _extra_package(error: ModuleNotFoundError) -> str:
    """Return the package that an extra brings and that is not there; a module of ours always is."""
    if error.name is None or error.name.partition(".")[0] == "gateway":
        raise error
    return error.name
