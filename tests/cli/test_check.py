"""`check`: all that is wrong, and what is not in force yet."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.cli import main
from gateway.config import reference
from tests.cli.commands import run
from tests.config.documents import CANARY, ENVIRON, VALID, WITH_REDIS


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "gateway.yaml"


def test_a_right_configuration_is_ok(file: Path) -> None:
    file.write_text(WITH_REDIS)
    done = run("check", "--config", str(file), environ=ENVIRON)
    assert (0, "ok\n", "") == (done.returncode, done.stdout, done.stderr)


def test_keys_that_are_not_in_force_are_named(file: Path) -> None:
    file.write_text(f"{WITH_REDIS}    weight: 2\n")
    done = run("check", "--config", str(file), environ=ENVIRON)
    expected = "ok\nnot in force yet: tenants[0].weight\n"
    assert (0, expected) == (done.returncode, done.stdout)


def test_a_gateway_without_redis_is_not_served(file: Path) -> None:
    file.write_text(VALID)
    done = run("check", "--config", str(file), environ=ENVIRON)
    assert 1 == done.returncode
    assert "redis: is missing" in done.stderr


def test_every_mistake_is_a_line_and_the_exit_code_is_1(file: Path) -> None:
    file.write_text(f"{WITH_REDIS}cache: {{ttl: {CANARY}}}\n")
    done = run("check", "--config", str(file), environ={**ENVIRON, "GATEWAY_XYZ": CANARY})
    lines = [
        f"{file}: GATEWAY_XYZ: is no variable of the gateway\n",
        f"{file}: cache.ttl: has to be a duration with its unit: 10ms, 60s, 5m, 1h or 30d\n",
    ]
    assert (1, "", "".join(lines)) == (done.returncode, done.stdout, done.stderr)


def test_a_file_that_is_not_there_is_a_mistake(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 1 == main(["check", "--config", str(file)])
    assert f"{file}: configuration: cannot be read" in capsys.readouterr().err


def test_a_redis_url_that_the_store_cannot_use_is_a_mistake(file: Path) -> None:
    file.write_text(
        f"{VALID}redis: {{state_url: 'http://:{CANARY}@h', cache_url: 'redis://h/x'}}\n"
    )
    done = run("check", "--config", str(file), environ=ENVIRON)
    paths = [line.removeprefix(f"{file}: ").partition(":")[0] for line in done.stderr.splitlines()]
    assert (1, ["redis.state_url", "redis.cache_url"]) == (done.returncode, paths)
    assert CANARY not in done.stderr


def test_one_redis_url_is_one_mistake(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The cache's role falls to the state Redis, and its URL is wrong once."""
    (file.parent / "state").write_text("redis://h/x")
    file.write_text(f"{VALID}redis: {{state_url_file: state}}\n".replace("KEY_1", "PATH"))
    assert 1 == main(["check", "--config", str(file)])
    expected = f"{file}: redis.state_url_file: the database of a Redis URL is a number\n"
    assert expected == capsys.readouterr().err


def test_the_reference_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == main(["check", "--reference"])
    assert reference() == capsys.readouterr().out
