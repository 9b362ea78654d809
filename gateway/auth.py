"""Credential -> tenant, or administrator."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final

from gateway.domain.errors import NotAdmin, Unauthenticated
from gateway.domain.tenant import SANDBOX_PREFIX, Admin, Caller, Tenant
from gateway.ports import DenyList

__all__ = ["LONGEST_CREDENTIAL", "HashedKeys"]

LONGEST_CREDENTIAL: Final = 512
"""Characters of a credential, its prefix included. A longer one is not even hashed."""


class HashedKeys:
    """Implements both authenticators for keys of which only the SHA-256 is known.

    `tenants` and `admins` have the owner of each key by the key's SHA-256 in hex; no key is both's. A
    key that is denied is nobody's. A plain look-up is safe here: how long it takes depends on the digest
    of the guess, and nobody can steer a digest towards a stored one, so the time tells nothing of a key.
    Keys are random (256 bits), so that neither salt nor a slow hash would make them harder to find.

    `scopes` has the scope of each tenant by its id; it is always this one mapping, whoever the tenants are.
    """

    def __init__(
        self, tenants: Mapping[str, Tenant], admins: Mapping[str, Admin], denied: DenyList
    ) -> None:
        self._denied = denied
        self._owners: dict[bytes, Tenant | Admin] = {}
        self.scopes: dict[str, str] = {}
        self.replace(tenants, admins)

    def __repr__(self) -> str:
        return f"HashedKeys({len(self._owners)} keys)"

    def replace(self, tenants: Mapping[str, Tenant], admins: Mapping[str, Admin]) -> None:
        """Know these keys and no others from now on. Calls that are under way finish."""
        owners: Mapping[str, Tenant | Admin] = {**tenants, **admins}
        self._owners = {bytes.fromhex(digest): owner for digest, owner in owners.items()}
        self.scopes.clear()
        self.scopes.update({tenant.id: tenant.scope for tenant in tenants.values()})

    async def authenticate(self, credential: str | None) -> Caller:
        """Return the caller. Raises Unauthenticated, the same for every key that is no tenant's."""
        key = (credential or "").removeprefix(SANDBOX_PREFIX)
        tenant = await self._authenticated(credential, key)
        if not isinstance(tenant, Tenant):
            raise _unknown()
        return Caller(tenant, sandbox=tenant.sandbox or key != credential)

    async def authenticate_admin(self, credential: str | None) -> Admin:
        """Return the administrator. Raises Unauthenticated; NotAdmin for a tenant's key."""
        owner = await self._authenticated(credential, credential or "")
        if isinstance(owner, Tenant):
            raise NotAdmin("The key is a tenant's; this service is for administrators.")
        return owner

    def owner(self, credential_sha256: bytes) -> str:
        """Return the id of the tenant or administrator whose key has this SHA-256, else ""."""
        found = self._owners.get(credential_sha256)
        return "" if found is None else found.id

    async def _authenticated(self, credential: str | None, key: str) -> Tenant | Admin:
        """Return the owner of `key`, which is `credential` without what may stand before it."""
        if not credential:
            raise Unauthenticated("No key: send it as `x-api-key`, or as `Authorization: Bearer`.")
        if len(credential) > LONGEST_CREDENTIAL:
            raise _unknown()
        # A header may bring bytes that are no text; they make no key, and no error of ours either.
        digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
        owner = self._owners.get(digest)
        if owner is None or await self._denied.is_denied(digest):
            raise _unknown()
        return owner


def _unknown() -> Unauthenticated:
    return Unauthenticated("The key is not known.")
