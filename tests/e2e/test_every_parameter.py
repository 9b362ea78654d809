"""Every parameter of the emulator's own table, through both doors, to the wire."""

from __future__ import annotations

import hashlib

import pytest

from gateway.domain.edit import Operation
from gateway.emulator import MODEL_HEADERS, Leaf
from tests.e2e.asks import Ask, ask_rest, ask_rpc
from tests.e2e.companions import acting, documented
from tests.e2e.harness import CATALOG_KEY, LAB_KEY, World
from tests.support.parameters import FILES, TEXTS
from tests.support.pictures import png

pytestmark = pytest.mark.asyncio(loop_scope="module")

PICTURE = png(20, 30, ground="#102030", subject="#E0D0C0")
MODELS = frozenset(leaf.name for leaf in MODEL_HEADERS)
VERSIONS = [(o, leaf, text) for o in Operation for leaf in MODEL_HEADERS for text in leaf.examples]

DEPRECATED = {
    "describeAnyChange.mode": {"ai.auto"},
    "preserveMetadata": {"exifSubset"},
}
"""What is warned about whatever stands beside it; anything else here is set so that it acts."""


def case_id(value: object) -> str:
    return value.name if isinstance(value, Leaf) else str(value)


async def arrived(w: World, ask: Ask) -> list[tuple[object, ...]]:
    """Ask at both doors; what arrived at the emulator each time, sorted.

    The doors are used by two tenants, so that neither is served what the other one bought.
    """
    w.emulator.requests.clear()
    rest = await ask_rest(w, ask, key=CATALOG_KEY)
    assert 200 == rest.status, rest.body
    rpc = await ask_rpc(w, ask, key=LAB_KEY)
    assert rest.headers["Gateway-Digest"] == rpc.digest
    deprecated = any(ask.texts.get(name) in texts for name, texts in DEPRECATED.items())
    assert deprecated == ("Gateway-Warning" in rest.headers) == bool(rpc.warnings), rpc.warnings
    assert rest.headers["Content-Type"] == rpc.media_type
    return [
        (
            request.method,
            request.path,
            sorted(request.params),
            sorted((file.name, file.sha256) for file in request.files),
            sorted(item for item in request.headers if item[0] in MODELS),
        )
        for request in w.emulator.requests
    ]


def expected(ask: Ask) -> tuple[object, ...]:
    """What has to arrive when every text is sent as it stands."""
    files = sorted((name, hashlib.sha256(data).hexdigest()) for name, data in ask.files.items())
    by_url = not ask.files and any(name.endswith("Url") for name in ask.texts)
    method = "GET" if by_url else "POST"
    return (
        method,
        f"/{ask.operation}",
        sorted(ask.texts.items()),
        files,
        sorted(ask.headers.items()),
    )


@pytest.mark.parametrize(("operation", "leaf", "text"), TEXTS, ids=case_id)
async def test_a_parameter_arrives_with_its_documented_text_and_has_one_digest(
    shared: World, operation: Operation, leaf: Leaf, text: str
) -> None:
    ask = acting(operation, leaf, text)
    name, written = documented(operation, leaf, text)
    sent = {n: t for n, t in ask.texts.items() if n != leaf.example_name} | {name: written}
    upstream = expected(Ask(sent, ask.files, ask.headers, operation))
    assert [upstream, upstream] == await arrived(shared, ask)


@pytest.mark.parametrize(("operation", "leaf"), FILES, ids=case_id)
async def test_a_picture_arrives_byte_for_byte_and_has_one_digest(
    shared: World, operation: Operation, leaf: Leaf
) -> None:
    ask = acting(operation, leaf, PICTURE)
    assert (leaf.example_name, PICTURE) in ask.files.items()
    upstream = expected(ask)
    assert [upstream, upstream] == await arrived(shared, ask)


@pytest.mark.parametrize(("operation", "leaf", "text"), VERSIONS, ids=case_id)
async def test_a_model_version_arrives_as_its_header_and_has_one_digest(
    shared: World, operation: Operation, leaf: Leaf, text: str
) -> None:
    ask = acting(operation, leaf, text)
    assert (leaf.name, text) in ask.headers.items()
    upstream = expected(ask)
    assert [upstream, upstream] == await arrived(shared, ask)
