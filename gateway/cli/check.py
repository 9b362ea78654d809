"""`check`: says all that is wrong with a configuration, and what of it is not in force yet."""

from __future__ import annotations

import argparse
from pathlib import Path

from gateway.cli.settings import read_config
from gateway.config import not_in_force, reference

__all__ = ["HELP", "NAME", "configure", "run"]

NAME = "check"
HELP = "say all that is wrong with a configuration, or print its reference"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--config", type=Path, metavar="FILE", help="the configuration to check")
    what.add_argument(
        "--reference", action="store_true", help="print every key that there is, as Markdown"
    )


def run(args: argparse.Namespace) -> int:
    """Check, or print the reference."""
    if args.reference:
        print(reference(), end="")
        return 0
    config = read_config(args.config)
    if config is None:
        return 1
    print("ok")
    for path in not_in_force(config):
        print(f"not in force yet: {path}")
    return 0
