"""The board, the book and the marks of a replica without a state Redis."""

from __future__ import annotations

import asyncio

from gateway.domain.caching import Purge
from gateway.domain.edit import Operation
from gateway.domain.errors import StateUnavailable
from gateway.ports import BoardUnavailable, Hold, Joined, Lead, Replay

__all__ = ["NoBook", "NoMarks", "SoloBoard"]


class SoloBoard:
    """A FlightBoard without a Redis: equal calls of one process are merged before they come here."""

    async def join(self, flight: str, *, timeout: float, seen: int, token: str) -> Joined:  # noqa: ASYNC109 - the port's
        del timeout
        return Lead(flight, epoch=max(seen, 0) + 1, token=token)

    async def sent(self, lead: Lead, hold: Hold | None = None) -> bool:
        del lead, hold
        return True

    async def complete(self, lead: Lead, outcome: str, message: str = "") -> None:
        del lead, outcome, message

    async def release(self, lead: Lead) -> None:
        del lead

    async def woken(self, flight: str, wait: float) -> None:
        del flight
        await asyncio.sleep(wait)


class NoBook:
    """A ReplayBook that keeps nothing: calls under an idempotency key cannot be honoured."""

    async def open(self, slot: str, request: str) -> Replay | None:
        del slot, request
        raise BoardUnavailable

    async def close(self, slot: str, request: str, replay: Replay) -> None:
        del slot, request, replay
        raise BoardUnavailable


class NoMarks:
    """EpochSource, DenyList and Administration where nothing is stored and no other replica is."""

    async def epoch(self, scope: str, operation: Operation, digest: str) -> int:
        del scope, operation, digest
        return 0

    async def is_denied(self, credential_sha256: bytes) -> bool:
        del credential_sha256
        return False

    async def purge(self, purge: Purge) -> int:
        del purge
        raise StateUnavailable("No Redis is configured, so no result is stored.")

    async def revoke(self, credential_sha256: bytes) -> None:
        del credential_sha256
        raise StateUnavailable(
            "No Redis is configured: take the credential from the configuration."
        )
