"""The cache's master secret, under which every key of the cache is named."""

from __future__ import annotations

import secrets

from gateway.store.keyspace import CACHE_SECRET
from gateway.store.link import Link

__all__ = ["BadSecretError", "shared_secret"]

_BYTES = 32


class BadSecretError(Exception):
    """The secret is not one that the gateway can use. The text never repeats it."""


async def shared_secret(state: Link) -> bytes:
    """Return the secret that all replicas share, made by the first of them in the state Redis.

    Raises RedisTrouble when the state Redis does not answer, BadSecretError when it holds another value.
    """
    await state.exchange(("SET", CACHE_SECRET, secrets.token_hex(_BYTES), "NX"))
    [kept] = await state.exchange(("GET", CACHE_SECRET))
    try:
        secret = bytes.fromhex((kept or b"").decode())
    except ValueError:
        secret = b""
    if len(secret) != _BYTES:
        raise BadSecretError(f"the state Redis holds no secret of {_BYTES} bytes at {CACHE_SECRET}")
    return secret
