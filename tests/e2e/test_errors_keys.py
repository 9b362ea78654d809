"""Two upstream keys: trouble with one is nobody's business while the other works."""

from __future__ import annotations

import grpc
import pytest

from gateway.emulator import AccountSettings, EmulatorSettings, KeySettings
from gateway.emulator.faults import FaultRule
from gateway.v1.edit_service_pb2 import EditImageRequest
from tests.e2e.harness import key_pair, rpc_failure, world
from tests.support.pictures import png

PICTURE = png()


def two_keys(first: int | None = None, second: int | None = None) -> EmulatorSettings:
    """Two accounts of a key each; the statuses are what their keys answer, None: they work."""
    accounts = (("a", first), ("b", second))
    return EmulatorSettings(
        accounts=tuple(
            AccountSettings(name, (KeySettings(f"k{name}", f"upstream-{name}", status=status),))
            for name, status in accounts
        )
    )


@pytest.mark.parametrize("status", [401, 402, 403])
async def test_a_key_in_trouble_is_not_seen_by_the_caller_while_another_serves(status: int) -> None:
    async with world(two_keys(first=status)) as w:
        reply = await w.post("/v2/edit", [], {"imageFile": PICTURE})

        assert (200, "1") == (reply.status, reply.headers["Gateway-Cost"])
        assert {"ka": 1, "kb": 1} == dict(w.emulator.bill.requests_by_key)
        assert ["kb"] == [line.key for line in w.emulator.bill.lines]


async def test_a_throttled_key_is_left_alone_until_its_time() -> None:
    async with world(two_keys()) as w:
        w.emulator.faults.add(FaultRule(key="ka", status=429, wait_s=60))
        first = await w.post("/v2/edit", [], {"imageFile": PICTURE})
        second = await w.post("/v2/edit", [("padding", "0.1")], {"imageFile": PICTURE})

        assert [200, 200] == [first.status, second.status]
        assert {"ka": 1, "kb": 2} == dict(w.emulator.bill.requests_by_key)
        assert 2 == w.emulator.bill.charges


async def test_an_account_without_images_gives_way_to_the_next() -> None:
    async with world(two_keys()) as w:
        w.emulator.accounts.set_available("a", 0)
        reply = await w.post("/v2/edit", [], {"imageFile": PICTURE})

        assert 200 == reply.status
        assert {"b": 1000} == dict(w.emulator.bill.by_account)


async def test_when_all_keys_are_throttled_the_caller_learns_when_the_first_returns() -> None:
    async with world(two_keys()) as w:
        w.emulator.faults.add(
            FaultRule(key="ka", status=429, wait_s=14_782),
            FaultRule(key="kb", status=429, wait_s=5),
        )
        request = EditImageRequest()
        request.edit.image_file.data = PICTURE
        rest = await w.post("/v2/edit", [], {"imageFile": PICTURE})
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await w.edits.EditImage(request, metadata=key_pair())
        rpc = rpc_failure(caught.value)

        # Five seconds and one for what the upstream rounds off; some may have gone by meanwhile.
        assert 503 == rest.status
        assert 3 <= int(rest.headers["Retry-After"]) <= 6
        assert grpc.StatusCode.UNAVAILABLE == rpc.code
        assert 3 <= (rpc.retry_seconds or 0) <= 6
        assert {"ka": 1, "kb": 1} == dict(w.emulator.bill.requests_by_key)
        assert 0 == w.emulator.bill.charges


@pytest.mark.parametrize(("first", "second"), [(401, 402), (402, 403), (403, 401)])
async def test_trouble_with_every_key_is_never_the_caller_s(first: int, second: int) -> None:
    async with world(two_keys(first, second)) as w:
        reply = await w.post("/v1/segment", [], {"image_file": PICTURE})

        assert (503, "UPSTREAM_UNAVAILABLE") == (reply.status, reply.json["type"])
        assert {"ka": 1, "kb": 1} == dict(w.emulator.bill.requests_by_key)


@pytest.mark.parametrize(("status", "attempts"), [(500, 3), (502, 1), (504, 1)])
async def test_a_failure_that_is_not_the_key_s_is_not_blamed_on_it(
    status: int, attempts: int
) -> None:
    async with world(two_keys()) as w:
        w.emulator.faults.add(FaultRule(status=status))
        await w.post("/v2/edit", [], {"imageFile": PICTURE})
        assert attempts == w.emulator.bill.requests.total()

        w.emulator.faults.clear()
        for padding in ("0.1", "0.2"):
            await w.post("/v2/edit", [("padding", padding)], {"imageFile": PICTURE})
        assert {"ka", "kb"} == {line.key for line in w.emulator.bill.lines}


@pytest.mark.parametrize("status", [401, 402, 403])
async def test_a_key_that_is_refused_is_asked_once(status: int) -> None:
    async with world(two_keys(first=status)) as w:
        for padding in ("0.1", "0.2", "0.3"):
            reply = await w.post("/v2/edit", [("padding", padding)], {"imageFile": PICTURE})
            assert 200 == reply.status

        assert {"ka": 1, "kb": 3} == dict(w.emulator.bill.requests_by_key)
