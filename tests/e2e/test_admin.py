"""AdminService: who may call it, what it refuses, and what it leaves in the audit log."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable

import grpc
import pytest
from google.protobuf.message import Message

from gateway.v1.admin_service_pb2 import (
    CACHED_OPERATION_UNSPECIFIED,
    DrainKeyRequest,
    ListKeysRequest,
    PurgeCacheRequest,
    ResumeKeyRequest,
    RevokeCredentialRequest,
)
from gateway.v1.admin_service_pb2_grpc import AdminServiceStub
from tests.e2e.asks import ask_rest
from tests.e2e.canaries import recorded_log
from tests.e2e.fleet import (
    ADMIN_KEY,
    ADMINS,
    RED,
    admin,
    failure,
    fleet,
    purge,
    revoke,
    sha256,
    source,
    warm,
)
from tests.e2e.harness import CATALOG_KEY, LAB_KEY, World, key_pair, world
from tests.servers.fixtures import StartServer


async def test_a_change_made_twice_is_as_made_once(start_server: StartServer) -> None:
    async with fleet(1, start_server().url) as [w]:
        await warm([w], RED)
        request = PurgeCacheRequest(tenant="catalog")
        first, second = await purge(w, request), await purge(w, request)
        assert first < second
        await warm([w], RED)
        for _ in range(2):
            assert "catalog" == (await revoke(w, CATALOG_KEY)).owner
        assert "" == (await revoke(w, "nobody's")).owner
        assert 401 == (await ask_rest(w, RED)).status


async def test_an_administrator_can_be_revoked(start_server: StartServer) -> None:
    async with fleet(1, start_server().url) as [w]:
        assert "ops" == (await revoke(w, ADMIN_KEY)).owner
        refusal = await failure(revoke(w, CATALOG_KEY))
        assert (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED") == (
            refusal.code,
            refusal.reason,
        )


CALLS: dict[str, Callable[[AdminServiceStub, str | None], Awaitable[Message]]] = {
    "PurgeCache": lambda stub, key: stub.PurgeCache(
        PurgeCacheRequest(all=True), metadata=() if key is None else key_pair(key)
    ),
    "RevokeCredential": lambda stub, key: stub.RevokeCredential(
        RevokeCredentialRequest(credential_sha256="0" * 64),
        metadata=() if key is None else key_pair(key),
    ),
    "ListKeys": lambda stub, key: stub.ListKeys(
        ListKeysRequest(), metadata=() if key is None else key_pair(key)
    ),
    "DrainKey": lambda stub, key: stub.DrainKey(
        DrainKeyRequest(key_id="k1"), metadata=() if key is None else key_pair(key)
    ),
    "ResumeKey": lambda stub, key: stub.ResumeKey(
        ResumeKeyRequest(key_id="k1"), metadata=() if key is None else key_pair(key)
    ),
}


@pytest.mark.parametrize("name", CALLS)
async def test_only_administrators_may(start_server: StartServer, name: str) -> None:
    async with fleet(1, start_server().url) as [w]:
        await warm([w], RED)
        for code, reason, key in (
            (grpc.StatusCode.PERMISSION_DENIED, "NOT_ADMIN", CATALOG_KEY),
            (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED", f"sandbox_{CATALOG_KEY}"),
            (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED", "nobody's"),
            (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED", None),
        ):
            refusal = await failure(CALLS[name](admin(w), key))
            assert (code, reason) == (refusal.code, refusal.reason)
        assert "memory" == await source(w, RED), "nothing was changed"
        assert 401 == (await ask_rest(w, RED, key=ADMIN_KEY)).status, "an admin is no tenant"


@pytest.mark.parametrize(
    ("request_", "field", "code"),
    [
        (PurgeCacheRequest(), "what", "VALUE_MISSING"),
        (PurgeCacheRequest(digest="D" * 64), "digest", "BAD_DIGEST"),
        (PurgeCacheRequest(digest=""), "digest", "BAD_DIGEST"),
        (PurgeCacheRequest(tenant="nobody"), "tenant", "NOT_ALLOWED"),
        (PurgeCacheRequest(operation=CACHED_OPERATION_UNSPECIFIED), "operation", "NOT_ALLOWED"),
        (PurgeCacheRequest(operation=77), "operation", "NOT_ALLOWED"),  # type: ignore[arg-type] # a newer one
        (PurgeCacheRequest(all=False), "all", "NOT_ALLOWED"),
        (RevokeCredentialRequest(), "credential_sha256", "BAD_DIGEST"),
        (RevokeCredentialRequest(credential_sha256="0" * 63), "credential_sha256", "BAD_DIGEST"),
    ],
    ids=str,
)
async def test_a_bad_request_is_told_its_field(
    administered: World, request_: Message, field: str, code: str
) -> None:
    stub, metadata = admin(administered), key_pair(ADMIN_KEY)
    call: Awaitable[Message]
    if isinstance(request_, PurgeCacheRequest):
        call = stub.PurgeCache(request_, metadata=metadata)
    else:
        assert isinstance(request_, RevokeCredentialRequest)
        call = stub.RevokeCredential(request_, metadata=metadata)
    refusal = await failure(call)
    assert grpc.StatusCode.INVALID_ARGUMENT == refusal.code
    assert "INVALID_REQUEST" == refusal.reason
    assert ((field, code),) == refusal.fields


@pytest.fixture
async def administered() -> AsyncIterator[World]:
    """A gateway with administrators and without Redis: it refuses before that matters."""
    async with world(changes=ADMINS) as w:
        yield w


@pytest.mark.parametrize("name", CALLS)
async def test_without_redis_there_is_nothing_to_change(administered: World, name: str) -> None:
    refusal = await failure(CALLS[name](admin(administered), ADMIN_KEY))
    assert (grpc.StatusCode.UNAVAILABLE, "STATE_UNAVAILABLE") == (refusal.code, refusal.reason)
    assert refusal.retry_seconds is None


async def test_every_call_leaves_a_line_in_the_audit_log(start_server: StartServer) -> None:
    async with fleet(1, start_server().url) as [w]:
        with recorded_log() as log:
            epoch = await purge(w, PurgeCacheRequest(tenant="catalog"))
            await revoke(w, LAB_KEY)
            await failure(CALLS["PurgeCache"](admin(w), CATALOG_KEY))
            await failure(purge(w, PurgeCacheRequest(tenant="nobody")))
        text = log.getvalue()
    lines = [json.loads(line) for line in text.splitlines()]
    audit = [line for line in lines if line["logger"] == "gateway.audit"]
    assert all(line["request_id"] for line in audit)
    wanted = ("admin", "action", "reach", "target", "owner", "epoch", "outcome")
    assert [
        ("ops", "purge", "scope", "catalog", None, epoch, "OK"),
        ("ops", "revoke", None, sha256(LAB_KEY)[:12], "lab", None, "OK"),
        ("", "purge", None, None, None, None, "NOT_ADMIN"),
        ("ops", "purge", None, None, None, None, "INVALID_REQUEST"),
    ] == [tuple(line.get(name) for name in wanted) for line in audit]
    for secret in (ADMIN_KEY, LAB_KEY, CATALOG_KEY, sha256(LAB_KEY)):
        assert secret not in text
