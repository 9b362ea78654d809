"""The configuration as commands read it: all that is wrong goes to standard error."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from gateway.config import Config, ConfigError, Mistake, RedisServers, load_config
from gateway.store.address import parse_url

__all__ = ["read_config"]


def read_config(path: Path) -> Config | None:
    """Return the configuration in a file, or None after printing every mistake."""
    try:
        config = load_config(path, os.environ)
        mistakes = tuple(_redis(config))
    except ConfigError as error:
        config, mistakes = None, error.mistakes
    for mistake in mistakes:
        print(f"{path}: {mistake}", file=sys.stderr)
    return None if mistakes else config


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
