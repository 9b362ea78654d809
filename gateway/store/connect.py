"""From a URL to a link."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from redis.asyncio import (
    Connection,
    ConnectionPool,
    Redis,
    RedisCluster,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff

from gateway.store.address import RedisAddress, Topology, parse_url
from gateway.store.breaker import Circuit
from gateway.store.link import ClusterLink, Link, SingleLink, TimeOuts

__all__ = ["TIME_OUTS", "connect"]

TIME_OUTS = TimeOuts(connect=0.5, operation=1.0)
"""Those of the cache: a purchase takes longer than that, but a miss costs money."""

_LISTENERS = 4
"""Connections beside those for commands: each listener keeps one."""


def connect(
    url: str,
    *,
    connections: int = 64,
    time_outs: TimeOuts = TIME_OUTS,
    clock: Callable[[], float] = time.monotonic,
) -> Link:
    """Return a link to the Redis at `url`; nothing is sent yet. Raises ValueError for a bad URL.

    `clock` is the monotonic clock of the circuit.
    """
    address = parse_url(url)
    circuit = Circuit(clock)
    if address.topology is Topology.CLUSTER:
        return ClusterLink(
            _cluster(address, connections, time_outs), circuit, connections, time_outs
        )
    if address.topology is Topology.SENTINEL:
        sentinel = _sentinel(address, time_outs)
        pool: ConnectionPool = SentinelConnectionPool(  # type: ignore[no-untyped-call] # the library's
            address.service,
            sentinel,
            ssl=address.tls,
            max_connections=connections + _LISTENERS,
            db=address.db,
            **_options(address, time_outs),
        )
        return SingleLink(Redis.from_pool(pool), sentinel, circuit, connections, time_outs)
    client = Redis.from_pool(_pool(address, connections, time_outs))
    return SingleLink(client, None, circuit, connections, time_outs)


def _options(address: RedisAddress, time_outs: TimeOuts) -> dict[str, Any]:
    """Options of every connection to a data server.

    The library would repeat a command that has timed out up to ten times; we repeat nothing. RESP2
    needs no greeting, so a new connection costs one round trip less. An answer's time-out is the link's
    own: the library's would cost every command 15 % more.
    """
    return {
        "socket_connect_timeout": time_outs.connect,
        "socket_timeout": None,
        "username": address.credentials.username,
        "password": address.credentials.password,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
        "driver_info": None,
    } | ({"ssl_ca_certs": address.ca_file} if address.tls else {})


def _pool(address: RedisAddress, connections: int, time_outs: TimeOuts) -> ConnectionPool:
    options = _options(address, time_outs)
    if address.topology is Topology.UNIX:
        options |= {"connection_class": UnixDomainSocketConnection, "path": address.path}
    else:
        [(host, port)] = address.hosts
        kind = SSLConnection if address.tls else Connection
        options |= {"connection_class": kind, "host": host, "port": port}
    return ConnectionPool(max_connections=connections + _LISTENERS, db=address.db, **options)


def _sentinel(address: RedisAddress, time_outs: TimeOuts) -> Sentinel:
    """The sentinels' client. A time-out of its own makes it ask the next when one hangs."""
    options = _options(address, time_outs) | {
        "ssl": address.tls,
        "socket_timeout": time_outs.connect,
        "username": address.sentinel_credentials.username,
        "password": address.sentinel_credentials.password,
    }
    return Sentinel(address.hosts, sentinel_kwargs=options)  # type: ignore[no-untyped-call] # theirs


def _cluster(address: RedisAddress, connections: int, time_outs: TimeOuts) -> RedisCluster:
    """A cluster client. A time-out of its own makes it read the layout anew when a node hangs.

    Its pools do not wait but raise, and a connection that is being closed counts: hence twice as many.
    """
    return RedisCluster(
        startup_nodes=[ClusterNode(host, port) for host, port in address.hosts],
        require_full_coverage=False,
        max_connections=2 * connections,
        ssl=address.tls,
        **_options(address, time_outs) | {"socket_timeout": time_outs.operation},
    )
