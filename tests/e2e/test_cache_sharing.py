"""Who shares what was bought: doors, spellings, tenants, scopes, replicas."""

from __future__ import annotations

import base64
import io
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlencode

import pytest
from PIL import Image

from gateway.domain.caching import CacheMode
from gateway.emulator import Emulator
from gateway.transport.codec import INLINE_BYTES
from tests.e2e.asks import edit_of, segment_of
from tests.e2e.harness import CATALOG_KEY, LAB_KEY, LEGACY_KEY, Reply, World, replica, world
from tests.e2e.purchases import DOORS, cache_status, had, told, told_by
from tests.servers.fixtures import StartServer
from tests.support.pictures import opened

pytestmark = pytest.mark.asyncio(loop_scope="module")

SANDBOX = f"sandbox_{CATALOG_KEY}"
RED = {"background.color": "red"}

# Each row is one edit: the first spelling is bought, all others are answered from what it left.
SPELLINGS: list[tuple[str, list[dict[str, str]]]] = [
    (
        "colours",
        [{"background.color": c} for c in ("red", "RED", "f00", "#F00", "ff0000", "#FF0000FF")],
    ),
    ("lengths", [{"padding": p} for p in ("0.3", "30%", "0.30", ".3", "3e-1", "+0.3")]),
    ("jpeg", [{"export.format": f, "background.color": "red"} for f in ("jpg", "jpeg")]),
    (
        "defaults",
        [
            {},
            {"removeBackground": "true", "export.format": "png", "outputSize": "auto"},
            {"margin": "0", "padding": "0%", "colorSpace": "sRGB"},
        ],
    ),
    (
        "prompts",
        [
            {"background.prompt": p, "background.seed": s}
            for p, s in (("caf\u00e9", "7"), (" cafe\u0301\n", "7.0"), ("caf\u00e9 ", "+7"))
        ],
    ),
    (
        "older names",
        [
            {"background.prompt": "fog", "background.seed": "7", **more}
            for more in (
                {"background.expandPrompt": "never"},
                {"background.expandPrompt.mode": "ai.never"},
            )
        ],
    ),
    (
        "order",
        [
            {"padding": "0.1", "background.color": "red"},
            {"background.color": "red", "padding": "0.1"},
        ],
    ),
]


@pytest.mark.parametrize(("first", "second"), [DOORS, DOORS[::-1]])
@pytest.mark.parametrize("operation", ["edit", "segment"])
async def test_what_is_bought_at_one_door_is_a_hit_at_the_other(
    cached: World, first: str, second: str, operation: str, picture: bytes
) -> None:
    ask = (
        segment_of({}, picture) if operation == "segment" else edit_of(RED, {"imageFile": picture})
    )
    bought, hit = await had(cached, first, ask), await had(cached, second, ask)
    assert (False, True, "memory") == (bought.hit, hit.hit, hit.source)
    assert bought.body == hit.body
    assert (bought.media_type, bought.about) == (hit.media_type, hit.about)
    assert (bought.digest, bought.sha256) == (hit.digest, hit.sha256)
    assert (operation == "edit") == bool(bought.about)


@pytest.mark.parametrize("spellings", [s[1] for s in SPELLINGS], ids=[s[0] for s in SPELLINGS])
async def test_every_spelling_of_an_edit_is_one_entry(
    cached: World, spellings: list[dict[str, str]], picture: bytes
) -> None:
    answers = [
        await had(cached, "rest", edit_of(texts, {"imageFile": picture})) for texts in spellings
    ]
    first = answers[0]
    expected = [(False, first.body)] + [(True, first.body)] * (len(spellings) - 1)
    assert expected == [(a.hit, a.body) for a in answers]


async def test_a_query_and_a_form_that_name_one_url_are_one_entry(cached: World) -> None:
    fields = {"imageUrl": "https://pictures.invalid/one-entry.png", "padding": "0.1"}
    get = await cached.request("GET", f"/v2/edit?{urlencode(fields)}")
    form = await cached.request("POST", "/v2/edit", data=fields)
    assert [False, True] == [told_by(reply).hit for reply in (get, form)]


async def test_v1_answers_in_every_form_from_one_entry(cached: World, picture: bytes) -> None:
    """A form, a bare picture, JSON; answered as a picture or as either kind of JSON."""
    json_only = {"Accept": "application/json"}
    bare = {"Content-Type": "image/png"}
    packed = base64.b64encode(picture).decode()
    path, query = "/v1/segment", "/v1/segment?format=png"
    replies = [
        await cached.post(path, [("format", "png")], {"image_file": picture}),
        await cached.post(path, [("format", "png")], {"image_file": picture}, headers=json_only),
        await cached.request("POST", query, data=picture, headers=bare),
        await cached.request("POST", query, data=picture, headers=bare | json_only),
        await cached.request("POST", path, json={"image_file_b64": packed, "format": "png"}),
    ]
    assert ["fwd", *["hit"] * 4] == [hit_or_fwd(reply) for reply in replies]
    bodies = [
        replies[0].body,
        base64.b64decode(replies[1].json["base64img"]),
        replies[2].body,
        base64.b64decode(replies[3].json["base64img"]),
        base64.b64decode(replies[4].json["result_b64"]),
    ]
    assert [replies[0].body] * 5 == bodies
    assert opened(bodies[0]).size == opened(picture).size


def hit_or_fwd(reply: Reply) -> str:
    assert 200 == reply.status, reply.body
    return "hit" if "hit" in cache_status(reply.headers) else "fwd"


@pytest.mark.parametrize("keys", [(CATALOG_KEY, SANDBOX), (SANDBOX, CATALOG_KEY)])
@pytest.mark.parametrize("door", DOORS)
async def test_sandbox_and_live_never_share(
    cached: World, door: str, keys: tuple[str, str], picture: bytes
) -> None:
    """A sandbox picture has a watermark, and one that costs nothing must not be had for live ones."""
    ask = edit_of(RED, {"imageFile": picture})
    answers = [await had(cached, door, ask, key=key) for key in (*keys, *keys)]
    assert [False, False, True, True] == [a.hit for a in answers]
    assert [1000] == [a.saved for a in answers if a.saved]


@pytest.mark.parametrize("door", DOORS)
async def test_two_tenants_never_share(cached: World, door: str, picture: bytes) -> None:
    ask = edit_of(RED, {"imageFile": picture})
    answers = [
        await had(cached, door, ask, mode, key=key)
        for mode in (CacheMode.DEFAULT, CacheMode.REUSE)
        for key in (CATALOG_KEY, LAB_KEY)
    ]
    assert [False, False, True, True] == [a.hit for a in answers]
    assert await told(cached, door, ask, CacheMode.ONLY_IF_CACHED, key=LEGACY_KEY) is None


@pytest.mark.parametrize("scope", ["retail", "legacy"])
async def test_the_members_of_a_scope_share_with_nobody_else_whatever_its_name_is(
    scope: str,
) -> None:
    """Not even with the tenant that the scope happens to be called after."""
    scopes = {scope: ["catalog", "lab"]}
    async with world(changes={"redis": "embedded", "cache_scopes": scopes}) as w:
        calls = ((CATALOG_KEY, "rest"), (LAB_KEY, "grpc"), (LEGACY_KEY, "rest"))
        answers = [await had(w, door, edit_of(RED), key=key) for key, door in calls]
        assert [False, True, False] == [a.hit for a in answers]
        assert 2 == w.emulator.bill.charges


@asynccontextmanager
async def two_replicas(url: str, **changes: object) -> AsyncIterator[tuple[World, World]]:
    """Two gateways before one emulator, over one Redis."""
    redis = {"redis": {"state_url": url, "cache_url": url}, **changes}
    async with (
        Emulator() as emulator,
        replica(emulator, changes=redis) as one,
        replica(emulator, changes=redis) as other,
    ):
        yield one, other


@pytest.mark.parametrize("doors", [DOORS, DOORS[::-1]], ids=" then ".join)
async def test_what_one_replica_bought_another_reads_from_redis_and_then_from_memory(
    start_server: StartServer, doors: tuple[str, str]
) -> None:
    async with two_replicas(start_server().url) as (one, other):
        ask = edit_of(RED)
        bought = await had(one, doors[0], ask)
        hits = [await had(other, doors[1], ask) for _ in range(2)]
        assert ["redis", "memory"] == [hit.source for hit in hits]
        assert [(bought.body, bought.about)] * 2 == [(hit.body, hit.about) for hit in hits]
        assert 1 == one.emulator.bill.charges


async def test_replicas_keep_their_tenants_apart_in_redis_too(start_server: StartServer) -> None:
    async with two_replicas(start_server().url) as (one, other):
        ask = edit_of(RED)
        answers = [
            await had(one, "rest", ask),
            await had(other, "rest", ask, key=LAB_KEY),
            await had(other, "rest", ask, key=SANDBOX),
        ]
        assert [False, False, False] == [a.hit for a in answers]
        assert 3 == one.emulator.bill.charges


async def test_a_large_result_is_bought_by_one_replica_and_had_as_a_blob_from_another(
    start_server: StartServer,
) -> None:
    noise = edit_of({"removeBackground": "false"}, {"imageFile": noisy(1200, 1000)})
    async with two_replicas(start_server().url) as (one, other):
        bought, hit = await had(one, "rest", noise), await had(other, "grpc", noise)
        assert len(bought.body) > INLINE_BYTES
        assert (True, b"", bought.sha256) == (hit.hit, b"", hit.sha256)
        for w in (one, other):
            blob = await w.request("GET", f"/blobs/{hit.sha256}")
            assert (200, bought.body) == (blob.status, blob.body)
            refused = await w.request("GET", f"/blobs/{hit.sha256}", key=LAB_KEY)
            assert 404 == refused.status


@pytest.mark.parametrize("first", DOORS)
async def test_a_result_that_goes_by_reference_is_kept_for_a_day_though_it_lives_shorter(
    start_server: StartServer, first: str
) -> None:
    """Bought by the call that gets it so, or by an earlier one."""
    server = start_server()
    texts = {"removeBackground": "false", "layers.a.text.content": "Sale"}
    ask = edit_of(texts, {"imageFile": noisy(1200, 1000)})
    redis = {"redis": {"state_url": server.url, "cache_url": server.url}}
    async with world(changes=redis) as w:
        await had(w, first, ask)
        result = await had(w, "grpc", ask)
        assert (b"", True) == (result.body, result.ttl is not None and result.ttl <= 3600)
        [manifest] = server.admin("KEYS", "pg1:b:*:m")
        assert server.admin("PTTL", manifest) > (24 * 3600 - 60) * 1000


def noisy(width: int, height: int) -> bytes:
    """A photograph that is small as JPEG and large as PNG."""
    out = io.BytesIO()
    Image.frombytes("RGB", (width, height), random.Random(7).randbytes(3 * width * height)).save(
        out, "JPEG"
    )
    return out.getvalue()
