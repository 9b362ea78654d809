"""Whatever is wrong with a call is refused by name at both doors, before anything is spent."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.message import Message

from gateway.domain.edit import Operation
from gateway.domain.rules import RULES, Level
from gateway.emulator import Leaf
from gateway.emulator.kinds import Choice, File, Flag, Kind, Pattern, Text, Url
from gateway.emulator.measures import ColourText, LengthText, Number, NumberOr, OutputSize
from tests.e2e.asks import (
    Ask,
    Found,
    ask_rest,
    edit_of,
    refused,
    rest_violations,
    rpc_violations,
    segment_of,
    spent,
)
from tests.e2e.companions import acting
from tests.e2e.harness import CATALOG_KEY, LAB_KEY, LEGACY_KEY, World
from tests.e2e.rule_cases import REFUSED, UNSAYABLE, Case
from tests.support.parameters import OPERATIONS, leaves
from tests.support.proto_edits import NotExpressible

pytestmark = pytest.mark.asyncio(loop_scope="module")

PRODUCTS = "virtualModel.additionalProductImages"
URL = "https://pictures.invalid/chair.jpg"
BAD = [
    (operation, leaf, text)
    for files in (True, False)
    for operation, leaf in leaves(files=files)
    for text in leaf.bad
]
CODES: dict[type[Kind], set[str]] = {
    Choice: {"NOT_ALLOWED", "NOT_A_BOOLEAN"},
    Flag: {"NOT_A_BOOLEAN"},
    Text: {"TOO_SHORT"},
    Pattern: {"BAD_UUID"},
    Url: {"BAD_URL"},
    File: {"FILE_EXPECTED", "NOT_AN_IMAGE"},  # a part of a form under this name is a picture
    ColourText: {"BAD_COLOR"},
    OutputSize: {"BAD_FORMAT"},
    Number: {"NOT_A_NUMBER", "OUT_OF_RANGE"},
    NumberOr: {"NOT_A_NUMBER"},
    LengthText: {"NOT_A_NUMBER", "OUT_OF_RANGE"},
}
CHOICES = [
    (operation, leaf)
    for operation, table in OPERATIONS.items()
    for leaf in table
    if isinstance(leaf.kind, Choice | NumberOr)
    and not leaf.settles  # an older name, which the message does not have
    and set(leaf.examples) != {"true", "false"}  # a flag in the message
]


def case_id(value: object) -> str:
    return value.name if isinstance(value, Leaf) else str(value)


@pytest.mark.parametrize(("operation", "leaf", "text"), BAD, ids=case_id)
async def test_a_bad_text_is_refused_by_name(
    shared: World, operation: Operation, leaf: Leaf, text: str
) -> None:
    """At gRPC too, where the message can say it at all."""
    ask = acting(operation, leaf, text).without_file(leaf.example_name)
    found = rest_violations(await ask_rest(shared, ask))
    assert [leaf.example_name] == [name for name, _ in found]
    assert found[0][1] in CODES[type(leaf.kind)]
    try:
        assert found == await rpc_violations(shared, ask)
    except NotExpressible:
        assert text not in leaf.examples
    assert 0 == spent(shared)


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("background.guidance.scale", "-0.1", "OUT_OF_RANGE"),
        ("shadow.spreadOverride", "90.5", "OUT_OF_RANGE"),
        ("shadow.spreadOverride", "-1", "OUT_OF_RANGE"),
        ("shadow.subjectPoseOverride", "91", "OUT_OF_RANGE"),
        ("maxWidth", "0", "OUT_OF_RANGE"),
        ("maxHeight", "-5", "OUT_OF_RANGE"),
        ("margin", "49.5%", "OUT_OF_RANGE"),
        ("paddingLeft", "-1%", "OUT_OF_RANGE"),
        ("background.seed", "0", "OUT_OF_RANGE"),
        ("imageFromPrompt.seed", str(2**53), "OUT_OF_RANGE"),
        ("background.prompt", "x" * 10_001, "TOO_LONG"),
        ("editWithAI.prompt", " \n", "TOO_SHORT"),
        ("background.imageUrl", "https://a b/", "BAD_URL"),
    ],
    ids=lambda value: value[:20],
)
async def test_a_bound_that_only_the_documents_state_is_kept_too(
    shared: World, name: str, text: str, code: str
) -> None:
    leaf = next(leaf for leaf in OPERATIONS[Operation.EDIT] if leaf.name == name)
    ask = acting(Operation.EDIT, leaf, text)
    assert [(name, code)] == rest_violations(await ask_rest(shared, ask))
    assert [(name, code)] == await rpc_violations(shared, ask)
    assert 0 == spent(shared)


@pytest.mark.parametrize(("operation", "leaf"), CHOICES, ids=case_id)
async def test_a_value_of_a_newer_enum_is_refused_by_name(
    shared: World, operation: Operation, leaf: Leaf
) -> None:
    message = acting(operation, leaf, leaf.examples[0]).message
    holder, field = message_field(message, leaf.example_name)
    setattr(holder, field, 99)
    assert [(leaf.example_name, "NOT_ALLOWED")] == await rpc_violations(shared, message)
    assert 0 == spent(shared)


def message_field(message: Message, name: str) -> tuple[Message, str]:
    """The message that holds the value of a wire name, and the name of its field."""
    head, _, rest = name.partition(".")
    stem, _, index = head.partition("[")
    field = next(f for f in message.DESCRIPTOR.fields if f.json_name == stem)
    value: Any = getattr(message, field.name)
    if index:
        return message_field(value[int(index.removesuffix("]"))], rest)
    if field.message_type is None:
        return message, field.name
    if field.message_type.GetOptions().map_entry:
        key, _, rest = rest.partition(".")
        return message_field(value[key], rest)
    return message_field(value, rest) if rest else (value, "preset")


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.id)
async def test_a_call_that_breaks_a_rule_is_refused_by_name(shared: World, case: Case) -> None:
    assert case.found == rest_violations(await ask_rest(shared, case.ask))
    assert case.found == await rpc_violations(shared, case.ask)
    assert 0 == spent(shared)


@pytest.mark.parametrize("case", UNSAYABLE, ids=lambda case: case.id)
async def test_two_branches_of_one_choice_are_refused_in_a_form_and_unsayable_in_a_message(
    shared: World, case: Case
) -> None:
    assert case.found == rest_violations(await ask_rest(shared, case.ask))
    with pytest.raises(NotExpressible):
        _ = case.ask.message
    assert 0 == spent(shared)


async def test_every_rule_that_refuses_is_broken_by_some_call(shared: World) -> None:
    broken = set()
    for case in REFUSED + UNSAYABLE:
        body = (await ask_rest(shared, case.ask)).json
        violations = body.get("error", body)["violations"]
        broken |= {(v["code"], v["description"]) for v in violations}
    assert {(r.code, r.why) for r in RULES if r.level is Level.REFUSE} == broken


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ([("background.colour", "red")], [("background.colour", "UNKNOWN_PARAMETER")]),
        ([("Padding", "0.1")], [("Padding", "UNKNOWN_PARAMETER")]),
        ([("layers.a.b.text.content", "x")], [("layers.a.b.text.content", "UNKNOWN_PARAMETER")]),
        ([("padding", "0.1"), ("padding", "0.1")], [("padding", "DUPLICATE")]),
        (
            [("background.expandPrompt", "auto"), ("background.expandPrompt.mode", "ai.auto")],
            [("background.expandPrompt.mode", "DUPLICATE")],
        ),
        ([(PRODUCTS, "x")], [(PRODUCTS, "UNKNOWN_PARAMETER")]),
    ],
)
async def test_a_name_that_is_wrong_is_refused_by_name(
    shared: World, fields: list[tuple[str, str]], found: Found
) -> None:
    reply = await shared.post("/v2/edit", fields, edit_of().files)
    assert found == rest_violations(reply)
    assert 0 == spent(shared)


async def test_an_unknown_name_comes_with_the_nearest_known_one(shared: World) -> None:
    reply = await ask_rest(shared, edit_of({"background.colour": "red"}))
    assert "did you mean background.color?" in reply.json["error"]["message"]


async def test_an_unknown_model_header_is_refused_by_name(shared: World) -> None:
    reply = await ask_rest(shared, edit_of({}, None, {"pr-ai-shadow-model-version": "2026-04-15"}))
    assert [("pr-ai-shadow-model-version", "UNKNOWN_PARAMETER")] == rest_violations(reply)
    assert 0 == spent(shared)


async def test_parameters_in_the_query_of_a_form_are_refused_by_name(shared: World) -> None:
    reply = await shared.post("/v2/edit?padding=0.1", [], edit_of().files)
    assert [("padding", "QUERY_NOT_ALLOWED")] == rest_violations(reply)
    assert 0 == spent(shared)


def products(*indices: int) -> Ask:
    texts = {f"{PRODUCTS}[{i}].imageUrl": URL for i in indices}
    return Ask({"imageUrl": URL, "virtualModel.mode": "ai.auto", **texts})


async def test_a_list_that_is_too_long_is_refused_by_name(shared: World) -> None:
    ask = products(0, 1, 2, 3, 4)
    found = rest_violations(await ask_rest(shared, ask))
    assert [(f"{PRODUCTS}[4].imageUrl", "TOO_MANY_ITEMS")] == found
    failure = await refused(shared, ask.message)
    assert (("edit.virtual_model.additional_product_images", "TOO_MANY_ITEMS"),) == failure.fields
    assert 0 == spent(shared)


async def test_a_list_with_a_gap_is_refused_by_name(shared: World) -> None:
    """In a form: a list in a message has none."""
    reply = await ask_rest(shared, products(0, 2))
    assert [(PRODUCTS, "LIST_GAP")] == rest_violations(reply)
    assert 0 == spent(shared)


@pytest.mark.parametrize(
    ("key", "name", "code"),
    [
        (CATALOG_KEY, "background.glow", "EXTRA_NOT_ALLOWED"),
        (LAB_KEY, "background.color", "EXTRA_IS_KNOWN"),
        (LAB_KEY, "a b", "BAD_KEY"),
    ],
)
async def test_an_extra_parameter_is_refused_where_it_is_not_allowed_or_has_a_field(
    shared: World, key: str, name: str, code: str
) -> None:
    message = edit_of().message
    assert hasattr(message, "extra_parameters")
    message.extra_parameters[name] = "1"
    failure = await refused(shared, message, key=key)
    assert ((f'edit.extra_parameters["{name}"]', code),) == failure.fields
    assert 0 == spent(shared)


async def test_a_refusal_of_the_first_version_keeps_its_shape(shared: World) -> None:
    reply = await ask_rest(shared, segment_of({"size": "huge"}))
    assert [("size", "NOT_ALLOWED")] == rest_violations(reply)
    assert {"detail", "status_code", "type", "violations"} == set(reply.json)


async def test_a_tenant_that_ignores_unknown_names_still_has_its_values_checked(
    shared: World,
) -> None:
    reply = await ask_rest(shared, edit_of({"glow": "1", "export.dpi": "7"}), key=LEGACY_KEY)
    assert [("export.dpi", "OUT_OF_RANGE")] == rest_violations(reply)
    assert 0 == spent(shared)
