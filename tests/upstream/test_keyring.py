"""A key that is taken out is found for as long as a call may still ask for it, and no longer."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.domain.keys import fingerprint
from gateway.upstream.keyring import KeyRing
from gateway.upstream.settings import UpstreamKey

ONE, TWO, THREE = (UpstreamKey(f"k{n}", f"sk_canary_{n}", "plus") for n in (1, 2, 3))
KEPT = 190.0


@dataclass(slots=True)
class HandClock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def found(ring: KeyRing, *keys: UpstreamKey) -> list[UpstreamKey | None]:
    return [ring.find(fingerprint(key.secret)) for key in keys]


def test_a_key_that_is_taken_out_is_found_for_a_while_and_not_used() -> None:
    clock = HandClock()
    ring = KeyRing([ONE, TWO], kept=KEPT, clock=clock)
    ring.replace([TWO, THREE])
    assert (TWO, THREE) == ring.keys
    clock.now = KEPT - 1
    assert [ONE, TWO, THREE] == found(ring, ONE, TWO, THREE)
    clock.now = KEPT
    assert [None, TWO, THREE] == found(ring, ONE, TWO, THREE)


def test_its_time_begins_when_it_is_taken_out_and_other_changes_do_not_prolong_it() -> None:
    clock = HandClock()
    ring = KeyRing([ONE], kept=KEPT, clock=clock)
    clock.now = 1000.0
    ring.replace([TWO])
    clock.now += KEPT - 1
    ring.replace([THREE])
    assert [ONE, TWO, THREE] == found(ring, ONE, TWO, THREE)
    clock.now += 1
    assert [None, TWO, THREE] == found(ring, ONE, TWO, THREE)


def test_a_key_that_comes_back_stays() -> None:
    clock = HandClock()
    ring = KeyRing([ONE], kept=KEPT, clock=clock)
    ring.replace([TWO])
    ring.replace([ONE])
    clock.now = 2 * KEPT
    assert [ONE, None] == found(ring, ONE, TWO)


def test_a_key_that_it_never_had_is_not_found_and_no_secret_is_shown() -> None:
    ring = KeyRing([ONE], kept=KEPT)
    ring.replace([TWO])
    assert [None] == found(ring, THREE)
    assert "canary" not in repr(ring) + repr(ring.keys) + repr(vars(ring))
