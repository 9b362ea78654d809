"""What the book of idempotency keys promises over every kind of Redis."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.crc import key_slot

from gateway.domain.edit import ImageRef
from gateway.ports import BoardUnavailable, Replay, ReplayBook, ReplayConflict
from gateway.store.connect import connect
from gateway.store.keyspace import CACHE_SECRET, REPLAY_MS, replay_key
from gateway.store.link import Link, TimeOuts
from gateway.store.replays import RedisReplays
from gateway.store.solo import NoBook
from tests.servers.fixtures import StartServer
from tests.servers.process import Server
from tests.store.conftest import SERVERS

QUICK = TimeOuts(connect=0.2, operation=0.3)
PICTURE = Replay(
    body=ImageRef("ab" * 32, 1234),
    media_type="image/png",
    headers=(("pr-edit-further-url", "https://example.invalid/é"),),
    cost_milli=1000,
)
UNKNOWN = Replay(reason="OUTCOME_UNKNOWN", message="The call was sent, and no answer came.")


@dataclass(slots=True)
class Desk:
    """A book over one link, and a slot of the test's own."""

    link: Link
    book: RedisReplays
    slot: str = field(default_factory=lambda: secrets.token_hex(32))

    @classmethod
    def over(cls, link: Link) -> Desk:
        return cls(link, RedisReplays(link))

    async def ask(self, command: str) -> Any:
        """One command about the slot's record."""
        [reply] = await self.link.exchange((command, replay_key(self.slot)))
        return reply


@pytest.fixture(params=SERVERS)
async def desk(request: pytest.FixtureRequest) -> AsyncIterator[Desk]:
    link = connect(request.getfixturevalue(request.param).url)
    try:
        yield Desk.over(link)
    finally:
        await link.aclose()


def test_the_name_is_this() -> None:
    """A rename forgets every key that is in use, and each would be paid for a second time."""
    assert "pg1:{ctl}:replay:s1" == replay_key("s1")
    assert key_slot(CACHE_SECRET.encode()) == key_slot(replay_key("s1").encode())
    assert 24 * 3600 * 1000 == REPLAY_MS


async def test_a_slot_is_open_until_its_call_has_ended(desk: Desk) -> None:
    for _ in range(2):
        assert await desk.book.open(desk.slot, "edit") is None
    for _ in range(2):
        await desk.book.close(desk.slot, "edit", PICTURE)
    for _ in range(2):
        assert PICTURE == await desk.book.open(desk.slot, "edit")


async def test_an_error_that_may_have_cost_is_told_again(desk: Desk) -> None:
    await desk.book.open(desk.slot, "edit")
    await desk.book.close(desk.slot, "edit", UNKNOWN)
    assert UNKNOWN == await desk.book.open(desk.slot, "edit")


@pytest.mark.parametrize("closed", [False, True])
async def test_another_request_under_the_key_is_a_conflict_and_changes_nothing(
    desk: Desk,
    closed: bool,  # noqa: FBT001 - a column of the table
) -> None:
    await desk.book.open(desk.slot, "edit")
    if closed:
        await desk.book.close(desk.slot, "edit", PICTURE)
    before = await desk.ask("HGETALL")
    with pytest.raises(ReplayConflict):
        await desk.book.open(desk.slot, "another edit")
    await desk.book.close(desk.slot, "another edit", UNKNOWN)
    assert before == await desk.ask("HGETALL")
    assert (PICTURE if closed else None) == await desk.book.open(desk.slot, "edit")


@pytest.mark.parametrize(("first", "second"), [(PICTURE, UNKNOWN), (UNKNOWN, PICTURE)])
async def test_the_first_outcome_stands(desk: Desk, first: Replay, second: Replay) -> None:
    await desk.book.open(desk.slot, "edit")
    await desk.book.close(desk.slot, "edit", first)
    await desk.book.close(desk.slot, "edit", second)
    assert first == await desk.book.open(desk.slot, "edit")


async def test_an_outcome_whose_record_was_lost_is_written_anew(desk: Desk) -> None:
    await desk.book.open(desk.slot, "edit")
    await desk.ask("DEL")
    await desk.book.close(desk.slot, "edit", PICTURE)
    assert PICTURE == await desk.book.open(desk.slot, "edit")
    with pytest.raises(ReplayConflict):
        await desk.book.open(desk.slot, "another edit")


async def test_slots_know_nothing_of_each_other(desk: Desk) -> None:
    other = Desk.over(desk.link)
    await desk.book.close(desk.slot, "edit", PICTURE)
    assert await other.book.open(other.slot, "another edit") is None


async def test_a_record_lives_a_day_from_its_beginning_and_from_its_end(desk: Desk) -> None:
    minute = 60_000
    await desk.book.open(desk.slot, "edit")
    assert REPLAY_MS - minute < await desk.ask("PTTL") <= REPLAY_MS
    await desk.link.exchange(("PEXPIRE", replay_key(desk.slot), minute))
    await desk.book.close(desk.slot, "edit", PICTURE)
    assert REPLAY_MS - minute < await desk.ask("PTTL") <= REPLAY_MS


async def test_a_replayed_key_does_not_live_longer_than_its_picture(desk: Desk) -> None:
    """The picture's blob is kept for a day from the end of the call."""
    await desk.book.close(desk.slot, "edit", PICTURE)
    await desk.link.exchange(("PEXPIRE", replay_key(desk.slot), 60_000))
    assert PICTURE == await desk.book.open(desk.slot, "edit")
    assert await desk.ask("PTTL") <= 60_000


async def test_scripts_that_the_server_has_forgotten_are_told_again(
    start_server: StartServer,
) -> None:
    server = start_server()
    link = connect(server.url)
    try:
        desk = Desk.over(link)
        await desk.book.open(desk.slot, "edit")
        server.admin("SCRIPT", "FLUSH")
        await desk.book.close(desk.slot, "edit", PICTURE)
        server.admin("SCRIPT", "FLUSH")
        assert PICTURE == await desk.book.open(desk.slot, "edit")
    finally:
        await link.aclose()


@pytest.mark.parametrize("trouble", [Server.kill, Server.freeze], ids=["killed", "frozen"])
async def test_without_redis_the_book_is_unavailable(
    start_server: StartServer, trouble: Any
) -> None:
    server = start_server()
    link = connect(server.url, time_outs=QUICK)
    try:
        desk = Desk.over(link)
        await desk.book.open(desk.slot, "edit")
        trouble(server)
        await refuses(desk.book, desk.slot)
    finally:
        await link.aclose()


async def test_without_a_configured_redis_the_book_is_unavailable() -> None:
    await refuses(NoBook(), "slot")


async def refuses(book: ReplayBook, slot: str) -> None:
    with pytest.raises(BoardUnavailable):
        await book.open(slot, "edit")
    with pytest.raises(BoardUnavailable):
        await book.close(slot, "edit", PICTURE)


TEXTS = st.text(max_size=40)
REPLAYS = st.one_of(
    st.builds(Replay, reason=TEXTS, message=TEXTS),
    st.builds(
        Replay,
        body=st.builds(
            ImageRef, st.binary(min_size=32, max_size=32).map(bytes.hex), st.integers(0)
        ),
        media_type=TEXTS,
        headers=st.lists(st.tuples(TEXTS, TEXTS), max_size=4).map(tuple),
        cost_milli=st.integers(0, 10**9),
    ),
)


@settings(max_examples=100, deadline=None)
@given(replays=st.lists(REPLAYS, min_size=1, max_size=5))
def test_what_is_noted_is_what_is_read(valkey: Server, replays: list[Replay]) -> None:
    async def noted_and_read() -> list[Replay | None]:
        link = connect(valkey.url)
        try:
            desks = [Desk.over(link) for _ in replays]
            for desk, replay in zip(desks, replays, strict=True):
                await desk.book.close(desk.slot, "edit", replay)
            return [await desk.book.open(desk.slot, "edit") for desk in desks]
        finally:
            await link.aclose()

    assert replays == asyncio.run(noted_and_read())


async def test_a_record_is_plain_json(desk: Desk) -> None:
    """Replicas of two versions read each other's records during an update."""
    await desk.book.close(desk.slot, "edit", PICTURE)
    [_, outcome] = await desk.link.exchange(
        ("HGET", replay_key(desk.slot), "request"), ("HGET", replay_key(desk.slot), "outcome")
    )
    assert isinstance(outcome, bytes)
    assert {
        "reason": "",
        "message": "",
        "body": ["ab" * 32, 1234],
        "media_type": "image/png",
        "headers": [["pr-edit-further-url", "https://example.invalid/é"]],
        "cost_milli": 1000,
    } == json.loads(outcome)
