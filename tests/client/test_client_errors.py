"""The client's tree of errors against what the gateway sends."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator

import grpc
import pytest

from gateway.client import (
    BlobNotFound,
    FieldMistake,
    GatewayCallError,
    GatewayFailed,
    InvalidCall,
    NoAnswer,
    NotCached,
    OutcomeUnknown,
    Refused,
    ResultGone,
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
    theirs.UpstreamUnreachable: TryLater,
    theirs.UpstreamFailed: TryLater,
    theirs.UpstreamUnavailable: TryLater,
    theirs.OutcomeUnknown: OutcomeUnknown,
    theirs.UpstreamBadAnswer: GatewayFailed,
    theirs.NotKept: TryLater,
    theirs.ReplaysUnavailable: TryLater,
    theirs.ShuttingDown: TryLater,
    theirs.InternalError: GatewayFailed,
}
# No method of the client's services answers with these: they are of the administrators' service, of REST,
# or end at the key pool.
OTHERS = {
    *(theirs.NotAdmin, theirs.TooManyPurges, theirs.StateUnavailable),
    *(theirs.RouteNotServed, KeyTrouble, *KeyTrouble.__subclasses__()),
}
BASES = {theirs.CallerError, theirs.UpstreamError, theirs.GatewayFault}


def descendants(kind: type[GatewayError]) -> Iterator[type[GatewayError]]:
    for child in kind.__subclasses__():
        if child.__module__ == theirs.__name__:
            yield child
            yield from descendants(child)


def made(kind: type[GatewayError]) -> GatewayError:
    if issubclass(kind, InvalidRequest):
        return kind([Violation("edit.max_width", "OUT_OF_RANGE", "is too small")])
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
    error = read(made(theirs.BlobMissing))
    twin = again(error)

    assert type(error) is type(twin)
    assert vars(error) == vars(twin)
    assert str(error) == str(twin)
