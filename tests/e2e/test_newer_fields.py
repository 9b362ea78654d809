"""A field that is newer than the gateway's proto is refused wherever it stands, and never dropped.

A newer client would otherwise pay for a picture without the parameter that it asked for.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from google.protobuf.message import Message

from gateway.v1.edit_pb2 import Edit
from gateway.v1.segment_pb2 import Segment
from tests.e2e.asks import plan_of, rpc_violations, segment_of, spent, wire_field
from tests.e2e.companions import TEMPLATE
from tests.e2e.harness import World
from tests.support.pictures import png
from tests.support.proto_edits import edit_message_from_wire
from tests.support.protobuf_bytes import NEWER, delimited, varint_field

pytestmark = pytest.mark.asyncio(loop_scope="module")

PICTURE = png(24, 24)
UNKNOWN = [varint_field(NEWER, 1), delimited(NEWER, b"a newer parameter")]


def widest() -> Edit:
    """A valid edit with a message of every kind in it: unions, a list, maps, pictures, versions."""
    texts = {
        "templateId": TEMPLATE,
        "margin": "1%",
        "shadow.mode": "ai.auto-with-overrides",
        "shadow.directionOverride": "left",
        "background.prompt": "fog",
        "background.guidance.scale": "0.5",
        "background.expandPrompt.mode": "ai.never",
        "layers.title.text.content": "Sale",
        "layers.logo.image.padding": "2px",
        "virtualModel.mode": "ai.auto",
        "virtualModel.scene.preset.name": "beach",
    }
    files = {
        "imageFile": PICTURE,
        "layers.logo.image.imageFile": PICTURE,
        "editWithAI.additionalImages.front.imageFile": PICTURE,
        "virtualModel.model.custom.imageFile": PICTURE,
        "virtualModel.additionalProductImages[0].imageFile": PICTURE,
    }
    headers = {"pr-ai-shadows-model-version": "2026-04-15"}
    return edit_message_from_wire(list(texts.items()), files, headers)


PLACES: dict[str, Callable[[Edit], Message]] = {
    "": lambda e: e,
    "imageFile": lambda e: e.image_file,
    "margin": lambda e: e.margin,
    "shadow": lambda e: e.shadow,
    "shadow.directionOverride": lambda e: e.shadow.direction_override,
    "background": lambda e: e.background,
    "background.guidance": lambda e: e.background.guidance,
    "background.expandPrompt": lambda e: e.background.expand_prompt,
    "layers.title": lambda e: e.layers["title"],
    "layers.title.text": lambda e: e.layers["title"].text,
    "layers.logo.image": lambda e: e.layers["logo"].image,
    "layers.logo.image.padding": lambda e: e.layers["logo"].image.padding,
    "layers.logo.image.imageFile": lambda e: e.layers["logo"].image.image_file,
    "editWithAI.additionalImages.front": lambda e: e.edit_with_ai.additional_images["front"],
    "virtualModel.scene.preset": lambda e: e.virtual_model.scene.preset,
    "virtualModel.model.custom.imageFile": lambda e: e.virtual_model.model.custom.image_file,
    "virtualModel.additionalProductImages[0]": (
        lambda e: e.virtual_model.additional_product_images[0]
    ),
    "modelVersions": lambda e: e.model_versions,
}


async def test_the_edit_is_valid_without_a_newer_field(shared: World) -> None:
    assert [] == list((await plan_of(shared, widest())).violations)


@pytest.mark.parametrize("unknown", UNKNOWN, ids=["number", "text"])
@pytest.mark.parametrize("place", PLACES)
async def test_a_newer_field_is_refused_where_it_stands(
    shared: World, place: str, unknown: bytes
) -> None:
    message = widest()
    PLACES[place](message).MergeFromString(unknown)
    expected = [(".".join(filter(None, [place, f"#{NEWER}"])), "UNKNOWN_FIELD")]
    assert expected == await rpc_violations(shared, message)
    planned = await plan_of(shared, message)
    assert expected == [(wire_field(v.field), v.code) for v in planned.violations]
    assert 0 == spent(shared)


async def test_a_newer_field_of_a_cut_out_is_refused_where_it_stands(shared: World) -> None:
    message = segment_of().message
    assert isinstance(message, Segment)
    message.model_versions.MergeFromString(UNKNOWN[0])
    message.MergeFromString(UNKNOWN[1])
    assert {(f"#{NEWER}", "UNKNOWN_FIELD"), (f"modelVersions.#{NEWER}", "UNKNOWN_FIELD")} == set(
        await rpc_violations(shared, message)
    )
    assert 0 == spent(shared)
