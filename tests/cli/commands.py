"""The command as a process of its own."""

from __future__ import annotations

import subprocess
import sys

__all__ = ["COMMAND", "run"]

COMMAND = [sys.executable, "-m", "gateway"]


def run(*arguments: str, environ: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run photoroom-gateway to its end, with nothing in its environment but `environ`."""
    return subprocess.run(
        [*COMMAND, *arguments],
        env=environ or {},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
