"""What the account says, exactly; asked seldom, and once at a time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.answer import AccountState
from gateway.domain.errors import UpstreamUnavailable, UpstreamUnreachable
from gateway.domain.tenant import Tenant
from gateway.ports import AccountDesk, AccountSource
from gateway.upstream.account import (
    FRESH,
    PAUSE,
    STALE,
    AccountReader,
    PhotoroomDesk,
    read_account,
)
from gateway.upstream.client import PhotoroomClient
from gateway.upstream.keyring import KeyRing
from gateway.upstream.reading import Reply
from gateway.upstream.settings import UpstreamKey
from tests.upstream.purchases import KEY, settings
from tests.upstream.scripted import Connection, answer, serve

SECOND = UpstreamKey("k2", "sk_second", "plus")
OTHER = UpstreamKey("k3", "sk_third", "another")
BASIC = b'{"images":{"available":998.8,"subscription":1000},"plan":"basic"}'
STATE = AccountState(998_800, 1_000_000, "basic")
TENANT = Tenant("catalog")
OLD = b'{"error":{"message":"You are using an old pricing version. Please contact support."}}'


@dataclass
class ScriptedAsker:
    """Answers by (version, key id); the value is called for every question."""

    answers: dict[tuple[str, str], Callable[[], Reply]]
    asked: list[tuple[str, str]] = field(default_factory=list)
    go: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.go.set()

    async def ask_account(self, version: str, key: UpstreamKey) -> Reply:
        self.asked.append((version, key.id))
        await self.go.wait()
        return self.answers[version, key.id]()


@dataclass
class HandClock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def ok(body: bytes = BASIC) -> Reply:
    return Reply(200, {}, body)


def unreachable() -> Reply:
    raise UpstreamUnreachable("not sent")


def reader(
    asker: ScriptedAsker, *keys: UpstreamKey, clock: HandClock | None = None
) -> AccountReader:
    return AccountReader(asker, KeyRing(keys or (KEY,)), clock=clock or HandClock())


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (BASIC, STATE),
        (b'{"images":{"available":0.1,"subscription":0.30},"plan":""}', AccountState(100, 300, "")),
        (
            b'{"images":{"available":-2.0005,"subscription":1e3},"plan":"p"}',
            AccountState(-2001, 1_000_000, "p"),
        ),
        (
            b'{"images":{"available":0.' + b"9" * 60 + b',"subscription":0},"plan":"p"}',
            AccountState(999, 0, "p"),
        ),
        (b'{"credits":{"available":7.8,"subscription":10}}', AccountState(7800, 10_000, "")),
        (b'{"credits":{"available":1e-999999,"subscription":1}}', AccountState(0, 1000, "")),
        (
            b'{"images":{"available":1,"subscription":1},"plan":"a\\nb"}',
            AccountState(1000, 1000, ""),
        ),
        (
            b'{"images":{"available":1,"subscription":1},"plan":"\\ud800"}',
            AccountState(1000, 1000, ""),
        ),
        (
            b'{"images":{"available":1,"subscription":1},"plan":"' + b"p" * 101 + b'"}',
            AccountState(1000, 1000, ""),
        ),
        (b'{"images":{"available":1,"subscription":1}}', None),
        (b'{"images":{"available":"1","subscription":1},"plan":"p"}', None),
        (b'{"images":{"available":true,"subscription":1},"plan":"p"}', None),
        (b'{"images":{"available":NaN,"subscription":1},"plan":"p"}', None),
        (b'{"images":{"available":Infinity,"subscription":1},"plan":"p"}', None),
        (b'{"images":{"available":1e12,"subscription":1},"plan":"p"}', None),
        (b'{"images":{"available":1e999999999,"subscription":1},"plan":"p"}', None),
        (b'{"images":{"available":1e9999999999999999999,"subscription":1},"plan":"p"}', None),
        (b'{"images":null}', None),
        (b"[" * 100_000, None),
        (b"\xff", None),
        (b"", None),
    ],
)
def test_amounts_are_read_to_the_thousandth(body: bytes, expected: AccountState | None) -> None:
    assert expected == read_account(ok(body))


@pytest.mark.parametrize("reply", [Reply(403, {}, BASIC), Reply(200, {}, BASIC, whole=False)])
def test_only_a_whole_200_counts(reply: Reply) -> None:
    assert read_account(reply) is None


@given(
    st.binary()
    | st.floats().map(
        lambda x: json.dumps({"credits": {"available": x, "subscription": 1}}).encode()
    )
)
def test_any_body_is_a_state_or_none(body: bytes) -> None:
    state = read_account(ok(body))
    assert state is None or abs(state.available_milli) < 10**15


@given(st.integers(-(10**14), 10**14))
def test_thousandths_are_exact(milli: int) -> None:
    text = f"{'-' if milli < 0 else ''}{abs(milli) // 1000}.{abs(milli) % 1000:03}"
    body = f'{{"credits":{{"available":{text},"subscription":0}}}}'.encode()
    assert AccountState(milli, 0, "") == read_account(ok(body))


async def test_a_state_is_kept_for_a_minute() -> None:
    asker = ScriptedAsker({("v2", "k1"): ok})
    clock = HandClock()
    source: AccountSource = reader(asker, clock=clock)
    assert STATE == await source.account(TENANT)
    clock.now += FRESH - 0.1
    assert STATE == await source.account(TENANT)
    assert 1 == len(asker.asked)
    clock.now += 0.1
    await source.account(TENANT)
    assert 2 == len(asker.asked)


@pytest.mark.parametrize("leaver", [1, 4])
async def test_callers_share_one_question_and_one_that_waits_may_hang_up(leaver: int) -> None:
    asker = ScriptedAsker({("v2", "k1"): ok})
    asker.go.clear()
    source = reader(asker)
    callers = [asyncio.create_task(source.account(TENANT)) for _ in range(5)]
    await asyncio.sleep(0)
    callers[leaver].cancel()
    asker.go.set()
    got = await asyncio.gather(*callers, return_exceptions=True)
    assert [STATE] * 4 == [state for state in got if isinstance(state, AccountState)]
    assert callers[leaver].cancelled()
    assert 1 == len(asker.asked)


async def test_when_the_caller_that_asks_hangs_up_the_next_one_asks() -> None:
    asker = ScriptedAsker({("v2", "k1"): ok})
    asker.go.clear()
    source = reader(asker)
    callers = [asyncio.create_task(source.account(TENANT)) for _ in range(3)]
    await asyncio.sleep(0)
    callers[0].cancel()
    asker.go.set()
    assert [STATE] * 2 == await asyncio.gather(*callers[1:])
    assert 2 == len(asker.asked)


async def test_callers_share_one_failure() -> None:
    asker = ScriptedAsker({("v2", "k1"): unreachable})
    source = reader(asker)
    got = await asyncio.gather(*(source.account(TENANT) for _ in range(5)), return_exceptions=True)
    assert [UpstreamUnavailable] * 5 == [type(error) for error in got]
    assert 1 == len(asker.asked)


async def test_an_old_price_plan_is_asked_in_v1() -> None:
    asker = ScriptedAsker(
        {
            ("v2", "k1"): lambda: Reply(400, {}, OLD),
            ("v1", "k1"): lambda: ok(b'{"credits":{"available":7,"subscription":10}}'),
        }
    )
    assert AccountState(7000, 10_000, "") == await reader(asker).account(TENANT)


async def test_another_400_is_not_asked_in_v1() -> None:
    asker = ScriptedAsker(
        {("v2", "k1"): lambda: Reply(400, {}, b'{"error":{"message":"apiKey: Required"}}')}
    )
    with pytest.raises(UpstreamUnavailable):
        await reader(asker).account(TENANT)
    assert [("v2", "k1")] == asker.asked


@pytest.mark.parametrize("trouble", [unreachable, lambda: Reply(403, {}, b"")])
async def test_the_accounts_next_key_is_asked_and_no_other_accounts(
    trouble: Callable[[], Reply],
) -> None:
    asker = ScriptedAsker({("v2", "k1"): trouble, ("v2", "k2"): ok})
    assert STATE == await reader(asker, KEY, OTHER, SECOND).account(TENANT)
    assert [("v2", "k1"), ("v2", "k2")] == asker.asked


async def test_an_account_is_asked_by_its_name() -> None:
    left = b'{"credits":{"available":7,"subscription":10}}'
    asker = ScriptedAsker({("v2", KEY.id): ok, ("v2", OTHER.id): lambda: ok(left)})
    desk: AccountDesk = PhotoroomDesk(asker, KeyRing((KEY, OTHER)))
    assert AccountState(7000, 10_000, "") == await desk.ask(OTHER.account_id)
    assert STATE == await desk.ask(KEY.account_id)
    with pytest.raises(UpstreamUnavailable):
        await desk.ask("nobody's")
    assert [("v2", OTHER.id), ("v2", KEY.id)] == asker.asked


async def test_the_key_that_answered_last_is_asked_first() -> None:
    asker = ScriptedAsker({("v2", "k1"): unreachable, ("v2", "k2"): ok})
    desk = PhotoroomDesk(asker, KeyRing((KEY, SECOND)))
    for _ in range(3):
        assert STATE == await desk.ask(KEY.account_id)
    assert [("v2", "k1"), *[("v2", "k2")] * 3] == asker.asked


async def test_after_a_key_that_hung_the_next_one_is_asked() -> None:
    asker = ScriptedAsker({("v2", "k1"): ok, ("v2", "k2"): ok})
    asker.go.clear()
    desk = PhotoroomDesk(asker, KeyRing((KEY, SECOND)))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await desk.ask(KEY.account_id)
    asker.go.set()
    assert STATE == await desk.ask(KEY.account_id)
    assert [("v2", "k1"), ("v2", "k2")] == asker.asked


async def test_when_no_key_gets_an_answer_each_was_asked_once() -> None:
    asker = ScriptedAsker({("v2", "k1"): unreachable, ("v2", "k2"): unreachable})
    with pytest.raises(UpstreamUnavailable):
        await PhotoroomDesk(asker, KeyRing((KEY, SECOND))).ask(KEY.account_id)
    assert [("v2", "k1"), ("v2", "k2")] == asker.asked


async def test_an_older_state_bridges_a_failure_of_ten_minutes() -> None:
    asker = ScriptedAsker({("v2", "k1"): ok})
    clock = HandClock()
    source = reader(asker, clock=clock)
    await source.account(TENANT)
    asker.answers["v2", "k1"] = unreachable
    clock.now += STALE - 1
    assert STATE == await source.account(TENANT)
    clock.now += 1
    with pytest.raises(UpstreamUnavailable) as caught:
        await source.account(TENANT)
    assert PAUSE == caught.value.retry_after


async def test_after_a_failure_it_is_not_asked_at_once() -> None:
    asker = ScriptedAsker({("v2", "k1"): unreachable})
    clock = HandClock()
    source = reader(asker, clock=clock)
    for _ in range(3):
        with pytest.raises(UpstreamUnavailable):
            await source.account(TENANT)
    assert 1 == len(asker.asked)
    clock.now += PAUSE
    asker.answers["v2", "k1"] = ok
    assert STATE == await source.account(TENANT)


async def test_when_the_keys_are_replaced_the_account_of_the_first_is_told() -> None:
    left = b'{"credits":{"available":7,"subscription":10}}'
    asker = ScriptedAsker({("v2", KEY.id): ok, ("v2", OTHER.id): lambda: ok(left)})
    ring = KeyRing((KEY,))
    source = AccountReader(asker, ring, clock=HandClock())
    assert STATE == await source.account(TENANT)
    ring.replace((UpstreamKey(KEY.id, "sk_rotated", KEY.account_id),))
    assert STATE == await source.account(TENANT)
    ring.replace((OTHER, KEY))
    assert AccountState(7000, 10_000, "") == await source.account(TENANT)
    assert [("v2", KEY.id), ("v2", OTHER.id)] == asker.asked


async def test_over_http_the_live_key_asks_the_edit_origin() -> None:
    async def account(connection: Connection) -> None:
        await connection.read_request()
        await connection.write(answer(200, BASIC, content_type="application/json"))

    async with serve(account) as server:
        configured = settings(server.url, segment_url="http://127.0.0.1:1")
        async with PhotoroomClient(configured) as client:
            assert STATE == await AccountReader(client, KeyRing(configured.keys)).account(TENANT)
    head = server.heads[0].decode()
    assert head.startswith("GET /v2/account HTTP/1.1\r\n")
    assert f"x-api-key: {KEY.secret}\r\n" in head
