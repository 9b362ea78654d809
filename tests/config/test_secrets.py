"""Secrets are read, and never shown."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest

from gateway.config import Config, ConfigError, RedisServers, parse_config
from tests.config.documents import CANARY, ENVIRON, VALID, mistakes, with_upstream_key

KEY = "upstream.accounts[0].keys[0]"


def secret_of(config: Config) -> str:
    return config.upstream.accounts[0].keys[0].secret.get_secret_value()


def test_a_secret_comes_from_a_variable() -> None:
    assert CANARY == secret_of(parse_config(VALID, ENVIRON))


def test_a_secret_comes_from_a_file_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "k1").write_text(f"{CANARY}\n")
    text = with_upstream_key("id: k1, secret_file: k1")
    assert CANARY == secret_of(parse_config(text, {}, folder=tmp_path))


def test_the_two_redis_roles_have_their_urls(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("redis://:password@state\n")
    text = f"{VALID}redis: {{state_url_file: state, cache_url: redis://cache}}"
    redis = parse_config(text, ENVIRON, folder=tmp_path).redis
    assert isinstance(redis, RedisServers)
    assert "redis://:password@state" == redis.state.get_secret_value()
    assert "redis://cache" == redis.cache.get_secret_value()


@pytest.mark.parametrize(
    ("content", "mistake"),
    [
        (b"", "names a file that is empty"),
        (b" \n", "names a file that is empty"),
        (b"two words", "names a file that holds more than one word of plain ASCII"),
        (b"one\ntwo", "names a file that holds more than one word of plain ASCII"),
        ("schlüssel".encode(), "names a file that holds more than one word of plain ASCII"),
        (b"\xff\xfe", "names a file that holds more than one word of plain ASCII"),
        (b"x" * 70_000, "names a file of more than 65536 bytes"),
        (b"sandbox_sk", "names a sandbox key; configure the live one, sandbox calls get the prefix sandbox_ by themselves"),
        (None, "names a file that cannot be read: No such file or directory"),
    ],
)  # fmt: skip
def test_a_file_without_a_secret_is_a_mistake(
    tmp_path: Path, content: bytes | None, mistake: str
) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    found = mistakes(with_upstream_key(f"id: k1, secret_file: {path}"))
    assert [(f"{KEY}.secret_file", mistake)] == found


@pytest.mark.parametrize(
    ("fields", "path", "mistake"),
    [
        ("secret_env: ''", "secret_env", "has to be the name of an environment variable"),
        ("secret_env: 7", "secret_env", "has to be the name of an environment variable"),
        ("secret_env: EMPTY", "secret_env", "names a variable that is empty"),
        ("secret_file: ''", "secret_file", "has to be the path of a file"),
        ("secret_file: []", "secret_file", "has to be the path of a file"),
        ('secret_file: "a\\0b"', "secret_file", "has to be the path of a file"),
        ("secret_file: .", "secret_file", "names a file that cannot be read: Is a directory"),
        (
            "secret_file: none, secret_env: KEY_1",
            "secret_env",
            "is set beside secret_file: only one of them may be",
        ),
    ],
)
def test_a_secret_has_one_source_that_works(fields: str, path: str, mistake: str) -> None:
    found = mistakes(with_upstream_key(f"id: k1, {fields}"), {**ENVIRON, "EMPTY": ""})
    assert (f"{KEY}.{path}", mistake) in found


def test_two_keys_do_not_share_a_secret() -> None:
    text = with_upstream_key("id: k1, secret_env: KEY_1}, {id: k2, secret_env: KEY_1")
    expected = f"is the secret of another key: {KEY}.secret_env"
    assert [("upstream.accounts[0].keys[1].secret_env", expected)] == mistakes(text)


def test_the_secret_of_the_cache_has_32_bytes(tmp_path: Path) -> None:
    (tmp_path / "short").write_text("x" * 31)
    (tmp_path / "long").write_text("x" * 32)
    text = f"{VALID}cache: {{secret_file: {tmp_path}/"
    assert [("cache.secret_file", "names a file that holds less than 32 bytes")] == mistakes(
        f"{text}short}}"
    )
    assert [] == mistakes(f"{text}long}}")


def test_a_configuration_shows_no_secret() -> None:
    config = parse_config(f"{VALID}redis: {{state_url: 'redis://:{CANARY}@h'}}", ENVIRON)
    shown = [repr(config), str(config), config.model_dump_json(), str(config.model_dump())]
    assert [] == [text for text in shown if CANARY in text]


@pytest.mark.parametrize(
    "text",
    [
        with_upstream_key(f"id: k1, secret_env: {CANARY}"),
        with_upstream_key(f"id: k1, secret_file: {CANARY}"),
        with_upstream_key(f"id: k1, secret: {CANARY}"),
        with_upstream_key(f"id: {CANARY} x"),
        VALID.replace("upstream:", f"upstream:\n  edit_url: https://{CANARY}@h"),
        f"{VALID}redis: {{state_url: 'redis://:{CANARY} x@h'}}",
        f"{VALID}redis: {CANARY}",
        f"{VALID}telemetry: {{otlp_endpoint: {CANARY}}}",
        f"{VALID}cache: {{ttl: {CANARY}}}",
        f"{VALID}listen: {{rest: {CANARY}}}",
        f"{VALID}listen: {CANARY}",
        f"tenants: [{CANARY}",
        VALID.replace('["', f'["{CANARY}", "'),
    ],
)
def test_no_mistake_repeats_a_value(text: str) -> None:
    """A secret that was pasted in the wrong place stays in the file."""
    with pytest.raises(ConfigError) as caught:
        parse_config(text, {})
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value.mistakes)
    assert CANARY not in shown
