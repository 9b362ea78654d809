"""Client, keys and account against the emulator, whose bill says what a call really cost."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from PIL import Image

from gateway.domain.answer import AccountState, Answer
from gateway.domain.credits import PLUS
from gateway.domain.edit import Edit, ImageRef, ImageSlot, Kind, Operation, Parameter
from gateway.domain.errors import (
    Ending,
    GatewayError,
    KeyExhausted,
    KeyForbidden,
    KeyRejected,
    KeyThrottled,
    OutcomeUnknown,
    UpstreamBadAnswer,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamUnavailable,
)
from gateway.domain.keys import PoolAccount, PoolKey, fingerprint
from gateway.domain.retries import RetryBudget
from gateway.domain.tenant import Tenant
from gateway.emulator import (
    AccountSettings,
    Cut,
    Emulator,
    EmulatorSettings,
    FaultRule,
    KeySettings,
    Wrong,
)
from gateway.flights import Boarding
from gateway.ports import Hold, Purchase
from gateway.purchasing import Payment
from gateway.store.pool import Pool
from gateway.store.solo import SoloAdmission
from gateway.upstream.account import PhotoroomDesk
from gateway.upstream.client import PhotoroomClient
from gateway.upstream.keyed import KeyedUpstream
from gateway.upstream.keyring import KeyRing
from gateway.upstream.settings import UpstreamKey
from tests.upstream.purchases import by_url, parameter, settings

KEYS = tuple(UpstreamKey(f"k{n}", f"sk_emulated_{n}", f"a{n}") for n in (1, 2, 3))


def photo() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (64, 48), (180, 40, 40)).save(out, "PNG")
    return out.getvalue()


def edit(*parameters: Parameter, sandbox: bool = False) -> Purchase:
    data = photo()
    ref = ImageRef.of(data)
    return Purchase(
        Edit(Operation.EDIT, parameters, (ImageSlot("imageFile", ref),)), {ref: data}, sandbox
    )


def cut_out(*parameters: Parameter) -> Purchase:
    data = photo()
    ref = ImageRef.of(data)
    return Purchase(
        Edit(Operation.SEGMENT, parameters, (ImageSlot("image_file", ref),)),
        {ref: data},
        sandbox=False,
    )


async def with_any_key(client: PhotoroomClient, purchase: Purchase) -> Answer:
    """Buy as a gateway without Redis does, with whichever key serves, the first one first."""
    keyed = KeyedUpstream(client, KeyRing(KEYS))
    accounts = [
        PoolAccount(key.account_id, (PoolKey(key.id, fingerprint(key.secret), 60, 60_000),), PLUS)
        for key in KEYS
    ]
    payment = Payment(SoloAdmission(Pool(accounts)), keyed, keyed, RetryBudget())

    async def pass_gate(hold: Hold) -> None:
        assert hold.key.key in {fingerprint(key.secret) for key in KEYS}

    tenant = Tenant("catalog")
    return await payment.buy(
        purchase, await payment.board(tenant, purchase, 5, Boarding(pass_gate))
    )


@asynccontextmanager
async def emulated(
    *faults: FaultRule, accounts: Sequence[AccountSettings] = ()
) -> AsyncIterator[tuple[Emulator, PhotoroomClient]]:
    """An emulator with an account a key, and a client of it."""
    configured = EmulatorSettings(
        accounts=tuple(accounts)
        or tuple(AccountSettings(k.account_id, (KeySettings(k.id, k.secret),)) for k in KEYS)
    )
    async with Emulator(configured) as emulator:
        emulator.faults.add(*faults)
        async with PhotoroomClient(settings(emulator.url, keys=KEYS)) as client:
            yield emulator, client


@pytest.mark.parametrize(
    ("purchase", "kind"),
    [
        (edit(parameter("background.color", "FF8800", Kind.COLOR)), "image/png"),
        (edit(parameter("export.format", "jpeg")), "image/jpeg"),
        (edit(parameter("export.format", "webp")), "image/webp"),
        (edit(parameter("export.format", "avif")), "image/avif"),
        (edit(parameter("layers.a b.text.content", "ü & 50 %", Kind.TEXT)), "image/png"),
        (edit(sandbox=True), "image/png"),
        (by_url(parameter("export.format", "jpg")), "image/jpeg"),
        (cut_out(), "image/png"),
        (cut_out(parameter("format", "jpg")), "image/jpeg"),
    ],
)
async def test_a_call_buys_one_picture_of_its_kind(purchase: Purchase, kind: str) -> None:
    async with emulated() as (emulator, client):
        got = await client.send(purchase, KEYS[0])
        [request] = emulator.requests
        [line] = emulator.bill.lines
    assert kind == got.media_type
    assert purchase.sandbox is line.sandbox
    assert [(p.name, p.wire) for p in purchase.edit.parameters] == list(request.params)
    assert [(slot.name, slot.image.sha256, slot.image.size) for slot in purchase.edit.images] == [
        (file.name, file.sha256, file.size) for file in request.files
    ]


@pytest.mark.parametrize("purchase", [edit(), by_url(), cut_out()])
@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (FaultRule(cut=Cut.BEFORE_BODY), OutcomeUnknown),
        (FaultRule(cut=Cut.BEFORE_CHARGE), OutcomeUnknown),
        (FaultRule(cut=Cut.AFTER_CHARGE), OutcomeUnknown),
        (FaultRule(cut=Cut.AFTER_HEAD), UpstreamBadAnswer),
        (FaultRule(cut=Cut.MID_BODY), UpstreamBadAnswer),
        (FaultRule(wrong=Wrong.JSON), UpstreamBadAnswer),
        (FaultRule(wrong=Wrong.EMPTY), UpstreamBadAnswer),
        (FaultRule(status=400), UpstreamRefused),
        (FaultRule(status=401), KeyRejected),
        (FaultRule(status=402), KeyExhausted),
        (FaultRule(status=403), KeyForbidden),
        (FaultRule(status=413), UpstreamRefused),
        (FaultRule(status=429, wait_s=17), KeyThrottled),
        (FaultRule(status=429, wait_s=14782), KeyThrottled),
        (FaultRule(status=500), UpstreamFailed),
        (FaultRule(status=502), OutcomeUnknown),
        (FaultRule(status=503), OutcomeUnknown),
        (FaultRule(status=504, charged=True), OutcomeUnknown),
    ],
)
async def test_the_ending_of_a_failure_is_what_the_bill_says(
    purchase: Purchase, fault: FaultRule, expected: type[GatewayError]
) -> None:
    """And one call is one request, whatever becomes of it."""
    charges = {
        Ending.NOT_SPENT: {0},
        Ending.DROPPED: {0},
        Ending.SPENT: {1},
        Ending.UNKNOWN: {0, 1},
    }
    async with emulated(fault) as (emulator, client):
        with pytest.raises(expected) as caught:
            await client.send(purchase, KEYS[0])
        assert 1 == sum(emulator.bill.requests.values())
        assert emulator.bill.charges in charges[caught.value.ending]
    if expected is KeyThrottled:
        assert fault.wait_s == caught.value.retry_after


async def test_a_misleading_retry_after_does_not_win_over_the_text() -> None:
    async with emulated(FaultRule(status=429, wait_s=9, retry_after="3600")) as (_, client):
        with pytest.raises(KeyThrottled) as caught:
            await client.send(edit(), KEYS[0])
    assert 9 == caught.value.retry_after


async def test_ignored_attributes_are_told_and_charged() -> None:
    async with emulated(FaultRule(unsupported=("a.b", "c.d"))) as (emulator, client):
        got = await client.send(edit(), KEYS[0])
        assert 1 == emulator.bill.charges
    said = got.header("pr-unsupported-attributes")
    assert said is not None
    assert "a.b" in said
    assert "c.d" in said


@pytest.mark.parametrize("status", [400, 401, 402, 403, 422, 429, 500, 503])
async def test_what_the_upstream_repeats_of_the_request_does_not_come_back(status: int) -> None:
    prompt = "a secret canary shoe"
    echo = f'{{"detail": "no: {prompt}, {KEYS[0].secret}, https://shop.example/?token=1"}}'
    async with emulated(FaultRule(status=status, body=echo)) as (_, client):
        with pytest.raises(GatewayError) as caught:
            await client.send(edit(parameter("background.prompt", prompt, Kind.TEXT)), KEYS[0])
    for secret in (prompt, KEYS[0].secret, "token"):
        assert secret not in caught.value.message


@pytest.mark.parametrize("status", [401, 402, 403, 429])
async def test_the_next_key_buys_what_the_first_cannot(status: int) -> None:
    async with emulated(FaultRule(key="k1", status=status)) as (emulator, client):
        await with_any_key(client, edit())
        assert ["k2"] == [line.key for line in emulator.bill.lines]
        assert {"k1": 1, "k2": 1} == dict(emulator.bill.requests_by_key)


async def test_no_key_at_all_is_unavailable_and_free() -> None:
    async with emulated(FaultRule(status=429, wait_s=30)) as (emulator, client):
        with pytest.raises(UpstreamUnavailable) as caught:
            await with_any_key(client, edit())
        assert 0 == emulator.bill.charges
    assert caught.value.retry_after == pytest.approx(31, abs=5)


async def test_an_exhausted_account_is_passed_over() -> None:
    accounts = [
        AccountSettings("a1", (KeySettings("k1", KEYS[0].secret),), available=0),
        AccountSettings("a2", (KeySettings("k2", KEYS[1].secret),)),
    ]
    async with emulated(accounts=accounts) as (emulator, client):
        await with_any_key(client, edit())
        assert {"a2": 1000} == {k: v for k, v in emulator.bill.by_account.items() if v}


async def test_the_account_is_read_to_the_thousandth() -> None:
    async with emulated() as (_, client):
        for _ in range(6):
            await client.send(cut_out(), KEYS[0])
        state = await PhotoroomDesk(client, KeyRing(KEYS)).ask(KEYS[0].account_id)
    assert AccountState(998_800, 1_000_000, "plus") == state


async def test_an_old_price_plan_is_read_from_v1() -> None:
    accounts = [
        AccountSettings("a1", (KeySettings("k1", KEYS[0].secret),), available=7, old_pricing=True)
    ]
    async with emulated(accounts=accounts) as (emulator, client):
        state = await PhotoroomDesk(client, KeyRing(KEYS)).ask(KEYS[0].account_id)
        assert {"GET /v2/account": 1, "GET /v1/account": 1} == dict(emulator.bill.questions)
    assert 7000 == state.available_milli
