"""Keys, windows, quotas, prices and the lag of accounts, by a clock that the tests move."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.emulator import AccountSettings, EmulatorSettings, KeySettings, Refused
from gateway.emulator.accounts import Accounts, Throttled, Window

DAY_S = 86_400.0


def accounts(**changes: object) -> Accounts:
    """One account with the keys a and b, whose secrets are A and B; three calls a minute each."""
    keys = (KeySettings("a", "A", 3), KeySettings("b", "B", 3))
    names = set(EmulatorSettings.__dataclass_fields__)
    whole = {name: value for name, value in changes.items() if name in names}
    account = {name: value for name, value in changes.items() if name not in names}
    settings = AccountSettings(id="one", keys=keys, **account)  # type: ignore[arg-type] # as named
    return Accounts(EmulatorSettings(accounts=(settings,), **whole))  # type: ignore[arg-type] # same


def wait_of(subject: Accounts, secret: str, now: float) -> int:
    """Seconds to wait for a call with the key; 0 when it is let in."""
    try:
        subject.admit(subject.access(secret), "edit", now)
    except Throttled as throttled:
        return throttled.wait_s
    return 0


def status_of(subject: Accounts, secret: str | None, operation: str = "edit") -> int:
    try:
        access = subject.access(secret)
        subject.admit(access, operation, 0.0)
        subject.charge(access, operation, 0.0)
    except Refused as refused:
        return refused.status
    return 200


def shown(subject: Accounts, now: float = 0.0, prefix: str = "", version: int = 2) -> float:
    return subject.shown(subject.access(f"{prefix}A"), version, now).available


def test_a_key_has_its_calls_in_any_sixty_seconds() -> None:
    subject = accounts()
    assert [0, 0, 0] == [wait_of(subject, "A", now) for now in (0.0, 10.0, 20.0)]
    assert [35, 1] == [wait_of(subject, "A", now) for now in (25.0, 59.5)]
    assert [0, 10] == [wait_of(subject, "A", 60.0) for _ in range(2)]


def test_a_refused_call_is_not_counted() -> None:
    subject = accounts()
    waits = [wait_of(subject, "A", 0.0) for _ in range(9)]
    assert [0, 0, 0] + [60] * 6 == waits
    assert 0 == wait_of(subject, "A", 60.0)


def test_keys_have_windows_of_their_own_and_accounts_may_have_one() -> None:
    apart = accounts()
    assert [0] * 6 == [wait_of(apart, key, 0.0) for key in "AAABBB"]
    together = accounts(requests_per_window=4)
    assert [0, 0, 0, 0, 60] == [wait_of(together, key, 0.0) for key in "AAABB"]


@given(st.lists(st.floats(min_value=0, max_value=30), max_size=60), st.integers(1, 5))
def test_a_window_never_lets_more_than_its_limit_in(gaps: list[float], limit: int) -> None:
    window, now, let_in = Window(limit, 60.0), 0.0, list[float]()
    for gap in gaps:
        now += gap
        if window.wait(now) == 0:
            window.take(now)
            let_in.append(now)
    for index, start in enumerate(let_in):
        assert sum(start <= time < start + 60 for time in let_in[index:]) <= limit


@given(st.integers(1, 4), st.floats(min_value=0, max_value=59))
def test_the_wait_that_is_told_is_long_enough(limit: int, now: float) -> None:
    window = Window(limit, 60.0)
    for _ in range(limit):
        window.take(0.0)
    assert 0 == window.wait(now + window.wait(now))


def test_the_sandbox_shares_the_window_of_its_key() -> None:
    subject = accounts()
    assert [0, 0, 0, 60] == [wait_of(subject, key, 0.0) for key in ("A", "sandbox_A", "A", "A")]


def test_the_sandbox_has_a_quota_of_a_day_whose_wait_is_hours() -> None:
    subject = accounts(sandbox_per_day=2, window_s=1.0)
    assert [0, 0] == [wait_of(subject, "sandbox_A", now) for now in (0.0, 3600.0)]
    assert 82_800 - 10 == wait_of(subject, "sandbox_A", 3610.0)
    assert 0 == wait_of(subject, "A", 3610.0)
    assert 0 == wait_of(subject, "sandbox_A", DAY_S)


def test_the_sandbox_has_a_quota_of_a_month() -> None:
    subject = accounts(sandbox_per_day=2, sandbox_per_month=3, window_s=1.0)
    times = (0.0, 1.0, DAY_S + 1)
    assert [0, 0, 0] == [wait_of(subject, "sandbox_A", now) for now in times]
    assert wait_of(subject, "sandbox_A", 2 * DAY_S + 2) > 27 * DAY_S


@pytest.mark.parametrize(
    ("plan", "operation", "price"),
    [
        ("plus", "edit", 1000),
        ("plus", "segment", 200),
        ("basic", "edit", 5000),
        ("basic", "segment", 1000),
    ],
)
def test_a_call_costs_what_its_plan_says(plan: str, operation: str, price: int) -> None:
    subject = accounts(plan=plan)
    assert price == subject.charge(subject.access("A"), operation, 0.0)
    assert 1000 - price / 1000 == shown(subject)


def test_the_sandbox_is_free() -> None:
    subject = accounts(available=0)
    assert 200 == status_of(subject, "sandbox_A")
    assert 0 == shown(subject)


def test_fifths_of_an_image_add_up() -> None:
    subject = accounts(available=1)
    charges = [subject.charge(subject.access("A"), "segment", 0.0) for _ in range(5)]
    assert ([200] * 5, 0) == (charges, shown(subject))
    assert 402 == status_of(subject, "A", "segment")


def test_calls_in_flight_cannot_take_more_than_there_is() -> None:
    subject = accounts(available=1)
    first, second = subject.access("A"), subject.access("B")
    for access in (first, second):
        subject.admit(access, "edit", 0.0)
    subject.charge(first, "edit", 1.0)
    with pytest.raises(Refused) as refused:
        subject.charge(second, "edit", 1.0)
    assert 402 == refused.value.status


def test_a_charge_is_shown_after_the_lag() -> None:
    subject = accounts(account_lag_s=30.0)
    subject.charge(subject.access("A"), "edit", 100.0)
    subject.charge(subject.access("A"), "edit", 120.0)
    assert [1000, 1000, 999, 998] == [shown(subject, now) for now in (100.0, 129.0, 130.0, 150.0)]


def test_the_lag_hides_charges_and_does_not_undo_them() -> None:
    subject = accounts(account_lag_s=30.0, available=1)
    assert [200, 402] == [status_of(subject, "A") for _ in range(2)]
    assert 1 == shown(subject)


@pytest.mark.parametrize("secret", [None, "", "C", "sandbox_C"])
def test_an_unknown_key_is_401(secret: str | None) -> None:
    assert 401 == status_of(accounts(), secret)


def test_a_key_answers_the_status_it_is_given_until_it_works_again() -> None:
    subject = accounts()
    subject.set_status("a", 403)
    assert [403, 200] == [status_of(subject, key) for key in "AB"]
    subject.set_status("a", None)
    assert 200 == status_of(subject, "A")


def test_the_sandbox_cannot_ask_for_its_account() -> None:
    with pytest.raises(Refused) as refused:
        shown(accounts(), prefix="sandbox_")
    assert 400 == refused.value.status


def test_old_prices_are_shown_by_the_first_version_alone() -> None:
    subject = accounts(old_pricing=True)
    with pytest.raises(Refused, match="You are using an old pricing version"):
        shown(subject)
    assert 1000 == shown(subject, version=1)


def test_an_account_can_be_filled_up() -> None:
    subject = accounts(available=0, account_lag_s=60.0)
    subject.set_available("one", 2.5)
    assert 2.5 == shown(subject)
    with pytest.raises(KeyError):
        subject.set_available("two", 1)


def test_templates_belong_to_an_account() -> None:
    subject = accounts(templates=frozenset({"0189AA4A-5F0C-4C5C-8B0E-2F6F5F0D7A11"}))
    access = subject.access("A")
    assert subject.owns_template(access, "0189aa4a-5f0c-4c5c-8b0e-2f6f5f0d7a11")
    assert not subject.owns_template(access, "0189aa4a-5f0c-4c5c-8b0e-2f6f5f0d7a12")


def test_two_keys_with_one_secret_are_no_settings() -> None:
    keys = (KeySettings("a", "A"), KeySettings("b", "A"))
    with pytest.raises(ValueError, match="must differ"):
        EmulatorSettings(accounts=(AccountSettings(id="one", keys=keys),))
