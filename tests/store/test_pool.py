"""Who may be served by which keys, and at what price; asked anew whenever that changes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from gateway.domain.credits import BASIC, PLUS, Price
from gateway.domain.edit import Operation
from gateway.domain.keys import PoolAccount, PoolKey
from gateway.domain.tenant import Tenant
from gateway.store.pool import Pool

EDIT, SEGMENT = Operation.EDIT, Operation.SEGMENT
K1, K2, K3 = (PoolKey(f"k{n}", f"name-of-k{n}", 60, 60_000) for n in (1, 2, 3))
SHARED = PoolAccount("shared", (K1, K2), PLUS)
DEDICATED = PoolAccount("dedicated", (K3,), BASIC, tenants=frozenset({"one"}))
ANY = Tenant("any")


def written(pool: Pool, tenant: Tenant = ANY, operation: Operation = EDIT) -> list[dict[str, Any]]:
    """What `admit.lua` reads."""
    read: list[dict[str, Any]] = json.loads(pool.candidates(tenant, operation))
    return read


def names(pool: Pool, tenant: Tenant = ANY) -> list[str]:
    return [key["key"] for account in written(pool, tenant) for key in account["keys"]]


def prices(pool: Pool, operation: Operation) -> list[int]:
    return [account["price"] for account in written(pool, ANY, operation)]


@pytest.mark.parametrize(
    ("tenant", "expected"),
    [
        (Tenant("any"), ["shared"]),
        (Tenant("one"), ["shared", "dedicated"]),
        (Tenant("one", accounts=frozenset({"dedicated"})), ["dedicated"]),
        (Tenant("any", accounts=frozenset({"dedicated"})), []),
        (Tenant("any", accounts=frozenset({"shared", "gone"})), ["shared"]),
        (Tenant("any", accounts=frozenset()), []),
    ],
)
def test_a_tenant_is_served_by_accounts_that_both_sides_allow(
    tenant: Tenant, expected: list[str]
) -> None:
    assert expected == [account.id for account in Pool([SHARED, DEDICATED]).serving(tenant)]


def test_an_account_is_written_with_its_own_bounds_and_those_of_its_keys() -> None:
    keys = (PoolKey("k", "name", 6, 6_000, places=3), PoolKey("l", "other", 60, 60_000))
    account = PoolAccount("a", keys, PLUS, calls=100, reserve_milli=7_000, window_ms=9_000)
    expected = {
        "account": "a",
        "price": 200,
        "gated": True,
        "reserve": 7_000,
        "calls": 100,
        "window": 9_000,
        "keys": [
            {"key": "name", "calls": 6, "window": 6_000, "places": 3},
            {"key": "other", "calls": 60, "window": 60_000, "places": -1},
        ],
    }
    assert [expected] == written(Pool([account], gated=True), operation=SEGMENT)


def test_what_has_no_bound_is_written_so() -> None:
    [account] = written(Pool([SHARED]))
    assert (0, False) == (account["calls"], account["gated"])


def test_no_pool_and_a_pool_that_does_not_serve_a_tenant_are_two_things() -> None:
    """Without a pool a call needs no key; without a key it gets none."""
    assert "" == Pool().candidates(ANY, EDIT)
    assert [] == written(Pool([DEDICATED]))


def test_the_price_of_an_account_is_that_of_its_plan_else_its_own_word_else_the_dearest() -> None:
    silent = Pool([replace(SHARED, price=None)])
    assert [BASIC.edit_milli] == prices(silent, EDIT)
    silent.learn_price("shared", PLUS)
    assert [[PLUS.edit_milli], [PLUS.segment_milli]] == [
        prices(silent, how) for how in (EDIT, SEGMENT)
    ]

    configured = Pool([replace(SHARED, price=Price(3, 2))])
    configured.learn_price("shared", BASIC)
    assert [3] == prices(configured, EDIT)


def test_keys_that_are_replaced_serve_the_next_call() -> None:
    pool = Pool([SHARED, DEDICATED])
    one = Tenant("one")
    pool.candidates(one, EDIT)
    pool.replace([replace(SHARED, keys=(K2,))])
    assert ["name-of-k2"] == names(pool, one)


def test_what_is_written_for_one_tenant_and_operation_is_not_another_s() -> None:
    pool = Pool([SHARED, DEDICATED])
    tenants = (ANY, Tenant("one"), Tenant("one", accounts=frozenset({"dedicated"})))
    for _ in range(2):
        assert [2, 3, 1] == [len(names(pool, tenant)) for tenant in tenants]
        texts = [pool.candidates(tenant, how) for tenant in tenants for how in (EDIT, SEGMENT)]
        assert 6 == len(set(texts))


def test_keys_that_are_checked_or_leave_are_known_and_named() -> None:
    pool = Pool([SHARED])
    assert ["name-of-k1"] == list(pool.named("k1"))
    rotated = PoolKey("k1", "name-of-the-next-k1", 60, 60_000)
    pool.replace(
        [SHARED],
        checking=[replace(SHARED, keys=(rotated,))],
        leaving=frozenset({"name-of-k1"}),
    )
    assert ("name-of-k1", "name-of-the-next-k1") == pool.named("k1")
    assert ["name-of-k1", "name-of-k2"] == names(pool), "what is checked serves nobody yet"
    assert [
        ("name-of-k1", False, True),
        ("name-of-k2", False, False),
        ("name-of-the-next-k1", True, False),
    ] == [(one.key.fingerprint, one.checking, one.leaving) for one in pool.known()]
