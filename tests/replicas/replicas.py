"""Replicas as processes of their own before one emulator, which runs in the test's process."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import grpc
from prometheus_client.parser import text_string_to_metric_families

from gateway.domain.caching import CacheMode
from gateway.emulator import Emulator, EmulatorSettings
from gateway.v1.admin_service_pb2_grpc import AdminServiceStub
from gateway.v1.edit_pb2 import Edit
from gateway.v1.edit_service_pb2 import EditImageRequest
from gateway.v1.edit_service_pb2_grpc import EditServiceStub
from tests.client.waiting import until
from tests.e2e.asks import Ask
from tests.e2e.fleet import ADMINS
from tests.e2e.harness import CATALOG_KEY, LAB_KEY, Reply, key_pair, rpc_failure, tenant
from tests.e2e.purchases import DOORS, MODES, told_by
from tests.e2e.serving import Serving, configuration, serving
from tests.servers.process import Server

__all__ = [
    "DEADLINE",
    "DOORS",
    "Answer",
    "Fleet",
    "Replica",
    "equal",
    "fleet",
    "phases",
    "until_followed",
]

DEADLINE = 25.0
"""Seconds that every caller gives its call."""

_TIME_OUT = "2s"  # of an upstream call, on every replica
_SLACK = 5.0
"""Seconds beyond the deadline after which a call hangs: this machine may be busy."""

_OK = "200"
_CUT = "cut"


@dataclass(frozen=True, slots=True)
class Answer:
    """`outcome` is 200, the reason of an error, or `cut` for a connection that was lost.

    `code` is the door's own word for it. Of a picture, `source` is the tier of a hit, else why it was
    bought, and `cost` is in thousandths of a credit.
    """

    outcome: str
    code: int | grpc.StatusCode | None = None
    body: bytes = field(default=b"", repr=False)
    hit: bool = False
    source: str = ""
    cost: int = 0
    digest: str = ""


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
    ) -> Answer:
        """Ask with a deadline; fails when nothing has come long after it.

        `name` is the idempotency key, if the call has one, and `key` the caller's credential.
        """
        asked = self._rest if door == "rest" else self._grpc
        async with asyncio.timeout(DEADLINE + _SLACK):
            return await asked(ask, name, mode, key)

    async def look(self, ask: Ask, *, key: str = CATALOG_KEY) -> Answer:
        """Ask for what is stored, and buy nothing."""
        return await self.ask("rest", ask, mode=CacheMode.ONLY_IF_CACHED, key=key)

    async def _rest(self, ask: Ask, name: str, mode: CacheMode, key: str) -> Answer:
        form = aiohttp.FormData()
        for field_name, text in ask.texts.items():
            form.add_field(field_name, text)
        for field_name, data in ask.files.items():
            form.add_field(field_name, data, filename="picture", content_type="image/png")
        headers = {
            "x-api-key": key,
            "Request-Timeout": str(DEADLINE),
            **({"Idempotency-Key": name} if name else {}),
            **({} if mode is CacheMode.DEFAULT else {"Gateway-Cache": mode.value}),
        }
        url = f"{self.served.rest_url}/v2/edit"
        try:
            async with self.http.post(url, data=form, headers=headers) as response:
                reply = Reply(response.status, response.headers.copy(), await response.read())
        except aiohttp.ClientError:
            return Answer(_CUT)
        if reply.status != 200:
            return Answer(reply.json["error"]["type"], reply.status)
        told = told_by(reply)
        return Answer(_OK, 200, told.body, told.hit, told.source, told.cost, told.digest)

    async def _grpc(self, ask: Ask, name: str, mode: CacheMode, key: str) -> Answer:
        message = ask.message
        assert isinstance(message, Edit)
        request = EditImageRequest(edit=message, cache_mode=MODES[mode], idempotency_key=name)
        call = EditServiceStub(self.channel).EditImage(
            request, metadata=key_pair(key), timeout=DEADLINE
        )
        try:
            result = (await call).result
        except grpc.aio.AioRpcError as error:
            failure = rpc_failure(error)
            return Answer(failure.reason, failure.code) if failure.reason else Answer(_CUT)
        return Answer(
            _OK,
            grpc.StatusCode.OK,
            result.image,
            result.cache.hit,
            result.cache.source,
            result.cost_milli_credits,
            result.digest,
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


@dataclass(frozen=True, slots=True)
class Fleet:
    """Replicas and what they buy from."""

    emulator: Emulator
    replicas: Sequence[Replica]

    @property
    def billed(self) -> int:
        """Calls that the upstream has charged."""
        return self.emulator.bill.charges

    @property
    def bought(self) -> Counter[str]:
        """How often each edit was charged, by what the emulator drew."""
        return Counter(line.settings for line in self.emulator.bill.lines)

    async def number(self, metric: str, **labels: str) -> float:
        """The sum of a metric's samples that have these labels, over all replicas."""
        return sum([await r.number(metric, **labels) for r in self.replicas])


@asynccontextmanager
async def fleet(
    count: int,
    folder: Path,
    redis: str,
    *,
    cache: str | None = None,
    settings: EmulatorSettings | None = None,
) -> AsyncIterator[Fleet]:
    """Run replicas on one Redis, or on one for state and one for the `cache`.

    Their tenants are those of CATALOG_KEY and LAB_KEY, their administrator is that of ADMIN_KEY.
    """
    async with AsyncExitStack() as stack:
        emulator = await stack.enter_async_context(Emulator(settings))
        urls = {"state_url": redis} | ({"cache_url": cache} if cache else {})
        tenants = [tenant("catalog", CATALOG_KEY), tenant("lab", LAB_KEY)]
        document = configuration(emulator, redis=urls, tenants=tenants, **ADMINS)
        document["upstream"]["timeouts"] = {"edit": _TIME_OUT, "generative": _TIME_OUT}
        folders = [folder / f"replica{i}" for i in range(count)]
        for one in folders:
            one.mkdir()
        running = [stack.enter_async_context(serving(document, one)) for one in folders]
        replicas = [await _clients(served, stack) for served in await asyncio.gather(*running)]
        yield Fleet(emulator, replicas)


async def _clients(served: Serving, stack: AsyncExitStack) -> Replica:
    connector = aiohttp.TCPConnector(limit=0)
    http = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
    channel = grpc.aio.insecure_channel(f"127.0.0.1:{served.grpc}")
    return Replica(served, http, await stack.enter_async_context(channel))


def phases(state: Server) -> list[str]:
    """The phase of every flight that the board knows."""
    return [state.admin("HGET", name, "phase").decode() for name in _flights(state)]


async def until_followed(state: Server, replicas: int) -> None:
    """Wait until so many replicas follow flights."""

    async def are_aboard() -> bool:
        fields: list[bytes] = [f for name in _flights(state) for f in state.admin("HKEYS", name)]
        return replicas == sum(f.startswith(b"follower:") for f in fields)

    await until(are_aboard)


def equal(answers: Sequence[Answer]) -> None:
    """All have the same picture."""
    assert [_OK] * len(answers) == [answer.outcome for answer in answers]
    assert 1 == len({answer.body for answer in answers})


def _flights(state: Server) -> list[str]:
    return [name.decode() for name in state.admin("KEYS", "pg1:{ctl}:flight:*")]
