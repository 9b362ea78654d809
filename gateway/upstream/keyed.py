"""Photoroom with any key of the ring, named by its fingerprint."""

from __future__ import annotations

from typing import Final, Protocol

from gateway.domain.answer import Answer
from gateway.domain.errors import KeyTrouble
from gateway.domain.keys import Verdict
from gateway.ports import Purchase
from gateway.upstream.key_check import AccountCall, check_key
from gateway.upstream.keyring import KeyRing
from gateway.upstream.settings import UpstreamKey

__all__ = ["KeyedUpstream", "Sender"]

_NOT_KNOWN: Final = frozenset({Verdict.REJECTED, Verdict.FORBIDDEN})


class Sender(AccountCall, Protocol):
    """Sends with one key, and asks for its account: `PhotoroomClient`, and what wraps it."""

    async def send(self, purchase: Purchase, key: UpstreamKey) -> Answer:
        """Send the purchase once. Raises as `PhotoroomClient.send` does."""
        ...


class KeyedUpstream:
    """Implements `Upstream` and `KeyCheck` over the keys of a ring."""

    def __init__(self, sender: Sender, ring: KeyRing) -> None:
        self._sender = sender
        self._ring = ring

    async def buy(self, purchase: Purchase, key: str) -> Answer:
        """Buy one edit with the key of that fingerprint: at most one charge.

        Raises as `PhotoroomClient.send` does, and KeyTrouble for a key that is no longer in the ring:
        another one is asked at once.
        """
        held = self._ring.find(key)
        if held is None:
            raise KeyTrouble("The key of this call was taken away before it was sent.")
        return await self._sender.send(purchase, held)

    async def is_forbidden(self, key: str) -> bool:
        """Whether the key may not even ask for its account. Raises nothing."""
        held = self._ring.find(key)
        if held is None:
            return False
        return await check_key(self._sender, held) in _NOT_KNOWN
