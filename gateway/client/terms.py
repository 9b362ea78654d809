"""What all remote calls that one method makes have in common, and the reading of their answers."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypedDict, TypeVar

import grpc

from gateway.client.errors import REQUEST_ID, call_error

__all__ = ["Options", "Terms", "answer", "pieces"]

T = TypeVar("T")

# Quoted: they are generic in the stubs alone.
_Call: TypeAlias = "grpc.aio.UnaryUnaryCall[Any, T] | grpc.aio.StreamUnaryCall[Any, T]"
_Stream: TypeAlias = "grpc.aio.UnaryStreamCall[Any, T]"


class Options(TypedDict):
    """Keyword arguments of a remote call."""

    metadata: tuple[tuple[str, str], ...]
    timeout: float


@dataclass(frozen=True, slots=True)
class Terms:
    """Credential, id, and the time on the loop's clock at which the whole call is over."""

    key: str = field(repr=False)
    request_id: str
    deadline: float

    @classmethod
    def of(cls, key: str, timeout: float, request_id: str | None) -> Terms:
        """Set out now."""
        now = asyncio.get_running_loop().time()
        return cls(key, request_id or uuid.uuid4().hex, now + timeout)

    @property
    def options(self) -> Options:
        """How the next remote call is sent; its time-out is what is left."""
        left = self.deadline - asyncio.get_running_loop().time()
        metadata = (("x-api-key", self.key), (REQUEST_ID, self.request_id))
        return Options(metadata=metadata, timeout=max(0.0, left))


async def answer(call: _Call[T], terms: Terms) -> tuple[T, str]:
    """Return the answer of a remote call and the id under which it was served.

    Raises GatewayCallError. A task that is cancelled here cancels the remote call.
    """
    try:
        message = await call
        trailers = dict(await call.trailing_metadata())
    except grpc.aio.AioRpcError as error:
        raise call_error(error, terms.request_id) from error
    return message, str(trailers.get(REQUEST_ID, terms.request_id))


async def pieces(call: _Stream[T], terms: Terms) -> AsyncIterator[T]:
    """Yield the messages of a remote call that answers with several. Raises GatewayCallError."""
    try:
        async for message in call:
            yield message
    except grpc.aio.AioRpcError as error:
        raise call_error(error, terms.request_id) from error
