"""What the client does when the connection, the time or the gateway fails: nothing that buys twice."""

from __future__ import annotations

import asyncio
import hashlib
import pickle
import shutil
import ssl
import subprocess
from pathlib import Path

import grpc
import pytest

from gateway.client import (
    BlobNotFound,
    CacheMode,
    DamagedPicture,
    GatewayClient,
    NoAnswer,
    NotCached,
    ResultNotFetched,
)
from gateway.client.blobs import Blobs
from gateway.client.terms import Terms
from gateway.domain.errors import BlobMissing, Violation
from gateway.emulator import FaultRule
from gateway.v1.blob_service_pb2_grpc import BlobServiceStub
from gateway.v1.edit_service_pb2 import EditImageResponse, Result
from gateway.v1.image_pb2 import BlobRef
from tests.client.clients import client_of, thumbnail
from tests.client.noise import MB, noise_png
from tests.client.relay import relay_to
from tests.client.stand_in import StandIn
from tests.client.waiting import until
from tests.e2e.harness import CATALOG_KEY, World, world
from tests.e2e.metric_lines import counted
from tests.servers.fixtures import unavailable
from tests.support.pictures import png

PICTURE = png(subject="#0000D1")
REDIS = {"redis": "embedded"}


async def is_stored(client: GatewayClient) -> bool:
    """Whether the edit of these tests can be had for nothing."""
    only = CacheMode.CACHE_MODE_ONLY_IF_CACHED
    try:
        await client.edit(thumbnail(), image=PICTURE, cache_mode=only)
    except NotCached:
        return False
    return True


async def is_held(w: World) -> bool:
    return w.emulator.gates.waiting("held") == 1


async def test_an_edit_whose_connection_breaks_is_not_repeated_and_not_lost() -> None:
    async with (
        world(changes=REDIS) as w,
        relay_to(w.gateway.grpc.port) as relay,
        client_of(w, port=relay.port) as client,
        asyncio.TaskGroup() as group,
    ):
        w.emulator.faults.add(FaultRule(operation="edit", gate="held"))
        call = group.create_task(_caught(client))
        await until(lambda: is_held(w))
        relay.cut()
        error = await call
        w.emulator.gates.open("held")
        async with client_of(w) as other:
            await until(lambda: is_stored(other))

        assert ("", grpc.StatusCode.UNAVAILABLE) == (error.reason, error.code)
        assert 1 == w.emulator.bill.requests["POST /v2/edit"]
        assert await is_stored(client), "the same client connects again"


async def _caught(client: GatewayClient) -> NoAnswer:
    with pytest.raises(NoAnswer) as caught:
        await client.edit(thumbnail(), image=PICTURE)
    return caught.value


async def test_an_edit_whose_time_is_up_is_finished_and_answers_the_next_call() -> None:
    async with world(changes=REDIS) as w, client_of(w) as client:
        w.emulator.faults.add(FaultRule(operation="edit", gate="held"))
        with pytest.raises(NoAnswer) as caught:
            await client.edit(thumbnail(), image=PICTURE, timeout=0.5)
        await until(lambda: is_held(w))
        w.emulator.gates.open("held")
        await until(lambda: is_stored(client))

        assert grpc.StatusCode.DEADLINE_EXCEEDED == caught.value.code
        assert 1 == w.emulator.bill.charges


async def test_the_time_of_a_call_holds_for_all_that_it_does() -> None:
    """An upload that takes all of it leaves nothing for the edit."""
    async with world(changes=REDIS) as w, client_of(w) as client:
        with pytest.raises(NoAnswer):
            await client.edit(thumbnail(), image=noise_png(20 * MB), timeout=0.01)

        assert 0 == w.emulator.bill.requests.total()


async def test_a_call_that_is_cancelled_stops_at_once() -> None:
    async with world(changes=REDIS) as w, client_of(w) as client:
        w.emulator.faults.add(FaultRule(operation="edit", gate="held"))
        call = asyncio.ensure_future(client.edit(thumbnail(), image=PICTURE))
        await until(lambda: is_held(w))
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        w.emulator.gates.open("held")
        await until(lambda: is_stored(client))

        assert 1 == w.emulator.bill.charges


async def test_an_upload_that_fails_is_tried_anew_by_the_next_call() -> None:
    async with world(changes=REDIS) as w, client_of(w) as client:
        picture = noise_png(4 * MB)
        with pytest.raises(NoAnswer):
            await client.edit(thumbnail(), image=picture, timeout=0)
        await client.edit(thumbnail(), image=picture)

        outcomes = await counted(w, "gateway_requests_total", "operation", "outcome")
        assert 1 == outcomes["upload", "OK"]


async def test_a_picture_that_is_lost_again_and_again_is_uploaded_twice() -> None:
    missing = BlobMissing([Violation("edit.image_file", "BLOB_NOT_FOUND", "is not kept")])
    stand_in = StandIn(missing)
    async with stand_in.serving() as address, GatewayClient(address, key="k") as client:
        with pytest.raises(BlobNotFound):
            await client.edit(thumbnail(), image=noise_png(4 * MB))

    assert (2, 2) == (stand_in.edits, stand_in.uploads)


async def test_what_is_remembered_is_bounded_and_what_is_used_stays() -> None:
    stand_in = StandIn(EditImageResponse())
    async with stand_in.serving() as address, grpc.aio.insecure_channel(address) as channel:
        blobs = Blobs(BlobServiceStub(channel), remembered=2)
        terms = Terms.of("k", timeout=60, request_id=None)
        uploaded = []
        for name in ("a", "b", "a", "c", "a", "b"):
            await blobs.ensure({name: b"x"}, terms)
            uploaded.append(stand_in.uploads)

    assert [1, 2, 2, 3, 3, 4] == uploaded


def test_a_key_is_not_shown() -> None:
    assert "secret" not in repr(Terms(key="secret", request_id="r", deadline=0))


PROMISED = BlobRef(sha256=hashlib.sha256(b"promised").hexdigest(), size_bytes=8)


@pytest.mark.parametrize("picture", [b"PROMISED", b"", b"promised and more"])
async def test_bytes_that_are_not_what_was_named_are_no_picture(picture: bytes) -> None:
    stand_in = StandIn(EditImageResponse(), picture)
    blob = BlobRef(sha256=PROMISED.sha256, size_bytes=len(picture))
    async with stand_in.serving() as address, GatewayClient(address, key="k") as client:
        with pytest.raises(DamagedPicture):
            await client.download(blob)


async def test_bytes_that_have_another_size_than_was_named_are_no_picture() -> None:
    stand_in = StandIn(EditImageResponse(), b"promised")
    async with stand_in.serving() as address, GatewayClient(address, key="k") as client:
        assert b"promised" == await client.download(PROMISED)
        with pytest.raises(DamagedPicture):
            await client.download(BlobRef(sha256=PROMISED.sha256, size_bytes=9))


async def test_a_result_that_cannot_be_fetched_is_not_bought_again() -> None:
    """The error keeps its name, so that it can be fetched once the trouble is over."""
    stand_in = StandIn(EditImageResponse(result=Result(blob=PROMISED)), b"other")
    async with stand_in.serving() as address, GatewayClient(address, key="k") as client:
        with pytest.raises(ResultNotFetched) as caught:
            await client.edit(thumbnail(), image=PICTURE)
        error = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 - our own bytes
        stand_in.picture = b"promised"

        assert "DAMAGED" == error.reason
        assert b"promised" == await client.download(error.result.blob)
        assert 1 == stand_in.edits


async def test_no_gateway_at_all_is_no_answer() -> None:
    async with GatewayClient("127.0.0.1:1", key="k") as client:
        with pytest.raises(NoAnswer) as caught:
            await client.account(request_id="order-19")

    assert ("", "order-19") == (caught.value.reason, caught.value.request_id)


def test_a_client_belongs_to_a_running_loop() -> None:
    with pytest.raises(RuntimeError, match="no running event loop"):
        GatewayClient("127.0.0.1:1", key="k")


# --- TLS ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate of localhost; its key is beside it."""
    openssl = shutil.which("openssl")
    if openssl is None:
        unavailable("openssl is not installed")
    path = tmp_path_factory.mktemp("tls") / "cert.pem"
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    files = ["-keyout", str(path.with_name("key.pem")), "-out", str(path)]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    command = [openssl, "req", "-x509", "-days", "2", *curve, *files, *names]
    subprocess.run(command, check=True, capture_output=True)
    return path


@pytest.mark.parametrize("trusted", [True, False])
async def test_over_tls_the_gateway_proves_who_it_is(certificate: Path, *, trusted: bool) -> None:
    """The gateway leaves TLS to what stands before it."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    context.set_alpn_protocols(["h2"])
    authority = await asyncio.to_thread(certificate.read_bytes)
    tls = grpc.ssl_channel_credentials(authority) if trusted else True
    async with world() as w, relay_to(w.gateway.grpc.port, context) as relay:
        address = f"localhost:{relay.port}"
        async with GatewayClient(address, key=CATALOG_KEY, tls=tls) as client:
            if trusted:
                assert "plus" == (await client.account()).plan
            else:
                with pytest.raises(NoAnswer):
                    await client.account()
