"""A configuration is read again when a file that it was read from has changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from gateway.config.files import Looks, ReadFiles
from gateway.config.mistakes import ConfigError
from gateway.config.model import Config

__all__ = ["INTERVAL", "ConfigWatch"]

INTERVAL: Final = 2.0
"""Seconds between two looks at the files."""


class ConfigWatch:
    """Reads a configuration, and tells what came of each later reading.

    `read` reads it and notes every file that it opens; it raises ConfigError. The files are looked at by
    path, every `interval` seconds: that also sees the links turned by which Kubernetes replaces mounted
    files, and network file systems, which tell of no change. A change counts once nothing has changed
    for one interval: a file that is being written is left alone until its writer pauses.
    """

    def __init__(self, read: Callable[[ReadFiles], Config], *, interval: float = INTERVAL) -> None:
        self._read = read
        self._interval = interval
        self._files = ReadFiles()
        self._seen: Looks = {}
        self._hurried = asyncio.Event()

    def load(self) -> Config:
        """Read the configuration now. Raises ConfigError; the files are watched from here on even so."""
        files = ReadFiles()
        try:
            return self._read(files)
        finally:
            self._files = files

    def hurry(self) -> None:
        """Have the configuration read at once, whether or not a file seems to have changed."""
        self._hurried.set()

    async def reading(self) -> Config | ConfigError:
        """Wait for the next reading, and return what came of it."""
        while True:
            hurried = await self._due()
            # File systems may stall; the calls of the gateway must not.
            reading = await asyncio.to_thread(self.look, hurried=hurried)
            if reading is not None:
                return reading

    def look(self, *, hurried: bool = False) -> Config | ConfigError | None:
        """Read the configuration again if it is time to, else return None.

        It is time when a file has changed, and none since the look before. A reading during which a file
        changed is dropped: it may be half of the old and half of the new.
        """
        seen = self._files.now()
        is_quiet, self._seen = seen == self._seen, seen
        if not hurried and (seen == self._files.before or not is_quiet):
            return None
        try:
            reading: Config | ConfigError = self.load()
        except ConfigError as error:
            reading = error
        return reading if self._files.now() == self._files.before else None

    async def _due(self) -> bool:
        """Wait for the next look; tell whether it was asked for."""
        try:
            async with asyncio.timeout(self._interval):
                await self._hurried.wait()
        except TimeoutError:
            return False
        self._hurried.clear()
        return True
