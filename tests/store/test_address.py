"""Redis URLs: what is understood, and how a mistake is told without showing a password."""

from __future__ import annotations

import pytest

from gateway.store.address import Credentials, RedisAddress, Topology, parse_url

SINGLE, UNIX = Topology.SINGLE, Topology.UNIX
SENTINEL, CLUSTER = Topology.SENTINEL, Topology.CLUSTER

GOOD = {
    "redis://h": RedisAddress(SINGLE, (("h", 6379),)),
    "redis://h:7000/2": RedisAddress(SINGLE, (("h", 7000),), db=2),
    "redis://[::1]:7000": RedisAddress(SINGLE, (("::1", 7000),)),
    "redis://u:p%40:w@h": RedisAddress(
        SINGLE, (("h", 6379),), credentials=Credentials("u", "p@:w")
    ),
    "redis://:pw@h/": RedisAddress(SINGLE, (("h", 6379),), credentials=Credentials(None, "pw")),
    "rediss://h?ca_file=%2Fca.pem": RedisAddress(
        SINGLE, (("h", 6379),), tls=True, ca_file="/ca.pem"
    ),
    "unix:///run/redis.sock": RedisAddress(UNIX, path="/run/redis.sock"),
    "unix:///a%20b?db=3": RedisAddress(UNIX, path="/a b", db=3),
    "redis+sentinel://a,b:7/main": RedisAddress(SENTINEL, (("a", 26379), ("b", 7)), service="main"),
    "redis+sentinel://u:p@a/main/4?sentinel_password=s": RedisAddress(
        SENTINEL,
        (("a", 26379),),
        service="main",
        db=4,
        credentials=Credentials("u", "p"),
        sentinel_credentials=Credentials(None, "s"),
    ),
    "rediss+sentinel://a/main": RedisAddress(SENTINEL, (("a", 26379),), service="main", tls=True),
    "redis+cluster://a,b:7,[::1]": RedisAddress(CLUSTER, (("a", 6379), ("b", 7), ("::1", 6379))),
    "rediss+cluster://u:p@a/": RedisAddress(
        CLUSTER, (("a", 6379),), tls=True, credentials=Credentials("u", "p")
    ),
}

BAD = {
    "": "starts with one of",
    "http://h": "starts with one of",
    "redis://": "names no host",
    "redis://:hunter2@": "names no host",
    "redis://:hunter2@h:port": "no port",
    "redis://:hunter2@h:99999": "no port",
    "redis://:hunter2@a,b": "several hosts",
    "redis://:hunter2@h/x": "is a number",
    "redis://:hunter2@h/-1": "is a number",
    "redis://:hunter2@h/1/2": "number of the database",
    "redis://:hunter2@h?ssl=no": "no option ssl",
    "redis://:hunter2@h?ca_file=a#b": "no fragment",
    "unix://": "no socket",
    "unix://host/run/redis.sock": "no host",
    "redis+sentinel://:hunter2@a,b": "service's name",
    "redis+sentinel://:hunter2@a/": "service's name",
    "redis+sentinel://:hunter2@a/main/2/3": "service's name",
    "redis+sentinel://a,,b/main": "names no host",
    "redis+cluster://:hunter2@a/1": "database 0 only",
}


@pytest.mark.parametrize(("url", "address"), GOOD.items(), ids=GOOD)
def test_a_url_is_read(url: str, address: RedisAddress) -> None:
    assert address == parse_url(url)


@pytest.mark.parametrize(("url", "text"), BAD.items(), ids=BAD)
def test_a_bad_url_is_refused_with_the_reason_and_without_its_password(url: str, text: str) -> None:
    with pytest.raises(ValueError, match=text) as refusal:
        parse_url(url)
    assert "hunter2" not in str(refusal.value)


def test_an_address_does_not_show_its_credentials() -> None:
    shown = repr(parse_url("redis+sentinel://user:hunter2@a/main?sentinel_password=hunter3"))
    assert "hunter" not in shown
    assert "user" not in shown.replace("username", "")
