"""The secrets of the upstream keys, by their fingerprints."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from gateway.domain.keys import fingerprint
from gateway.upstream.settings import UpstreamKey

__all__ = ["KeyRing"]


class KeyRing:
    """Holds the keys in the order of the configuration, at least one.

    They may be replaced at any time. A key that is taken out is found for `kept` seconds more: a call
    that was granted it a moment before is sent with it, and a call under way may ask about it at its
    end. `clock` gives seconds that never run backwards.
    """

    def __init__(
        self,
        keys: Sequence[UpstreamKey],
        *,
        kept: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kept = kept
        self._clock = clock
        self._keys: tuple[UpstreamKey, ...] = ()
        self._named: dict[str, UpstreamKey] = {}
        self._gone: dict[str, tuple[float, UpstreamKey]] = {}
        self.replace(keys)

    @property
    def keys(self) -> tuple[UpstreamKey, ...]:
        """The keys that are used now."""
        return self._keys

    def replace(self, keys: Sequence[UpstreamKey]) -> None:
        """Use other keys from now on."""
        named = {fingerprint(key.secret): key for key in keys}
        until = self._clock() + self._kept
        self._gone |= {name: (until, key) for name, key in self._named.items() if name not in named}
        self._keys, self._named = tuple(keys), named
        self._forget()

    def find(self, name: str) -> UpstreamKey | None:
        """Return the key of that fingerprint, if it is there or was a moment ago."""
        self._forget()
        held = self._named.get(name)
        if held is None and name in self._gone:
            _, held = self._gone[name]
        return held

    def _forget(self) -> None:
        """Drop the secrets whose time is over."""
        if self._gone:
            now = self._clock()
            self._gone = {
                name: gone
                for name, gone in self._gone.items()
                if gone[0] > now and name not in self._named
            }
