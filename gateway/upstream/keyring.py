"""The upstream keys that may be used now."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.domain.keys import fingerprint
from gateway.upstream.settings import UpstreamKey

__all__ = ["KeyRing"]


class KeyRing:
    """Holds the keys in the order of the configuration, at least one.

    They may be replaced at any time. Whoever takes `keys` anew for each call uses the new ones from the
    next call on, and ends a call that is under way with those that it began with.
    """

    def __init__(self, keys: Sequence[UpstreamKey]) -> None:
        self._keys: tuple[UpstreamKey, ...] = ()
        self._named: dict[str, UpstreamKey] = {}
        self.replace(keys)

    @property
    def keys(self) -> tuple[UpstreamKey, ...]:
        """The keys as they are now."""
        return self._keys

    def replace(self, keys: Sequence[UpstreamKey]) -> None:
        """Use other keys from now on."""
        self._keys = tuple(keys)
        self._named = {fingerprint(key.secret): key for key in keys}

    def find(self, name: str) -> UpstreamKey | None:
        """Return the key of that fingerprint, if it is there."""
        return self._named.get(name)
