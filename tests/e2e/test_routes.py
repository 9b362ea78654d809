"""Which routes there are, what they answer beside pictures, and the headers of every answer."""

from __future__ import annotations

import re

import pytest

from gateway.domain.answer import KEPT_HEADERS
from gateway.emulator import AccountSettings, EmulatorSettings, KeySettings
from gateway.emulator.faults import FaultRule
from gateway.v1.account_service_pb2 import GetAccountRequest
from tests.e2e.harness import CATALOG_KEY, Reply, World, key_pair, world
from tests.e2e.raw_http import head, wire
from tests.support.pictures import png

PICTURE = png()
ROUTES = "the routes are GET|POST /v2/edit, POST /v1/segment, GET /v2/account, GET /v1/account"


def upstream_account(available: float, *, old_pricing: bool = False) -> EmulatorSettings:
    account = AccountSettings(
        "plus",
        (KeySettings("k1", "upstream-key"),),
        available=available,
        subscription=1000.5,
        old_pricing=old_pricing,
    )
    return EmulatorSettings(accounts=(account,))


def text_of(reply: Reply) -> str:
    """The words of an error, in either shape."""
    body = reply.json
    return str(body["detail"] if "detail" in body else body["error"]["message"])


@pytest.mark.parametrize(
    ("method", "path", "words"),
    [
        ("GET", "/v1/render?templateId=x", "use /v2/edit with templateId"),
        ("POST", "/v1/render", "use /v2/edit with templateId"),
        ("POST", "/v1/instant-backgrounds", "use /v2/edit with background.prompt"),
        ("POST", "/v1/animate", "there is no other route for it"),
        ("POST", "/v1/edit", ROUTES),
        ("POST", "/v2/segment", ROUTES),
        ("POST", "/", ROUTES),
        ("GET", "/v2/edit/", ROUTES),
        ("GET", "/v1/segment", ROUTES),
        ("PUT", "/v2/edit", ROUTES),
        ("DELETE", "/v2/account", ROUTES),
        ("OPTIONS", "/v2/edit", ROUTES),
    ],
)
async def test_a_route_that_is_not_served_names_the_one_to_use(
    method: str, path: str, words: str
) -> None:
    async with world() as w:
        reply = await w.request(method, path)

        assert 404 == reply.status
        assert words in text_of(reply)
        assert text_of(reply).startswith(f"{method} ")
        if path == "/":
            assert "application/problem+json" == reply.headers["Content-Type"].partition(";")[0]
            assert "urn:photoroom-gateway:ROUTE_NOT_SERVED" == reply.json["type"]
        else:
            shape = reply.json if path.startswith("/v1/") else reply.json["error"]
            assert "ROUTE_NOT_SERVED" == shape["type"]


async def test_an_account_is_shown_in_whole_images_in_both_shapes() -> None:
    async with world(upstream_account(998.8)) as w:
        v2 = await w.request("GET", "/v2/account")
        v1 = await w.request("GET", "/v1/account")

        images = {"available": 998, "subscription": 1000}
        assert (200, {"images": images, "plan": "plus"}) == (v2.status, v2.json)
        assert (200, {"credits": images}) == (v1.status, v1.json)
        assert re.search(rb'"available": 998[,}]', v2.body)


async def test_an_account_is_shown_in_thousandths_over_grpc() -> None:
    async with world(upstream_account(998.8)) as w:
        state = await w.accounts.GetAccount(GetAccountRequest(), metadata=key_pair())

        assert 998_800 == state.available_milli_images
        assert 1_000_500 == state.subscription_milli_images
        assert "plus" == state.plan


async def test_an_account_is_asked_upstream_once_for_many_callers() -> None:
    async with world(upstream_account(10)) as w:
        for path in ("/v2/account", "/v1/account") * 5:
            assert 200 == (await w.request("GET", path)).status
        await w.accounts.GetAccount(GetAccountRequest(), metadata=key_pair())

        assert {"GET /v2/account": 1} == dict(w.emulator.bill.questions)


async def test_an_account_with_an_old_price_plan_is_shown_too() -> None:
    async with world(upstream_account(7, old_pricing=True)) as w:
        reply = await w.request("GET", "/v2/account")

        images = {"available": 7, "subscription": 1000}
        assert (200, {"images": images, "plan": ""}) == (reply.status, reply.json)


async def test_an_account_that_cannot_be_asked_is_the_gateway_s_trouble() -> None:
    settings = EmulatorSettings(
        accounts=(AccountSettings("plus", (KeySettings("k1", "upstream-key", status=403),)),)
    )
    async with world(settings) as w:
        v2 = await w.request("GET", "/v2/account")
        v1 = await w.request("GET", "/v1/account")

        assert (503, "UPSTREAM_UNAVAILABLE") == (v2.status, v2.json["error"]["type"])
        assert (503, "UPSTREAM_UNAVAILABLE") == (v1.status, v1.json["type"])
        assert "5" == v2.headers["Retry-After"]


async def test_what_the_upstream_says_of_a_picture_comes_through() -> None:
    fields = [
        ("background.prompt", "a beach"),
        ("background.seed", "7"),
        ("textRemoval.mode", "ai.all"),
    ]
    async with world() as w:
        w.emulator.faults.add(FaultRule(operation="edit", unsupported=("newThing",)))
        reply = await w.post("/v2/edit", fields, {"imageFile": PICTURE})

        assert 200 == reply.status, reply.body
        assert set(KEPT_HEADERS) == {n.lower() for n in reply.headers} & set(KEPT_HEADERS)
        assert "7" == reply.headers["pr-ai-background-seed"]
        assert "Unsupported attributes: newThing" == reply.headers["pr-unsupported-attributes"]


async def asked(w: World, path: str, request_id: str | None, key: str | None) -> Reply:
    headers = {} if request_id is None else {"x-request-id": request_id}
    return await w.request("GET", path, headers=headers, key=key)


@pytest.mark.parametrize(
    ("path", "key", "status"),
    [
        ("/v2/account", CATALOG_KEY, 200),
        ("/v2/account", None, 401),
        ("/v1/account", "nobody", 401),
        ("/v2/edit", CATALOG_KEY, 400),
        ("/v1/render", CATALOG_KEY, 404),
    ],
)
async def test_every_answer_carries_an_id_and_the_caller_s_own_if_it_is_plain(
    path: str, key: str | None, status: int
) -> None:
    async with world() as w:
        own = await asked(w, path, "order-17_a.b", key)
        none = await asked(w, path, None, key)
        hostile = await asked(w, path, "a" * 65, key)

        assert [status] * 3 == [own.status, none.status, hostile.status]
        assert "order-17_a.b" == own.headers["x-request-id"]
        made = [none.headers["x-request-id"], hostile.headers["x-request-id"]]
        assert all(re.fullmatch("[0-9a-f]{32}", name) for name in made)
        assert 2 == len(set(made))


async def test_an_answered_picture_carries_its_id_its_digest_and_its_cost() -> None:
    async with world() as w:
        headers = {"x-request-id": "mine"}
        edit = await w.post("/v2/edit", [], {"imageFile": PICTURE}, headers=headers)
        cutout = await w.post("/v1/segment", [], {"image_file": PICTURE})

        assert ("mine", "1") == (edit.headers["x-request-id"], edit.headers["Gateway-Cost"])
        assert re.fullmatch("[0-9a-f]{64}", edit.headers["Gateway-Digest"])
        assert "0.2" == cutout.headers["Gateway-Cost"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v2/account", {"error": {"message": "The key is not known.", "type": "UNAUTHENTICATED"}}),
        (
            "/v1/account",
            {"detail": "The key is not known.", "status_code": 401, "type": "UNAUTHENTICATED"},
        ),
    ],
)
async def test_an_error_has_the_shape_that_clients_of_its_route_read(
    path: str, body: dict[str, object]
) -> None:
    async with world() as w:
        reply = await w.request("GET", path, key="nobody")

        assert (401, body) == (reply.status, reply.json)
        assert "application/json" == reply.headers["Content-Type"]


async def test_a_caller_without_a_valid_key_is_answered_before_it_sends_its_body() -> None:
    async with world() as w, wire(w) as connection:
        length = f"Content-Length: {1 << 20}"
        form = "Content-Type: multipart/form-data; boundary=x"
        await connection.send(head("POST /v2/edit", form, length, key="x-api-key: nobody"))

        assert 401 == (await connection.read_head())[0]
