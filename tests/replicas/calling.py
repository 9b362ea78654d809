"""A replica as a process of its own, and what its callers are told at each of its doors."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import aiohttp
import grpc
from prometheus_client.parser import text_string_to_metric_families

from gateway.domain.caching import CacheMode
from gateway.v1.admin_service_pb2_grpc import AdminServiceStub
from gateway.v1.edit_service_pb2 import (
    EditImageRequest,
    EditImageResponse,
    RemoveBackgroundRequest,
    RemoveBackgroundResponse,
)
from gateway.v1.edit_service_pb2_grpc import EditServiceStub
from gateway.v1.segment_pb2 import Segment
from tests.e2e.asks import Ask
from tests.e2e.harness import CATALOG_KEY, Reply, key_pair, rpc_failure
from tests.e2e.purchases import MODES, told_by
from tests.e2e.serving import Serving

__all__ = ["CUT", "DEADLINE", "OK", "Answer", "Replica"]

DEADLINE: Final = 25.0
"""Seconds that a caller gives its call, unless it says otherwise."""

_SLACK: Final = 5.0
"""Seconds beyond the deadline after which a call hangs: this machine may be busy."""

OK: Final = "200"
CUT: Final = "cut"


@dataclass(frozen=True, slots=True)
class Answer:
    """`outcome` is 200, the reason of an error, or `cut` for a connection that was lost.

    `code` is the door's own word for it. Of a picture, `source` is the tier of a hit, else why it was
    bought, and `cost` is in thousandths of a credit. Of an error, `wait` are the seconds after which to
    come again. `said` is what stands beside the body, by name in lower case: header fields, or trailing
    metadata. The last two do not count when answers are compared.
    """

    outcome: str
    code: int | grpc.StatusCode | None = None
    body: bytes = field(default=b"", repr=False)
    hit: bool = False
    source: str = ""
    cost: int = 0
    digest: str = ""
    wait: int | None = field(default=None, compare=False)
    said: Mapping[str, str | bytes] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Replica:
    """A gateway in a process, and a client at each of its doors."""

    served: Serving
    http: aiohttp.ClientSession
    channel: grpc.aio.Channel

    @property
    def admin(self) -> AdminServiceStub:
        """The service of its administrators."""
        return AdminServiceStub(self.channel)

    async def ask(
        self,
        door: str,
        ask: Ask,
        *,
        name: str = "",
        mode: CacheMode = CacheMode.DEFAULT,
        key: str = CATALOG_KEY,
        deadline: float = DEADLINE,
    ) -> Answer:
        """Ask with a deadline; fails when nothing has come long after it.

        `name` is the idempotency key, if the call has one, and `key` the caller's credential.
        """
        asked = self._rest if door == "rest" else self._grpc
        async with asyncio.timeout(deadline + _SLACK):
            return await asked(ask, name, mode, key, deadline)

    async def look(self, ask: Ask, *, key: str = CATALOG_KEY) -> Answer:
        """Ask for what is stored, and buy nothing."""
        return await self.ask("rest", ask, mode=CacheMode.ONLY_IF_CACHED, key=key)

    async def _rest(
        self, ask: Ask, name: str, mode: CacheMode, key: str, deadline: float
    ) -> Answer:
        form = aiohttp.FormData()
        for field_name, text in ask.texts.items():
            form.add_field(field_name, text)
        for field_name, data in ask.files.items():
            form.add_field(field_name, data, filename="picture", content_type="image/png")
        headers = {
            "x-api-key": key,
            "Request-Timeout": str(deadline),
            **({"Idempotency-Key": name} if name else {}),
            **({} if mode is CacheMode.DEFAULT else {"Gateway-Cache": mode.value}),
        }
        url = f"{self.served.rest_url}/{ask.operation}"
        try:
            async with self.http.post(url, data=form, headers=headers) as response:
                reply = Reply(response.status, response.headers.copy(), await response.read())
        except aiohttp.ClientError:
            return Answer(CUT)
        said = {header.lower(): text for header, text in reply.headers.items()}
        if reply.status != 200:
            document = reply.json
            wait = int(said["retry-after"]) if "retry-after" in said else None
            reason = document.get("error", document)["type"]
            return Answer(reason, reply.status, wait=wait, said=said)
        told = told_by(reply)
        return Answer(OK, 200, told.body, told.hit, told.source, told.cost, told.digest, said=said)

    async def _grpc(
        self, ask: Ask, name: str, mode: CacheMode, key: str, deadline: float
    ) -> Answer:
        message, service, metadata = ask.message, EditServiceStub(self.channel), key_pair(key)
        call: (
            grpc.aio.UnaryUnaryCall[EditImageRequest, EditImageResponse]
            | grpc.aio.UnaryUnaryCall[RemoveBackgroundRequest, RemoveBackgroundResponse]
        )
        if isinstance(message, Segment):
            removal = RemoveBackgroundRequest(
                segment=message, cache_mode=MODES[mode], idempotency_key=name
            )
            call = service.RemoveBackground(removal, metadata=metadata, timeout=deadline)
        else:
            edit = EditImageRequest(edit=message, cache_mode=MODES[mode], idempotency_key=name)
            call = service.EditImage(edit, metadata=metadata, timeout=deadline)
        try:
            result = (await call).result
        except grpc.aio.AioRpcError as error:
            failure = rpc_failure(error)
            if not failure.reason:
                return Answer(CUT)
            wait, said = failure.retry_seconds, failure.trailers
            return Answer(failure.reason, failure.code, wait=wait, said=said)
        return Answer(
            OK,
            grpc.StatusCode.OK,
            result.image,
            result.cache.hit,
            result.cache.source,
            result.cost_milli_credits,
            result.digest,
            said=dict(await call.trailing_metadata()),
        )

    async def number(self, metric: str, **labels: str) -> float:
        """The sum of a metric's samples that have these labels."""
        async with self.http.get(f"{self.served.ops_url}/metrics") as response:
            families = text_string_to_metric_families(await response.text())
        return sum(
            sample.value
            for family in families
            for sample in family.samples
            if sample.name == metric and labels.items() <= sample.labels.items()
        )

    def freeze(self) -> None:
        """Let it hang."""
        self.served.process.send_signal(signal.SIGSTOP)

    def kill(self) -> None:
        """End it without notice."""
        self.served.process.kill()
