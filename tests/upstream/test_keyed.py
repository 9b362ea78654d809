"""A call goes with the key that it was granted, or with none."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from gateway.domain.answer import Answer
from gateway.domain.errors import Ending, KeyTrouble, UpstreamUnreachable
from gateway.domain.keys import fingerprint
from gateway.ports import KeyCheck, Purchase, Upstream
from gateway.upstream.client import PhotoroomClient
from gateway.upstream.keyed import KeyedUpstream
from gateway.upstream.keyring import KeyRing
from gateway.upstream.reading import Reply
from gateway.upstream.settings import UpstreamKey
from tests.upstream.purchases import PNG, by_bytes, by_url, settings
from tests.upstream.scripted import Connection, answer, serve

ONE, TWO = (UpstreamKey(f"k{n}", f"sk_canary_{n}", "plus") for n in (1, 2))
NAMES = {fingerprint(key.secret): key.id for key in (ONE, TWO)}
FIRST, SECOND = NAMES


@dataclass
class ScriptedSender:
    """Notes the keys, and answers account calls with `status`; None: nobody answers."""

    status: int | None = 200
    sent: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    async def send(self, purchase: Purchase, key: UpstreamKey) -> Answer:
        del purchase
        self.sent.append(key.id)
        return Answer(PNG, "image/png")

    async def ask_account(self, version: str, key: UpstreamKey) -> Reply:
        assert "v2" == version
        self.asked.append(key.id)
        if self.status is None:
            raise UpstreamUnreachable("nobody")
        return Reply(self.status, {}, b"", whole=True)


async def test_a_call_goes_with_the_key_of_that_fingerprint() -> None:
    sender = ScriptedSender()
    upstream: Upstream = KeyedUpstream(sender, KeyRing([ONE, TWO]))
    for name in (SECOND, FIRST, SECOND):
        await upstream.buy(by_bytes(), name)
    assert ["k2", "k1", "k2"] == sender.sent


async def test_a_key_that_was_taken_away_before_its_call_was_sent_is_the_trouble_not_the_call() -> (
    None
):
    """Nothing was sent, and another key is asked at once."""
    sender, ring = ScriptedSender(), KeyRing([ONE, TWO])
    upstream = KeyedUpstream(sender, ring)
    ring.replace([TWO])
    with pytest.raises(KeyTrouble) as caught:
        await upstream.buy(by_bytes(), FIRST)
    assert Ending.DROPPED is caught.value.ending
    assert [] == sender.sent
    for secret in (ONE.secret, ONE.id, FIRST):
        assert secret not in caught.value.message


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, False),
        (400, False),
        (401, True),
        (402, False),
        (403, True),
        (500, False),
        (None, False),
    ],
)
async def test_a_403_is_the_key_s_when_its_account_call_is_forbidden_too(
    status: int | None, *, expected: bool
) -> None:
    sender = ScriptedSender(status)
    check: KeyCheck = KeyedUpstream(sender, KeyRing([ONE, TWO]))
    assert expected is await check.is_forbidden(SECOND)
    assert ["k2"] == sender.asked


async def test_nothing_is_asked_of_a_key_that_was_taken_away() -> None:
    sender, ring = ScriptedSender(403), KeyRing([ONE, TWO])
    ring.replace([TWO])
    assert not await KeyedUpstream(sender, ring).is_forbidden(FIRST)
    assert [] == sender.asked


@pytest.mark.parametrize("purchase", [by_bytes(), by_url()])
async def test_over_http_one_call_is_one_request_with_that_key(purchase: Purchase) -> None:
    async def a_picture(connection: Connection) -> None:
        assert TWO.secret.encode() in await connection.read_request()
        await connection.write(answer(200))

    async with serve(a_picture) as server:
        configured = settings(server.url, keys=[ONE, TWO])
        async with PhotoroomClient(configured) as client:
            got = await KeyedUpstream(client, KeyRing(configured.keys)).buy(purchase, SECOND)
    assert "image/png" == got.media_type
    assert 1 == len(server.heads)
