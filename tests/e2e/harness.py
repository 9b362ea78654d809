"""A whole gateway before an emulator: real doors, real pictures, a bill."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import grpc
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from multidict import CIMultiDict

from gateway.app import Gateway, running_gateway
from gateway.config import parse_config
from gateway.emulator import AccountSettings, Emulator, EmulatorSettings, KeySettings
from gateway.v1.account_service_pb2_grpc import AccountServiceStub
from gateway.v1.edit_service_pb2_grpc import EditServiceStub
from tests.support.leak_watch import MARK, leaks

__all__ = [
    "CATALOG_KEY",
    "LAB_KEY",
    "LEGACY_KEY",
    "UPSTREAM_KEY",
    "Reply",
    "RpcFailure",
    "World",
    "key_pair",
    "replica",
    "rpc_failure",
    "tenant",
    "world",
]

CATALOG_KEY = f"{MARK}-catalog-key"
LAB_KEY = f"{MARK}-lab-key"
LEGACY_KEY = f"{MARK}-legacy-key"
UPSTREAM_KEY = f"{MARK}-upstream-key"
_SETTINGS = EmulatorSettings(
    accounts=(AccountSettings("emulator", keys=(KeySettings("k1", UPSTREAM_KEY),)),)
)
_LARGEST = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Reply:
    """A REST answer, read to its end."""

    status: int
    headers: CIMultiDict[str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class RpcFailure:
    """A gRPC error with its details."""

    code: grpc.StatusCode
    message: str
    reason: str
    fields: tuple[tuple[str, str], ...]
    retry_seconds: int | None
    trailers: Mapping[str, str | bytes]


@dataclass(frozen=True, slots=True)
class World:
    """A gateway that runs, the emulator behind it, and a client at each door."""

    gateway: Gateway
    emulator: Emulator
    http: aiohttp.ClientSession
    channel: grpc.aio.Channel

    @property
    def edits(self) -> EditServiceStub:
        return EditServiceStub(self.channel)

    @property
    def accounts(self) -> AccountServiceStub:
        return AccountServiceStub(self.channel)

    @property
    def rest_url(self) -> str:
        return f"http://127.0.0.1:{self.gateway.rest.port}"

    @property
    def ops_url(self) -> str:
        return f"http://127.0.0.1:{self.gateway.ops.port}"

    async def request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        key: str | None = CATALOG_KEY,
        **options: Any,
    ) -> Reply:
        """Send one REST request."""
        sent = dict(headers or {}) | ({"x-api-key": key} if key is not None else {})
        async with self.http.request(
            method, self.rest_url + path, headers=sent, **options
        ) as response:
            reply = Reply(response.status, CIMultiDict(response.headers), await response.read())
        assert [] == leaks(str(reply.headers), reply.body if reply.status >= 400 else b"")
        return reply

    async def post(
        self,
        path: str,
        fields: Sequence[tuple[str, str]],
        files: Mapping[str, bytes],
        **options: Any,
    ) -> Reply:
        """Send a multipart form."""
        form = aiohttp.FormData()
        for name, text in fields:
            form.add_field(name, text)
        for name, data in files.items():
            form.add_field(name, io.BytesIO(data), filename="picture", content_type="image/png")
        return await self.request("POST", path, data=form, **options)


def key_pair(key: str = CATALOG_KEY) -> tuple[tuple[str, str], ...]:
    """The metadata that names a caller."""
    return (("x-api-key", key),)


def rpc_failure(error: grpc.aio.AioRpcError) -> RpcFailure:
    """Read a gRPC error's details."""
    trailers: dict[str, str | bytes] = dict(error.trailing_metadata())
    assert [] == leaks(error.details() or "", *trailers.values())
    status = Status()
    raw = trailers.get("grpc-status-details-bin", b"")
    status.ParseFromString(raw if isinstance(raw, bytes) else raw.encode())
    info, bad, retry = ErrorInfo(), BadRequest(), RetryInfo()
    waits = None
    for detail in status.details:
        detail.Unpack(info)
        detail.Unpack(bad)
        if detail.Unpack(retry):
            waits = retry.retry_delay.seconds
    fields = tuple((v.field, v.reason) for v in bad.field_violations)
    return RpcFailure(error.code(), error.details() or "", info.reason, fields, waits, trailers)


@asynccontextmanager
async def world(
    settings: EmulatorSettings | None = None,
    *,
    changes: Mapping[str, Any] | None = None,
    timeout: str | None = None,  # noqa: ASYNC109 - of upstream calls, not of this one
) -> AsyncIterator[World]:
    """Run everything on free ports.

    `changes` replaces top-level keys of the configuration; `timeout` bounds every upstream call.
    """
    async with (
        Emulator(settings or _SETTINGS) as emulator,
        replica(emulator, changes=changes, timeout=timeout) as w,
    ):
        yield w


@asynccontextmanager
async def replica(
    emulator: Emulator,
    *,
    changes: Mapping[str, Any] | None = None,
    timeout: str | None = None,  # noqa: ASYNC109 - of upstream calls, not of this one
) -> AsyncIterator[World]:
    """Run a gateway before an emulator that runs already."""
    settings = emulator.settings
    async with AsyncExitStack() as stack:
        document = _document(emulator.url, settings) | dict(changes or {})
        if timeout is not None:
            document["upstream"]["timeouts"] = {"edit": timeout, "generative": timeout}
        config = parse_config(json.dumps(document), _secrets(settings))
        gateway = await stack.enter_async_context(running_gateway(config))
        http = await stack.enter_async_context(aiohttp.ClientSession())
        channel = await stack.enter_async_context(
            grpc.aio.insecure_channel(
                f"127.0.0.1:{gateway.grpc.port}",
                options=[
                    ("grpc.max_receive_message_length", _LARGEST),
                    ("grpc.max_send_message_length", _LARGEST),
                ],
            )
        )
        w = World(gateway, emulator, http, channel)
        yield w
        if gateway.ready:  # a test may have closed it
            async with http.get(f"{w.ops_url}/metrics") as metrics:
                assert [] == leaks(await metrics.read())


def tenant(name: str, key: str, **more: object) -> dict[str, object]:
    """A tenant's part of the configuration."""
    return {"id": name, "credentials_sha256": [hashlib.sha256(key.encode()).hexdigest()], **more}


def _document(upstream: str, settings: EmulatorSettings) -> dict[str, Any]:
    tenants: tuple[tuple[str, str, dict[str, object]], ...] = (
        ("catalog", CATALOG_KEY, {}),
        ("lab", LAB_KEY, {"extra_parameters": True}),
        ("legacy", LEGACY_KEY, {"unknown_parameters": "ignore"}),
    )
    return {
        "listen": {"rest": "127.0.0.1:0", "grpc": "127.0.0.1:0", "ops": "127.0.0.1:0"},
        "upstream": {
            "edit_url": upstream,
            "segment_url": upstream,
            "accounts": [
                {
                    "id": account.id,
                    "plan": account.plan,
                    "keys": [_key(key, settings.window_s) for key in account.keys],
                }
                for account in settings.accounts
            ],
        },
        "tenants": [tenant(name, key, **more) for name, key, more in tenants],
    }


def _key(key: KeySettings, window_s: float) -> dict[str, object]:
    """A key's part of the configuration, with the rate that the emulator grants it."""
    return {
        "id": key.id,
        "secret_env": _variable(key.id),
        "requests_per_minute": round(key.requests_per_window * 60 / window_s),
        "window": f"{window_s}s",
    }


def _secrets(settings: EmulatorSettings) -> dict[str, str]:
    return {_variable(k.id): k.secret for account in settings.accounts for k in account.keys}


def _variable(key_id: str) -> str:
    return f"UPSTREAM_{key_id.upper()}"
