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
    UpstreamError,
)
from gateway.transport.status import STATUS, public_error, wire_status


def below(kind: type[GatewayError]) -> Iterator[type[GatewayError]]:
    """The class and all classes below it that the domain defines."""
    yield kind
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from below(child)


TREE = tuple(below(GatewayError))
BRANCHES = (GatewayError, CallerError, UpstreamError, GatewayFault)
"""The classes that only gather others: they have no reason of their own."""
KINDS = tuple(kind for kind in TREE if kind not in BRANCHES)
SEEN = tuple(kind for kind in KINDS if not issubclass(kind, KeyTrouble))
"""What a caller may be shown."""


def made(kind: type[GatewayError]) -> GatewayError:
    return kind([]) if issubclass(kind, InvalidRequest) else kind("why")


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
    if issubclass(kind, CallerError):
        # 504 is for a caller that gave too little time, or wanted nothing but a stored result.
        assert 400 <= status < 500 or status == 504
        assert Fault.CALLER == kind.fault
    else:
        assert 500 <= status < 600
        assert Fault.CALLER != kind.fault


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


def test_a_mistake_of_ours_says_nothing_of_itself() -> None:
    shown = public_error(ValueError("secret"))

    assert InternalError is type(shown)
    assert "secret" not in f"{shown!r} {shown.message} {shown.args}"


def test_an_error_of_the_tree_is_shown_as_it_is() -> None:
    error = CallerError("why")

    assert error is public_error(error)


ROW = re.compile(r"(?P<indent>[ │]*)(?:[├└]── )?(?P<name>\w+)(?: {2,}(?P<text>.*))?")


def drawn() -> dict[str, tuple[str, str]]:
    """Parent and text of each class in the tree that the docstring of `domain/errors.py` draws."""
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
