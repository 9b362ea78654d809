"""Provides `redis-server`, which the Cluster, Sentinel and second-engine tests start.

Debian's `redis-server` package is no more than a service around the server, which it starts, and a
link to the server's program, which is in `redis-tools`. So `redis-tools` is installed and the link
made here: the program is there, and no service ever starts.

Standard library only: it runs before the virtual environment exists. It never fails: where the
server cannot be had, it says what that means for the tests.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

__all__ = ["main"]

PROGRAM = Path("/usr/bin/redis-check-rdb")  # what it does, it decides by the name it is called by
LINK = Path("/usr/local/bin/redis-server")


def main() -> None:
    """Installs the server when it is absent, root is at hand and so is apt."""
    if shutil.which("redis-server"):
        return
    if not (shutil.which("apt-get") and os.geteuid() == 0):
        _say("not installed: it takes apt and root. By hand: the Debian package redis-server")
        return
    print("system-deps: installing Debian's redis-tools for its redis-server", flush=True)
    try:
        _apt("update")
        _apt("install", "-y", "--no-install-recommends", "redis-tools")
        if not shutil.which("redis-server"):
            LINK.symlink_to(PROGRAM)
        subprocess.run([LINK, "--version"], check=True)
    except (subprocess.CalledProcessError, OSError) as problem:
        _say(f"could not be installed: {problem}")


def _apt(*arguments: str) -> None:
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    command = ["/usr/bin/apt-get", "-qq", *arguments]
    subprocess.run(command, check=True, env=quiet, stdout=subprocess.DEVNULL)


def _say(problem: str) -> None:
    sys.stderr.write(
        f"system-deps: redis-server {problem}.\n"
        "system-deps: the tests on Redis Cluster, Sentinel and a second engine WILL NOT RUN.\n"
    )


if __name__ == "__main__":
    main()
