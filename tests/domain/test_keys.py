"""A key's name tells nothing of the key."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.keys import NO_KEY, Verdict, fingerprint

SECRETS = st.text(min_size=1, max_size=80)


@given(SECRETS)
def test_a_fingerprint_is_sixteen_hex_digits_and_always_the_same(secret: str) -> None:
    assert re.fullmatch(r"[0-9a-f]{16}", fingerprint(secret))
    assert fingerprint(secret) == fingerprint(secret)


@given(SECRETS, SECRETS)
def test_two_secrets_have_two_fingerprints(one: str, other: str) -> None:
    assert (one == other) == (fingerprint(one) == fingerprint(other))


def test_a_fingerprint_is_the_one_that_logs_and_redis_have_always_known() -> None:
    """A release that named keys otherwise would forget which of them are off."""
    assert "dfb63b31d9b1e293" == fingerprint("sk_pr_example")


def test_no_key_is_no_fingerprint() -> None:
    assert not re.fullmatch(r"[0-9a-f]+", NO_KEY.key)
    assert 0 == NO_KEY.images_milli


def test_verdicts_are_told_by_words_that_stay() -> None:
    """Replicas of two releases read each other's books."""
    assert [
        "nothing",
        "served",
        "rejected",
        "forbidden",
        "exhausted",
        "throttled",
        "failed",
        "refused",
    ] == [verdict.value for verdict in Verdict]
