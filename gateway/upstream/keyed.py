"""Photoroom with any key of the ring, named by its fingerprint."""

from __future__ import annotations

from typing import Protocol

from gateway.domain.answer import Answer
from gateway.domain.errors import UpstreamError, UpstreamUnreachable
from gateway.ports import Purchase
from gateway.upstream.keyring import KeyRing
from gateway.upstream.reading import Reply
from gateway.upstream.settings import UpstreamKey

__all__ = ["KeyedUpstream", "Sender"]


class Sender(Protocol):
    """Sends with one key: `PhotoroomClient`, and what wraps it."""

    async def send(self, purchase: Purchase, key: UpstreamKey) -> Answer:
        """Send the purchase once. Raises as `PhotoroomClient.send` does."""
        ...

    async def ask_account(self, version: str, key: UpstreamKey) -> Reply:
        """Ask `v2` or `v1` for the key's account. Free. Raises UpstreamError."""
        ...


class KeyedUpstream:
    """Implements `Upstream` and `KeyCheck` over the keys of a ring."""

    def __init__(self, sender: Sender, ring: KeyRing) -> None:
        self._sender = sender
        self._ring = ring

    async def buy(self, purchase: Purchase, key: str) -> Answer:
        """Buy one edit with the key of that fingerprint: at most one charge.

        Raises as `PhotoroomClient.send` does, and UpstreamUnreachable for a key that is no longer in
        the ring.
        """
        held = self._ring.find(key)
        if held is None:
            raise UpstreamUnreachable("The key of this call was taken away before it was sent.")
        return await self._sender.send(purchase, held)

    async def is_forbidden(self, key: str) -> bool:
        """Whether the key may not even ask for its account. Raises nothing."""
        held = self._ring.find(key)
        if held is None:
            return False
        try:
            reply = await self._sender.ask_account("v2", held)
        except UpstreamError:
            return False
        return reply.status in {401, 403}
