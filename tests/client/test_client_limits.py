"""What the client makes of a tenant's limits, over a real connection."""

from __future__ import annotations

import pytest

from gateway.client import BudgetSpent, EditedImage, GatewayClient, Throttled, TooCostly
from gateway.client.errors import GatewayCallError
from gateway.domain.errors import (
    PolicyError,
    RequestCost,
    TenantBudget,
    TenantConcurrency,
    TenantRate,
)
from gateway.v1.edit_pb2 import Edit
from gateway.v1.edit_service_pb2 import EditImageResponse, Result
from tests.client.stand_in import StandIn
from tests.support.pictures import png


async def edited(stand_in: StandIn) -> EditedImage:
    async with stand_in.serving() as address, GatewayClient(address, key="k") as client:
        return await client.edit(Edit(), image=png())


@pytest.mark.parametrize(
    ("kind", "limit", "retry_after", "expected", "wait"),
    [
        (TenantRate, "requests", 0.02, Throttled, 1),
        (TenantRate, "edits", 2.1, Throttled, 3),
        (TenantConcurrency, "max_in_flight", None, Throttled, 1),
        (TenantBudget, "monthly_images", 86_400.0, BudgetSpent, 86_400),
        (RequestCost, "max_cost", None, TooCostly, None),
    ],
)
async def test_a_limit_that_refuses_is_typed_named_and_not_repeated(
    kind: type[PolicyError],
    limit: str,
    retry_after: float | None,
    expected: type[GatewayCallError],
    wait: float | None,
) -> None:
    refusal = kind("It is too much.", tenant="catalog", limit=limit, retry_after=retry_after)
    stand_in = StandIn(refusal)
    with pytest.raises(GatewayCallError) as caught:
        await edited(stand_in)
    error = caught.value

    assert expected is type(error)
    assert (kind.reason, limit, wait) == (error.reason, error.limit, error.retry_after)
    assert "It is too much." == error.message
    assert 1 == stand_in.edits


@pytest.mark.parametrize("left", [None, 0, 9_800])
async def test_an_edited_picture_says_what_is_left_of_the_budget(left: int | None) -> None:
    result = Result(image=png(), budget_left_milli_credits=left)

    answer = await edited(StandIn(EditImageResponse(result=result)))
    assert left == answer.budget_left_milli_credits
