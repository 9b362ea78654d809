"""The keys in order, the next one on trouble, and no charge more than one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from gateway.domain.answer import Answer
from gateway.domain.errors import (
    GatewayError,
    KeyExhausted,
    KeyForbidden,
    KeyRejected,
    KeyThrottled,
    KeyTrouble,
    OutcomeUnknown,
    UpstreamBadAnswer,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamUnavailable,
    UpstreamUnreachable,
)
from gateway.ports import Purchase, Upstream
from gateway.upstream.client import PhotoroomClient
from gateway.upstream.keychain import Keychain
from gateway.upstream.keyring import KeyRing
from gateway.upstream.reading import DEFAULT_WAIT
from gateway.upstream.settings import UpstreamKey
from tests.upstream.purchases import PNG, by_bytes, by_url, settings
from tests.upstream.scripted import Connection, answer, serve

KEYS = tuple(UpstreamKey(f"k{n}", f"sk_secret_{n}", "plus") for n in (1, 2, 3))
PICTURE = Answer(PNG, "image/png")


@dataclass
class ScriptedSender:
    """Answers as told, by key id; a key that is not named answers with a picture."""

    troubles: dict[str, Callable[[], GatewayError]] = field(default_factory=dict)
    tried: list[str] = field(default_factory=list)
    bought: list[Purchase] = field(default_factory=list)

    async def send(self, purchase: Purchase, key: UpstreamKey) -> Answer:
        self.tried.append(key.id)
        self.bought.append(purchase)
        if trouble := self.troubles.get(key.id):
            error = trouble()
            raise error
        return PICTURE


@dataclass
class HandClock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def throttled(seconds: float | None) -> Callable[[], GatewayError]:
    return lambda: KeyThrottled("throttled", retry_after=seconds)


def keychain(
    sender: ScriptedSender, clock: HandClock | None = None, ring: KeyRing | None = None
) -> Keychain:
    return Keychain(sender, ring or KeyRing(KEYS), clock=clock or HandClock())


async def test_the_first_key_is_used_while_it_serves() -> None:
    sender = ScriptedSender()
    upstream: Upstream = keychain(sender)
    assert PICTURE == await upstream.buy(by_bytes())
    await upstream.buy(by_bytes())
    assert ["k1", "k1"] == sender.tried


@pytest.mark.parametrize("trouble", [KeyRejected, KeyForbidden, KeyExhausted, KeyThrottled])
async def test_trouble_with_a_key_goes_on_to_the_next(trouble: type[KeyTrouble]) -> None:
    sender = ScriptedSender({"k1": lambda: trouble("x"), "k2": lambda: trouble("x")})
    assert PICTURE == await keychain(sender).buy(by_bytes())
    assert ["k1", "k2", "k3"] == sender.tried


@pytest.mark.parametrize(
    "failure",
    [UpstreamRefused, UpstreamFailed, UpstreamUnreachable, OutcomeUnknown, UpstreamBadAnswer],
)
async def test_no_other_failure_is_tried_again(failure: type[GatewayError]) -> None:
    sender = ScriptedSender({"k1": lambda: failure("x")})
    with pytest.raises(failure):
        await keychain(sender).buy(by_bytes())
    assert ["k1"] == sender.tried


async def test_a_throttled_key_is_left_alone_until_its_wait_has_passed() -> None:
    """The wait and one second: the upstream cuts off fractions."""
    clock = HandClock()
    sender = ScriptedSender({"k1": throttled(17)})
    upstream = keychain(sender, clock)
    await upstream.buy(by_bytes())
    clock.now += 17.9
    await upstream.buy(by_bytes())
    clock.now += 0.1
    await upstream.buy(by_bytes())
    assert ["k1", "k2", "k2", "k1", "k2"] == sender.tried


async def test_a_throttled_key_without_a_wait_is_left_alone_for_the_default() -> None:
    clock = HandClock()
    sender = ScriptedSender({"k1": throttled(None)})
    upstream = keychain(sender, clock)
    await upstream.buy(by_bytes())
    clock.now += DEFAULT_WAIT
    await upstream.buy(by_bytes())
    assert ["k1", "k2", "k2"] == sender.tried


async def test_a_sandbox_quota_closes_the_sandbox_alone() -> None:
    sender = ScriptedSender({"k1": throttled(14782)})
    upstream = keychain(sender)
    await upstream.buy(by_bytes(sandbox=True))
    await upstream.buy(by_bytes())
    assert ["k1", "k2", "k1", "k2"] == sender.tried


async def test_keys_that_are_replaced_are_used_by_the_next_call() -> None:
    ring = KeyRing(KEYS)
    sender = ScriptedSender({"k3": lambda: KeyRejected("x")})
    upstream = keychain(sender, ring=ring)
    await upstream.buy(by_bytes())
    ring.replace((KEYS[2], UpstreamKey("k4", "sk_secret_4", "plus")))
    await upstream.buy(by_bytes())
    assert ["k1", "k3", "k4"] == sender.tried


async def test_a_call_under_way_ends_with_the_keys_that_it_began_with() -> None:
    ring = KeyRing(KEYS)

    def replaced() -> KeyTrouble:
        ring.replace(KEYS[:1])
        return KeyRejected("x")

    sender = ScriptedSender({"k1": replaced})
    assert PICTURE == await keychain(sender, ring=ring).buy(by_bytes())
    assert ["k1", "k2"] == sender.tried


async def test_the_wait_of_a_throttled_key_is_not_that_of_its_next_secret() -> None:
    ring = KeyRing(KEYS)
    sender = ScriptedSender({"k1": throttled(17)})
    upstream = keychain(sender, ring=ring)
    await upstream.buy(by_bytes())
    del sender.troubles["k1"]
    ring.replace((UpstreamKey("k1", "sk_rotated", "plus"), *KEYS[1:]))
    await upstream.buy(by_bytes())
    ring.replace(KEYS)
    await upstream.buy(by_bytes())
    assert ["k1", "k2", "k1", "k2"] == sender.tried


async def test_when_no_key_serves_the_soonest_return_is_told() -> None:
    clock = HandClock()
    sender = ScriptedSender({"k1": throttled(3600), "k2": throttled(20), "k3": throttled(40)})
    upstream = keychain(sender, clock)
    with pytest.raises(UpstreamUnavailable) as first:
        await upstream.buy(by_bytes())
    assert 21 == first.value.retry_after
    clock.now += 10
    with pytest.raises(UpstreamUnavailable) as second:
        await upstream.buy(by_bytes())
    assert 11 == second.value.retry_after
    assert ["k1", "k2", "k3"] == sender.tried


async def test_no_return_is_told_when_no_key_is_merely_throttled() -> None:
    trouble = {key.id: lambda: KeyRejected("x") for key in KEYS}
    with pytest.raises(UpstreamUnavailable) as caught:
        await keychain(ScriptedSender(dict(trouble))).buy(by_bytes())
    assert caught.value.retry_after is None
    for key in KEYS:
        assert key.id not in caught.value.message
        assert key.secret not in caught.value.message


@pytest.mark.parametrize("purchase", [by_bytes(), by_url()])
async def test_over_http_one_call_buys_once_with_the_first_good_key(purchase: Purchase) -> None:
    """401, 402 and 403 in turn; then one paid call, and the caller never sees the troubles."""
    statuses = {b"sk_secret_1": 402, b"sk_secret_2": 403}

    async def by_key(connection: Connection) -> None:
        while True:
            request = await connection.read_request()
            status = next((s for secret, s in statuses.items() if secret in request), 200)
            await connection.write(answer(status))

    async with serve(by_key) as server:
        configured = settings(server.url, keys=KEYS)
        async with PhotoroomClient(configured) as client:
            got = await Keychain(client, KeyRing(configured.keys)).buy(purchase)
    assert "image/png" == got.media_type
    assert 3 == len(server.heads)
