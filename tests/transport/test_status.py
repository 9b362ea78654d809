"""The one table from the error tree to the wires, and the tree that it covers."""

from __future__ import annotations

import re
from collections.abc import Iterator

import grpc
import pytest

from gateway.domain import errors
from gateway.domain.errors import (
    CallerError,
    Ending,
    Fault,
    GatewayError,
    GatewayFault,
    InternalError,
    InvalidRequest,
    KeyRejected,
    KeyTrouble,
    PolicyError,
    RequestCost,
    TenantBudget,
    TenantConcurrency,
    TenantRate,
    UpstreamError,
    UpstreamUnavailable,
)
from gateway.transport.status import STATUS, public_error, wait_seconds, wire_status


def below(kind: type[GatewayError]) -> Iterator[type[GatewayError]]:
    """The class and all classes below it that the domain defines."""
    yield kind
    for child in kind.__subclasses__():
        if child.__module__.startswith(errors.__name__):
            yield from below(child)


TREE = tuple(below(GatewayError))
BRANCHES = (GatewayError, CallerError, PolicyError, UpstreamError, GatewayFault)
"""The classes that only gather others: they have no reason of their own."""
KINDS = tuple(kind for kind in TREE if kind not in BRANCHES)
SEEN = tuple(kind for kind in KINDS if not issubclass(kind, KeyTrouble))
"""What a caller may be shown."""


LIMITS = {
    TenantRate: "edits",
    TenantConcurrency: "max_in_flight",
    TenantBudget: "monthly_images",
    RequestCost: "max_cost",
}
"""A limit that each refuses for."""


def made(kind: type[GatewayError], *, retry_after: float | None = None) -> GatewayError:
    if issubclass(kind, InvalidRequest):
        return kind([])
    if issubclass(kind, PolicyError):
        limit = LIMITS.get(kind, "disk")
        return kind("why", tenant="catalog", limit=limit, retry_after=retry_after)
    return kind("why", retry_after=retry_after)


@pytest.mark.parametrize("kind", SEEN)
def test_every_error_that_a_caller_may_see_has_a_row_of_its_own(kind: type[GatewayError]) -> None:
    assert kind in STATUS
    assert STATUS[kind] == wire_status(made(kind))


def test_the_table_names_nothing_but_the_tree() -> None:
    assert set(STATUS) <= set(TREE)


def test_an_error_without_a_row_is_shown_as_the_nearest_one_above_it() -> None:
    assert KeyRejected not in STATUS
    assert STATUS[KeyTrouble] == wire_status(KeyRejected("why"))


@pytest.mark.parametrize("kind", KINDS)
def test_every_reason_is_stated_by_its_own_class_in_capitals(kind: type[GatewayError]) -> None:
    assert "reason" in vars(kind)
    assert re.fullmatch(r"[A-Z][A-Z_]*[A-Z]", kind.reason)


def test_no_two_errors_have_one_reason() -> None:
    reasons = [kind.reason for kind in KINDS]

    assert sorted(set(reasons)) == sorted(reasons)


@pytest.mark.parametrize("kind", SEEN)
def test_a_status_says_whose_fault_it_is(kind: type[GatewayError]) -> None:
    status = STATUS[kind].http
    if issubclass(kind, PolicyError):
        assert 400 <= status < 500
        assert Fault.POLICY == kind.fault
    elif issubclass(kind, CallerError):
        # 504 is for a caller that gave too little time, or wanted nothing but a stored result.
        assert 400 <= status < 500 or status == 504
        assert Fault.CALLER == kind.fault
    else:
        assert 500 <= status < 600
        assert kind.fault in {Fault.UPSTREAM, Fault.GATEWAY}


@pytest.mark.parametrize("kind", SEEN)
def test_what_clients_repeat_by_themselves_was_not_spent(kind: type[GatewayError]) -> None:
    """gRPC and HTTP clients repeat UNAVAILABLE and 503 unasked: a repetition must not buy again."""
    status = STATUS[kind]
    if status.grpc is grpc.StatusCode.UNAVAILABLE or status.http == 503:
        assert Ending.NOT_SPENT == kind.ending


@pytest.mark.parametrize("kind", [k for k in TREE if issubclass(k, KeyTrouble)])
def test_trouble_with_our_key_is_never_the_caller_s(kind: type[GatewayError]) -> None:
    status = wire_status(made(kind))

    assert (503, grpc.StatusCode.UNAVAILABLE) == (status.http, status.grpc)


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        (TenantRate, 429, "RESOURCE_EXHAUSTED"),
        (TenantConcurrency, 429, "RESOURCE_EXHAUSTED"),
        (TenantBudget, 402, "RESOURCE_EXHAUSTED"),
        (RequestCost, 403, "PERMISSION_DENIED"),
    ],
)
def test_a_limit_of_the_tenant_s_has_the_status_that_clients_know_it_by(
    kind: type[GatewayError], status: int, code: str
) -> None:
    shown = wire_status(made(kind))

    assert (status, code) == (shown.http, shown.grpc.name)


def test_a_limit_that_is_not_listed_yet_is_shown_as_a_rate() -> None:
    class TenantDisk(PolicyError):
        reason = "TENANT_DISK"

    assert wire_status(made(TenantRate)) == wire_status(made(TenantDisk))


@pytest.mark.parametrize(
    ("wait", "told"), [(0.0, 1), (0.2, 1), (1.0, 1), (1.01, 2), (14_782.0, 14_782)]
)
def test_a_wait_is_told_in_whole_seconds_rounded_up(wait: float, told: int) -> None:
    assert told == wait_seconds(made(UpstreamUnavailable, retry_after=wait))
    assert told == wait_seconds(made(TenantRate, retry_after=wait))


@pytest.mark.parametrize("kind", SEEN)
def test_without_a_wait_only_what_frees_itself_by_use_names_one(kind: type[GatewayError]) -> None:
    expected = 1 if kind in {TenantRate, TenantConcurrency} else None

    assert expected == wait_seconds(made(kind))


def test_a_mistake_of_ours_says_nothing_of_itself() -> None:
    shown = public_error(ValueError("secret"))

    assert InternalError is type(shown)
    assert "secret" not in f"{shown!r} {shown.message} {shown.args}"


def test_an_error_of_the_tree_is_shown_as_it_is() -> None:
    error = CallerError("why")

    assert error is public_error(error)


ROW = re.compile(r"(?P<indent>[ │]*)(?:[├└]── )?(?P<name>\w+)(?: {2,}(?P<text>.*))?")


def drawn() -> dict[str, tuple[str, str]]:
    """Parent and text of each class in the tree that the docstring of `domain/errors` draws."""
    rows: dict[str, tuple[str, str]] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines()[2:]:
        if not line.strip():
            break
        row = ROW.fullmatch(line.removeprefix("    "))
        assert row, line
        depth = len(row["indent"]) // 4 + ("── " in line)
        above[depth:] = [row["name"]]
        assert row["name"] not in rows
        rows[row["name"]] = (above[depth - 1] if depth else "", row["text"] or "")
    return rows


def test_the_docstring_draws_the_tree_as_it_is() -> None:
    actual = {
        kind.__name__: "" if kind is GatewayError else kind.__bases__[0].__name__ for kind in TREE
    }

    assert actual == {name: parent for name, (parent, _) in drawn().items()}


@pytest.mark.parametrize("kind", SEEN)
def test_the_docstring_names_the_reason_that_callers_see(kind: type[GatewayError]) -> None:
    _, text = drawn()[kind.__name__]

    assert kind.reason == text.partition(":")[0]


def test_the_tree_is_exported_whole() -> None:
    assert {kind.__name__ for kind in TREE} <= set(errors.__all__)
