"""Whatever is wrong with a call is refused by name at both doors, before anything is spent."""

from __future__ import annotations

import grpc
import pytest
from tests.e2e.asks import (
    Ask,
    Found,
    ask_rest,
    edit_of,
    rest_violations,
    rpc_violations,
    segment_of,
    spent,
    wire_field,
)
from tests.e2e.companions import acting
from tests.e2e.harness import LEGACY_KEY, World, key_pair, rpc_failure
from tests.e2e.rule_cases import REFUSED, UNSAYABLE, Case
from tests.support.parameters import leaves
from tests.support.proto_edits import NotExpressible, message_fields

from gateway.domain.edit import Operation
from gateway.domain.rules import RULES, Level
from gateway.emulator import Leaf
from gateway.emulator.kinds import Choice, File, Flag, Kind, Pattern, Text, Url
from gateway.emulator.measures import ColourText, LengthText, Number, NumberOr, OutputSize
from gateway.v1.edit_pb2 import Edit
from gateway.v1.edit_service_pb2 import EditImageRequest
from gateway.v1.segment_pb2 import Segment

pytestmark = pytest.mark.asyncio(loop_scope="module")

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
    File: {"FILE_EXPECTED"},
    ColourText: {"BAD_COLOR"},
    OutputSize: {"BAD_FORMAT"},
    Number: {"NOT_A_NUMBER", "OUT_OF_RANGE"},
    NumberOr: {"NOT_A_NUMBER"},
    LengthText: {"NOT_A_NUMBER", "OUT_OF_RANGE"},
}


def case_id(value: object) -> str:
    return value.name if isinstance(value, Leaf) else str(value)


@pytest.mark.parametrize(("operation", "leaf", "text"), BAD, ids=case_id)
async def test_a_bad_text_is_refused_by_name(
    shared: World, operation: Operation, leaf: Leaf, text: str
) -> None:
    """At gRPC too, where the message can say it at all."""
    ask = acting(operation, leaf, text)
    if isinstance(leaf.kind, File):
        files = {name: data for name, data in ask.files.items() if name != leaf.example_name}
        ask = Ask(ask.texts, files or {"image_url": b""}, ask.headers, operation)
    found = rest_violations(await ask_rest(shared, ask))
    print(found)
    assert 0 == spent(shared)
