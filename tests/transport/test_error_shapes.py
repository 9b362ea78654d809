"""Errors in the shapes of each wire: all of them word for word in a golden list, and the rules behind it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypeVar

import pytest
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, QuotaFailure, RetryInfo
from google.rpc.status_pb2 import Status

from gateway.domain.errors import (
    GatewayError,
    InvalidRequest,
    PolicyError,
    TenantBudget,
    TenantConcurrency,
    TenantRate,
    Unauthenticated,
    UpstreamUnavailable,
    Violation,
)
from gateway.transport.rest.shapes import error_response
from gateway.transport.rpc.envelope import EnvelopeError
from gateway.transport.rpc.errors import DOMAIN, error_status
from tests.transport.test_status import SEEN, made

GOLDEN = Path(__file__).parents[1] / "golden" / "errors.txt"
ROUTES = ("/v2/edit", "/v1/segment", "/blobs/x")
M = TypeVar("M", bound=Message)

TWO = (Violation("padding", "OUT_OF_RANGE", "too much"), Violation("nöme", "DUPLICATE", "twice"))
LISTED = [{"field": v.field, "code": v.code, "description": v.description} for v in TWO]


def body_of(error: GatewayError, path: str) -> dict[str, object]:
    raw = error_response(error, path).body
    assert isinstance(raw, bytes)
    body: dict[str, object] = json.loads(raw)
    return body


def test_a_v2_error_has_an_object_with_a_message() -> None:
    expected = {"error": {"message": "why", "type": "UNAUTHENTICATED"}}

    assert expected == body_of(Unauthenticated("why"), "/v2/edit")


def test_a_v1_error_has_detail_status_and_type() -> None:
    expected = {"detail": "why", "status_code": 401, "type": "UNAUTHENTICATED"}

    assert expected == body_of(Unauthenticated("why"), "/v1/segment")


def test_every_violation_stands_in_both_shapes() -> None:
    message = "padding: too much; nöme: twice"
    v1 = {"detail": message, "status_code": 400, "type": "INVALID_REQUEST", "violations": LISTED}
    v2 = {"error": {"message": message, "type": "INVALID_REQUEST", "violations": LISTED}}

    assert v1 == body_of(InvalidRequest(TWO), "/v1/segment")
    assert v2 == body_of(InvalidRequest(TWO), "/v2/edit")


WAITING = (TenantRate, TenantConcurrency, TenantBudget, UpstreamUnavailable)
"""What is listed with a wait."""


def an_example(kind: type[GatewayError]) -> GatewayError:
    if issubclass(kind, InvalidRequest):
        return kind(TWO)
    return made(kind, retry_after=2.1 if kind in WAITING else None)


def told(error: GatewayError) -> list[str]:
    """What each wire says of an error, a line each."""
    lines = []
    for route in ROUTES:
        response = error_response(error, route)
        wait = response.headers.get("Retry-After", "-")
        lines.append(f"{error.reason} {route} {response.status} {wait} {response.text}")
    status = MessageToDict(error_status(error, str))
    for one in status["details"]:
        one["@type"] = one["@type"].rpartition(".")[2]
    return [*lines, f"{error.reason} grpc {json.dumps(status, sort_keys=True)}"]


def test_every_error_reads_on_every_wire_as_the_golden_list_has_it() -> None:
    """Clients read these texts: what changes here changes for them."""
    said = [line for kind in SEEN for line in told(an_example(kind))]

    assert GOLDEN.read_text().splitlines() == said


@pytest.mark.parametrize(("wait", "seconds"), [(None, 1), (0.02, 1), (2.1, 3), (14_782.0, 14_782)])
@pytest.mark.parametrize("kind", [TenantRate, TenantConcurrency])
@pytest.mark.parametrize("path", ["/v2/edit", "/v1/segment"])
def test_the_seconds_of_a_429_are_those_of_its_header(
    kind: type[PolicyError], path: str, wait: float | None, seconds: int
) -> None:
    error = made(kind, retry_after=wait)
    text = f"Request was throttled. Expected available in {seconds} seconds."

    assert text == body_of(error, path)["detail"]
    assert str(seconds) == error_response(error, path).headers["Retry-After"]


def test_what_the_gateway_knows_of_a_limit_is_said_elsewhere_in_its_own_words() -> None:
    error = TenantRate("60 edits a minute.", tenant="catalog", limit="edits", retry_after=3)

    assert "60 edits a minute." == body_of(error, "/blobs/x")["detail"]
    assert "60 edits a minute." == error_status(error, str).message


def test_without_a_wait_nothing_is_said_of_one() -> None:
    for error in (UpstreamUnavailable("why"), made(TenantBudget)):
        assert "Retry-After" not in error_response(error, "/v2/edit").headers
        assert not any(d.Is(RetryInfo.DESCRIPTOR) for d in error_status(error, str).details)


def detail(status: Status, kind: M) -> M:
    """The one detail of that kind."""
    (packed,) = (one for one in status.details if one.Is(kind.DESCRIPTOR))
    assert packed.Unpack(kind)
    return kind


def test_a_grpc_error_names_its_reason_within_our_domain() -> None:
    status = error_status(Unauthenticated("why"), str)
    info = detail(status, ErrorInfo())

    assert (16, "why") == (status.code, status.message)
    assert ("UNAUTHENTICATED", DOMAIN) == (info.reason, info.domain)


def test_a_grpc_violation_is_named_by_its_path() -> None:
    status = error_status(InvalidRequest(TWO), lambda name: f"edit.{name}")
    bad = detail(status, BadRequest())

    assert "edit.padding: too much; edit.nöme: twice" == status.message
    assert [("edit.padding", "OUT_OF_RANGE"), ("edit.nöme", "DUPLICATE")] == [
        (v.field, v.reason) for v in bad.field_violations
    ]


def test_a_grpc_violation_of_the_whole_message_is_named_by_nothing() -> None:
    status = error_status(EnvelopeError([Violation("", "MALFORMED_MESSAGE", "no message")]), str)

    assert "no message" == status.message


def test_an_error_with_very_many_violations_fits_into_the_trailers_of_any_client() -> None:
    many = [Violation(f"layers.{'x' * 90}{n}", "DUPLICATE", "is given twice") for n in range(1000)]
    status = error_status(InvalidRequest(many), str)

    assert status.ByteSize() < 8 * 1024
    assert 32 == len(detail(status, BadRequest()).field_violations)


def test_a_grpc_limit_is_named_with_its_tenant() -> None:
    error = TenantBudget("0.4 credits are left.", tenant="catalog", limit="monthly_images")
    status = error_status(error, str)
    info, quota = detail(status, ErrorInfo()), detail(status, QuotaFailure())

    assert {"limit": "monthly_images", "tenant": "catalog"} == dict(info.metadata)
    assert [("tenant:catalog", "monthly_images", "0.4 credits are left.")] == [
        (v.subject, v.quota_id, v.description) for v in quota.violations
    ]
