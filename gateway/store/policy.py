"""What a Redis server does when its memory is full."""

from __future__ import annotations

from gateway.store.link import Link, RedisTrouble

__all__ = ["eviction_policy"]

_SETTING = "maxmemory-policy"


async def eviction_policy(link: Link) -> str | None:
    """Return the server's `maxmemory-policy`; None when it does not tell, as some hosted ones do not."""
    try:
        [told] = await link.exchange(("CONFIG", "GET", _SETTING))
    except RedisTrouble:
        return None
    # The library gives a mapping, or the flat list of the protocol.
    pairs = told.items() if isinstance(told, dict) else zip(told[::2], told[1::2], strict=False)
    for name, value in pairs:
        if _text(name) == _SETTING:
            return _text(value)
    return None


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
