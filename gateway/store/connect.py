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

from gateway.store.address import Credentials, RedisAddress, Topology, parse_url
from gateway.store.breaker import Circuit
from gateway.store.link import ClusterLink, Link, SingleLink, TimeOuts

__all__ = ["TIME_OUTS", "connect"]

TIME_OUTS = TimeOuts(connect=0.5, operation=1.0)
"""Those of the cache: a purchase takes longer than that, but a miss costs money."""


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
            max_connections=connections,
            db=address.db,
            **_options(time_outs, address.credentials),
            **_tls_options(address),
        )
        return SingleLink(Redis.from_pool(pool), sentinel, circuit, connections, time_outs)
    client = Redis.from_pool(_pool(address, connections, time_outs))
    return SingleLink(client, None, circuit, connections, time_outs)


def _options(time_outs: TimeOuts, credentials: Credentials) -> dict[str, Any]:
    """Options of every connection.

    The library would repeat a command that has timed out up to ten times; we repeat nothing. RESP2
    needs no greeting, so a new connection costs one round trip less.
    """
    return {
        "socket_connect_timeout": time_outs.connect,
        "socket_timeout": time_outs.operation,
        "username": credentials.username,
        "password": credentials.password,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
        "driver_info": None,
    }


def _tls_options(address: RedisAddress) -> dict[str, Any]:
    return {"ssl_ca_certs": address.ca_file} if address.tls else {}


def _pool(address: RedisAddress, connections: int, time_outs: TimeOuts) -> ConnectionPool:
    options = _options(time_outs, address.credentials) | _tls_options(address)
    if address.topology is Topology.UNIX:
        options |= {"connection_class": UnixDomainSocketConnection, "path": address.path}
    else:
        [(host, port)] = address.hosts
        kind = SSLConnection if address.tls else Connection
        options |= {"connection_class": kind, "host": host, "port": port}
    return ConnectionPool(max_connections=connections, db=address.db, **options)


def _sentinel(address: RedisAddress, time_outs: TimeOuts) -> Sentinel:
    options = _options(time_outs, address.sentinel_credentials) | _tls_options(address)
    return Sentinel(  # type: ignore[no-untyped-call] # the library's
        address.hosts, sentinel_kwargs=options | {"ssl": address.tls}
    )


def _cluster(address: RedisAddress, connections: int, time_outs: TimeOuts) -> RedisCluster:
    """A cluster client. Its pools do not wait but raise, and a closing connection still counts."""
    return RedisCluster(
        startup_nodes=[ClusterNode(host, port) for host, port in address.hosts],
        require_full_coverage=False,
        max_connections=2 * connections,
        ssl=address.tls,
        **_options(time_outs, address.credentials),
        **_tls_options(address),
    )
