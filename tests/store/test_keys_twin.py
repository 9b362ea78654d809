"""The choice of keys does what its twin does, whatever happens, and keeps what it promises."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from gateway.domain.credits import BASIC, PLUS
from gateway.domain.edit import Operation
from gateway.domain.keys import KeyGrant, PoolAccount, Seen, Verdict
from gateway.domain.tenant import Tenant
from gateway.ports import CallTraits, Claim
from gateway.store.ledger_calls import Attempt
from tests.store.keys_tools import ANY, KeyBench, a_claim, an_account, told
from tests.store.keys_twin import Line, span
from tests.store.ledger_twin import OPEN

TENANTS = (ANY, ANY, Tenant("picky", accounts=frozenset({"a", "b"})), Tenant("dear"))
STATES = ("sent", "posted", "voided", "presumed")
NUMBERS = st.integers(0, 15)
PICKS = st.integers(0, 99)
OFTEN = (Verdict.SERVED, Verdict.FAILED, Verdict.FAILED, Verdict.THROTTLED)
SEEN = st.builds(
    Seen,
    st.sampled_from([*Verdict, *OFTEN]),
    st.sampled_from([0.5, 3.0, 14_783.0]),
    st.sampled_from([(), (), ("a1",), ("a2", "b1")]),
)


def claim(name: str, number: int) -> Claim:
    """A claim of one of sixteen kinds."""
    traits = CallTraits(
        sandbox=number % 5 == 4,
        digest=f"d{number % 4}",
        template="t" if number % 3 == 1 else "",
    )
    operation = Operation.SEGMENT if number % 7 == 3 else Operation.EDIT
    tenant = TENANTS[number % len(TENANTS)]
    return a_claim(name, tenant=tenant, operation=operation, seconds=20.0, traits=traits)


KEY = st.tuples(
    st.integers(1, 6), st.sampled_from([1_000, 6_000]), st.sampled_from([None, None, 1, 2])
)


@st.composite
def pools(draw: st.DrawFn) -> list[PoolAccount]:
    return [
        an_account(
            name,
            *draw(st.lists(KEY, min_size=1, max_size=3)),
            price=draw(st.sampled_from([PLUS, BASIC])),
            calls=draw(st.sampled_from([None, None, 2, 5])),
            window=draw(st.sampled_from([3_000, 60_000])),
            reserve=draw(st.sampled_from([0, 1_000])),
            tenants=draw(st.sampled_from([None, None, frozenset({"any", "dear"})])),
        )
        for name in ("a", "b", "c")[: draw(st.integers(1, 3))]
    ]


OTHERS = st.sets(st.sampled_from(["a1", "a2", "b1", "c1"]))


class Sequences(RuleBasedStateMachine):
    """Claims of sixteen kinds over at most nine keys; time passes, accounts are asked, keys resumed."""

    bench: KeyBench

    @initialize(accounts=pools(), gated=st.booleans(), milli=st.sampled_from([7_000, 24_000]))
    def begin(self, accounts: list[PoolAccount], gated: bool, milli: int) -> None:  # noqa: FBT001 - hypothesis calls it
        self.bench.begin(*accounts, gated=gated)
        self.claims: list[Claim] = []
        self.granted: dict[str, dict[tuple[str, int], int]] = defaultdict(dict)
        for account in accounts:
            self.bench.hear_of(account.id, milli)

    @rule(number=NUMBERS, patient=st.booleans())
    def admit(self, number: int, patient: bool) -> None:  # noqa: FBT001 - hypothesis calls it
        wait = self.ask(self.new(number), Attempt(1))
        if wait and patient:
            self.come_back(self.new(number), wait)

    @rule(
        calls=st.lists(
            st.tuples(NUMBERS, st.sampled_from(STATES[1:]), SEEN), min_size=1, max_size=4
        )
    )
    def buy(self, calls: list[tuple[int, str, Seen]]) -> None:
        """Calls that are made and end, one after the other."""
        for number, state, seen in calls:
            what = self.new(number)
            self.ask(what, Attempt(1))
            line = self.line_of(what)
            if line is not None:
                self.bench.settle(told(what, "sent", line.grant))
                self.bench.settle(told(what, state, line.grant, seen=seen))

    @rule(numbers=st.lists(NUMBERS, min_size=3, max_size=4))
    def meet_trouble(self, numbers: list[int]) -> None:
        """Calls that were granted on trust, each for an edit of its own, find the endpoint in trouble."""
        account = self.bench.twin.accounts[0]
        grant = KeyGrant(account.keys[0].fingerprint, account.id, 0)
        failed = Seen(Verdict.FAILED)
        for place, number in enumerate(numbers):
            what = self.new(number)
            what = replace(what, traits=replace(what.traits, digest=f"s{place}"))
            self.bench.settle(told(what, "presumed", grant, seen=failed))

    @rule(pick=PICKS)
    def repeat(self, pick: int) -> None:
        """A claim that was made before."""
        for what in self.claims[pick % max(1, len(self.claims)) :][:1]:
            self.ask(what, Attempt(1))

    @rule(pick=PICKS, patient=st.booleans(), seen=SEEN, others=OTHERS)
    def again(self, pick: int, patient: bool, seen: Seen, others: set[str]) -> None:  # noqa: FBT001 - as above
        for what, line in self.known(pick):
            failed = seen.verdict is Verdict.FAILED
            tried = frozenset(others if failed else {*others, line.grant.key})
            wait = self.ask(what, Attempt(line.attempt + 1, seen, tried))
            if wait and patient:
                traits = replace(what.traits, digest="another")
                self.come_back(replace(what, id=what.id + "'", traits=traits), wait)

    @rule(pick=PICKS, state=st.sampled_from(STATES), seen=SEEN)
    def settle(self, pick: int, state: str, seen: Seen) -> None:
        for what, line in self.known(pick):
            shown = Seen() if state == "sent" else seen
            self.bench.settle(told(what, state, line.grant, attempt=line.attempt, seen=shown))

    @rule(pick=PICKS, state=st.sampled_from(STATES), seen=SEEN, more=st.integers(-1, 1), at=PICKS)
    def tell_of_another_key(self, pick: int, state: str, seen: Seen, more: int, at: int) -> None:
        """A replica that could not hear Redis has chosen by itself."""
        keys = [(key, one) for one in self.bench.twin.accounts for key in one.keys]
        key, account = keys[at % len(keys)]
        assert account.price is not None
        for what, line in self.known(pick):
            images = account.price.of(what.operation, sandbox=what.traits.sandbox)
            grant = KeyGrant(key.fingerprint, account.id, images)
            shown = Seen() if state == "sent" else seen
            attempt = max(1, line.attempt + more)
            self.bench.settle(told(what, state, grant, attempt=attempt, seen=shown))

    @rule(
        ms=st.sampled_from([1, 20, 249, 250, 999, 1_020, 4_999, 6_120, 30_000, 59_999, 3_600_000])
    )
    def wait(self, ms: int) -> None:
        self.bench.wait(ms)

    @rule(pick=st.integers(0, 2), milli=st.sampled_from([0, 1_000, 12_000, 50_000]))
    def hear_of(self, pick: int, milli: int) -> None:
        accounts = self.bench.twin.accounts
        spent = self.bench.twin.books.images(
            accounts[pick % len(accounts)].id, ("posted", "presumed")
        )
        self.bench.hear_of(accounts[pick % len(accounts)].id, spent + milli)

    @rule(pick=PICKS)
    def drain(self, pick: int) -> None:
        keys = [key.fingerprint for one in self.bench.twin.accounts for key in one.keys]
        self.bench.drain(keys[pick % len(keys)])

    @precondition(lambda self: self.bench.twin.books.off)
    @rule()
    def resume(self) -> None:
        self.bench.resume(min(self.bench.twin.books.off))

    def new(self, number: int) -> Claim:
        self.claims.append(claim(f"h{len(self.claims)}", number))
        return self.claims[-1]

    def line_of(self, what: Claim) -> Line | None:
        return self.bench.twin.books.lines.get(what.id)

    def known(self, pick: int) -> list[tuple[Claim, Line]]:
        """One of the claims that were granted, an open one if there is one."""
        lines = [(what, line) for what in self.claims if (line := self.line_of(what)) is not None]
        is_open = [(what, line) for what, line in lines if line.state in OPEN]
        some = lines if pick % 4 == 3 or not is_open else is_open
        return some[pick % max(1, len(some)) :][:1]

    def ask(self, what: Claim, attempt: Attempt) -> int:
        """Ask, and note what was granted. Returns the wait that was told, 0 if there was none."""
        before = deepcopy(self.line_of(what))
        word, said = self.bench.admit(what, attempt)
        if word in ("no key", "trouble"):
            assert said is None or isinstance(said, int)
            return said or 0
        line = self.line_of(what)
        if word == "granted" and line is not None and line != before:
            grant, call = line.grant, (what.id, line.attempt)
            assert grant.key not in attempt.tried
            self.granted[grant.key][call] = self.granted[f"@{grant.account}"][call] = self.bench.now
        return 0

    def come_back(self, what: Claim, wait: int) -> None:
        """A wait that is told is true: if nothing else happens, a new call is granted after it."""
        if self.bench.twin.awaits_others(what):
            return
        self.bench.wait(wait)
        self.ask(what, Attempt(1))
        assert self.line_of(what) is not None

    @invariant()
    def no_window_has_more_calls_than_the_rate(self) -> None:
        for account in self.bench.twin.accounts:
            rates = [(key.fingerprint, key.calls, key.window_ms) for key in account.keys]
            if account.calls is not None:
                rates.append((f"@{account.id}", account.calls, account.window_ms))
            for name, most, window in rates:
                times = sorted(self.granted[name].values())
                for first, after in zip(times, times[most:], strict=False):
                    assert after - first >= span(window)

    def teardown(self) -> None:
        """Once nobody speaks any more, no place is taken and nothing is held."""
        self.bench.wait(10 * 3_600_000)
        self.bench.settle()
        picture = self.bench.picture()
        assert ({}, {}) == (picture.places, picture.held)


@pytest.fixture(params=["valkey", "debian_redis"])
def bench(request: pytest.FixtureRequest) -> Iterator[KeyBench]:
    with KeyBench.at(request.getfixturevalue(request.param)) as made:
        yield made


def test_any_sequence_of_calls_does_what_it_does_to_the_twin(bench: KeyBench) -> None:
    machine = type("BenchSequences", (Sequences,), {"bench": bench})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=60, stateful_step_count=40, deadline=None)
    )
