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
from tests.servers.process import Server
from tests.store.keys_tools import ANY, KeyBench, a_claim, an_account, told
from tests.store.keys_twin import SOON, Line, span

TENANTS = (ANY, ANY, Tenant("picky", accounts=frozenset({"a", "b"})), Tenant("dear"))
STATES = ("sent", "posted", "voided", "presumed")
SECONDS = 20.0
NUMBERS = st.integers(0, 15)
SEEN = st.builds(Seen, st.sampled_from(Verdict), st.sampled_from([0.5, 3.0, 14_783.0]))


def claim(number: int) -> Claim:
    """The claim of a number: all that it says follows from that."""
    traits = CallTraits(
        sandbox=number % 5 == 4,
        digest=f"d{number % 4}",
        template="t" if number % 3 == 1 else "",
    )
    operation = Operation.SEGMENT if number % 7 == 3 else Operation.EDIT
    return a_claim(
        f"h{number}",
        tenant=TENANTS[number % len(TENANTS)],
        operation=operation,
        seconds=SECONDS,
        traits=traits,
    )


KEY = st.tuples(
    st.integers(1, 4), st.sampled_from([1_000, 6_000]), st.sampled_from([None, None, 1, 2])
)


@st.composite
def pools(draw: st.DrawFn) -> list[PoolAccount]:
    return [
        an_account(
            name,
            *draw(st.lists(KEY, min_size=1, max_size=3)),
            price=draw(st.sampled_from([PLUS, BASIC])),
            calls=draw(st.sampled_from([None, None, 2, 5])),
            reserve=draw(st.sampled_from([0, 1_000])),
            tenants=draw(st.sampled_from([None, None, frozenset({"any", "dear"})])),
        )
        for name in ("a", "b", "c")[: draw(st.integers(1, 3))]
    ]


class Sequences(RuleBasedStateMachine):
    """Sixteen claims over a pool of at most nine keys; time passes, accounts are asked, keys resumed."""

    bench: KeyBench

    @initialize(accounts=pools(), gated=st.booleans())
    def begin(self, accounts: list[PoolAccount], gated: bool) -> None:  # noqa: FBT001 - hypothesis calls it
        self.bench.begin(*accounts, gated=gated)
        self.granted: dict[str, dict[tuple[str, int], int]] = defaultdict(dict)
        for account in accounts:
            self.bench.hear_of(account.id, 12_000)

    def line(self, number: int) -> Line | None:
        return self.line_of(claim(number))

    def line_of(self, what: Claim) -> Line | None:
        return self.bench.twin.books.lines.get(what.id)

    @rule(number=NUMBERS, patient=st.booleans())
    def admit(self, number: int, patient: bool) -> None:  # noqa: FBT001 - hypothesis calls it
        wait = self.ask(claim(number), Attempt(1))
        if wait and patient:
            self.come_back(replace(claim(number), id=f"h{number}-{self.bench.now}"), wait)

    @rule(
        number=NUMBERS,
        patient=st.booleans(),
        seen=SEEN,
        others=st.sets(st.sampled_from(["a1", "a2", "b1", "c1"])),
    )
    def again(self, number: int, patient: bool, seen: Seen, others: set[str]) -> None:  # noqa: FBT001 - as above
        line = self.line(number)
        if line is None:
            return
        what = claim(number)
        tried = frozenset(others if seen.verdict is Verdict.FAILED else {*others, line.grant.key})
        wait = self.ask(what, Attempt(line.attempt + 1, seen, tried))
        if wait and patient:
            traits = replace(what.traits, digest="another")
            self.come_back(replace(what, id=f"h{number}-{self.bench.now}", traits=traits), wait)

    @rule(
        words=st.lists(
            st.tuples(NUMBERS, st.sampled_from(STATES), SEEN), max_size=3, unique_by=lambda w: w[0]
        )
    )
    def settle(self, words: list[tuple[int, str, Seen]]) -> None:
        all_told = []
        for number, state, seen in words:
            line = self.line(number)
            if line is not None:
                what = claim(number)
                shown = Seen() if state == "sent" else seen
                all_told.append(
                    told(what, state, line.grant, attempt=line.attempt, seen=shown)
                )
        self.bench.settle(*all_told)

    @rule(
        number=NUMBERS,
        state=st.sampled_from(STATES),
        seen=SEEN,
        later=st.sampled_from([-1, 0, 0, 1]),
        pick=st.integers(0, 8),
    )
    def tell_of_another_key(self, number: int, state: str, seen: Seen, later: int, pick: int) -> None:
        """A replica that Redis could not be heard by has chosen by itself."""
        what, line = claim(number), self.line(number)
        keys = [(key, one) for one in self.bench.twin.accounts for key in one.keys]
        key, account = keys[pick % len(keys)]
        assert account.price is not None
        images = account.price.of(what.operation, sandbox=what.traits.sandbox)
        grant = KeyGrant(key.fingerprint, account.id, images)
        attempt = max(1, (line.attempt if line else 1) + later)
        shown = Seen() if state == "sent" else seen
        self.bench.settle(told(what, state, grant, attempt=attempt, seen=shown))

    @rule(ms=st.sampled_from([1, 20, 249, 250, 999, 1_020, 4_999, 6_120, 30_000, 59_999, 3_600_000]))
    def wait(self, ms: int) -> None:
        self.bench.wait(ms)

    @rule(pick=st.integers(0, 2), milli=st.sampled_from([0, 1_000, 12_000, 50_000]))
    def hear_of(self, pick: int, milli: int) -> None:
        accounts = self.bench.twin.accounts
        spent = self.bench.twin.books.images(accounts[pick % len(accounts)].id, ("posted", "presumed"))
        self.bench.hear_of(accounts[pick % len(accounts)].id, spent + milli)

    @precondition(lambda self: self.bench.twin.books.off)
    @rule()
    def resume(self) -> None:
        self.bench.resume(min(self.bench.twin.books.off))

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
        twin = self.bench.twin
        if wait == SOON or any(twin.is_full(key) for one in twin.accounts for key in one.keys):
            return  # nobody knows when a call will end
        self.bench.wait(wait)
        self.ask(what, Attempt(1))
        assert self.line_of(what) is not None

    @invariant()
    def no_window_has_more_calls_than_the_rate(self) -> None:
        for account in self.bench.twin.accounts:
            rates = [(key.fingerprint, key.calls, key.window_ms) for key in account.keys]
            if account.calls is not None:
                rates.append((f"@{account.id}", account.calls, 60_000))
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
