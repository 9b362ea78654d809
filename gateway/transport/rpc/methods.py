"""What every gRPC method has in common: an id, the credential, and failures as a status with details."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import NoReturn, TypeAlias, TypeVar

import grpc
from google.protobuf.message import Message

from gateway.domain.calls import Call, Record
from gateway.transport.call_fields import call_fields
from gateway.transport.credential import credential_of
from gateway.transport.request_id import REQUEST_ID, request_id
from gateway.transport.rpc.envelope import EnvelopeError
from gateway.transport.rpc.errors import error_status
from gateway.transport.status import public_error, wire_status

__all__ = ["Context", "Handler", "PathOf", "stream_in", "stream_out", "unary"]

# Quoted: they are generic in the stubs alone.
Context: TypeAlias = "grpc.aio.ServicerContext[bytes, bytes]"
Handler: TypeAlias = "grpc.RpcMethodHandler[bytes, bytes]"
PathOf: TypeAlias = Callable[[str], str]
"""From a wire name to the path of the field in the request."""

R = TypeVar("R")

_STATUS_DETAILS = "grpc-status-details-bin"


def unary(
    serve: Callable[[bytes, Call], Awaitable[Message | bytes]],
    operation: str,
    path_of: PathOf = str,
) -> Handler:
    """One message in, one out. Messages go through as bytes: we read and, some, write them ourselves."""
    return grpc.unary_unary_rpc_method_handler(_answering(serve, operation, path_of))


def stream_in(
    serve: Callable[[AsyncIterator[bytes], Call], Awaitable[Message]], operation: str
) -> Handler:
    """Many messages in, one out."""
    answering = _answering(serve, operation, str)

    async def handle(requests: AsyncIterator[bytes], context: Context) -> bytes:
        return await answering(_to_its_end(requests, context), context)

    return grpc.stream_unary_rpc_method_handler(handle)


async def _to_its_end(requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
    """Yield what the caller sends, and be cancelled if it breaks off.

    grpc.aio ends the iteration of a call that was cut off like that of one that was finished, and
    cancels us a moment later, when half a picture may be kept. Only a call that stands takes headers.
    """
    async for raw in requests:
        yield raw
    try:
        await context.send_initial_metadata(())
    except grpc.aio.InternalError:
        raise asyncio.CancelledError from None


def _answering(
    serve: Callable[[R, Call], Awaitable[Message | bytes]], operation: str, path_of: PathOf
) -> Callable[[R, Context], Awaitable[bytes]]:
    async def handle(request: R, context: Context) -> bytes:
        call = _call(context, operation)
        try:
            message = await serve(request, call)
        except Exception as error:  # noqa: BLE001 - the last line: telemetry has logged it
            failure = error
        else:
            context.set_trailing_metadata(_trailers(call))
            return message if isinstance(message, bytes) else message.SerializeToString()
        return await _fail(failure, call, context, path_of)

    return handle


def stream_out(
    serve: Callable[[bytes, Call], AsyncIterator[Message]], operation: str, path_of: PathOf = str
) -> Handler:
    """One message in, many out."""

    async def handle(raw: bytes, context: Context) -> AsyncIterator[bytes]:
        call = _call(context, operation)
        failure: Exception | None = None
        try:
            async for message in serve(raw, call):
                yield message.SerializeToString()
        except Exception as error:  # noqa: BLE001 - as above
            failure = error
        if failure is not None:
            await _fail(failure, call, context, path_of)
        context.set_trailing_metadata(_trailers(call))

    return grpc.unary_stream_rpc_method_handler(handle)


async def _fail(failure: Exception, call: Call, context: Context, path_of: PathOf) -> NoReturn:
    error = public_error(failure)
    status = error_status(error, str if isinstance(error, EnvelopeError) else path_of)
    trailers = (*_trailers(call), (_STATUS_DETAILS, status.SerializeToString()))
    await context.abort(wire_status(error).grpc, status.message, trailers)


def _trailers(call: Call) -> tuple[tuple[str, str], ...]:
    """Return what every answer says; a call's limits are known at its end."""
    return tuple((name.lower(), text) for name, text in call_fields(call))


def _call(context: Context, operation: str) -> Call:
    metadata = {
        key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)
    }
    return Call(
        credential=credential_of(metadata.get("x-api-key"), metadata.get("authorization")),
        operation=operation,
        door="grpc",
        request_id=request_id(metadata.get(REQUEST_ID)),
        record=Record(),
        seconds=context.time_remaining(),
    )
