"""The watch over the suite's logs finds what leaks: a watch that cannot fail promises nothing."""

from __future__ import annotations

import base64
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.support.leak_watch import MARK, leaks

KEY = f"sk_pr_{MARK}_0123"
# A test each; the first is clean, every other one leaks, in another way or at another time.
SUITE = f"""
import logging

import pytest

log = logging.getLogger("gateway.requests")


@pytest.fixture
def early():
    log.info("set up with %s", "{KEY}")


@pytest.fixture
def late():
    yield
    log.info("torn down", extra={{"key": "{KEY}"}})


@pytest.fixture(scope="session")
def last():
    yield
    log.info("ended with {KEY}")


def test_clean():
    log.info("all is well", extra={{"tenant": "catalog"}})
    log.debug("{KEY}")  # production does not log this


def test_message():
    log.info("called with %s", "{KEY}")


def test_extra():
    log.info("call", extra={{"line": {{"key": b"{KEY}"}}}})


def test_exception():
    try:
        try:
            raise KeyError("{KEY}")
        except KeyError as error:
            raise ValueError("a clean text") from error
    except ValueError:
        log.exception("failed")


def test_other_logger():
    logging.getLogger("aiohttp.server").error("{KEY.encode().hex()}")


def test_after_logging_was_set_up():
    logging.getLogger().handlers[:] = []


def test_again_after_logging_was_set_up():
    log.info("{KEY}")


def test_early(early): ...


def test_late(late): ...


def test_last(last): ...
"""
OUTCOMES = {
    "clean": "PASSED",
    "message": "FAILED",
    "extra": "FAILED",
    "exception": "FAILED",
    "other_logger": "FAILED",
    "after_logging_was_set_up": "PASSED",
    "again_after_logging_was_set_up": "FAILED",
    "early": "ERROR",
    "late": "ERROR",
    "last": "ERROR",
}


@pytest.mark.parametrize("workers", [0, 2])
def test_a_test_that_logs_a_planted_secret_fails(tmp_path: Path, workers: int) -> None:
    """With and without xdist."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "conftest.py").write_text("from tests.conftest import pytest_configure\n")
    (tmp_path / "test_inner.py").write_text(SUITE)
    plugins = ["-p", "xdist.plugin", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *plugins, "-v", "-n", str(workers), "."]
    environ = {"PYTHONPATH": str(Path(__file__).parents[2]), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(
        command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert 1 == done.returncode, done.stdout + done.stderr
    # Plain: `...::test_x PASSED`. Of a worker: `[gw0] PASSED ...::test_x`.
    shown = re.findall(
        r"(?:(PASSED|FAILED|ERROR) )?\S+::test_(\w+)(?: (PASSED|FAILED|ERROR))?", done.stdout
    )
    assert set(OUTCOMES.items()) <= {(name, before or after) for before, name, after in shown}
    assert "logged by gateway.requests" in done.stdout


@pytest.mark.parametrize("before", ["", "x", "xy"])
@pytest.mark.parametrize("after", ["", "x", "xy"])
def test_a_planted_secret_is_found_in_any_disguise(before: str, after: str) -> None:
    secret = f"{before}{KEY}{after}"
    encoded = secret.encode()
    for shown in (
        secret,
        encoded,
        secret.upper(),
        repr(encoded),
        quote(secret),
        encoded.hex(),
        encoded.hex().upper(),
        base64.b64encode(encoded),
        base64.urlsafe_b64encode(encoded),
    ):
        assert leaks("all is well", shown)


def test_what_holds_no_secret_is_clean() -> None:
    assert [] == leaks("all is well", b"\xff\x00", base64.b64encode(bytes(range(256))), "can ary")


def test_of_a_secret_that_is_found_the_place_is_told() -> None:
    assert [f"GET /v2/edit?key={MARK}&x=1"] == leaks(f"GET /v2/edit?key={MARK}&x=1")
