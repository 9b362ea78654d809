"""Keys, prompts, pictures and the queries of URLs stay out of errors, logs and metrics."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Awaitable
from dataclasses import replace

import grpc
import pytest

from gateway.emulator import AccountSettings, EmulatorSettings, KeySettings
from gateway.emulator.faults import FaultRule
from gateway.v1.edit_service_pb2 import EditImageRequest, EditImageResponse
from tests.e2e.canaries import (
    PICTURE,
    PROMPT,
    TENANT_KEY,
    UPSTREAM_KEY,
    URL,
    leaks,
    recorded_log,
)
from tests.e2e.harness import Reply, World, key_pair, world
from tests.e2e.raw_http import BOUNDARY, head, multipart, wire
from tests.e2e.test_errors import CASES, Case

SETTINGS = EmulatorSettings(accounts=(AccountSettings("plus", (KeySettings("k1", UPSTREAM_KEY),)),))
TENANTS = [
    {
        "id": "catalog",
        "credentials_sha256": [hashlib.sha256(TENANT_KEY.encode()).hexdigest()],
        "extra_parameters": True,
    }
]


def echoing(fault: FaultRule) -> tuple[FaultRule, ...]:
    """The fault, with an error text that repeats what each kind of call sent."""
    if fault.status is None or fault.body is not None:
        return (fault,)
    sent = (("POST", "/v2/edit", PROMPT), ("GET", "/v2/edit", URL), ("POST", "/v1/segment", ""))
    return tuple(
        replace(fault, method=method, path=path, body=_error(f"{secret} {UPSTREAM_KEY}"))
        for method, path, secret in sent
    )


def _error(secret: str) -> str:
    return json.dumps({"error": {"message": f"cannot do this with {secret}, sorry"}})


def shown(reply: Reply) -> bytes:
    """All of an error that its caller sees."""
    assert reply.status >= 400
    return json.dumps(dict(reply.headers)).encode() + reply.body


async def shown_rpc(call: Awaitable[EditImageResponse]) -> bytes:
    """The same of a gRPC error."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    error = caught.value
    return f"{error.details()} {dict(error.trailing_metadata())}".encode()


async def all_metrics(w: World) -> bytes:
    async with w.http.get(f"{w.ops_url}/metrics") as response:
        return await response.read()


def requests() -> tuple[EditImageRequest, EditImageRequest]:
    """An edit with a prompt and a picture, and one with a URL."""
    prompted, linked = EditImageRequest(), EditImageRequest()
    prompted.edit.image_file.data = PICTURE
    prompted.edit.background.prompt = PROMPT
    linked.edit.image_url = URL
    return prompted, linked


async def everything_shown(w: World) -> list[bytes]:
    """What callers see when each kind of call fails."""
    prompt, files = [("background.prompt", PROMPT)], {"imageFile": PICTURE}
    replies = [
        await w.post("/v2/edit", prompt, files, key=TENANT_KEY),
        await w.request("GET", "/v2/edit", params={"imageUrl": URL}, key=TENANT_KEY),
        await w.post("/v1/segment", [], {"image_file": PICTURE}, key=TENANT_KEY),
    ]
    metadata = key_pair(TENANT_KEY)
    errors = [await shown_rpc(w.edits.EditImage(r, metadata=metadata)) for r in requests()]
    return [*(shown(reply) for reply in replies), *errors]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
async def test_no_failure_of_the_upstream_lets_a_secret_out(case: Case) -> None:
    with recorded_log() as log:
        async with world(SETTINGS, changes={"tenants": TENANTS}) as w:
            w.emulator.faults.add(*echoing(case.fault))
            seen = await everything_shown(w)
            metrics = await all_metrics(w)

    assert [] == leaks(*seen, metrics, log.getvalue())
    assert case.reason in log.getvalue()


async def test_of_an_upstream_error_only_the_secrets_are_cut_out() -> None:
    async with world(SETTINGS, changes={"tenants": TENANTS}) as w:
        w.emulator.faults.add(*echoing(FaultRule(status=400)))
        prompt = [("background.prompt", PROMPT)]
        reply = await w.post("/v2/edit", prompt, {"imageFile": PICTURE}, key=TENANT_KEY)

        assert "cannot do this with [...] [...], sorry" == reply.json["error"]["message"]


MISTAKES: tuple[tuple[tuple[str, bytes], ...], ...] = (
    (('name="export.format"', PROMPT.encode()),),
    (('name="background.color"', PROMPT.encode()),),
    (('name="padding"', PROMPT.encode()),),
    (('name="outputSize"', PROMPT.encode()),),
    (('name="templateId"', PROMPT.encode()),),
    (('name="removeBackground"', PROMPT.encode()),),
    (('name="imageUrl"', PROMPT.encode()),),
    (('name="imageUrl"', URL.encode()), ('name="imageUrl"', URL.encode())),
    (('name="background.prompt"', (PROMPT * 400).encode()),),
    (('name="background.prompt"', PROMPT.encode() + b"\xff"),),
    (('name="pr-hd-background-removal"', PROMPT.encode()),),
    (('name="imageFile"', b"GIF89a" + PICTURE),),
    (('name="imageFile"', PICTURE[:20]), ('name="imageFile"', PICTURE)),
)


@pytest.mark.parametrize("parts", MISTAKES)
async def test_no_mistake_of_the_caller_is_answered_with_what_it_sent(
    parts: tuple[tuple[str, bytes], ...],
) -> None:
    body = multipart(*parts)
    with recorded_log() as log:
        async with world(SETTINGS, changes={"tenants": TENANTS}) as w, wire(w) as connection:
            form = f"Content-Type: multipart/form-data; boundary={BOUNDARY}"
            key, length = f"x-api-key: {TENANT_KEY}", f"Content-Length: {len(body)}"
            await connection.send(head("POST /v2/edit", form, length, key=key), body)
            reply = await connection.read_reply()

    assert 400 == reply.status
    assert [] == leaks(shown(reply), log.getvalue())


@pytest.mark.parametrize(
    "path",
    [
        f"/v2/edit?background.color={PROMPT}&imageUrl={URL}",
        f"/v2/edit?imageUrl={URL}&imageUrl={URL}",
        f"/v1/render?imageUrl={URL}&apiKey={TENANT_KEY}",
        f"/nowhere?apiKey={TENANT_KEY}",
    ],
)
async def test_no_query_is_answered_or_logged(path: str) -> None:
    with recorded_log() as log:
        async with world(SETTINGS, changes={"tenants": TENANTS}) as w:
            reply = await w.request("GET", path, key=TENANT_KEY)

    assert [] == leaks(shown(reply), log.getvalue())


async def test_a_key_that_is_not_known_is_not_repeated() -> None:
    with recorded_log() as log:
        async with world() as w:
            replies = [
                shown(await w.request("GET", "/v2/account", key=TENANT_KEY)),
                await shown_rpc(w.edits.EditImage(requests()[0], metadata=key_pair(TENANT_KEY))),
            ]

    assert [] == leaks(*replies, log.getvalue())
    assert "UNAUTHENTICATED" in log.getvalue()


async def test_a_call_that_succeeds_is_logged_without_what_it_is_about() -> None:
    with recorded_log() as log:
        async with world(SETTINGS, changes={"tenants": TENANTS}) as w:
            fields = [("background.prompt", PROMPT), ("new.prompt", PROMPT)]
            reply = await w.post("/v2/edit", fields, {"imageFile": PICTURE}, key=TENANT_KEY)
            metrics = await all_metrics(w)

    (line,) = (
        line
        for line in map(json.loads, log.getvalue().splitlines())
        if line["logger"] == "gateway.requests"
    )
    assert 200 == reply.status
    assert [] == leaks(metrics, log.getvalue())
    assert ("catalog", "OK", reply.headers["Gateway-Digest"]) == (
        line["tenant"],
        line["outcome"],
        line["digest"],
    )
    assert reply.headers["x-request-id"] == line["request_id"]


def test_the_search_finds_what_leaks() -> None:
    stream = io.StringIO(f"GET {URL} {json.dumps(TENANT_KEY)}")

    assert [TENANT_KEY, "canary-signature-e41c"] == leaks(stream.getvalue())
    assert ["canary-pixels-0be2"] == leaks(PICTURE)
