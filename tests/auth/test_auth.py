"""Credential -> tenant."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.auth import LONGEST_CREDENTIAL, HashedKeys
from gateway.domain.errors import Unauthenticated
from gateway.domain.tenant import Caller, Tenant
from gateway.ports import Authenticator

KEY, SANDBOX_KEY, LONG_KEY = "pg_catalog_canary", "pg_trial_canary", "k" * LONGEST_CREDENTIAL
CATALOG, TRIAL, LONG = Tenant("catalog"), Tenant("trial", sandbox=True), Tenant("long")


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


KEYS: Authenticator = HashedKeys(
    {sha256(KEY): CATALOG, sha256(SANDBOX_KEY).upper(): TRIAL, sha256(LONG_KEY): LONG}
)


@pytest.mark.parametrize(
    ("caller", "credential"),
    [
        (Caller(CATALOG, sandbox=False), KEY),
        (Caller(CATALOG, sandbox=True), f"sandbox_{KEY}"),
        (Caller(TRIAL, sandbox=True), SANDBOX_KEY),
        (Caller(TRIAL, sandbox=True), f"sandbox_{SANDBOX_KEY}"),
        (Caller(LONG, sandbox=False), LONG_KEY),
    ],
)
async def test_a_key_is_its_tenants(caller: Caller, credential: str) -> None:
    assert caller == await KEYS.authenticate(credential)


async def refusal(credential: str | None) -> str:
    with pytest.raises(Unauthenticated) as caught:
        await KEYS.authenticate(credential)
    return str(caught.value)


@pytest.mark.parametrize(
    "credential",
    [
        "unknown",
        KEY.upper(),
        KEY[:-1],
        f" {KEY}",
        f"{KEY}\n",
        "sandbox_",
        f"sandbox_sandbox_{KEY}",
        f"sandbox_{LONG_KEY}",
        "x" * (LONGEST_CREDENTIAL + 1),
        sha256(KEY),
        "schlüssel",
        "\udcff",
        "key\ud800",
        "\0",
    ],
)
async def test_whatever_is_nobodys_is_refused_alike(credential: str) -> None:
    """The answer does not tell a malformed key from an unknown one, and repeats neither."""
    assert "The key is not known." == await refusal(credential)


@pytest.mark.parametrize("credential", [None, ""])
async def test_a_call_without_a_key_is_told_where_to_put_it(credential: str | None) -> None:
    assert "x-api-key" in await refusal(credential)


@given(st.text(min_size=1))
async def test_any_other_text_is_nobodys(credential: str) -> None:
    assert "The key is not known." == await refusal(credential)


def test_its_repr_shows_no_digest() -> None:
    assert "HashedKeys(3 keys)" == repr(KEYS)
