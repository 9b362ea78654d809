"""`keys new`: a key, and what the configuration holds of it."""

from __future__ import annotations

import re

import pytest
import yaml

from gateway.auth import HashedKeys
from gateway.cli import main
from gateway.config import parse_config
from gateway.store.solo import NoMarks
from tests.config.documents import ENVIRON, HASHES, VALID


def new_key(capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    """Return the key and the line for the configuration."""
    assert 0 == main(["keys", "new", "catalog"])
    shown = capsys.readouterr().out
    line = next(line for line in shown.splitlines() if line.startswith("credentials_sha256"))
    return yaml.safe_load(shown)["key"], line


def test_a_key_is_random_and_tells_its_tenant(capsys: pytest.CaptureFixture[str]) -> None:
    keys = {new_key(capsys)[0] for _ in range(3)}
    assert 3 == len(keys)
    assert all(re.fullmatch(r"pg_catalog_[A-Za-z0-9_-]{43}", key) for key in keys)


async def test_the_line_makes_the_key_the_tenants(capsys: pytest.CaptureFixture[str]) -> None:
    key, line = new_key(capsys)
    text = VALID.replace(f'credentials_sha256: ["{HASHES[0]}"]', line)
    keys = HashedKeys(parse_config(text, ENVIRON).tenants_by_credential(), {}, denied=NoMarks())
    caller = await keys.authenticate(key)
    assert ("catalog", False) == (caller.tenant.id, caller.sandbox)
