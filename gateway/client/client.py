"""GatewayClient: the gateway's services, with pictures of any size."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

import grpc

from gateway.client.blobs import Blobs
from gateway.client.errors import BlobNotFound, GatewayCallError, ResultNotFetched
from gateway.client.pictures import C, Picture, light_copy, pack, read_picture
from gateway.client.terms import Terms, answer
from gateway.v1.account_service_pb2 import GetAccountRequest, GetAccountResponse
from gateway.v1.account_service_pb2_grpc import AccountServiceStub
from gateway.v1.blob_service_pb2_grpc import BlobServiceStub
from gateway.v1.edit_pb2 import Edit
from gateway.v1.edit_service_pb2 import (
    CACHE_MODE_UNSPECIFIED,
    CacheMode,
    EditImageRequest,
    PlanEditRequest,
    PlanEditResponse,
    RemoveBackgroundRequest,
    Result,
)
from gateway.v1.edit_service_pb2_grpc import EditServiceStub
from gateway.v1.image_pb2 import BlobRef
from gateway.v1.segment_pb2 import Segment

__all__ = ["DEFAULT_TIMEOUT", "CacheMode", "EditedImage", "GatewayClient"]

DEFAULT_TIMEOUT: Final = 390.0
"""Seconds: twice what the gateway gives a generative edit, and thirty, as at its REST door."""

_REMEMBERED = 4096
_LARGEST_ANSWER = 64 * 1024 * 1024  # a large result comes inline when the gateway cannot keep it
_OPTIONS = (
    ("grpc.max_receive_message_length", _LARGEST_ANSWER),
    # Nobody else may give this channel a policy that repeats calls: a repeated edit may be bought twice.
    ("grpc.service_config", "{}"),
    ("grpc.service_config_disable_resolution", 1),
)


@dataclass(frozen=True, slots=True)
class EditedImage:
    """An edited picture.

    `data` are its bytes, `info` what is known of it (its own `image` is empty), `request_id` the name
    of the call in the gateway's log.
    """

    data: bytes = field(repr=False)
    info: Result
    request_id: str

    @property
    def budget_left_milli_credits(self) -> int | None:
        """What is left of the tenant's budget of this month; None where it has none, or none is known."""
        known = self.info.HasField("budget_left_milli_credits")
        return self.info.budget_left_milli_credits if known else None


class GatewayClient:
    """A connection to the gateway, to be used by any number of tasks of one event loop at once.

    `target` is `host:port`. `key` is the tenant's key; it is sent with every call. `tls` is True for
    the system's authorities, or credentials of your own; without it the key is readable on the way.
    `timeout` in seconds holds for calls that say nothing else.

    All methods take `timeout`, in seconds, for the whole of what they do, and `request_id`, a name of
    up to 64 letters, digits and `._-` under which the gateway's log has the call; absent: a new one.
    All raise GatewayCallError. None repeats what might buy twice.
    """

    def __init__(
        self,
        target: str,
        *,
        key: str,
        tls: bool | grpc.ChannelCredentials = False,
        timeout: float = DEFAULT_TIMEOUT,
    ) -> None:
        asyncio.get_running_loop()  # a channel lives in the loop in which it is made: fail here, not later
        self._key = key
        self._timeout = timeout
        self._channel = _channel(target, tls=tls)
        self._edits = EditServiceStub(self._channel)
        self._accounts = AccountServiceStub(self._channel)
        self._blobs = Blobs(BlobServiceStub(self._channel), remembered=_REMEMBERED)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection; calls under way are cancelled."""
        await self._channel.close()

    async def edit(
        self,
        edit: Edit,
        *,
        image: Picture | None = None,
        cache_mode: CacheMode.ValueType = CACHE_MODE_UNSPECIFIED,
        idempotency_key: str = "",
        timeout: float | None = None,  # noqa: ASYNC109 - it becomes the remote calls' deadline
        request_id: str | None = None,
    ) -> EditedImage:
        """Make one image edit. `image` is the source, unless the edit has one.

        The same call with the same `idempotency_key` is bought once in a day, however it ends and
        however often it is made. Raises ValueError for two sources, and OSError for a file that cannot
        be read.
        """

        async def send(message: Edit, terms: Terms) -> tuple[Result, str]:
            request = EditImageRequest(
                edit=message, cache_mode=cache_mode, idempotency_key=idempotency_key
            )
            response, name = await answer(self._edits.EditImage(request, **terms.options), terms)
            return response.result, name

        return await self._deliver(edit, image, self._terms(timeout, request_id), send)

    async def remove_background(
        self,
        segment: Segment | None = None,
        *,
        image: Picture | None = None,
        cache_mode: CacheMode.ValueType = CACHE_MODE_UNSPECIFIED,
        idempotency_key: str = "",
        timeout: float | None = None,  # noqa: ASYNC109 - as above
        request_id: str | None = None,
    ) -> EditedImage:
        """Cut the subject out of one picture. Otherwise as `edit`."""

        async def send(message: Segment, terms: Terms) -> tuple[Result, str]:
            request = RemoveBackgroundRequest(
                segment=message, cache_mode=cache_mode, idempotency_key=idempotency_key
            )
            call = self._edits.RemoveBackground(request, **terms.options)
            response, name = await answer(call, terms)
            return response.result, name

        call = Segment() if segment is None else segment
        return await self._deliver(call, image, self._terms(timeout, request_id), send)

    async def plan(
        self,
        call: Edit | Segment,
        *,
        image: Picture | None = None,
        cache_mode: CacheMode.ValueType = CACHE_MODE_UNSPECIFIED,
        timeout: float | None = None,  # noqa: ASYNC109 - as above
        request_id: str | None = None,
    ) -> PlanEditResponse:
        """Say what `edit` or `remove_background` would do, and spend nothing.

        What is wrong with the call is in `violations`. Nothing is uploaded: of a large picture the
        gateway is told SHA-256 and size alone, and does not see whether it takes such a picture.
        """
        terms = self._terms(timeout, request_id)
        source = None if image is None else await read_picture(image)
        request = PlanEditRequest(cache_mode=cache_mode)
        if isinstance(call, Edit):
            request.edit.CopyFrom((await pack(call, source)).message)
        else:
            request.segment.CopyFrom((await pack(call, source)).message)
        response, _ = await answer(self._edits.PlanEdit(request, **terms.options), terms)
        return response

    async def account(
        self,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - as above
        request_id: str | None = None,
    ) -> GetAccountResponse:
        """Say what is left to spend."""
        terms = self._terms(timeout, request_id)
        call = self._accounts.GetAccount(GetAccountRequest(), **terms.options)
        return (await answer(call, terms))[0]

    async def upload(
        self,
        picture: Picture,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - as above
        request_id: str | None = None,
    ) -> BlobRef:
        """Have a picture kept for a day at least, and return its name for `Image.blob`.

        `edit` does so by itself; this is for a picture that later calls, or other services, will name.
        """
        terms = self._terms(timeout, request_id)
        return await self._blobs.upload(await read_picture(picture), terms)

    async def download(
        self,
        blob: BlobRef,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - as above
        request_id: str | None = None,
    ) -> bytes:
        """Fetch a kept picture, verified by its SHA-256 and its size."""
        terms = self._terms(timeout, request_id)
        return await self._blobs.download(blob.sha256, blob.size_bytes, terms)

    def _terms(self, timeout: float | None, request_id: str | None) -> Terms:
        return Terms.of(self._key, self._timeout if timeout is None else timeout, request_id)

    async def _deliver(
        self,
        call: C,
        image: Picture | None,
        terms: Terms,
        send: Callable[[C, Terms], Awaitable[tuple[Result, str]]],
    ) -> EditedImage:
        parcel = await pack(call, None if image is None else await read_picture(image))
        await self._blobs.ensure(parcel.large, terms)
        try:
            result, name = await send(parcel.message, terms)
        except BlobNotFound:
            if not parcel.large:
                raise
            # The gateway has lost what it had acknowledged. It says so before it buys: safe to repeat.
            for sha256 in parcel.large:
                self._blobs.forget(sha256)
            await self._blobs.ensure(parcel.large, terms)
            result, name = await send(parcel.message, terms)
        data = result.image or await self._fetch(result, terms)
        result.ClearField("image")
        return EditedImage(data, light_copy(result), name)

    async def _fetch(self, result: Result, terms: Terms) -> bytes:
        try:
            return await self._blobs.download(result.blob.sha256, result.blob.size_bytes, terms)
        except GatewayCallError as error:
            raise ResultNotFetched(error, result) from error


def _channel(target: str, *, tls: bool | grpc.ChannelCredentials) -> grpc.aio.Channel:
    if tls is False:
        return grpc.aio.insecure_channel(target, options=_OPTIONS)
    credentials = grpc.ssl_channel_credentials() if tls is True else tls
    return grpc.aio.secure_channel(target, credentials, options=_OPTIONS)
