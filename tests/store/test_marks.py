"""Marks: which purge reaches which edit, and how what two replicas know is joined."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.caching import Purge, Reach
from gateway.domain.edit import Operation
from gateway.store.epochs import ALL, Marks, field_of, revocation_of

DIGEST, CREDENTIAL = "d" * 64, bytes(32)
FIELDS = [
    ALL,
    field_of(Purge(Reach.SCOPE, "tenant:catalog")),
    field_of(Purge(Reach.OPERATION, Operation.EDIT.value)),
    field_of(Purge(Reach.DIGEST, DIGEST)),
    field_of(Purge(Reach.DIGEST, "e" * 64)),
    revocation_of(CREDENTIAL),
]
MARKS = st.dictionaries(st.sampled_from(FIELDS), st.integers(1, 20)).map(Marks)


def epoch(marks: Marks, digest: str = DIGEST) -> int:
    return marks.epoch("tenant:catalog", Operation.EDIT, digest)


@pytest.mark.parametrize("field", FIELDS[:4])
def test_a_purge_reaches_an_edit_of_its_scope_operation_or_digest(field: str) -> None:
    assert 7 == epoch(Marks({field: 7}))


@pytest.mark.parametrize(
    "purge",
    [
        Purge(Reach.SCOPE, "shared:catalog"),
        Purge(Reach.OPERATION, Operation.SEGMENT.value),
        Purge(Reach.DIGEST, "e" * 64),
    ],
    ids=lambda purge: str(purge.reach),
)
def test_a_purge_reaches_nothing_else(purge: Purge) -> None:
    assert 0 == epoch(Marks({field_of(purge): 7}))


def test_a_revocation_purges_nothing_and_denies_one_credential() -> None:
    marks = Marks({revocation_of(CREDENTIAL): 7})
    assert 0 == epoch(marks)
    assert marks.denies(CREDENTIAL)
    assert not marks.denies(bytes(31) + b"\x01")


@given(MARKS, st.sampled_from(FIELDS[:4]))
def test_a_later_purge_raises_the_epoch_whatever_was_purged_before(
    marks: Marks, field: str
) -> None:
    assert epoch(marks) < epoch(marks.joined({field: 21})) == 21


@given(MARKS, MARKS)
def test_joining_takes_no_epoch_back(one: Marks, two: Marks) -> None:
    joined = one.joined(two.of)
    for digest in (DIGEST, "e" * 64):
        assert max(epoch(one, digest), epoch(two, digest)) == epoch(joined, digest)
    assert joined.denies(CREDENTIAL) == (one.denies(CREDENTIAL) or two.denies(CREDENTIAL))


@given(MARKS, MARKS, MARKS)
def test_whoever_joins_first_the_end_is_the_same(one: Marks, two: Marks, three: Marks) -> None:
    assert one.joined(two.of).joined(three.of) == three.joined(one.of).joined(two.of)


@given(MARKS, MARKS)
def test_what_is_above_brings_the_other_up(one: Marks, two: Marks) -> None:
    missing = one.joined(two.of).above(two.of)
    assert one.joined(two.of) == two.joined(missing)


def test_a_digest_s_mark_ends_with_the_last_result_that_it_disowns() -> None:
    purged = {field_of(Purge(Reach.DIGEST, DIGEST)): 7}
    assert 7 == epoch(Marks().joined(purged, oldest=6))
    assert Marks() == Marks().joined(purged, oldest=7)


def test_the_mark_of_all_stands_for_the_digests_before_it() -> None:
    joined = Marks({field_of(Purge(Reach.DIGEST, DIGEST)): 7}).joined({ALL: 8})
    assert {ALL: 8} == joined.of


@given(MARKS)
def test_other_marks_never_end(marks: Marks) -> None:
    kept = [name for name in marks.of if not name.startswith("digest:")]
    assert set(kept) <= marks.joined({}, oldest=100).of.keys()
