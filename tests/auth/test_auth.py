"""Credential -> tenant, or administrator."""

from __future__ import annotations

import asyncio
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.auth import LONGEST_CREDENTIAL, HashedKeys
from gateway.domain.errors import NotAdmin, Unauthenticated
from gateway.domain.tenant import Admin, Caller, Tenant
from gateway.ports import AdminAuthenticator, Authenticator

KEY, SANDBOX_KEY, LONG_KEY = "pg_catalog_canary", "pg_trial_canary", "k" * LONGEST_CREDENTIAL
ADMIN_KEY, REVOKED_KEY, REVOKED_ADMIN_KEY = "pg_ops_canary", "pg_old_canary", "pg_left_canary"
CATALOG, TRIAL, LONG = Tenant("catalog"), Tenant("trial", sandbox=True), Tenant("long")
OPS = Admin("ops")


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


class Denied:
    """A DenyList that never changes."""

    def __init__(self, *keys: str) -> None:
        self._digests = {bytes.fromhex(sha256(key)) for key in keys}

    async def is_denied(self, credential_sha256: bytes) -> bool:
        return credential_sha256 in self._digests


KEYS = HashedKeys(
    {
        sha256(KEY): CATALOG,
        sha256(SANDBOX_KEY).upper(): TRIAL,
        sha256(LONG_KEY): LONG,
        sha256(REVOKED_KEY): CATALOG,
    },
    {sha256(ADMIN_KEY): OPS, sha256(REVOKED_ADMIN_KEY): OPS},
    denied=Denied(REVOKED_KEY, REVOKED_ADMIN_KEY),
)
TENANTS: Authenticator = KEYS
ADMINS: AdminAuthenticator = KEYS


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
    assert caller == await TENANTS.authenticate(credential)


async def test_other_keys_can_be_put_in_their_place() -> None:
    keys = HashedKeys({sha256(KEY): CATALOG, sha256(LONG_KEY): LONG}, {}, denied=Denied())
    moved = Tenant("catalog", shared_scope="retail")
    scopes = keys.scopes
    keys.replace({sha256(KEY): moved, sha256(SANDBOX_KEY): TRIAL}, {sha256(ADMIN_KEY): OPS})

    assert Caller(moved, sandbox=False) == await keys.authenticate(KEY)
    assert Caller(TRIAL, sandbox=True) == await keys.authenticate(SANDBOX_KEY)
    assert OPS == await keys.authenticate_admin(ADMIN_KEY)
    with pytest.raises(Unauthenticated):
        await keys.authenticate(LONG_KEY)
    assert "" == keys.owner(bytes.fromhex(sha256(LONG_KEY)))
    assert {"catalog": "shared:retail", "trial": "tenant:trial"} == scopes


class Held:
    """A DenyList that answers when it is told to."""

    def __init__(self) -> None:
        self.asked, self.answer = asyncio.Event(), asyncio.Event()

    async def is_denied(self, credential_sha256: bytes) -> bool:  # noqa: ARG002 - the port's
        self.asked.set()
        await self.answer.wait()
        return False


async def test_a_call_that_is_being_authenticated_ends_as_it_began() -> None:
    held = Held()
    keys = HashedKeys({sha256(KEY): CATALOG}, {}, denied=held)
    call = asyncio.ensure_future(keys.authenticate(KEY))
    await held.asked.wait()
    keys.replace({sha256(LONG_KEY): LONG}, {})
    held.answer.set()
    assert CATALOG == (await call).tenant


async def refusal(credential: str | None) -> str:
    with pytest.raises(Unauthenticated) as caught:
        await TENANTS.authenticate(credential)
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
        ADMIN_KEY,
        REVOKED_KEY,
        f"sandbox_{REVOKED_KEY}",
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
    assert "HashedKeys(6 keys)" == repr(KEYS)


async def test_an_administrator_s_key_is_the_administrator_s() -> None:
    assert OPS == await ADMINS.authenticate_admin(ADMIN_KEY)


@pytest.mark.parametrize("key", [KEY, SANDBOX_KEY, LONG_KEY])
async def test_a_tenant_s_key_is_no_administrator_s(key: str) -> None:
    with pytest.raises(NotAdmin):
        await ADMINS.authenticate_admin(key)


@pytest.mark.parametrize(
    "key",
    [None, "", "unknown", f"sandbox_{ADMIN_KEY}", REVOKED_ADMIN_KEY, REVOKED_KEY, f"{LONG_KEY}k"],
)
async def test_an_administrator_has_to_be_known_and_not_revoked(key: str | None) -> None:
    """A tenant's revoked key too is told no more than one that nobody knows."""
    with pytest.raises(Unauthenticated):
        await ADMINS.authenticate_admin(key)


@pytest.mark.parametrize(
    ("owner", "key"),
    [("catalog", KEY), ("catalog", REVOKED_KEY), ("ops", ADMIN_KEY), ("", "unknown")],
)
def test_the_owner_of_a_key_is_told_by_its_sha256(owner: str, key: str) -> None:
    assert owner == ADMINS.owner(bytes.fromhex(sha256(key)))
