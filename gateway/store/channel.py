"""Listening on a channel of Redis, and noticing when nobody speaks because the server is gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress

from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

__all__ = ["messages"]


async def messages(pubsub: PubSub, channel: str, *, time_out: float) -> AsyncGenerator[bytes, None]:
    """Yield what is said on the channel. Raises whatever the library does, and TimeoutError.

    `time_out` bounds the subscription, in seconds. After as long a silence the server is asked whether
    it is still there, and has as long again for an answer.
    """
    try:
        async with asyncio.timeout(time_out):
            await pubsub.subscribe(channel)
        asked = False
        while True:
            message = await pubsub.get_message(timeout=time_out)
            if message is not None:
                asked = False
                if message["type"] == "message":
                    yield message["data"]
            elif asked:
                raise TimeoutError("the server has stopped answering")
            else:
                asked = True
                await pubsub.ping()
    finally:
        # A connection whose server is gone cannot always be closed in time; then it is dropped.
        with suppress(RedisError, OSError):
            await pubsub.aclose()  # type: ignore[no-untyped-call] # the library's
