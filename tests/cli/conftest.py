"""Servers of the tests' own."""

from __future__ import annotations

from tests.servers.fixtures import start_server, valkey, valkey_program

__all__ = ["start_server", "valkey", "valkey_program"]
