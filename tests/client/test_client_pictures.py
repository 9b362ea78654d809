"""Which pictures go inline and which by reference."""

from __future__ import annotations

import hashlib

import pytest
from google.protobuf.descriptor import Descriptor
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.client.pictures import INLINE_BYTES, image_slots, pack
from gateway.transport.codec import INLINE_BYTES as GATEWAY_INLINE_BYTES
from gateway.v1.edit_pb2 import Edit
from gateway.v1.image_pb2 import Image
from gateway.v1.segment_pb2 import Segment


def with_every_slot() -> Edit:
    """An edit with a picture wherever one can stand, each with bytes of its own."""
    edit = Edit()
    images = [
        edit.image_file,
        edit.background.image_file,
        edit.background.guidance.image_file,
        edit.layers["left"].image.image_file,
        edit.layers["right"].image.image_file,
        edit.edit_with_ai.additional_images["logo"].image_file,
        edit.virtual_model.model.custom.image_file,
        edit.virtual_model.scene.custom.image_file,
        edit.virtual_model.additional_product_images.add().image_file,
        edit.virtual_model.additional_product_images.add().image_file,
    ]
    for number, image in enumerate(images, 1):
        image.data = b"%d" % number
    return edit


def places(message: Descriptor, path: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    """The paths of fields at whose end a picture stands."""
    if message is Image.DESCRIPTOR:
        return {path}
    return {
        place
        for field in message.fields
        if field.message_type is not None
        for place in places(field.message_type, (*path, field.name))
    }


def test_every_picture_of_a_message_is_found() -> None:
    found = sorted(int(slot.data) for slot in image_slots(with_every_slot()))

    assert list(range(1, 11)) == found


def test_the_message_of_these_tests_has_a_picture_in_every_place() -> None:
    """Two of the ten are the second item of a list and of a map."""
    assert 8 == len(places(Edit.DESCRIPTOR))
    assert {("image_file",)} == places(Segment.DESCRIPTOR)


def test_gateway_and_client_agree_on_what_goes_inline() -> None:
    assert GATEWAY_INLINE_BYTES == INLINE_BYTES


@pytest.mark.parametrize("size", [0, 1, INLINE_BYTES])
async def test_what_may_go_inline_stays(size: int) -> None:
    parcel = await pack(Segment(), bytes(size))

    assert ({}, bytes(size)) == (parcel.large, parcel.message.image_file.data)


async def test_a_byte_more_is_named() -> None:
    data = bytes(INLINE_BYTES + 1)
    parcel = await pack(Segment(crop=True), data)

    sha256 = hashlib.sha256(data).hexdigest()
    assert {sha256: data} == parcel.large
    assert (sha256, len(data)) == (
        parcel.message.image_file.blob.sha256,
        parcel.message.image_file.blob.size_bytes,
    )
    assert parcel.message.crop


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 2 * INLINE_BYTES // 3), max_size=6))
async def test_as_few_pictures_as_possible_are_taken_out(sizes: list[int]) -> None:
    edit = Edit()
    for number, size in enumerate(sizes):
        image = edit.edit_with_ai.additional_images[str(number)].image_file
        image.data = bytes([number]) * size
    before = edit.SerializeToString(deterministic=True)
    parcel = await pack(edit, None)

    inline = [len(slot.data) for slot in image_slots(parcel.message) if slot.HasField("data")]
    named = [slot.blob for slot in image_slots(parcel.message) if slot.HasField("blob")]
    assert sum(inline) <= INLINE_BYTES
    assert sorted(sizes) == sorted([*inline, *(blob.size_bytes for blob in named)])
    assert not named or sum(inline) + min(blob.size_bytes for blob in named) > INLINE_BYTES
    assert {blob.sha256 for blob in named} == set(parcel.large)
    assert all(sha == hashlib.sha256(data).hexdigest() for sha, data in parcel.large.items())
    assert before == edit.SerializeToString(deterministic=True)
