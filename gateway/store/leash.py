"""Runs a server that must not outlive us.

    python leash.py PARENT SERVER [ARGUMENT...]

Asks the kernel to kill this process as soon as the process PARENT is gone, however that ended, and then
becomes SERVER. A file of its own and not a hook between fork and exec: Python code there may deadlock in
a process with threads. Linux only; elsewhere a server ends when it is stopped.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

__all__ = ["leashed"]

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>; it survives exec


def leashed(command: Sequence[str]) -> list[str]:
    """Return the command that runs `command` as a child of this process and dies with it.

    To the kernel the parent is the thread that starts it: start it from one that lasts.
    """
    if sys.platform != "linux":
        return list(command)
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *command]


def _main(parent: int, command: list[str]) -> None:
    if ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        raise OSError("prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:
        raise SystemExit("the parent has ended already")
    os.execv(command[0], command)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    _main(int(sys.argv[1]), sys.argv[2:])
