"""The names of the keys: golden, opaque, and each blob's in one slot."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.crc import key_slot

from gateway.store import keyspace
from gateway.store.keyspace import scope_keys

MASTER = bytes(range(32))
DIGEST, SHA256 = "d" * 64, "5" * 64


def test_the_names_are_these() -> None:
    """A change disowns every stored result: it needs a new format version, `pg1`, and a new list here."""
    keys = scope_keys(MASTER, "catalog")
    blob = keys.blob(SHA256)
    assert [
        "pg1:e:544c37ee2f0475e1cdd53acb3dd4fb1609ebe78907705d1654229bb3e92c59e4",
        "pg1:b:{1a645e91650506dd08ea00fef5b31f47d3c19f0d78f2a851f59b6486cd8502aa}:m",
        "pg1:b:{1a645e91650506dd08ea00fef5b31f47d3c19f0d78f2a851f59b6486cd8502aa}:0",
        "pg1:b:{1a645e91650506dd08ea00fef5b31f47d3c19f0d78f2a851f59b6486cd8502aa}:1",
        "pg1:{ctl}:cache-secret",
        "pg1:{ctl}:tick",
        "pg1:{ctl}:replicas",
        "pg1:tick",
    ] == [
        keys.entry(123, DIGEST),
        blob.manifest,
        *blob.chunks(0, 2),
        keyspace.CACHE_SECRET,
        keyspace.TICK,
        keyspace.REPLICAS,
        keyspace.TICK_CHANNEL,
    ]


def test_the_names_of_what_is_under_way_and_spent_are_these() -> None:
    """Replicas of two versions side by side must mean the same; `test_ledger` has the ledger's own."""
    assert [
        "pg1:{ctl}:",
        "pg1:{ctl}:journal",
        "pg1:{ctl}:budget:shop:1798761600000",
        "pg1:{ctl}:requests:shop",
        "pg1:{ctl}:flight:f1",
        "pg1:{ctl}:replay:s1",
        "pg1:wake:",
    ] == [
        keyspace.LEDGER_ROOT,
        keyspace.JOURNAL,
        keyspace.budget_key("shop", 1_798_761_600_000),
        keyspace.requests_key("shop"),
        keyspace.flight_key("f1"),
        keyspace.replay_key("s1"),
        keyspace.WAKE_PREFIX,
    ]


def test_a_name_shows_neither_scope_nor_digest_nor_sha256() -> None:
    keys = scope_keys(MASTER, "catalog")
    names = keys.entry(0, DIGEST) + keys.blob(SHA256).manifest
    for secret in ("catalog", DIGEST[:8], SHA256[:8], hashlib.sha256(b"catalog").hexdigest()[:8]):
        assert secret not in names


@pytest.mark.parametrize(
    "other",
    [
        scope_keys(MASTER, "catalog").entry(124, DIGEST),
        scope_keys(MASTER, "catalog").entry(123, DIGEST[:-1] + "e"),
        scope_keys(MASTER, "catalog2").entry(123, DIGEST),
        scope_keys(b"another master secret", "catalog").entry(123, DIGEST),
    ],
)
def test_epoch_digest_scope_and_secret_each_change_an_entry_s_name(other: str) -> None:
    assert other != scope_keys(MASTER, "catalog").entry(123, DIGEST)


@given(scope=st.text(), sha256=st.binary(min_size=32, max_size=32), chunk=st.integers(0, 200))
def test_all_keys_of_a_blob_are_in_one_slot(scope: str, sha256: bytes, chunk: int) -> None:
    blob = scope_keys(MASTER, scope).blob(sha256.hex())
    [name] = blob.chunks(chunk, chunk + 1)
    assert key_slot(blob.manifest.encode()) == key_slot(name.encode())


@pytest.mark.parametrize("changed", ["scope", "name", "value", "master"])
def test_a_seal_holds_for_one_value_under_one_name_in_one_scope(changed: str) -> None:
    seal = scope_keys(MASTER, "catalog").seal("name", b"value")
    other = {
        "scope": scope_keys(MASTER, "web").seal("name", b"value"),
        "name": scope_keys(MASTER, "catalog").seal("name2", b"value"),
        "value": scope_keys(MASTER, "catalog").seal("name", b"value2"),
        "master": scope_keys(b"another", "catalog").seal("name", b"value"),
    }[changed]
    assert 16 == len(seal)
    assert seal != other


def test_a_chunk_is_just_below_a_power_of_two() -> None:
    assert (1 << 19) - 64 == keyspace.CHUNK_BYTES
