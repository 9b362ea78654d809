"""What is bought: golden tables of edits and cache modes against the emulator's bill."""

from __future__ import annotations

import pytest

from gateway.domain.caching import CacheMode
from gateway.domain.edit import Operation
from gateway.emulator import FaultRule
from gateway.v1.edit_pb2 import Edit
from gateway.v1.edit_service_pb2 import PlanEditRequest
from tests.e2e.asks import Ask, edit_of, plan, segment_of
from tests.e2e.companions import TEMPLATE
from tests.e2e.harness import World, key_pair
from tests.e2e.purchases import DOORS, MODES, had, told

pytestmark = pytest.mark.asyncio(loop_scope="module")

DAY = 24 * 3600
KEPT = {"removeBackground": "false"}
SMALL = {"outputSize": "16x16"}
NIGHT = {"editWithAI.mode": "ai.auto", "editWithAI.prompt": "at night", **KEPT}
ANY = {"describeAnyChange.mode": "ai.auto", "describeAnyChange.prompt": "at night", **KEPT}
DRAWN = {"imageFromPrompt.prompt": "a cup", **SMALL}
FLAT = {"flatLay.mode": "ai.auto", **SMALL}
LAYER = {"templateId": TEMPLATE, "layers.a.image.imageFromPrompt.prompt": "a cup", **SMALL}

REUSABLE = {
    "plain": {"background.color": "red"},
    "shadow": {"shadow.mode": "ai.soft"},
    "lighting": {"lighting.mode": "ai.auto"},
    "text removal": {"textRemoval.mode": "ai.all"},
    "upscale": {"upscale.mode": "ai.fast", **SMALL},
    "ironing": {"ironing.mode": "ai.auto"},
    "template": {"templateId": TEMPLATE, **SMALL},
    "background": {"background.prompt": "fog", "background.seed": "7"},
    "beautify": {"beautify.mode": "ai.auto", "beautify.seed": "7"},
    "edit with ai": {**NIGHT, "editWithAI.seed": "7"},
    "any change": {**ANY, "describeAnyChange.seed": "7"},
    "expand": {"expand.mode": "ai.auto", "expand.seed": "7", **KEPT},
    "uncrop": {"uncrop.mode": "ai.auto", "uncrop.seed": "7"},
    "drawn": {**DRAWN, "imageFromPrompt.seed": "7"},
    "drawn layer": {**LAYER, "layers.a.image.imageFromPrompt.seed": "7"},
}
UNSEEDED = {
    "background": {"background.prompt": "fog"},
    "beautify": {"beautify.mode": "ai.auto"},
    "edit with ai": NIGHT,
    "any change": ANY,
    "expand": {"expand.mode": "ai.auto", **KEPT},
    "uncrop": {"uncrop.mode": "ai.auto"},
    "drawn": DRAWN,
    "drawn layer": LAYER,
    "flat lay": FLAT,
    "ghost mannequin": {"ghostMannequin.mode": "ai.auto", **SMALL},
    "virtual model": {"virtualModel.mode": "ai.auto", **SMALL},
    "one of two": {"background.prompt": "fog", "background.seed": "7", **FLAT},
    "the other seed": {"background.prompt": "fog", "uncrop.seed": "7"},
}

# The modes of calls one after the other; what comes of each for a reusable and for an unseeded edit.
SEQUENCES = [
    ("default default default", "bought hit hit", "bought bought bought"),
    ("refresh refresh", "bought bought", "bought bought"),
    ("refresh default", "bought hit", "bought bought"),
    ("default refresh default", "bought bought hit", "bought bought bought"),
    ("default bypass default", "bought bought hit", "bought bought bought"),
    ("bypass default", "bought bought", "bought bought"),
    ("bypass bypass only-if-cached", "bought bought nothing", "bought bought nothing"),
    ("reuse reuse reuse", "bought hit hit", "bought hit hit"),
    ("default reuse reuse", "bought hit hit", "bought bought hit"),
    ("reuse default", "bought hit", "bought bought"),
    ("reuse default reuse", "bought hit hit", "bought bought hit"),
    ("only-if-cached only-if-cached", "nothing nothing", "nothing nothing"),
    ("default only-if-cached", "bought hit", "bought nothing"),
    ("only-if-cached default only-if-cached", "nothing bought hit", "nothing bought nothing"),
    ("refresh only-if-cached", "bought hit", "bought hit"),
    ("reuse only-if-cached", "bought hit", "bought hit"),
]
EVERY_KIND = [
    *((f"{name}, seeded" if name in UNSEEDED else name, REUSABLE[name], 1) for name in REUSABLE),
    *((name, UNSEEDED[name], 2) for name in UNSEEDED),
]


def source(texts: dict[str, str], picture: bytes) -> Ask:
    """The edit of this picture, unless it draws one of its own: then of a prompt of its own."""
    if "imageFromPrompt.prompt" in texts:
        return edit_of({**texts, "imageFromPrompt.prompt": f"a cup {picture.hex()}"[:500]}, {})
    return edit_of(texts, {"imageFile": picture})


async def outcomes(w: World, ask: Ask, modes: str, price: int = 1000) -> str:
    """Call once with each mode, at one door after the other; what came of each."""
    found, stored = [], b""
    unseeded = bool((await plan(w, ask)).unseeded)
    for turn, word in enumerate(modes.split()):
        before = w.emulator.bill.charges
        mode = CacheMode(word)
        answer = await told(w, DOORS[turn % 2], ask, mode)
        if answer is None:
            found.append("nothing")
        elif answer.hit:
            assert (0, price, stored) == (answer.cost, answer.saved, answer.body)
            found.append("hit")
        else:
            assert (price, 0) == (answer.cost, answer.saved)
            keeps = mode is not CacheMode.BYPASS and not (unseeded and mode is CacheMode.DEFAULT)
            assert keeps is (answer.ttl is not None)
            stored = answer.body if keeps else stored
            found.append("bought")
        assert (found[-1] == "bought") == w.emulator.bill.charges - before
    return " ".join(found)


@pytest.mark.parametrize(("modes", "reusable", "unseeded"), SEQUENCES, ids=lambda text: text[:40])
@pytest.mark.parametrize("kind", ["plain", "segment", "background", "flat lay"])
async def test_a_sequence_of_modes_buys_as_often_as_the_table_says(
    cached: World, kind: str, modes: str, reusable: str, unseeded: str, picture: bytes
) -> None:
    if kind == "segment":
        assert reusable == await outcomes(cached, segment_of({}, picture), modes, 200)
    elif kind == "plain":
        assert reusable == await outcomes(cached, source(REUSABLE[kind], picture), modes)
    else:
        assert unseeded == await outcomes(cached, source(UNSEEDED[kind], picture), modes)


@pytest.mark.parametrize(
    ("texts", "purchases"), [k[1:] for k in EVERY_KIND], ids=[k[0] for k in EVERY_KIND]
)
async def test_the_same_call_twice_is_bought_once_unless_something_in_it_has_no_seed(
    cached: World, texts: dict[str, str], purchases: int, picture: bytes
) -> None:
    ask, before = source(texts, picture), cached.emulator.bill.charges
    await had(cached, "rest", ask)
    await had(cached, "grpc", ask)
    assert purchases == cached.emulator.bill.charges - before


@pytest.mark.parametrize("texts", UNSEEDED.values(), ids=UNSEEDED)
async def test_what_has_no_seed_is_bought_once_by_those_who_reuse(
    cached: World, texts: dict[str, str], picture: bytes
) -> None:
    ask, before = source(texts, picture), cached.emulator.bill.charges
    first = await had(cached, "grpc", ask, CacheMode.REUSE)
    again = await had(cached, "rest", ask, CacheMode.REUSE)
    assert (first.body, 1) == (again.body, cached.emulator.bill.charges - before)


LIVES = [
    ("plain", edit_of({"background.color": "red"}), 30 * DAY),
    ("segment", segment_of(), 30 * DAY),
    ("template", edit_of({"templateId": TEMPLATE, **SMALL}), 3600),
    ("layers", edit_of({"layers.a.text.content": "Sale"}), 3600),
    ("url", edit_of({}, {}), 600),
    ("url and template", edit_of({"templateId": TEMPLATE, **SMALL}, {}), 600),
]


@pytest.mark.parametrize(("ask", "life"), [c[1:] for c in LIVES], ids=[c[0] for c in LIVES])
@pytest.mark.parametrize("door", DOORS)
async def test_a_result_is_kept_as_long_as_it_is_told(
    cached: World, door: str, ask: Ask, life: int, picture: bytes
) -> None:
    if ask.files:
        slot = "image_file" if ask.operation is Operation.SEGMENT else "imageFile"
        ask = ask.also(files={slot: picture})
    else:
        ask = ask.also({"imageUrl": f"https://pictures.invalid/{picture.hex()[-40:]}.png"})
    await assert_kept(cached, door, ask, life)


@pytest.mark.parametrize("door", DOORS)
async def test_a_result_of_which_the_upstream_ignored_a_parameter_is_kept_for_an_hour(
    cached: World, door: str, picture: bytes
) -> None:
    """It may learn the parameter."""
    ignored = FaultRule(operation="edit", times=1, unsupported=("ironing.mode",))
    cached.emulator.faults.add(ignored)
    await assert_kept(cached, door, source({"ironing.mode": "ai.auto"}, picture), 3600)


async def assert_kept(w: World, door: str, ask: Ask, life: int) -> None:
    """The purchase and the hit after it tell how long the result is kept from then on."""
    bought, hit = await had(w, door, ask), await had(w, door, ask)
    assert (False, life) == (bought.hit, bought.ttl)
    assert hit.hit
    assert hit.ttl is not None
    assert life - 60 < hit.ttl <= life


@pytest.mark.parametrize("mode", CacheMode)
async def test_a_plan_says_whether_a_stored_result_would_answer_and_what_it_would_cost(
    cached: World, mode: CacheMode, picture: bytes
) -> None:
    ask = source({"background.color": "red"}, picture)
    read = mode not in {CacheMode.REFRESH, CacheMode.BYPASS}
    before = await planned(cached, ask, mode)
    assert (False, 0 if mode is CacheMode.ONLY_IF_CACHED else 1000) == before
    await had(cached, "rest", ask)
    assert ((True, 0) if read else (False, 1000)) == await planned(cached, ask, mode)


async def test_a_plan_of_what_has_no_seed_is_a_hit_for_those_who_reuse_alone(
    cached: World, picture: bytes
) -> None:
    ask = source(UNSEEDED["background"], picture)
    await had(cached, "rest", ask, CacheMode.REUSE)
    assert (True, 0) == await planned(cached, ask, CacheMode.REUSE)
    assert (False, 1000) == await planned(cached, ask, CacheMode.DEFAULT)


async def planned(w: World, ask: Ask, mode: CacheMode) -> tuple[bool, int]:
    """Plan; nothing is asked upstream."""
    before = w.emulator.bill.requests.total()
    message = ask.message
    assert isinstance(message, Edit)
    request = PlanEditRequest(edit=message, cache_mode=MODES[mode])
    response = await w.edits.PlanEdit(request, metadata=key_pair())
    assert before == w.emulator.bill.requests.total()
    return response.hit, response.cost_milli_credits
