"""Settings from the environment."""

from __future__ import annotations

import pytest

from gateway.config import Address, RedisServers, parse_config
from gateway.config.environment import is_service_link
from gateway.config.schema import keys
from tests.config.documents import ENVIRON, VALID, mistakes, with_upstream_key


def test_the_environment_wins_over_the_file() -> None:
    text = f"{VALID}listen: {{rest: 'a:1', ops: 'b:2'}}"
    listen = parse_config(text, {**ENVIRON, "GATEWAY_LISTEN__REST": "c:3"}).listen
    assert (Address("c", 3), Address("b", 2)) == (listen.rest, listen.ops)


@pytest.mark.parametrize(
    ("variable", "text", "path", "value"),
    [
        ("GATEWAY_UPSTREAM__TIMEOUTS__EDIT", "5m", "upstream.timeouts.edit", 300.0),
        ("GATEWAY_UPSTREAM__TAKEOVER_PAID_ATTEMPTS", "0", "upstream.takeover_paid_attempts", 0),
        ("GATEWAY_CACHE__MEMORY", "1KiB", "cache.memory", 1024),
        ("GATEWAY_TELEMETRY__SAMPLE", "1", "telemetry.sample", 1.0),
        ("GATEWAY_BODIES__DIR", "123", "bodies.dir", "123"),
        ("GATEWAY_REDIS", "embedded", "redis", "embedded"),
    ],
)
def test_a_scalar_is_read_as_its_key_is(variable: str, text: str, path: str, value: object) -> None:
    found: object = parse_config(VALID, {**ENVIRON, variable: text})
    for name in path.split("."):
        found = getattr(found, name)
    assert value == found


def test_the_environment_replaces_embedded_redis() -> None:
    environ = {**ENVIRON, "GATEWAY_REDIS__STATE_URL": "redis://state"}
    redis = parse_config(f"{VALID}redis: embedded", environ).redis
    assert isinstance(redis, RedisServers)
    assert ["redis://state"] * 2 == [url.get_secret_value() for url in (redis.state, redis.cache)]


@pytest.mark.parametrize(
    ("environ", "mistake"),
    [
        (
            {"GATEWAY_LISTEN__REST": "x"},
            (
                "listen.rest",
                "has to be host:port, such as 0.0.0.0:8080 or [::]:8080 (set by GATEWAY_LISTEN__REST)",
            ),
        ),
        (
            {"GATEWAY_LISTEN__RST": "a:1"},
            (
                "GATEWAY_LISTEN__RST",
                "is no variable of the gateway; did you mean GATEWAY_LISTEN__REST?",
            ),
        ),
        (
            {"GATEWAY_REDIS": "embedded", "GATEWAY_REDIS__STATE_URL": "redis://a"},
            ("GATEWAY_REDIS__STATE_URL", "is set beside GATEWAY_REDIS: only one of them may be"),
        ),
        ({"GATEWAY_TENANTS": "[]"}, ("GATEWAY_TENANTS", "is no variable of the gateway")),
        ({"GATEWAY_XYZ": ""}, ("GATEWAY_XYZ", "is no variable of the gateway")),
        (
            {"GATEWAY_TELEMETRY__SAMPLE": "2024-13-45"},
            ("telemetry.sample", "has to be a number (set by GATEWAY_TELEMETRY__SAMPLE)"),
        ),
    ],
)
def test_a_wrong_variable_is_a_mistake(environ: dict[str, str], mistake: tuple[str, str]) -> None:
    assert [mistake] == mistakes(VALID, {**ENVIRON, **environ})


def test_a_variable_hides_no_mistake_of_the_file() -> None:
    found = mistakes(f"{VALID}listen: 5", {**ENVIRON, "GATEWAY_LISTEN__REST": "a:1"})
    assert [("listen", "has to be a mapping")] == found


def test_a_variable_that_holds_a_secret_may_have_the_prefix() -> None:
    text = with_upstream_key("id: k1, secret_env: GATEWAY_KEY_1")
    assert [] == mistakes(text, {"GATEWAY_KEY_1": "sk_1"})


KUBERNETES = [
    "GATEWAY_SERVICE_HOST",
    "GATEWAY_SERVICE_PORT",
    "GATEWAY_SERVICE_PORT_REST",
    "GATEWAY_PORT",
    "GATEWAY_PORT_8080_TCP",
    "GATEWAY_PORT_8080_TCP_ADDR",
    "GATEWAY_REDIS_SERVICE_HOST",
]


def test_variables_of_a_kubernetes_service_named_gateway_are_let_pass() -> None:
    assert [] == mistakes(VALID, {**ENVIRON, **dict.fromkeys(KUBERNETES, "tcp://10.0.0.1:80")})


def test_no_setting_looks_like_a_variable_of_kubernetes() -> None:
    assert [] == [key.path for key in keys() if key.variable and is_service_link(key.variable)]
