"""`emulator`: a Photoroom on this machine, for development and CI."""

from __future__ import annotations

import argparse
import asyncio
import sys

from gateway.cli.signals import until_told_to_stop

__all__ = ["HELP", "NAME", "configure", "run"]

NAME = "emulator"
HELP = "run a Photoroom on this machine: real pictures, a bill, no credits"

_LAST_PORT = 65535


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--host", default="127.0.0.1", help="default: %(default)s")
    parser.add_argument(
        "--port", type=_port, default=8081, help="0 takes a free one; default: %(default)s"
    )
    parser.add_argument(
        "--key", metavar="SECRET", help="API key that it accepts; default: emulator-key"
    )


def run(args: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM."""
    try:
        asyncio.run(_serve(args.host, args.port, args.key))
    except OSError as error:
        print(f"cannot listen: {error.strerror}", file=sys.stderr)
        return 1
    return 0


async def _serve(host: str, port: int, secret: str | None) -> None:
    # Here, because the drawing is an extra of its own and takes long to import.
    from gateway.emulator import (  # noqa: PLC0415 - see above
        DEFAULT_KEY,
        AccountSettings,
        Emulator,
        EmulatorSettings,
        KeySettings,
    )

    key = KeySettings(id="k1", secret=DEFAULT_KEY if secret is None else secret)
    settings = EmulatorSettings(accounts=(AccountSettings(id="emulator", keys=(key,)),))
    async with Emulator(settings, host=host, port=port) as emulator:
        print(f"Photoroom emulator at {emulator.url}", flush=True)
        await until_told_to_stop()


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= _LAST_PORT):
        raise argparse.ArgumentTypeError(f"has to be a number from 0 to {_LAST_PORT}")
    return int(text)
