"""PlanEdit says what a call would do and cost, and spends nothing."""

from __future__ import annotations

import pytest

from gateway.domain.rules import RULES, Level
from gateway.v1.options_pb2 import BILLING_EDIT, BILLING_SEGMENT
from tests.e2e.asks import Ask, ask_rest, ask_rpc, edit_of, plan, segment_of, spent, wire_field
from tests.e2e.harness import CATALOG_KEY, World
from tests.e2e.rule_cases import REFUSED, WARNED, Case
from tests.support.pictures import png

pytestmark = pytest.mark.asyncio(loop_scope="module")

SANDBOX = f"sandbox_{CATALOG_KEY}"


@pytest.mark.parametrize("case", WARNED, ids=lambda case: case.id)
async def test_a_doubtful_call_is_valid_and_its_warnings_name_the_fields(
    shared: World, case: Case
) -> None:
    before = spent(shared)
    planned = await plan(shared, case.ask)
    assert [] == list(planned.violations)
    assert case.found == [(wire_field(f.field), f.code) for f in planned.warnings]
    assert 64 == len(planned.digest)
    assert before == spent(shared)


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.id)
async def test_what_is_wrong_with_a_call_is_part_of_the_answer(shared: World, case: Case) -> None:
    before = spent(shared)
    planned = await plan(shared, case.ask)
    assert case.found == [(wire_field(f.field), f.code) for f in planned.violations]
    assert "" == planned.digest
    assert before == spent(shared)


async def test_every_rule_that_warns_is_found_in_some_call(shared: World) -> None:
    plans = [await plan(shared, case.ask) for case in WARNED]
    found = {(warning.code, warning.description) for p in plans for warning in p.warnings}
    assert {(r.code, r.why) for r in RULES if r.level is Level.WARN} == found


async def test_all_that_is_wrong_is_said_at_once(shared: World) -> None:
    ask = edit_of({"maxWidth": "10", "background.scaling": "fit", "shadow.mode": "ai.preset-soft"})
    planned = await plan(shared, ask.also({"export.dpi": "7", "background.color": "reddish"}))
    assert {
        ("export.dpi", "OUT_OF_RANGE"),
        ("background.color", "BAD_COLOR"),
        ("maxWidth", "MAX_SIZE"),
        ("background.scaling", "BACKGROUND_SCALING"),
        ("shadow.mode", "SHADOW_MODEL"),
    } == {(wire_field(f.field), f.code) for f in planned.violations}


@pytest.mark.parametrize(
    "ask", [edit_of({"padding": "30%"}), segment_of({"crop": "true"})], ids=str
)
@pytest.mark.parametrize("key", [CATALOG_KEY, SANDBOX])
async def test_the_digest_of_a_plan_is_that_of_the_call_through_either_door(
    shared: World, ask: Ask, key: str
) -> None:
    planned = await plan(shared, ask, key=key)
    rest, rpc = await ask_rest(shared, ask, key=key), await ask_rpc(shared, ask, key=key)
    assert planned.digest == rest.headers["Gateway-Digest"] == rpc.digest


async def test_a_sandbox_edit_has_a_digest_of_its_own(shared: World) -> None:
    live, sandbox = [await plan(shared, edit_of(), key=key) for key in (CATALOG_KEY, SANDBOX)]
    assert live.digest != sandbox.digest


@pytest.mark.parametrize(
    ("ask", "key", "price", "billing"),
    [
        (edit_of({"shadow.mode": "ai.soft"}), CATALOG_KEY, 1000, BILLING_EDIT),
        (segment_of({"size": "hd"}), CATALOG_KEY, 200, BILLING_SEGMENT),
        (edit_of({"shadow.mode": "ai.hard"}), SANDBOX, 0, BILLING_EDIT),
        (segment_of({"size": "medium"}), SANDBOX, 0, BILLING_SEGMENT),
    ],
    ids=["edit", "segment", "sandbox edit", "sandbox segment"],
)
async def test_the_price_of_a_plan_is_that_of_the_call(
    shared: World, ask: Ask, key: str, price: int, billing: int
) -> None:
    planned = await plan(shared, ask, key=key)
    assert (price, billing) == (planned.cost_milli_credits, planned.billed_as)
    before = shared.emulator.bill.thousandths
    result = await ask_rpc(shared, ask, key=key)
    assert price == result.cost_milli_credits
    assert price == shared.emulator.bill.thousandths - before


@pytest.mark.parametrize(
    ("texts", "unseeded"),
    [
        ({"shadow.mode": "ai.soft"}, []),
        ({"background.prompt": "fog"}, ["edit.background.prompt"]),
        ({"background.prompt": "fog", "background.seed": "7"}, []),
        (
            {"uncrop.mode": "ai.auto", "virtualModel.mode": "ai.auto", "beautify.mode": "ai.auto"},
            ["edit.beautify.mode", "edit.uncrop.mode", "edit.virtual_model.mode"],
        ),
    ],
)
async def test_a_plan_names_what_would_be_another_picture_each_time(
    shared: World, texts: dict[str, str], unseeded: list[str]
) -> None:
    assert unseeded == list((await plan(shared, edit_of(texts))).unseeded)


async def test_a_warned_call_is_served_with_its_warnings_at_either_door(shared: World) -> None:
    ask = edit_of({"export.format": "jpeg", "beautify.seed": "1"}, {"imageFile": png(33, 44)})
    rest, rpc = await ask_rest(shared, ask), await ask_rpc(shared, ask)
    assert 200 == rest.status
    assert (
        "ALPHA_LOST export.format, OPERATION_OFF beautify.seed" == rest.headers["Gateway-Warning"]
    )
    assert [
        ("edit.export.format", "ALPHA_LOST"),
        ("edit.beautify.seed", "OPERATION_OFF"),
    ] == [(w.field, w.code) for w in rpc.warnings]
