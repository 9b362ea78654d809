"""Pictures of any size through the Python client, a real gateway behind it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from gateway.client import (
    BlobNotFound,
    CacheMode,
    InvalidCall,
    NotCached,
    TryLater,
    Unauthenticated,
)
from gateway.store.connect import connect
from gateway.store.embedded import EmbeddedRedis
from gateway.v1.edit_pb2 import Edit
from gateway.v1.image_pb2 import BlobRef
from gateway.v1.options_pb2 import BILLING_SEGMENT
from gateway.v1.segment_pb2 import Segment
from tests.client.clients import client_of, thumbnail, uploads
from tests.client.noise import MB, noise_png
from tests.e2e.harness import World, world
from tests.support.pictures import opened, png

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def w() -> AsyncIterator[World]:
    async with world(changes={"redis": "embedded"}) as running:
        yield running


def bought(w: World) -> int:
    return w.emulator.bill.charges


@pytest.mark.parametrize("megabytes", [5, 20])
async def test_a_large_picture_is_uploaded_once_for_all_its_edits(w: World, megabytes: int) -> None:
    picture = noise_png(megabytes * MB, seed=megabytes)
    before, spent = await uploads(w), bought(w)
    async with client_of(w) as client:
        first = await client.edit(thumbnail(64), image=picture)
        second = await client.edit(thumbnail(32), image=picture)
        again = await client.edit(thumbnail(64), image=picture)

    assert megabytes * MB < len(picture)
    assert (64, 64) == opened(first.data).size
    assert (32, 32) == opened(second.data).size
    assert (first.data, True) == (again.data, again.info.cache.hit)
    assert before + 1 == await uploads(w)
    assert spent + 2 == bought(w)


async def test_a_picture_is_named_by_its_content_whatever_way_it_takes(
    w: World, tmp_path: Path
) -> None:
    picture = noise_png(4 * MB, seed=1)
    file = tmp_path / "picture.png"
    file.write_bytes(picture)
    inside = thumbnail()
    inside.image_file.data = picture
    by_name = thumbnail()
    async with client_of(w) as client:
        by_name.image_file.blob.CopyFrom(await client.upload(file))
        digests = {
            (await client.edit(edit, image=image)).info.digest
            for edit, image in (
                (thumbnail(), picture),
                (thumbnail(), file),
                (inside, None),
                (by_name, None),
            )
        }

    assert 1 == len(digests)
    assert picture == inside.image_file.data, "the caller's message is the caller's"


async def test_small_pictures_travel_in_the_message(w: World) -> None:
    before = await uploads(w)
    async with client_of(w) as client:
        edited = await client.edit(thumbnail(), image=noise_png(3 * MB, seed=2))

    assert (64, 64) == opened(edited.data).size
    assert before == await uploads(w)


@pytest.mark.parametrize(
    ("source", "background", "uploaded"), [(2, 1.5, 1), (4, 0.1, 1), (4, 4, 2)]
)
async def test_pictures_that_are_too_much_together_are_uploaded_the_largest_first(
    w: World, source: float, background: float, uploaded: int
) -> None:
    edit = Edit(output_size="32x32")
    edit.image_file.data = noise_png(int(source * MB), seed=3)
    edit.background.image_file.data = noise_png(int(background * MB), seed=4)
    before = await uploads(w)
    async with client_of(w) as client:
        assert (32, 32) == opened((await client.edit(edit)).data).size

    assert before + uploaded == await uploads(w)


async def test_calls_at_once_share_one_upload(w: World) -> None:
    picture = noise_png(4 * MB, seed=5)
    before = await uploads(w)
    async with client_of(w) as client:
        sides = range(20, 25)
        edits = await asyncio.gather(*(client.edit(thumbnail(s), image=picture) for s in sides))

    assert [(s, s) for s in sides] == [opened(edit.data).size for edit in edits]
    assert before + 1 == await uploads(w)


async def test_a_large_result_is_fetched(w: World) -> None:
    edit = Edit(remove_background=False, output_size="1200x1200")
    async with client_of(w) as client:
        edited = await client.edit(edit, image=noise_png(3 * MB, seed=6))
        again = await client.download(edited.info.blob)

    assert 3 * 1024 * 1024 < len(edited.data) == edited.info.blob.size_bytes
    assert hashlib.sha256(edited.data).hexdigest() == edited.info.blob.sha256
    assert edited.data == again
    assert b"" == edited.info.image


async def test_backgrounds_are_removed_from_pictures_of_any_size(w: World) -> None:
    async with client_of(w) as client:
        small = await client.remove_background(image=png(40, 30))
        large = await client.remove_background(
            Segment(bg_color="white"), image=noise_png(4 * MB, seed=7)
        )

    assert ("RGBA", (40, 30)) == (opened(small.data).mode, opened(small.data).size)
    assert (200, 200) == (small.info.cost_milli_credits, large.info.cost_milli_credits)
    assert opened(large.data).size > (1000, 1000)


async def test_a_picture_that_the_gateway_has_lost_is_uploaded_again() -> None:
    async with EmbeddedRedis.running() as redis:
        changes = {"redis": {"state_url": redis.url}, "cache": {"memory": "1KiB"}}
        async with world(changes=changes) as w, client_of(w) as client:
            picture = noise_png(4 * MB, seed=8)
            await client.edit(thumbnail(64), image=picture)
            link = connect(redis.url)
            await link.exchange(("FLUSHDB",))
            await link.aclose()
            edited = await client.edit(thumbnail(32), image=picture)

            assert (32, 32) == opened(edited.data).size
            assert 2 == await uploads(w)
            assert 2 == bought(w)


async def test_a_picture_that_the_caller_named_is_the_caller_s_to_upload(w: World) -> None:
    edit = thumbnail()
    edit.image_file.blob.CopyFrom(BlobRef(sha256="0" * 64, size_bytes=1))
    async with client_of(w) as client:
        with pytest.raises(BlobNotFound) as caught:
            await client.edit(edit)

    assert [("edit.image_file", "BLOB_NOT_FOUND")] == [
        (f.field, f.code) for f in caught.value.fields
    ]


async def test_a_plan_uploads_and_spends_nothing(w: World) -> None:
    picture = noise_png(4 * MB, seed=9)
    before, spent = await uploads(w), bought(w)
    async with client_of(w) as client:
        plan = await client.plan(thumbnail(), image=picture)
        cut_out = await client.plan(Segment(), image=picture)
        wrong = await client.plan(Edit(max_width=-1), image=picture)
        assert (before, spent) == (await uploads(w), bought(w))
        edited = await client.edit(thumbnail(), image=picture)
        planned_again = await client.plan(thumbnail(), image=picture)

    assert (edited.info.digest, 1000, False) == (plan.digest, plan.cost_milli_credits, plan.hit)
    assert (200, BILLING_SEGMENT) == (cut_out.cost_milli_credits, cut_out.billed_as)
    assert "edit.max_width" in {finding.field for finding in wrong.violations}
    assert (0, True) == (planned_again.cost_milli_credits, planned_again.hit)


async def test_a_mode_of_the_cache_is_passed_on(w: World) -> None:
    picture = png(subject="#0000C1")
    async with client_of(w) as client:
        only = CacheMode.CACHE_MODE_ONLY_IF_CACHED
        with pytest.raises(NotCached):
            await client.edit(thumbnail(), image=picture, cache_mode=only)
        with pytest.raises(NotCached):
            await client.remove_background(image=picture, cache_mode=only)
        await client.edit(thumbnail(), image=picture)
        hit = await client.edit(thumbnail(), image=picture, cache_mode=only)
        fresh = await client.edit(
            thumbnail(), image=picture, cache_mode=CacheMode.CACHE_MODE_REFRESH
        )
        plan = await client.plan(
            thumbnail(), image=picture, cache_mode=CacheMode.CACHE_MODE_REFRESH
        )

    assert (True, "refresh") == (hit.info.cache.hit, fresh.info.cache.source)
    assert not plan.hit


@pytest.mark.parametrize("method", ["edit", "remove_background"])
async def test_an_idempotency_key_is_passed_on(method: str) -> None:
    """Without a Redis the gateway cannot honour one, and says so before it buys."""
    async with world() as w, client_of(w) as client:

        async def call(key: str) -> None:
            if method == "edit":
                await client.edit(thumbnail(), image=png(), idempotency_key=key)
            else:
                await client.remove_background(image=png(), idempotency_key=key)

        with pytest.raises(TryLater) as caught:
            await call("order-21")
        with pytest.raises(InvalidCall) as wrong:
            await call("order\n21")

        assert "IDEMPOTENCY_UNAVAILABLE" == caught.value.reason
        assert ["idempotency_key"] == [mistake.field for mistake in wrong.value.fields]
        assert 0 == bought(w)


async def test_the_account_is_shown(w: World) -> None:
    async with client_of(w) as client:
        account = await client.account()

    assert "plus" == account.plan
    assert 1_000_000 == account.subscription_milli_images


async def test_a_call_has_an_id_in_the_gateway_s_log(w: World) -> None:
    async with client_of(w) as client:
        named = await client.edit(thumbnail(), image=png(), request_id="order-17")
        unnamed = await client.edit(thumbnail(), image=png())
        with pytest.raises(InvalidCall) as caught:
            await client.edit(Edit(max_width=-1), image=png(), request_id="order-18")

    assert "order-17" == named.request_id
    assert 32 == len(unnamed.request_id)
    assert "order-18" == caught.value.request_id
    assert "order-18" in str(caught.value)


async def test_every_mistake_is_named(w: World) -> None:
    edit = Edit(max_width=-1)
    edit.background.color = "no colour"
    async with client_of(w) as client:
        with pytest.raises(InvalidCall) as caught:
            await client.edit(edit, image=png())

    error = caught.value
    assert "INVALID_REQUEST" == error.reason
    assert {"edit.max_width", "edit.background.color"} <= {
        mistake.field for mistake in error.fields
    }
    assert all(mistake.code and mistake.description for mistake in error.fields)


async def test_a_key_of_nobody_s_is_told_so(w: World) -> None:
    some = BlobRef(sha256="0" * 64, size_bytes=1)
    async with client_of(w, key="nobody") as client:
        for call in (client.account(), client.upload(b"x"), client.download(some)):
            with pytest.raises(Unauthenticated):
                await call


@pytest.mark.parametrize("set_already", ["data", "url"])
async def test_a_call_with_two_sources_is_a_mistake_of_the_caller_s(
    w: World, set_already: str
) -> None:
    edit = Edit(image_url="https://pictures.invalid/a.png") if set_already == "url" else Edit()
    if set_already == "data":
        edit.image_file.data = png()
    async with client_of(w) as client:
        with pytest.raises(ValueError, match="has a source"):
            await client.edit(edit, image=png())


async def test_without_redis_results_come_and_large_pictures_have_to_wait() -> None:
    """The gateway cannot keep anything: what was paid for comes inline, of whatever size."""
    async with world() as w, client_of(w) as client:
        edit = Edit(remove_background=False, output_size="1300x1300")
        edited = await client.edit(edit, image=noise_png(3 * MB, seed=10))
        with pytest.raises(TryLater) as caught:
            await client.edit(thumbnail(), image=noise_png(4 * MB, seed=11))

        assert 4 * 1024 * 1024 < len(edited.data)
        assert ("NOT_KEPT", 1.0) == (caught.value.reason, caught.value.retry_after)
        assert 1 == bought(w)
