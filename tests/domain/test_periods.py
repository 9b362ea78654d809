"""The months of budgets, in every time zone."""

from __future__ import annotations

import calendar
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.periods import Period, months_around

ZONES = [ZoneInfo(name) for name in sorted(available_timezones())]
MONTHS = [(year, month) for year in range(2005, 2045) for month in range(1, 13)]
DAY = 86_400


def at(text: str) -> float:
    """Seconds since the epoch of an ISO date and time, in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def check(now: float, zone: ZoneInfo) -> None:
    """The three months follow each other, and it is now in the middle one."""
    before, this, after = months_around(now, zone)
    assert before.start < before.end == this.start <= now * 1000
    assert now * 1000 < this.end == after.start < after.end


@given(
    zone=st.sampled_from(ZONES),
    first=st.sampled_from(MONTHS),
    away_ms=st.integers(-2 * DAY * 1000, 2 * DAY * 1000),
)
def test_now_is_in_the_month_of_now(zone: ZoneInfo, first: tuple[int, int], away_ms: int) -> None:
    midnight = datetime(*first, 1, tzinfo=UTC).timestamp()
    check((midnight * 1000 + away_ms) / 1000, zone)


@pytest.mark.parametrize("name", ["America/St_Johns", "Africa/Cairo", "America/Havana", "UTC"])
def test_now_is_in_the_month_of_now_at_every_quarter_hour_around_a_first(name: str) -> None:
    """St John's was put back from 0:01 to 23:01 on a first, Cairo from midnight to 23:00 before one."""
    for first in ("2009-11-01", "2024-11-01"):
        for quarters in range(-4 * 16, 4 * 16):
            check(at(first) + 900 * quarters, ZoneInfo(name))


@given(zone=st.sampled_from(ZONES), now=st.integers(0, 2**32))
def test_whoever_is_a_month_ahead_or_behind_finds_it_too(zone: ZoneInfo, now: int) -> None:
    before, this, after = months_around(now, zone)
    assert this == months_around(before.start / 1000, zone)[2]
    assert this == months_around(after.start / 1000, zone)[0]


@given(zone=st.sampled_from(ZONES), now=st.integers(0, 2**32))
def test_a_month_has_28_to_31_days_but_for_what_clocks_are_put(zone: ZoneInfo, now: int) -> None:
    for period in months_around(now, zone):
        days = timedelta(milliseconds=period.end - period.start)
        assert timedelta(days=27) <= days <= timedelta(days=32)


@pytest.mark.parametrize(
    ("now", "zone", "start", "end"),
    [
        ("2026-02-28T23:59:59.999", "UTC", "2026-02-01", "2026-03-01"),
        ("2026-03-01", "UTC", "2026-03-01", "2026-04-01"),
        ("2026-12-31T23:59:59", "UTC", "2026-12-01", "2027-01-01"),
        ("2027-01-01", "UTC", "2027-01-01", "2027-02-01"),
        ("2028-02-29", "UTC", "2028-02-01", "2028-03-01"),
        ("2026-02-28T22:59:59", "Europe/Paris", "2026-01-31T23:00", "2026-02-28T23:00"),
        ("2026-02-28T23:00", "Europe/Paris", "2026-02-28T23:00", "2026-03-31T22:00"),
        ("2026-10-31T12:00", "Europe/Paris", "2026-09-30T22:00", "2026-10-31T23:00"),
        ("2026-01-31T10:00", "Pacific/Kiritimati", "2026-01-31T10:00", "2026-02-28T10:00"),
        ("2026-02-01T07:59", "America/Los_Angeles", "2026-01-01T08:00", "2026-02-01T08:00"),
        ("2026-01-31T18:15", "Asia/Kathmandu", "2026-01-31T18:15", "2026-02-28T18:15"),
        ("2009-11-01T02:40", "America/St_Johns", "2009-11-01T02:30", "2009-12-01T03:30"),
    ],
)
def test_months(now: str, zone: str, start: str, end: str) -> None:
    expected = Period(int(at(start) * 1000), int(at(end) * 1000))
    assert expected == months_around(at(now), ZoneInfo(zone))[1]


def test_a_year_of_months_has_no_gap() -> None:
    zone = ZoneInfo("Europe/Paris")
    month = months_around(at("2026-01-15"), zone)[1]
    for number in range(1, 13):
        local = datetime.fromtimestamp(month.start / 1000, zone)
        assert (2026, number, 1, 0) == (local.year, local.month, local.day, local.hour)
        days = (datetime.fromtimestamp(month.end / 1000, zone).date() - local.date()).days
        assert calendar.monthrange(2026, number)[1] == days
        month = months_around(month.end / 1000, zone)[1]
