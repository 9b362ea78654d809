"""The configuration as commands read it: all that is wrong goes to standard error."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from gateway.config import (
    Config,
    ConfigError,
    ConfigWatch,
    Mistake,
    ReadFiles,
    RedisServers,
    load_config,
)
from gateway.store.address import parse_url

__all__ = ["read_config", "watch_of"]


def watch_of(path: Path) -> ConfigWatch:
    """Return what reads the configuration in a file, and reads it again when it changes."""
    return ConfigWatch(partial(_read, path))


def read_config(path: Path, watch: ConfigWatch | None = None) -> Config | None:
    """Return the configuration in a file, or None after printing every mistake.

    `watch` is that of the file, if it is to be watched from here on.
    """
    try:
        return (watch or watch_of(path)).load()
    except ConfigError as error:
        for mistake in error.mistakes:
            print(f"{path}: {mistake}", file=sys.stderr)
        return None


def _read(path: Path, files: ReadFiles) -> Config:
    """Read a configuration that `serve` can use. Raises ConfigError."""
    config = load_config(path, os.environ, files)
    if mistakes := tuple(_redis(config)):
        raise ConfigError(mistakes)
    return config


def _redis(config: Config) -> Iterator[Mistake]:
    """Yield what the store does not understand: it alone knows which URLs it can use."""
    if config.redis is None:
        yield Mistake(
            "redis", "is missing: name the servers, or say `embedded` for a single replica"
        )
    if not isinstance(config.redis, RedisServers):
        return
    for name, url in config.redis:
        try:
            if url is not None:
                parse_url(url.get_secret_value())
        except ValueError as error:
            yield Mistake(f"redis.{name}", str(error))
