"""`protos`: writes the messages and services to a folder, for clients in other languages."""

from __future__ import annotations

import argparse
import sys
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

__all__ = ["HELP", "NAME", "configure", "run"]

NAME = "protos"
HELP = "write the gateway's .proto files to a folder"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "folder", type=Path, metavar="DIR", help="made if it is not there; files are replaced"
    )


def run(args: argparse.Namespace) -> int:
    """Write the files under the folder, which is what `protoc -I` wants."""
    try:
        written = _copy(_protos(), args.folder)
    except OSError as error:
        print(f"{error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    print(f"wrote {written} files to {args.folder}")
    return 0


def _protos() -> Traversable:
    """Return the folder that a wheel brings, or that of the checkout of an editable install."""
    package = resources.files("gateway")
    packaged = package / "protos"
    return packaged if packaged.is_dir() else package / ".." / "proto"


def _copy(source: Traversable, target: Path) -> int:
    """Copy the .proto files of a folder and of those inside it; return how many there were."""
    copied = 0
    for item in source.iterdir():
        if item.is_dir():
            copied += _copy(item, target / item.name)
        elif item.name.endswith(".proto"):
            target.mkdir(parents=True, exist_ok=True)
            (target / item.name).write_bytes(item.read_bytes())
            copied += 1
    return copied
