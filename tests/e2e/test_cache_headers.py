"""The cache in HTTP's words, at the REST door."""

from __future__ import annotations

import pytest
from multidict import CIMultiDict

from tests.e2e.asks import rest_violations
from tests.e2e.harness import LAB_KEY, Reply, World
from tests.e2e.purchases import cache_status, told_by
from tests.e2e.raw_http import BOUNDARY, head, multipart, wire
from tests.support.structured_fields import BareItem

pytestmark = pytest.mark.asyncio(loop_scope="module")

DAYS_30 = 30 * 24 * 3600


async def post(w: World, picture: bytes, *lines: str, prompt: str = "") -> Reply:
    """Post an edit whose head has exactly these lines, a name that stands twice included."""
    parts = [('name="imageFile"; filename="a.png"', picture)]
    if prompt:
        parts.append(('name="background.prompt"', prompt.encode()))
    body = multipart(*parts)
    form = f"Content-Type: multipart/form-data; boundary={BOUNDARY}"
    async with wire(w) as connection:
        start = head("POST /v2/edit", form, f"Content-Length: {len(body)}", *lines)
        await connection.send(start, body)
        return await connection.read_reply()


@pytest.mark.parametrize(
    ("line", "prompt", "said"),
    [
        ("", "", {"fwd": "uri-miss", "detail": "miss", "stored": True, "ttl": DAYS_30}),
        (
            "Gateway-Cache: refresh",
            "",
            {"fwd": "request", "detail": "refresh", "stored": True, "ttl": DAYS_30},
        ),
        ("Gateway-Cache: bypass", "", {"fwd": "request", "detail": "bypass"}),
        ("", "fog", {"fwd": "bypass", "detail": "unseeded"}),
        (
            "Gateway-Cache: reuse",
            "fog",
            {"fwd": "uri-miss", "detail": "miss", "stored": True, "ttl": DAYS_30},
        ),
    ],
)
async def test_a_purchase_says_why_it_was_forwarded_and_whether_it_is_stored(
    cached: World, picture: bytes, line: str, prompt: str, said: dict[str, BareItem]
) -> None:
    reply = await post(cached, picture, *([line] if line else []), prompt=prompt)
    assert said == cache_status(reply.headers)
    assert ("1", "0") == (reply.headers["Gateway-Cost"], reply.headers["Gateway-Saved"])
    assert "Age" not in reply.headers


async def test_a_hit_says_so_with_its_age_its_tier_and_what_it_saved(
    cached: World, picture: bytes
) -> None:
    bought, hit = await post(cached, picture), await post(cached, picture)
    said = cache_status(hit.headers)
    assert {"hit": True, "detail": "memory", "ttl": said["ttl"]} == said
    assert 0 <= DAYS_30 - int(said["ttl"]) <= 60
    assert 0 <= int(hit.headers["Age"]) <= 60
    assert ("0", "1") == (hit.headers["Gateway-Cost"], hit.headers["Gateway-Saved"])
    assert bought.headers["ETag"] == hit.headers["ETag"]
    assert bought.body == hit.body


async def test_a_hit_of_a_cut_out_saves_a_fifth(cached: World, picture: bytes) -> None:
    for cost, saved in (("0.2", "0"), ("0", "0.2")):
        reply = await cached.post("/v1/segment", [], {"image_file": picture})
        assert (cost, saved) == (reply.headers["Gateway-Cost"], reply.headers["Gateway-Saved"])


@pytest.mark.parametrize(
    "lines",
    [
        ["Gateway-Cache: no-store"],
        ["Gateway-Cache:"],
        ["Gateway-Cache: refresh, bypass"],
        ["Gateway-Cache: default", "Gateway-Cache: bypass"],
    ],
)
async def test_a_mode_that_is_not_known_or_not_one_is_refused_by_name(
    cached: World, picture: bytes, lines: list[str]
) -> None:
    before = cached.emulator.bill.requests.total()
    reply = await post(cached, picture, *lines)
    assert [("Gateway-Cache", "NOT_ALLOWED")] == rest_violations(reply)
    assert before == cached.emulator.bill.requests.total()


@pytest.mark.parametrize("word", ["bypass", "BYPASS", "  ByPass "])
async def test_a_mode_is_spelt_in_any_case(cached: World, picture: bytes, word: str) -> None:
    reply = await post(cached, picture, f"Gateway-Cache: {word}")
    assert "bypass" == cache_status(reply.headers)["detail"]


@pytest.mark.parametrize(
    "lines",
    [
        ["Cache-Control: only-if-cached"],
        ["Cache-Control: max-stale=60, Only-If-Cached"],
        ["Cache-Control: no-cache", "Cache-Control: only-if-cached"],
        ["Gateway-Cache: only-if-cached"],
    ],
)
async def test_a_client_that_wants_a_stored_result_alone_gets_that_or_504(
    cached: World, picture: bytes, lines: list[str]
) -> None:
    before = cached.emulator.bill.requests.total()
    reply = await post(cached, picture, *lines)
    assert (504, "NOT_CACHED") == (reply.status, reply.json["error"]["type"])
    assert before == cached.emulator.bill.requests.total()
    bought = await post(cached, picture)
    assert (True, bought.body) == hit_and_body(await post(cached, picture, *lines))


@pytest.mark.parametrize(
    "lines",
    [
        ["Cache-Control: no-cache"],
        ["Cache-Control: no-store, max-age=0"],
        ["Pragma: no-cache"],
        ["Gateway-Cache: default", "Cache-Control: only-if-cached"],
    ],
)
async def test_what_clients_send_unasked_buys_nothing_again(
    cached: World, picture: bytes, lines: list[str]
) -> None:
    """And a mode of ours stands above HTTP's words."""
    bought = await post(cached, picture, *lines)
    assert (False, bought.body) == hit_and_body(bought)
    assert (True, bought.body) == hit_and_body(await post(cached, picture, *lines))


def hit_and_body(reply: Reply) -> tuple[bool, bytes]:
    return told_by(reply).hit, reply.body


async def test_a_get_that_names_the_picture_it_has_is_answered_without_it(cached: World) -> None:
    path = "/v2/edit?imageUrl=https://pictures.invalid/known.png"
    first = await cached.request("GET", path)
    tag = first.headers["ETag"]
    for known in (tag, f"W/{tag}", f'"0", {tag}', "*"):
        again = await cached.request("GET", path, headers={"If-None-Match": known})
        assert (304, b"") == (again.status, again.body)
        assert_same(first.headers, again.headers, "ETag", "Gateway-Digest")
        assert "hit" in cache_status(again.headers)
        assert "0" == again.headers["Gateway-Cost"]
    other = await cached.request("GET", path, headers={"If-None-Match": '"0"'})
    assert (200, first.body) == (other.status, other.body)


async def test_a_tag_is_known_on_any_line_of_the_header(cached: World) -> None:
    path = "/v2/edit?imageUrl=https://pictures.invalid/lines.png"
    tag = (await cached.request("GET", path)).headers["ETag"]
    async with wire(cached) as connection:
        await connection.send(head(f"GET {path}", 'If-None-Match: "0"', f"If-None-Match: {tag}"))
        assert 304 == (await connection.read_head())[0]


async def test_a_post_is_answered_with_its_picture_whatever_it_has(
    cached: World, picture: bytes
) -> None:
    """RFC 9110 knows 304 for GET and HEAD alone."""
    first = await post(cached, picture)
    again = await post(cached, picture, f"If-None-Match: {first.headers['ETag']}")
    assert (200, first.body) == (again.status, again.body)


async def test_the_tag_is_the_sha256_under_which_the_picture_is_had_as_a_blob(
    cached: World, picture: bytes
) -> None:
    reply = await post(cached, picture)
    sha256 = told_by(reply).sha256
    blob = await cached.request("GET", f"/blobs/{sha256}")
    assert (200, reply.body, "image/png") == (blob.status, blob.body, blob.headers["Content-Type"])
    assert 404 == (await cached.request("GET", f"/blobs/{sha256}", key=LAB_KEY)).status


def assert_same(one: CIMultiDict[str], other: CIMultiDict[str], *names: str) -> None:
    assert [one[name] for name in names] == [other[name] for name in names]
