"""Redis URLs.

    redis://[user:password@]host[:port][/db]            one server; rediss:// with TLS
    unix:///path/of/socket[?db=0]                       one server on this machine
    redis+sentinel://[user:password@]h1[:port],h2/name[/db]
    redis+cluster://[user:password@]h1[:port],h2

`rediss+sentinel://` and `rediss+cluster://` are those with TLS. `?ca_file=PATH` names the authorities
that TLS trusts instead of the system's. The sentinels' own credentials are `?sentinel_username=` and
`?sentinel_password=`. User, password, service name and path are percent-decoded.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

__all__ = ["Credentials", "RedisAddress", "Topology", "parse_url"]


class Topology(enum.StrEnum):
    """How the servers stand to each other."""

    SINGLE = "single"
    UNIX = "unix"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


_SCHEMES = {
    "redis": (Topology.SINGLE, False),
    "rediss": (Topology.SINGLE, True),
    "unix": (Topology.UNIX, False),
    "redis+sentinel": (Topology.SENTINEL, False),
    "rediss+sentinel": (Topology.SENTINEL, True),
    "redis+cluster": (Topology.CLUSTER, False),
    "rediss+cluster": (Topology.CLUSTER, True),
}
_OPTIONS = {
    Topology.SINGLE: {"ca_file"},
    Topology.UNIX: {"db"},
    Topology.SENTINEL: {"ca_file", "sentinel_username", "sentinel_password"},
    Topology.CLUSTER: {"ca_file"},
}
_PORTS = {Topology.SENTINEL: 26379}


@dataclass(frozen=True, slots=True)
class Credentials:
    """User and password; None where none is given. Neither is ever shown."""

    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """Where Redis is. `hosts` are sentinels or first cluster nodes where there are several.

    `path` is the socket of a UNIX address, `service` the name that the sentinels know.
    """

    topology: Topology
    hosts: tuple[tuple[str, int], ...] = ()
    path: str = ""
    service: str = ""
    db: int = 0
    tls: bool = False
    ca_file: str | None = None
    credentials: Credentials = Credentials()
    sentinel_credentials: Credentials = Credentials()


def parse_url(url: str) -> RedisAddress:
    """Read a Redis URL. Raises ValueError, whose text never repeats the URL: it may hold a password."""
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES:
        raise ValueError(f"a Redis URL starts with one of: {'://, '.join(_SCHEMES)}://")
    topology, tls = _SCHEMES[parts.scheme]
    options = _options(parts, topology)
    user, _, hosts = parts.netloc.rpartition("@")
    path, service, db = _path(parts, topology)
    return RedisAddress(
        topology=topology,
        hosts=_hosts(hosts, topology),
        path=path,
        service=service,
        db=_db(options.get("db", db)),
        tls=tls,
        ca_file=options.get("ca_file"),
        credentials=_credentials(user),
        sentinel_credentials=Credentials(
            options.get("sentinel_username"), options.get("sentinel_password")
        ),
    )


def _options(parts: SplitResult, topology: Topology) -> Mapping[str, str]:
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    unknown = sorted(options.keys() - _OPTIONS[topology])
    if unknown:
        raise ValueError(f"{parts.scheme}:// knows no option {unknown[0]}")
    if parts.fragment:
        raise ValueError("a Redis URL has no fragment; write # in a password as %23")
    return options


def _path(parts: SplitResult, topology: Topology) -> tuple[str, str, str]:
    """Socket path, service name and database, each "" where it is not said there."""
    segments = [unquote(segment) for segment in parts.path.strip("/").split("/")]
    match topology, segments:
        case Topology.UNIX, _ if parts.path:
            return unquote(parts.path), "", ""
        case Topology.UNIX, _:
            raise ValueError("unix:// names no socket; write unix:///path/of/socket")
        case Topology.SENTINEL, [service] if service:
            return "", service, ""
        case Topology.SENTINEL, [service, db] if service:
            return "", service, db
        case Topology.SENTINEL, _:
            raise ValueError(
                "a Sentinel URL ends in the service's name: redis+sentinel://h1,h2/name"
            )
        case Topology.CLUSTER, [""]:
            return "", "", ""
        case Topology.CLUSTER, _:
            raise ValueError("a Redis Cluster has database 0 only: leave out the path")
        case _, [db]:
            return "", "", db
        case _:
            raise ValueError("the path of a Redis URL is the number of the database")


def _hosts(text: str, topology: Topology) -> tuple[tuple[str, int], ...]:
    if topology is Topology.UNIX:
        if text:
            raise ValueError("unix:// has no host; write unix:///path/of/socket")
        return ()
    hosts = tuple(_host(part, _PORTS.get(topology, 6379)) for part in text.split(","))
    if topology is Topology.SINGLE and len(hosts) > 1:
        raise ValueError("several hosts need redis+sentinel:// or redis+cluster://")
    return hosts


def _host(text: str, port: int) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text}")
        host, given = parts.hostname, parts.port
    except ValueError:
        raise ValueError("a port of the Redis URL is no port") from None
    if not host:
        raise ValueError("the Redis URL names no host")
    return host, port if given is None else given


def _db(text: str) -> int:
    if not text:
        return 0
    if not (text.isascii() and text.isdigit()):
        raise ValueError("the database of a Redis URL is a number")
    return int(text)


def _credentials(text: str) -> Credentials:
    user, _, password = text.partition(":")
    return Credentials(unquote(user) or None, unquote(password) or None)
