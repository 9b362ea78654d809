"""Who may call, and what administrators change for all replicas."""

from __future__ import annotations

from typing import Protocol

from gateway.domain.caching import Purge
from gateway.domain.edit import Operation
from gateway.domain.tenant import Admin, Caller

__all__ = ["AdminAuthenticator", "Administration", "Authenticator", "DenyList", "EpochSource"]


class Authenticator(Protocol):
    """Credential -> who calls."""

    async def authenticate(self, credential: str | None) -> Caller:
        """Return the caller. Raises Unauthenticated."""
        ...


class EpochSource(Protocol):
    """When results were last purged, whatever the reach of the purge."""

    async def epoch(self, scope: str, operation: Operation, digest: str) -> int:
        """Return the epoch of an edit's results. It rises with every purge that reaches them."""
        ...


class DenyList(Protocol):
    """The credentials that were revoked since the configuration was read."""

    async def is_denied(self, credential_sha256: bytes) -> bool:
        """Whether the credential of this SHA-256 (32 bytes) is refused."""
        ...


class AdminAuthenticator(Protocol):
    """Credential -> which administrator calls."""

    async def authenticate_admin(self, credential: str | None) -> Admin:
        """Return the administrator. Raises Unauthenticated; NotAdmin for a tenant's credential."""
        ...

    def owner(self, credential_sha256: bytes) -> str:
        """Return whose the credential of this SHA-256 is, a tenant's or administrator's id, else ""."""
        ...


class Administration(Protocol):
    """What administrators change on all replicas at once. Done twice, a change is as done once.

    Both raise StateUnavailable: then nobody knows whether the change was made.
    """

    async def purge(self, purge: Purge) -> int:
        """Disown the stored results that `purge` reaches; return their new epoch.

        Raises TooManyPurges.
        """
        ...

    async def revoke(self, credential_sha256: bytes) -> None:
        """Refuse the credential of this SHA-256 (32 bytes) from now on."""
        ...
