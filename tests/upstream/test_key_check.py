"""What the account call shows of a key."""

from __future__ import annotations

import pytest

from gateway.domain.keys import Verdict
from gateway.emulator import (
    AccountSettings,
    Cut,
    Emulator,
    EmulatorSettings,
    FaultRule,
    KeySettings,
)
from gateway.upstream.client import PhotoroomClient
from gateway.upstream.key_check import check_key
from gateway.upstream.settings import UpstreamKey
from tests.upstream.purchases import settings

KEY = UpstreamKey("k1", "sk_canary_1", "plus")
KNOWN = EmulatorSettings(accounts=(AccountSettings("plus", (KeySettings("k1", KEY.secret),)),))
EMPTY = EmulatorSettings(
    accounts=(AccountSettings("plus", (KeySettings("k1", KEY.secret),), available=0.0),)
)
OLD = EmulatorSettings(
    accounts=(AccountSettings("plus", (KeySettings("k1", KEY.secret),), old_pricing=True),)
)
ACCOUNT = "account"
SERVED, NOTHING = Verdict.SERVED, Verdict.NOTHING

CASES: dict[str, tuple[EmulatorSettings, FaultRule | None, Verdict]] = {
    "a good key": (KNOWN, None, SERVED),
    "an empty account": (EMPTY, None, SERVED),
    "an account on old prices": (OLD, None, SERVED),
    "the sandbox's refusal": (KNOWN, FaultRule(operation=ACCOUNT, status=400), SERVED),
    "a 402": (KNOWN, FaultRule(operation=ACCOUNT, status=402), SERVED),
    "an unknown key": (EmulatorSettings(), None, Verdict.REJECTED),
    "a forbidden key": (KNOWN, FaultRule(operation=ACCOUNT, status=403), Verdict.FORBIDDEN),
    "a proxy's page": (KNOWN, FaultRule(operation=ACCOUNT, status=404), NOTHING),
    "a throttled key": (KNOWN, FaultRule(operation=ACCOUNT, status=429), NOTHING),
    "a broken upstream": (KNOWN, FaultRule(operation=ACCOUNT, status=500), NOTHING),
    "an overloaded upstream": (KNOWN, FaultRule(operation=ACCOUNT, status=503), NOTHING),
    "a lost connection": (KNOWN, FaultRule(operation=ACCOUNT, cut=Cut.BEFORE_BODY), NOTHING),
}


@pytest.mark.parametrize("name", CASES)
async def test_what_the_account_call_answers_says_whether_the_upstream_knows_the_key(
    name: str,
) -> None:
    upstream, fault, verdict = CASES[name]
    async with Emulator(upstream) as emulator:
        emulator.faults.add(*([fault] if fault else []))
        async with PhotoroomClient(settings(emulator.url, keys=[KEY])) as client:
            assert verdict is await check_key(client, KEY)
        assert 0 == emulator.bill.charges


async def test_an_upstream_that_nobody_reaches_has_not_said() -> None:
    async with PhotoroomClient(settings("http://127.0.0.1:1", keys=[KEY])) as client:
        assert NOTHING is await check_key(client, KEY)
