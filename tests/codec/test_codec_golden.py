"""What the codec makes of a request, pinned: a canonical spelling is part of every stored name.

A digest here may change only together with FORMAT_VERSION of `gateway/domain/digest.py`.
"""

from __future__ import annotations

from typing import Final

import pytest

from tests.support.doors import Pairs, digest, read_message, read_wire
from tests.support.proto_edits import edit_message_from_wire

PICTURE = b"a picture"
HEADERS = {"pr-ai-shadows-model-version": "2026-04-15"}

GOLDEN: Final[dict[str, Pairs]] = {
    "69af28e648576731dcccb3dec28411f4453bcad980d2ce403d93d99be2e6f42c": [],
    "2b28c25b7bd73aec2574860709ffe2d49a090cf3f620701830408c5dc0d78fea": [
        ("background.color", "RebeccaPurple"),
        ("outline.color", "#abc8"),
        ("padding", "7%"),
        ("marginTop", "12.50px"),
        ("export.format", "jpg"),
        ("export.dpi", "3e2"),
    ],
    "bbb76a0ba26020e56ef71b84ea30f15eac67a4e2df486e2ae7d72886ef0880ec": [
        ("background.prompt", "  ein Cafe\u0301 in Zu\u0308rich\n"),
        ("background.seed", "1e3"),
        ("background.expandPrompt", "never"),
    ],
    "1c1c1ed3d8fdad8447da2800174224fd433a54a0e1059d4f6291fdc0f0b17671": [
        ("templateId", "0189AA4A-5F0C-4C5C-8B0E-2F6F5F0D7A11"),
        ("layers.title.text.content", " Sale "),
        ("layers.title.text.foregroundColor", "f00"),
        ("removeBackground", "true"),
        ("margin", "0"),
    ],
}


@pytest.mark.parametrize(("expected", "pairs"), GOLDEN.items(), ids=range(len(GOLDEN)))
def test_a_request_keeps_its_digest(expected: str, pairs: Pairs) -> None:
    files = {"imageFile": PICTURE}
    assert expected == digest(read_wire(pairs, files, HEADERS))
    assert expected == digest(read_message(edit_message_from_wire(pairs, files, HEADERS)))
