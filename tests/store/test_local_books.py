"""Admission by one process alone: it keeps to its share of every limit, whatever the order of things."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.errors import PolicyError, TenantBudget
from gateway.domain.limits import Rate
from gateway.ports import Hold, Settlement
from gateway.store.local_books import LocalBooks
from tests.store.ledger_tools import a_claim, a_tenant
from tests.store.tiers import ManualClock

BURST, PLACES, BUDGET = 10, 7, 9_000
RATE = Rate(1_000_000, BURST)

CLAIMS = st.tuples(st.just("claim"), st.sampled_from([1_000, 200, 0]))
ENDINGS = st.tuples(st.sampled_from(Settlement), st.integers(0, 9))
WAITS = st.tuples(st.just("wait"), st.sampled_from([0.001, 0.5, 1.0, 3.0]))


@given(
    steps=st.lists(st.one_of(CLAIMS, ENDINGS, WAITS), max_size=60),
    share=st.sampled_from([1.0, 0.8, 0.4, 0.2, 0.05]),
)
def test_no_limit_is_ever_passed(steps: list[tuple[str, float]], share: float) -> None:
    clock = ManualClock(4_000_000_000.0)
    books = LocalBooks(clock, lambda tenant: tenant.limits.budget_milli, lambda: share)
    tenant = a_tenant(edits=RATE, in_flight=PLACES, budget_milli=BUDGET)
    rate = RATE.share(share)
    held: list[Hold] = []
    times: list[float] = []
    spent = 0
    for word, number in steps:
        if word == "wait":
            clock.now += number
        elif word != "claim":
            if held:
                hold = held.pop(int(number) % len(held))
                spent += hold.cost_milli * (word != Settlement.VOIDED)
                for _ in range(2):
                    books.settle(hold, Settlement(word))
        else:
            try:
                held.append(books.admit(a_claim(tenant, int(number))))
            except PolicyError:
                continue
            times.append(clock.now)
            assert len(held) <= max(1, math.floor(PLACES * share))
            if number:
                assert spent + sum(one.cost_milli for one in held) <= BUDGET * share
    for first, start in enumerate(times):
        for count, end in enumerate(times[first:], 1):
            assert count <= rate.burst + (end - start) * 1e6 / rate.interval_us + 1e-6


@pytest.mark.parametrize("settlement", Settlement)
def test_what_was_granted_elsewhere_is_settled_without_a_trace(settlement: Settlement) -> None:
    clock = ManualClock(4_000_000_000.0)
    here, there = (LocalBooks(clock, lambda tenant: tenant.limits.budget_milli) for _ in range(2))
    tenant = a_tenant(budget_milli=1_000, in_flight=1)
    here.settle(there.admit(a_claim(tenant)), settlement)
    here.admit(a_claim(tenant))


def test_spending_is_by_the_month_and_forgotten_when_it_was_told() -> None:
    clock = ManualClock(4_000_000_000.0)
    books = LocalBooks(clock, lambda tenant: tenant.limits.budget_milli)
    tenant = a_tenant(budget_milli=1_000)
    grants: Counter[str] = Counter()
    for what in ("first", "spent", "told", "spent", "a month later", "spent"):
        if what == "told":
            books.forget_spending()
        elif what == "a month later":
            clock.now += 31 * 86_400
        if what == "spent":
            with pytest.raises(TenantBudget):
                books.admit(a_claim(tenant))
        else:
            books.settle(books.admit(a_claim(tenant)), Settlement.POSTED)
            grants[what] += 1
    assert {"first": 1, "told": 1, "a month later": 1} == grants


def test_what_is_open_counts_also_when_what_was_spent_is_forgotten() -> None:
    clock = ManualClock(4_000_000_000.0)
    books = LocalBooks(clock, lambda tenant: tenant.limits.budget_milli)
    tenant = a_tenant(budget_milli=1_000)
    books.admit(a_claim(tenant))
    books.forget_spending()
    with pytest.raises(TenantBudget):
        books.admit(a_claim(tenant))
