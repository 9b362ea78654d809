"""Both doors before an editor that does as a test says: what doors make of an answer, and of an error."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import grpc

from gateway.auth import HashedKeys
from gateway.domain.answer import AccountState, Answer
from gateway.domain.calls import Balance, Call, Delivery, FromCache, Plan
from gateway.domain.edit import ImageRef
from gateway.domain.errors import GatewayError
from gateway.domain.limits import BucketState
from gateway.pipeline import ReadDraft, ReadUpload
from gateway.store.pool import Pool
from gateway.store.solo import NoKeyDesk, NoMarks
from gateway.transport.codec import compile_schemas
from gateway.transport.http_server import HttpServer
from gateway.transport.rest.app import rest_app
from gateway.transport.rpc.admin import AdminDesk
from gateway.transport.rpc.server import RpcServer
from tests.support.pictures import png

__all__ = ["BALANCE", "BUCKETS", "PICTURE", "Doors", "ScriptedEditor", "doors"]

PICTURE = png()
REF = ImageRef.of(PICTURE)
BALANCE = Balance(budget_milli=10_000, spent_milli=200, period_end=0.0)
ACCOUNT = AccountState(9_800, 10_000, "plus")
BUCKETS = {
    "requests": BucketState(burst=600, window=6.0, left=598, full_in=0.02),
    "edits": BucketState(burst=60, window=60.0, left=0, full_in=59.5),
}


@dataclass(slots=True)
class ScriptedEditor:
    """An Editor that knows every caller but where `stranger`, and ends in `trouble` where there is any."""

    stranger: bool = False
    trouble: Exception | None = None
    balance: Balance | None = BALANCE
    account_state: AccountState = ACCOUNT

    def _enter(self, call: Call) -> None:
        if not self.stranger:
            call.record.tenant = "catalog"
            call.record.buckets = dict(BUCKETS)
            call.record.balance = self.balance
        if self.trouble is not None:
            # A fresh one: gRPC and REST may ask at once.
            raise self.trouble.fresh() if isinstance(self.trouble, GatewayError) else self.trouble

    async def edit(self, call: Call, read: ReadDraft) -> Delivery:
        del read
        self._enter(call)
        answer = Answer(PICTURE, "image/png")
        return Delivery(answer, REF, "d" * 64, 1000, (), (), FromCache(why_not="miss"), kept=False)

    async def plan(self, call: Call, read: ReadDraft) -> Plan:
        del read
        self._enter(call)
        return Plan((), (), "d" * 64, 1000, (), hit=False, balance=self.balance)

    async def account(self, call: Call) -> AccountState:
        self._enter(call)
        return self.account_state

    async def upload(self, call: Call, read: ReadUpload) -> ImageRef:
        await read()
        self._enter(call)
        return REF

    async def download(self, call: Call, sha256: str) -> bytes:
        del sha256
        self._enter(call)
        return PICTURE


@dataclass(frozen=True, slots=True)
class Doors:
    """A client at each door."""

    http: aiohttp.ClientSession
    channel: grpc.aio.Channel


@asynccontextmanager
async def doors(editor: ScriptedEditor) -> AsyncIterator[Doors]:
    """Serve both doors on loopback."""
    schemas = compile_schemas()
    marks = NoMarks()
    desk = AdminDesk(HashedKeys({}, {}, denied=marks), marks, NoKeyDesk(Pool()), {})
    rest = HttpServer(rest_app(editor, schemas), "127.0.0.1", 0, grace=1.0)
    rpc = RpcServer(editor, schemas, desk, "127.0.0.1:0")
    await rest.start()
    await rpc.start()
    try:
        async with (
            aiohttp.ClientSession(f"http://127.0.0.1:{rest.port}") as http,
            grpc.aio.insecure_channel(f"127.0.0.1:{rpc.port}") as channel,
        ):
            yield Doors(http, channel)
    finally:
        await rest.stop()
        await rpc.stop(1.0)
