"""A Redis for the book of accounts."""

from __future__ import annotations

from tests.servers.fixtures import start_server, valkey, valkey_program

__all__ = ["start_server", "valkey", "valkey_program"]
