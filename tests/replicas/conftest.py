"""Servers of every topology, and a picture that no other test edits."""

from __future__ import annotations

from tests.e2e.conftest import picture
from tests.servers.fixtures import (
    redis_cluster,
    redis_program,
    sentinel_set,
    start_server,
    valkey_program,
)

__all__ = [
    "picture",
    "redis_cluster",
    "redis_program",
    "sentinel_set",
    "start_server",
    "valkey_program",
]
