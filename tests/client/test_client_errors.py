"""The client's tree of errors against what the gateway sends."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator

import grpc
import pytest

from gateway.client import (
    BlobNotFound,
    BudgetSpent,
    FieldMistake,
    GatewayCallError,
    GatewayFailed,
    InvalidCall,
    NoAnswer,
    NotCached,
    OutcomeUnknown,
    Refused,
    ResultGone,
    Throttled,
    TooCostly,
    TryLater,
    Unauthenticated,
)
from gateway.client.errors import call_error
from gateway.domain import errors as theirs
from gateway.domain.errors import (
    Ending,
    GatewayError,
    InvalidRequest,
    KeyTrouble,
    PolicyError,
    UpstreamBadAnswer,
    Violation,
)
from gateway.transport.status import wire_status
from tests.client.stand_in import trailers_of

CLASSES: dict[type[GatewayError], type[GatewayCallError]] = {
    theirs.Unauthenticated: Unauthenticated,
    theirs.InvalidRequest: InvalidCall,
    theirs.BlobMissing: BlobNotFound,
    theirs.BodyTooLarge: InvalidCall,
    theirs.NotCached: NotCached,
    theirs.DeadlineExceeded: NoAnswer,
    theirs.IdempotencyConflict: InvalidCall,
    theirs.ResultGone: ResultGone,
    theirs.UpstreamRefused: Refused,
    theirs.TenantRate: Throttled,
    theirs.TenantConcurrency: Throttled,
    theirs.TenantBudget: BudgetSpent,
    theirs.RequestCost: TooCostly,
    theirs.UpstreamUnreachable: TryLater,
    theirs.UpstreamFailed: TryLater,
    theirs.UpstreamCooling: TryLater,
    theirs.UpstreamUnavailable: TryLater,
    theirs.OutcomeUnknown: OutcomeUnknown,
    theirs.UpstreamBadAnswer: GatewayFailed,
    theirs.NotKept: TryLater,
    theirs.StateUnavailable: TryLater,
    theirs.ReplaysUnavailable: TryLater,
    theirs.ShuttingDown: TryLater,
    theirs.InternalError: GatewayFailed,
}
# No method of the client's services answers with these: they are of the administrators' service, of REST,
# or end at the key pool.
OTHERS = {
    *(theirs.NotAdmin, theirs.TooManyPurges),
    *(theirs.RouteNotServed, KeyTrouble, *KeyTrouble.__subclasses__()),
}
BASES = {theirs.CallerError, theirs.PolicyError, theirs.UpstreamError, theirs.GatewayFault}


def descendants(kind: type[GatewayError]) -> Iterator[type[GatewayError]]:
    for child in kind.__subclasses__():
        if child.__module__.startswith(theirs.__name__):
            yield child
            yield from descendants(child)


def made(kind: type[GatewayError]) -> GatewayError:
    if issubclass(kind, InvalidRequest):
        return kind([Violation("edit.max_width", "OUT_OF_RANGE", "is too small")])
    if issubclass(kind, PolicyError):
        return kind("It did not work.", tenant="catalog", limit="edits", retry_after=2.0)
    return kind("It did not work.", retry_after=2.0)


def read(error: GatewayError) -> GatewayCallError:
    """What the client makes of it."""
    trailers = grpc.aio.Metadata(*trailers_of(error))
    code = wire_status(error).grpc
    return call_error(
        grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailers, error.message), "mine"
    )


def test_no_error_of_the_gateway_s_is_forgotten() -> None:
    assert set(descendants(GatewayError)) == {*CLASSES, *OTHERS, *BASES}


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_an_error_is_what_the_gateway_means(kind: type[GatewayError]) -> None:
    error = read(made(kind))

    assert CLASSES[kind] is type(error)
    assert kind.reason == error.reason
    assert wire_status(made(kind)).grpc == error.code
    assert "from-the-gateway" == error.request_id
    if issubclass(kind, InvalidRequest):
        assert (FieldMistake("edit.max_width", "OUT_OF_RANGE", "is too small"),) == error.fields
    else:
        assert ("It did not work.", 2.0) == (error.message, error.retry_after)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_a_limit_is_named_where_one_refused_and_only_there(kind: type[GatewayError]) -> None:
    assert ("edits" if issubclass(kind, PolicyError) else "") == read(made(kind)).limit


def test_a_limit_of_a_newer_gateway_is_something_to_wait_for() -> None:
    class TenantDisk(PolicyError):
        reason = "TENANT_DISK"

    error = read(made(TenantDisk))

    assert TryLater is type(error)
    assert ("TENANT_DISK", "edits", 2.0) == (error.reason, error.limit, error.retry_after)


def test_who_repeats_what_is_to_be_called_later_repeats_what_was_throttled() -> None:
    assert issubclass(Throttled, TryLater)
    assert not issubclass(BudgetSpent, TryLater), "it would sleep until the next month"


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_the_class_says_whether_money_may_be_spent(kind: type[GatewayError]) -> None:
    may_be_spent = kind.ending in {Ending.SPENT, Ending.UNKNOWN} or kind is theirs.DeadlineExceeded
    spent = issubclass(CLASSES[kind], OutcomeUnknown) or kind is UpstreamBadAnswer

    assert may_be_spent == spent


@pytest.mark.parametrize(
    "trailers",
    [
        (),
        (("grpc-status-details-bin", b"\xff\xff\xff"),),
        (("grpc-status-details-bin", b""),),
    ],
    ids=["none", "garbage", "empty"],
)
@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNIMPLEMENTED])
def test_what_does_not_come_from_the_gateway_is_no_answer(
    trailers: tuple[tuple[str, bytes], ...], code: grpc.StatusCode
) -> None:
    raw = grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(*trailers), "lost")
    error = call_error(raw, "mine")

    assert NoAnswer is type(error)
    assert ("", "lost", (), None, "mine") == (
        error.reason,
        error.message,
        error.fields,
        error.retry_after,
        error.request_id,
    )
    assert f"{code.name}: lost [request mine]" == str(error)


@pytest.mark.parametrize("again", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])  # noqa: S301 - our own bytes
def test_an_error_can_be_handed_to_another_process(again: object) -> None:
    assert callable(again)
    for kind in (theirs.BlobMissing, theirs.TenantRate):
        error = read(made(kind))
        twin = again(error)

        assert type(error) is type(twin)
        assert vars(error) == vars(twin)
        assert str(error) == str(twin)
