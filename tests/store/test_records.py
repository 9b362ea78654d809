"""Entries and manifests: what is written is read; anything else is nothing, and never an error."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from gateway.store.keyspace import CHUNK_BYTES, scope_keys
from gateway.store.records import Entry, Manifest

KEYS = scope_keys(b"master", "catalog")
NAME = "pg1:e:00"
TEXT = st.text(st.characters(), max_size=40)  # lone surrogates too: a header may have brought them
SHA256 = st.binary(min_size=32, max_size=32).map(bytes.hex)
TIME = st.floats(min_value=0.0, max_value=4e9)
ENTRIES = st.builds(
    Entry,
    sha256=SHA256,
    size=st.integers(0, 1 << 40),
    media_type=TEXT,
    headers=st.lists(st.tuples(TEXT, TEXT), max_size=5).map(tuple),
    cost_milli=st.integers(0, 1 << 40),
    stored_at=TIME,
    expires_at=TIME,
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(TEXT, inner, max_size=3),
)


@given(ENTRIES)
def test_an_entry_is_read_as_it_was_written(entry: Entry) -> None:
    assert entry == Entry.decode(entry.encode(KEYS, NAME), KEYS, NAME)


@given(ENTRIES)
def test_an_entry_counts_under_its_own_name_and_in_its_own_scope_only(entry: Entry) -> None:
    raw = entry.encode(KEYS, NAME)
    assert Entry.decode(raw, KEYS, NAME + "1") is None
    assert Entry.decode(raw, scope_keys(b"master", "web"), NAME) is None


@given(ENTRIES, st.data())
def test_no_changed_byte_goes_unseen(entry: Entry, data: st.DataObject) -> None:
    raw = bytearray(entry.encode(KEYS, NAME))
    index = data.draw(st.integers(0, len(raw) - 1))
    raw[index] ^= data.draw(st.integers(1, 255))
    assert Entry.decode(bytes(raw), KEYS, NAME) is None


@given(st.binary(max_size=300))
def test_garbage_is_no_entry(raw: bytes) -> None:
    assert Entry.decode(raw, KEYS, NAME) is None


@given(st.binary(max_size=300) | JSON.map(lambda value: b"\x01" + json.dumps(value).encode()))
def test_sealed_garbage_is_no_entry_and_no_error(value: bytes) -> None:
    """Such as a later version of this code might write under a name that it should have changed."""
    assert Entry.decode(KEYS.seal(NAME, value) + value, KEYS, NAME) is None


@given(SHA256, st.integers(0, 1 << 40))
def test_a_manifest_is_read_as_it_was_written(sha256: str, size: int) -> None:
    manifest = Manifest(sha256, size)
    assert manifest == Manifest.decode(manifest.encode())
    assert manifest.chunks * CHUNK_BYTES >= size > (manifest.chunks - 1) * CHUNK_BYTES


@given(st.binary(max_size=80))
def test_garbage_is_a_manifest_of_this_version_and_length_or_none(raw: bytes) -> None:
    decoded = Manifest.decode(raw)
    assert (len(raw) == 41 and raw[0] == 1) == (decoded is not None)
