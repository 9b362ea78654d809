"""AdminService: what operators change while the gateway runs.

Each call leaves one line at the logger `gateway.audit`, whatever comes of it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from gateway.domain.caching import Purge, Reach
from gateway.domain.calls import Call
from gateway.domain.edit import Operation
from gateway.domain.errors import GatewayError, InternalError, Violation
from gateway.domain.violations import Code
from gateway.ports import AdminAuthenticator, Administration, KeyDesk
from gateway.transport.codec import SHA256
from gateway.transport.rpc.envelope import EnvelopeError, open_envelope
from gateway.transport.rpc.key_messages import keys_message
from gateway.v1 import admin_service_pb2 as messages

__all__ = ["AdminDesk", "AdminDoor"]

_OPERATIONS: Final = {
    messages.CACHED_OPERATION_EDIT: Operation.EDIT,
    messages.CACHED_OPERATION_SEGMENT: Operation.SEGMENT,
}
_SHORT: Final = 12
"""Hex digits of a credential's SHA-256 in the log: enough to find it, too few to look for its key."""

_audit = logging.getLogger("gateway.audit")


@dataclass(frozen=True, slots=True)
class AdminDesk:
    """What the service stands on. `scopes` has the scope of each tenant by its id."""

    authenticator: AdminAuthenticator
    administration: Administration
    keys: KeyDesk
    scopes: Mapping[str, str]


class AdminDoor:
    """The methods of AdminService."""

    def __init__(self, desk: AdminDesk) -> None:
        self._desk = desk

    async def purge_cache(self, raw: bytes, call: Call) -> messages.PurgeCacheResponse:
        """Disown stored results."""
        with _audited(call) as line:
            await self._authenticate(call, line)
            request = open_envelope(raw, messages.PurgeCacheRequest)
            purge = self._purge(request)
            line |= {"reach": purge.reach.value, "target": request.tenant or purge.name}
            epoch = await self._desk.administration.purge(purge)
            line["epoch"] = epoch
        return messages.PurgeCacheResponse(epoch=epoch)

    async def revoke_credential(self, raw: bytes, call: Call) -> messages.RevokeCredentialResponse:
        """Refuse a credential from now on."""
        with _audited(call) as line:
            await self._authenticate(call, line)
            request = open_envelope(raw, messages.RevokeCredentialRequest)
            _check_sha256("credential_sha256", request.credential_sha256)
            credential = bytes.fromhex(request.credential_sha256)
            owner = self._desk.authenticator.owner(credential)
            line |= {"target": request.credential_sha256[:_SHORT], "owner": owner}
            await self._desk.administration.revoke(credential)
        return messages.RevokeCredentialResponse(owner=owner)

    async def list_keys(self, raw: bytes, call: Call) -> messages.ListKeysResponse:
        """Tell how the upstream keys stand."""
        with _audited(call) as line:
            await self._authenticate(call, line)
            open_envelope(raw, messages.ListKeysRequest)
            return keys_message(await self._desk.keys.state())

    async def drain_key(self, raw: bytes, call: Call) -> messages.DrainKeyResponse:
        """Let no call begin with a key."""
        with _audited(call) as line:
            await self._authenticate(call, line)
            request = open_envelope(raw, messages.DrainKeyRequest)
            names = self._named(request.key_id, line)
            await self._desk.keys.drain(names)
        return messages.DrainKeyResponse(fingerprints=names)

    async def resume_key(self, raw: bytes, call: Call) -> messages.ResumeKeyResponse:
        """Let calls begin with a key again."""
        with _audited(call) as line:
            await self._authenticate(call, line)
            request = open_envelope(raw, messages.ResumeKeyRequest)
            names = self._named(request.key_id, line)
            await self._desk.keys.resume(names)
        return messages.ResumeKeyResponse(fingerprints=names)

    def _named(self, key_id: str, line: dict[str, object]) -> tuple[str, ...]:
        """Return the fingerprints of the key of that id. Raises EnvelopeError."""
        names = self._desk.keys.named(key_id)
        if not names:
            raise _wrong("key_id", Code.NOT_ALLOWED, "is the id of no upstream key")
        line |= {"target": key_id, "fingerprints": list(names)}
        return names

    async def _authenticate(self, call: Call, line: dict[str, object]) -> None:
        admin = await self._desk.authenticator.authenticate_admin(call.credential)
        line["admin"] = admin.id

    def _purge(self, request: messages.PurgeCacheRequest) -> Purge:
        """Read what is to be purged. Raises EnvelopeError."""
        match request.WhichOneof("what"):
            case "digest":
                _check_sha256("digest", request.digest)
                return Purge(Reach.DIGEST, request.digest)
            case "tenant" if request.tenant in self._desk.scopes:
                return Purge(Reach.SCOPE, self._desk.scopes[request.tenant])
            case "tenant":
                raise _wrong("tenant", Code.NOT_ALLOWED, "is the id of no tenant")
            case "operation" if request.operation in _OPERATIONS:
                return Purge(Reach.OPERATION, _OPERATIONS[request.operation].value)
            case "operation":
                raise _wrong("operation", Code.NOT_ALLOWED, "is not an operation known here")
            case "all" if request.all:
                return Purge(Reach.ALL)
            case "all":
                raise _wrong("all", Code.NOT_ALLOWED, "has to be true where it is set")
        raise _wrong("what", Code.VALUE_MISSING, "needs digest, tenant, operation or all")


@contextmanager
def _audited(call: Call) -> Iterator[dict[str, object]]:
    """Log the call when it ends; what is put into the line stands in it."""
    line: dict[str, object] = {
        "admin": "",
        "action": call.operation,
        "request_id": call.request_id,
        "outcome": "CANCELLED",
    }
    try:
        yield line
        line["outcome"] = "OK"
    except GatewayError as error:
        line["outcome"] = error.reason
        raise
    except Exception:
        line["outcome"] = InternalError.reason
        raise
    finally:
        _audit.info("administration", extra=line)


def _check_sha256(field: str, text: str) -> None:
    if not SHA256.fullmatch(text):
        raise _wrong(field, Code.BAD_DIGEST, "must be a SHA-256, 64 lower-case hex digits")


def _wrong(field: str, code: Code, why: str) -> EnvelopeError:
    return EnvelopeError([Violation(field, code, why)])
