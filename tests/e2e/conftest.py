"""One gateway and one emulator for all tests of a module, so that many hundred cases stay quick."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from gateway.emulator import AccountSettings, EmulatorSettings, KeySettings
from tests.e2e.companions import TEMPLATE
from tests.e2e.draw import DOORS, Draw
from tests.e2e.harness import UPSTREAM_KEY, World, world
from tests.servers.fixtures import start_server, valkey_program
from tests.support.pictures import png

__all__ = ["cached", "draw", "picture", "shared", "start_server", "valkey_program"]

_PLENTY = 1_000_000
_SETTINGS = EmulatorSettings(
    accounts=(
        AccountSettings(
            id="emulator",
            keys=(KeySettings("k1", UPSTREAM_KEY, requests_per_window=_PLENTY),),
            available=_PLENTY,
            templates=frozenset({TEMPLATE}),
        ),
    )
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared() -> AsyncIterator[World]:
    """A world of its own for each module; its tests run in the module's loop."""
    async with world(_SETTINGS) as w:
        yield w


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cached() -> AsyncIterator[World]:
    """A world of its own for each module, which keeps results."""
    async with world(_SETTINGS, changes={"redis": "embedded"}) as w:
        yield w


@pytest.fixture
def picture(request: pytest.FixtureRequest) -> bytes:
    """A picture that no other test edits, so that nothing is stored of it."""
    case = hashlib.sha256(request.node.nodeid.encode()).hexdigest()
    return png(32, 24, subject=f"#{case[:6]}", ground=f"#{case[6:12]}")


@pytest.fixture(params=sorted(DOORS))
def draw(shared: World, request: pytest.FixtureRequest) -> Draw:
    """Edits pictures through each of the two doors."""
    return Draw(shared, request.param)
