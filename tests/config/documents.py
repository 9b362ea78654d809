"""Configurations that the tests share."""

from __future__ import annotations

from gateway.config import ConfigError, parse_config

__all__ = [
    "CANARY",
    "ENVIRON",
    "HASHES",
    "VALID",
    "WITH_REDIS",
    "mistakes",
    "with_tenant",
    "with_upstream_key",
]

CANARY = "sk_pr_canary_0123456789"
ENVIRON = {"KEY_1": CANARY, "KEY_2": "sk_pr_another_0123456789"}
HASHES = tuple(f"{number:064x}" for number in range(0xA0, 0xA8))

VALID = f"""
upstream:
  accounts:
    - id: main
      keys: [{{id: k1, secret_env: KEY_1}}]
tenants:
  - id: catalog
    credentials_sha256: ["{HASHES[0]}"]
"""

WITH_REDIS = f"redis: embedded{VALID}"
"""What `serve` starts with."""


def with_upstream_key(fields: str) -> str:
    """Return the valid configuration with other fields in its upstream key."""
    return VALID.replace("id: k1, secret_env: KEY_1", fields)


def with_tenant(fields: str) -> str:
    """Return the valid configuration with one more field in its tenant."""
    return f"{VALID}    {fields}\n"


def mistakes(text: str, environ: dict[str, str] | None = None) -> list[tuple[str, str]]:
    """Return path and text of all that is wrong."""
    try:
        parse_config(text, ENVIRON if environ is None else environ)
    except ConfigError as error:
        return [(mistake.path, mistake.text) for mistake in error.mistakes]
    return []
