"""Every answer of both doors says what is left of the tenant's limits, whatever the answer is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest

from gateway.domain.answer import AccountState
from gateway.domain.calls import Balance
from gateway.domain.errors import TenantBudget, Unauthenticated, UpstreamUnavailable
from gateway.v1.account_service_pb2 import GetAccountRequest, GetAccountResponse
from gateway.v1.account_service_pb2_grpc import AccountServiceStub
from gateway.v1.blob_service_pb2 import DownloadRequest, UploadRequest
from gateway.v1.edit_service_pb2 import (
    EditImageRequest,
    PlanEditRequest,
    PlanEditResponse,
    RemoveBackgroundRequest,
    Result,
    StreamEditImageRequest,
)
from gateway.v1.edit_service_pb2_grpc import EditServiceStub
from tests.support.structured_fields import parse_list
from tests.transport.scripted import BALANCE, PICTURE, REF, Doors, ScriptedEditor, doors

LIMITS = {
    "ratelimit": '"requests";r=598;t=1, "edits";r=0;t=1',
    "ratelimit-policy": '"requests";q=600;w=6, "edits";q=60;w=60',
    "gateway-budget-remaining": "9.8",
}
BUDGET = TenantBudget("9.8 left.", tenant="catalog", limit="monthly_images", retry_after=60)


@dataclass(frozen=True, slots=True)
class Route:
    """A request of the REST door, and the status of its answer where nothing fails."""

    method: str
    path: str
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


ROUTES = (
    Route("GET", "/v2/edit"),
    Route("GET", "/v2/edit", 304, {"If-None-Match": "*"}),
    Route("POST", "/v2/edit"),
    Route("POST", "/v1/segment"),
    Route("POST", "/v1/segment", headers={"Accept": "application/json"}),
    Route("POST", "/v1/segment", headers={"Content-Type": "application/json"}),
    Route("GET", "/v2/account"),
    Route("GET", "/v1/account"),
    Route("GET", f"/blobs/{REF.sha256}"),
    Route("GET", f"/blobs/{REF.sha256}", 304, {"If-None-Match": "*"}),
)
METHODS = (
    "EditService/EditImage",
    "EditService/StreamEditImage",
    "EditService/RemoveBackground",
    "EditService/PlanEdit",
    "BlobService/Upload",
    "BlobService/Download",
    "AccountService/GetAccount",
)


def name_of(route: Route) -> str:
    return f"{route.method} {route.path[:11]} {route.status}"


def limits_in(fields: Iterable[tuple[str, Any]]) -> dict[str, str]:
    """What is said of limits, by names in lower case."""
    return {name.lower(): text for name, text in fields if name.lower() in LIMITS}


async def asked(at: Doors, route: Route) -> tuple[int, dict[str, str], str]:
    """Status, limits and id of an answer."""
    headers = {"x-request-id": "id-1", **route.headers}
    async with at.http.request(route.method, route.path, headers=headers) as response:
        limits = limits_in(response.headers.items())
        return response.status, limits, response.headers["x-request-id"]


async def called(at: Doors, method: str) -> tuple[grpc.StatusCode, dict[str, str], str]:
    """Code, limits and id of what a method answers."""
    path, metadata = f"/gateway.v1.{method}", (("x-request-id", "id-1"),)
    upload = UploadRequest(chunk=PICTURE).SerializeToString()
    download = DownloadRequest(sha256=REF.sha256).SerializeToString()
    channel: Any = at.channel  # without a serializer it takes bytes, which its stubs do not know
    call: Any
    match method:
        case "BlobService/Upload":
            call = channel.stream_unary(path)(iter([upload]), metadata=metadata)
        case "BlobService/Download":
            call = channel.unary_stream(path)(download, metadata=metadata)
        case "EditService/StreamEditImage":
            call = channel.unary_stream(path)(b"", metadata=metadata)
        case _:
            call = channel.unary_unary(path)(b"", metadata=metadata)
    if isinstance(call, grpc.aio.UnaryStreamCall):  # it ends when it is read
        with suppress(grpc.aio.AioRpcError):
            async for _ in call:
                continue
    code, trailers = await call.code(), dict(await call.trailing_metadata())
    return code, limits_in(trailers.items()), trailers["x-request-id"]


@pytest.mark.parametrize("route", ROUTES, ids=name_of)
async def test_every_answer_of_a_route_says_what_is_left(route: Route) -> None:
    async with doors(ScriptedEditor()) as at:
        assert (route.status, LIMITS, "id-1") == await asked(at, route)


@pytest.mark.parametrize("route", ROUTES, ids=name_of)
@pytest.mark.parametrize(
    ("trouble", "status"),
    [(BUDGET, 402), (UpstreamUnavailable("why"), 503), (ValueError("a mistake of ours"), 500)],
    ids=["refused", "failed", "mistaken"],
)
async def test_every_error_of_a_route_says_what_is_left(
    route: Route, trouble: Exception, status: int
) -> None:
    async with doors(ScriptedEditor(trouble=trouble)) as at:
        assert (status, LIMITS, "id-1") == await asked(at, route)


@pytest.mark.parametrize("method", METHODS)
async def test_every_answer_of_a_method_says_what_is_left(method: str) -> None:
    async with doors(ScriptedEditor()) as at:
        assert (grpc.StatusCode.OK, LIMITS, "id-1") == await called(at, method)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("trouble", "code"),
    [
        (BUDGET, grpc.StatusCode.RESOURCE_EXHAUSTED),
        (ValueError("a mistake of ours"), grpc.StatusCode.INTERNAL),
    ],
    ids=["refused", "mistaken"],
)
async def test_every_error_of_a_method_says_what_is_left(
    method: str, trouble: Exception, code: grpc.StatusCode
) -> None:
    async with doors(ScriptedEditor(trouble=trouble)) as at:
        assert (code, LIMITS, "id-1") == await called(at, method)


async def test_a_stranger_is_told_of_no_limits() -> None:
    async with doors(ScriptedEditor(stranger=True, trouble=Unauthenticated("why"))) as at:
        for route in ROUTES:
            assert (401, {}, "id-1") == await asked(at, route)
        for method in METHODS:
            assert (grpc.StatusCode.UNAUTHENTICATED, {}, "id-1") == await called(at, method)


async def test_a_tenant_without_a_budget_is_told_of_rates_alone() -> None:
    rates = {name: text for name, text in LIMITS.items() if name != "gateway-budget-remaining"}
    async with doors(ScriptedEditor(balance=None)) as at:
        assert (200, rates, "id-1") == await asked(at, ROUTES[0])
        assert (grpc.StatusCode.OK, rates, "id-1") == await called(at, METHODS[0])


@pytest.mark.parametrize("name", ["ratelimit", "ratelimit-policy"])
def test_the_limits_of_these_tests_are_structured_fields(name: str) -> None:
    assert ["requests", "edits"] == [policy for policy, _ in parse_list(LIMITS[name])]


def left_in(message: Result | PlanEditResponse) -> int | None:
    known = message.HasField("budget_left_milli_credits")
    return message.budget_left_milli_credits if known else None


@pytest.mark.parametrize(("balance", "left"), [(BALANCE, 9_800), (None, None)])
async def test_results_and_plans_carry_the_budget_too(
    balance: Balance | None, left: int | None
) -> None:
    async with doors(ScriptedEditor(balance=balance)) as at:
        edits = EditServiceStub(at.channel)
        edited = await edits.EditImage(EditImageRequest())
        cut = await edits.RemoveBackground(RemoveBackgroundRequest())
        pieces = [p async for p in edits.StreamEditImage(StreamEditImageRequest())]
        planned = await edits.PlanEdit(PlanEditRequest())

        answers = (edited.result, cut.result, pieces[0].result, planned)
        assert [left] * 4 == [left_in(answer) for answer in answers]


@pytest.fixture
async def rich() -> AsyncIterator[Doors]:
    """Doors of a tenant with fractions of credits."""
    async with doors(ScriptedEditor(account_state=AccountState(998_800, 1_000_500, "plus"))) as at:
        yield at


async def test_an_account_is_whole_numbers_rounded_down_where_clients_declare_them(
    rich: Doors,
) -> None:
    whole = {"available": 998, "subscription": 1000}
    async with rich.http.get("/v2/account") as response:
        assert {"images": whole, "plan": "plus"} == await response.json()
    async with rich.http.get("/v1/account") as response:
        assert {"credits": whole} == await response.json()


async def test_an_account_is_thousandths_over_grpc(rich: Doors) -> None:
    state = await AccountServiceStub(rich.channel).GetAccount(GetAccountRequest())

    expected = GetAccountResponse(
        available_milli_images=998_800, subscription_milli_images=1_000_500, plan="plus"
    )
    assert expected == state
