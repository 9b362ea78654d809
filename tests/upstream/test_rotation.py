"""Keys come and go while calls go on: none is used unchecked, and no account is left without one."""

from __future__ import annotations

import asyncio
import itertools
import logging
from dataclasses import dataclass, field

import pytest

from gateway.domain.credits import PLUS
from gateway.domain.errors import UpstreamUnreachable
from gateway.domain.keys import PoolAccount, Verdict, fingerprint
from gateway.store.background import in_background
from gateway.store.pool import Pool
from gateway.upstream.keyring import KeyRing
from gateway.upstream.reading import Reply
from gateway.upstream.rotation import KeyRotation
from gateway.upstream.settings import UpstreamKey
from tests.client.waiting import until
from tests.upstream.rotating import (
    BAD,
    SECRETS,
    START,
    Document,
    Marks,
    on_account,
    plus,
    read,
    secrets_of,
    world,
)

LOGGER = "gateway.upstream.rotation"


async def test_a_key_that_is_added_is_used_once_it_was_checked() -> None:
    async with world(START, on_account(gate="held")) as w:
        w.change(plus(a="s1", b="s2"))
        assert [("b", "checking")] == w.told
        await w.emulator.until(lambda: w.emulator.gates.waiting("held") == 1)
        assert [SECRETS["s1"]] == w.used
        w.emulator.gates.open("held")
        await w.until_used(SECRETS["s1"], SECRETS["s2"])
        assert [] == w.told
        assert {fingerprint(SECRETS["s2"]): Verdict.SERVED} == w.marks.said, (
            "the first is not asked"
        )
        assert 0 == w.emulator.bill.charges


@pytest.mark.parametrize(("status", "verdict"), [(401, Verdict.REJECTED), (403, Verdict.FORBIDDEN)])
async def test_a_key_that_is_refused_is_marked_not_used_and_named_once(
    status: int, verdict: Verdict, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, LOGGER)
    async with world(START, on_account(key="s2", status=status)) as w:
        w.change(plus(a="s1", b="s2"))
        await w.until_marked(SECRETS["s2"], verdict)
        await w.until_asked(SECRETS["s2"], 3)
        assert [SECRETS["s1"]] == w.used
        assert [("b", "checking")] == w.told
        [line] = caplog.records
        assert (logging.ERROR, "b", fingerprint(SECRETS["s2"]), "plus", verdict.value) == (
            line.levelno,
            *(vars(line)[name] for name in ("key", "fingerprint", "account", "why")),
        )

        w.emulator.faults.clear()
        await w.until_used(SECRETS["s1"], SECRETS["s2"])
        assert Verdict.SERVED is w.marks.said[fingerprint(SECRETS["s2"])]
        assert 2 == len(caplog.records)


async def test_a_check_without_an_answer_is_made_again_and_named_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, LOGGER)
    async with world(START, on_account(status=503, times=4)) as w:
        w.change(plus(a="s1", b="s2"))
        await w.until_asked(SECRETS["s2"], 4)
        await w.until_used(SECRETS["s1"], SECRETS["s2"])
        assert [logging.WARNING, logging.INFO] == [line.levelno for line in caplog.records]
        assert {fingerprint(SECRETS["s2"]): Verdict.SERVED} == w.marks.said


@dataclass(slots=True)
class Unreachable:
    """An AccountCall that reaches nobody, and notes when it was asked."""

    times: list[float] = field(default_factory=list)

    async def ask_account(self, version: str, key: UpstreamKey) -> Reply:
        del version, key
        self.times.append(asyncio.get_running_loop().time())
        raise UpstreamUnreachable("nobody")


async def test_the_pauses_between_checks_double() -> None:
    asker, (accounts, secrets) = Unreachable(), read(START)
    ring, pool = KeyRing(secrets), Pool(accounts)
    rotation = KeyRotation(accounts, asker, Marks(), ring, pool, pause=0.02)
    async with in_background(rotation=rotation.run()):
        rotation.replace(*read(plus(a="s1", b="s2")))

        async def asked() -> bool:
            return len(asker.times) >= 5

        await until(asked)
    gaps = [later - earlier for earlier, later in itertools.pairwise(asker.times)]
    assert all(g > least for g, least in zip(gaps, (0.019, 0.039, 0.079, 0.159), strict=False)), (
        gaps
    )


async def test_what_cannot_be_noted_for_all_replicas_is_not_used_yet() -> None:
    """A mark of an earlier refusal would keep every replica from the key."""
    async with world() as w:
        w.marks.silent = True
        w.change(plus(a="s1", b="s2"))

        async def asked() -> bool:
            return w.marks.asked >= 3

        await until(asked)
        assert [SECRETS["s1"]] == w.used
        w.marks.silent = False
        await w.until_used(SECRETS["s1"], SECRETS["s2"])


async def test_a_key_that_is_taken_out_is_not_used_any_more() -> None:
    async with world(plus(a="s1", b="s2")) as w:
        w.change(plus(a="s1"))
        assert ([SECRETS["s1"]], []) == (w.used, w.told)
        assert 0 == len(w.emulator.requests)


ROTATED: dict[str, tuple[Document, Document]] = {
    "a secret under its id": (START, plus(a="s2")),
    "a key and its id": (START, plus(b="s2")),
    "all secrets of an account": (plus(a="s1", b="s2"), plus(a="s3", b="s4")),
    "an account": (START, {"other": {"a": SECRETS["s2"]}}),
}


@pytest.mark.parametrize("name", ROTATED)
async def test_what_is_replaced_goes_on_until_all_that_came_was_asked(name: str) -> None:
    before, after = ROTATED[name]
    old, new = secrets_of(before), secrets_of(after)
    last = next(known for known, secret in SECRETS.items() if secret == new[-1])
    async with world(before, on_account(key=last, gate="held")) as w:
        w.change(after)
        assert sorted(old) == w.used
        await w.emulator.until(lambda: w.emulator.gates.waiting("held") == 1)
        await w.until_used(*old, *new[:-1])
        w.emulator.gates.open("held")
        await w.until_used(*new)
        assert [] == w.told


async def test_a_secret_that_is_refused_does_not_take_the_place_of_the_one_before() -> None:
    async with world() as w:
        w.change(plus(a=BAD))
        await w.until_marked(BAD, Verdict.REJECTED)
        assert [SECRETS["s1"]] == w.used
        assert [("a", "leaving"), ("a", "checking")] == w.told

        w.change(plus(a="s2"))
        await w.until_used(SECRETS["s2"])
        assert [] == w.told


async def test_a_key_that_is_taken_out_goes_when_its_account_has_another() -> None:
    """Whatever becomes of those that came with the change: they were asked."""
    async with world(plus(a="s1", b="s2")) as w:
        w.change(plus(b="s2", c=BAD))
        await w.until_marked(BAD, Verdict.REJECTED)
        assert [SECRETS["s2"]] == w.used
        assert [("c", "checking")] == w.told


async def test_the_account_that_is_taken_out_goes_on_while_nothing_else_serves() -> None:
    other: Document = {"other": {"b": BAD}}
    async with world() as w:
        w.change(other)
        await w.until_marked(BAD, Verdict.REJECTED)
        assert [SECRETS["s1"]] == w.used
        w.change(START)
        assert ([SECRETS["s1"]], []) == (w.used, w.told), "it was used all the time"


async def test_an_account_that_is_replaced_goes_on_until_the_other_is_open() -> None:
    """Where accounts are polled, one serves nobody before it has said what it has."""
    async with world({**START, "basic": {"x": SECRETS["s6"]}}) as w:
        w.closed.add("other")
        w.change({"other": {"b": SECRETS["s2"]}, "basic": {"x": SECRETS["s6"]}})
        await w.until_used(*(SECRETS[name] for name in ("s1", "s2", "s6")))
        assert [("a", "leaving")] == w.told
        w.closed.clear()
        await w.until_used(SECRETS["s2"], SECRETS["s6"])
        assert [] == w.told


async def test_what_is_taken_out_goes_after_a_moment_where_others_serve() -> None:
    """Though the account that came does not open."""
    async with world({**START, "basic": {"x": SECRETS["s6"]}}, moment=0.2) as w:
        w.closed.add("other")
        w.change({"other": {"b": SECRETS["s2"]}, "basic": {"x": SECRETS["s6"]}})
        assert SECRETS["s1"] in w.used
        await w.until_used(SECRETS["s2"], SECRETS["s6"])
        assert [] == w.told


async def test_settings_of_an_account_hold_at_once_also_for_keys_that_leave() -> None:
    async with world(START, on_account(gate="held")) as w:
        accounts, secrets = read(plus(a="s2"))
        [account] = accounts
        stricter = PoolAccount(account.id, account.keys, PLUS, 30, 7_000, frozenset({"lab"}))
        w.rotation.replace([stricter], secrets)
        [serving] = w.pool.accounts
        assert (30, 7_000, frozenset({"lab"})) == (
            serving.calls,
            serving.reserve_milli,
            serving.tenants,
        )
        assert [fingerprint(SECRETS["s1"])] == [key.fingerprint for key in serving.keys]
        w.emulator.gates.open("held")
        await w.until_used(SECRETS["s2"])


async def test_a_key_that_moves_to_another_account_is_not_checked() -> None:
    async with world(plus(a="s1", b="s2")) as w:
        w.change({"plus": {"a": SECRETS["s1"]}, "basic": {"b2": SECRETS["s2"]}})
        assert ([SECRETS["s1"], SECRETS["s2"]], []) == (w.used, w.told)
        assert ["plus", "basic"] == [account.id for account in w.pool.accounts]


async def test_a_key_that_is_taken_out_while_it_is_checked_is_not_used() -> None:
    async with world(START, on_account(key="s2", gate="held")) as w:
        w.change(plus(a="s1", b="s2"))
        await w.emulator.until(lambda: w.emulator.gates.waiting("held") == 1)
        w.change(plus(a="s1"))
        w.emulator.gates.open("held")
        w.change(plus(a="s1", c="s3"))
        await w.until_used(SECRETS["s1"], SECRETS["s3"])


async def test_another_change_asks_again_at_once() -> None:
    async with world(START, on_account(key="s2", status=503, times=1), pause=3600.0) as w:
        w.change(plus(a="s1", b="s2"))
        await w.until_asked(SECRETS["s2"], 1)
        w.change(plus(a="s1", b="s2", c="s3"))
        await w.until_used(*(SECRETS[name] for name in ("s1", "s2", "s3")))


async def test_a_mistake_of_ours_with_one_key_keeps_no_other_from_use(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Wrong(Marks):
        async def mark(self, key: str, verdict: Verdict) -> None:
            if key == fingerprint(SECRETS["s2"]):
                raise ZeroDivisionError
            await Marks.mark(self, key, verdict)

    async with world() as w:
        w.rotation._marks = Wrong()
        w.change(plus(a="s1", b="s2", c="s3"))
        await w.until_used(SECRETS["s1"], SECRETS["s3"])
        assert "an upstream key was not checked by a mistake of ours" in caplog.text


def test_no_secret_is_in_a_repr() -> None:
    accounts, secrets = read(START)
    rotation = KeyRotation(accounts, None, None, KeyRing(secrets), Pool(accounts))  # type: ignore[arg-type] # it asks nobody
    assert "canary" not in repr(rotation) + repr(vars(rotation))
