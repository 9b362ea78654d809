"""Credential -> tenant."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final

from gateway.domain.errors import Unauthenticated
from gateway.domain.tenant import Caller, Tenant

__all__ = ["LONGEST_CREDENTIAL", "SANDBOX_PREFIX", "HashedKeys"]

SANDBOX_PREFIX: Final = "sandbox_"
"""Put before a tenant's key, it makes the call a sandbox call, as with the upstream's own keys."""

LONGEST_CREDENTIAL: Final = 512
"""Characters of a credential, its prefix included. A longer one is not even hashed."""


class HashedKeys:
    """Implements `Authenticator` for keys of which only the SHA-256 is known.

    `tenants` has the tenant of each key by the key's SHA-256 in hex. A plain look-up is safe here: how
    long it takes depends on the digest of the guess, and nobody can steer a digest towards a stored one,
    so the time tells nothing of a key. Keys are random (256 bits), so that neither salt nor a slow hash
    would make them harder to find.
    """

    def __init__(self, tenants: Mapping[str, Tenant]) -> None:
        self._tenants = {bytes.fromhex(digest): tenant for digest, tenant in tenants.items()}

    def __repr__(self) -> str:
        return f"HashedKeys({len(self._tenants)} keys)"

    async def authenticate(self, credential: str | None) -> Caller:
        """Return the caller. Raises Unauthenticated, the same for every key that is nobody's."""
        if not credential:
            raise Unauthenticated("No key: send it as `x-api-key`, or as `Authorization: Bearer`.")
        key = credential.removeprefix(SANDBOX_PREFIX)
        tenant = self._owner(key) if len(credential) <= LONGEST_CREDENTIAL else None
        if tenant is None:
            raise Unauthenticated("The key is not known.")
        return Caller(tenant, sandbox=tenant.sandbox or key != credential)

    def _owner(self, key: str) -> Tenant | None:
        # A header may bring bytes that are no text; they make no key, and no error of ours either.
        return self._tenants.get(hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest())
