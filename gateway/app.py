"""The composition root: builds every object in order, and takes them down in reverse.

The only module that knows all parts.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version

from gateway.auth import HashedKeys
from gateway.backing import Backing, StartError, lives, open_backing
from gateway.config import Config, ConfigWatch
from gateway.domain.retries import RetryBudget
from gateway.flights import Flights
from gateway.pipeline import Pipeline
from gateway.polling import Poller
from gateway.purchasing import CallTimes, Payment, Purchasing
from gateway.reload import Reloadable, Reloader
from gateway.store.background import in_background
from gateway.store.pool import Pool
from gateway.telemetry.account_metrics import AccountMetrics
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.observers import ObservedEditor, ObservedUpstream
from gateway.transport.codec import compile_schemas
from gateway.transport.http_server import HttpServer
from gateway.transport.ops import ops_app
from gateway.transport.rest.app import rest_app
from gateway.transport.rpc.admin import AdminDesk
from gateway.transport.rpc.server import RpcServer
from gateway.upstream.account import AccountReader, PhotoroomDesk
from gateway.upstream.client import PhotoroomClient
from gateway.upstream.keyed import KeyedUpstream
from gateway.upstream.keyring import KeyRing
from gateway.upstream.rotation import KeyRotation
from gateway.upstream.settings import Timeouts, UpstreamKey, UpstreamSettings

__all__ = ["Gateway", "running_gateway"]

_AFTER_LONGEST_CALL = 10.0
"""Seconds that a closing replica gives its calls beyond the longest upstream time-out."""

_FIRST_QUESTIONS = 5.0
"""Seconds in which the upstream may say which keys it knows, before the gateway takes calls."""

_LAST_WORDS = 10.0
"""Seconds that RPCs have left when no paid work is under way any more: to be read or written to their end."""


@dataclass(slots=True)
class Gateway:
    """A gateway that takes calls: its three doors."""

    rest: HttpServer
    grpc: RpcServer
    ops: HttpServer
    flights: Flights
    grace: float
    last_words: float = _LAST_WORDS
    ready: bool = False

    async def start(self) -> None:
        """Open the doors. Raises StartError when an address cannot be had."""
        try:
            await self.ops.start()
            await self.rest.start()
            await self.grpc.start()
        except OSError as error:
            raise StartError(str(error)) from error
        self.ready = True

    async def stop(self) -> None:
        """Take no more calls, and finish those in flight within the grace."""
        self.ready = False
        self.grpc.leave()
        await asyncio.gather(self._finish(), self.grpc.stop(self.grace))
        self.flights.close()
        await self.flights.drain(self.grace)
        await self.ops.stop()

    async def _finish(self) -> None:
        """Finish the calls over REST and the paid work, then cut off what is left over gRPC.

        grpc waits for streams that nobody ends, and it may forget a call that met the closing.
        """
        await self.rest.stop()
        await self.flights.drain(self.grace)
        await self.grpc.stop(self.last_words)


@asynccontextmanager
async def running_gateway(
    config: Config, watch: ConfigWatch | None = None
) -> AsyncIterator[Gateway]:
    """Build a gateway, open its doors, and close them at the end. Raises StartError.

    It takes over what `watch`, which has loaded `config`, reads while it runs.
    """
    async with AsyncExitStack() as stack:
        metrics = Metrics(version("photoroom-gateway"))
        pool = Pool(config.upstream.pool, gated=config.redis is not None)
        backing = await open_backing(config, stack, metrics, pool)
        settings = upstream_settings(config)
        client = await stack.enter_async_context(PhotoroomClient(settings))
        ring = KeyRing(settings.keys, kept=_grace(config))
        keys = HashedKeys(
            config.tenants_by_credential(), config.admins_by_credential(), denied=backing.marks
        )
        accounts = _accounts(config, backing, client, ring, pool)
        rotation = _rotation(backing, client, ring, pool, _opening(accounts))
        reloader = Reloader(config, _reloadable(keys, rotation), metrics)
        pipeline = Pipeline(
            authenticator=keys,
            gate=backing.gate,
            admission=backing.admission,
            accounts=accounts,
            epochs=backing.marks,
            blobs=backing.cache,
            purchasing=_purchasing(config, ring, backing, client, metrics),
            flights=Flights(backing.board),
        )
        metrics.watch_degraded(lambda: pipeline.flights.alone)
        desk = AdminDesk(keys, backing.marks, backing.keys, keys.scopes)
        gateway = _doors(config, pipeline, desk, metrics)
        if watch is not None:
            await stack.enter_async_context(in_background(rotation=rotation.run()))
            await stack.enter_async_context(reloader.following(watch))
        if isinstance(accounts, Poller):
            AccountMetrics(metrics.registry, lambda: accounts.standings)
            await stack.enter_async_context(in_background(accounts=accounts.polls()))
        await _hear_first_words(rotation, accounts)
        stack.push_async_callback(gateway.stop)
        await gateway.start()
        yield gateway


def _reloadable(keys: HashedKeys, rotation: KeyRotation) -> tuple[Reloadable, ...]:
    """Return what takes over a changed configuration: callers, and the keys of the upstream."""
    return (
        lambda new: partial(keys.replace, new.tenants_by_credential(), new.admins_by_credential()),
        lambda new: partial(rotation.replace, new.upstream.pool, upstream_settings(new).keys),
    )


def _accounts(
    config: Config, backing: Backing, client: PhotoroomClient, ring: KeyRing, pool: Pool
) -> Poller | AccountReader:
    """Return what knows what the accounts have left: for all replicas, or for one that is alone."""
    if backing.accounts is None:
        return AccountReader(client, ring)
    return Poller(backing.accounts, PhotoroomDesk(client, ring), pool, config.upstream.rhythm)


def _rotation(
    backing: Backing,
    client: PhotoroomClient,
    ring: KeyRing,
    pool: Pool,
    is_open: Callable[[str], bool],
) -> KeyRotation:
    return KeyRotation(pool.accounts, client, backing.keys, ring, pool, is_open=is_open)


def _opening(accounts: Poller | AccountReader) -> Callable[[str], bool]:
    """Return what tells whether an account may serve: where they are polled, it was polled once."""
    if isinstance(accounts, AccountReader):
        return lambda _: True

    def is_open(account: str) -> bool:
        return any(one.account.id == account and one.word for one in accounts.standings)

    return is_open


async def _hear_first_words(rotation: KeyRotation, accounts: Poller | AccountReader) -> None:
    """Wait until the upstream has said which keys it knows and what its accounts have, if it answers."""
    questions = [rotation.begin(_FIRST_QUESTIONS)]
    if isinstance(accounts, Poller):
        questions.append(accounts.began())
    await asyncio.gather(*questions)


def _purchasing(
    config: Config,
    ring: KeyRing,
    backing: Backing,
    client: PhotoroomClient,
    metrics: Metrics,
) -> Purchasing:
    keyed = KeyedUpstream(client, ring)
    return Purchasing(
        payment=Payment(backing.admission, ObservedUpstream(keyed, metrics), keyed, RetryBudget()),
        results=backing.cache,
        blobs=backing.cache,
        replays=backing.replays,
        lives=lives(config),
        times=CallTimes(config.upstream.timeouts.edit, config.upstream.timeouts.generative),
        clock=time.time,
    )


def _doors(config: Config, pipeline: Pipeline, desk: AdminDesk, metrics: Metrics) -> Gateway:
    editor = ObservedEditor(pipeline, metrics)
    schemas = compile_schemas()
    grace = _grace(config)
    rest, ops = config.listen.rest, config.listen.ops
    gateway = Gateway(
        rest=HttpServer(rest_app(editor, schemas), rest.host, rest.port, grace=grace),
        grpc=RpcServer(editor, schemas, desk, str(config.listen.grpc)),
        ops=HttpServer(
            ops_app(metrics.render, lambda: gateway.ready), ops.host, ops.port, grace=1.0
        ),
        flights=pipeline.flights,
        grace=grace,
    )
    return gateway


def _grace(config: Config) -> float:
    """Seconds after which no call can be under way any more that is under way now."""
    return config.upstream.timeouts.generative + _AFTER_LONGEST_CALL


def upstream_settings(config: Config) -> UpstreamSettings:
    """Translate the upstream's part of the configuration."""
    upstream = config.upstream
    return UpstreamSettings(
        edit_url=upstream.edit_url,
        segment_url=upstream.segment_url,
        timeouts=Timeouts(edit=upstream.timeouts.edit, generative=upstream.timeouts.generative),
        keys=tuple(
            UpstreamKey(key.id, key.secret.get_secret_value(), account.id)
            for account in upstream.accounts
            for key in account.keys
        ),
    )
