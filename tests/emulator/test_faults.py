"""Scripted faults, and what the bill says after each of them."""

import asyncio

import aiohttp
import pytest

from gateway.emulator import Cut, Emulator, EmulatorSettings, FaultRule, LatencySettings, Wrong
from gateway.emulator.faults import NO_FAULT, Faults, read_rules
from tests.emulator.support import Caller, calling, opened


async def fate(caller: Caller) -> str:
    """How an edit ended for the caller: its status, or how the connection did."""
    try:
        return str((await caller.edit()).status)
    except aiohttp.ClientPayloadError:
        return "torn"
    except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
        return "cut"


@pytest.mark.parametrize(
    ("cut", "ending", "charges"),
    [
        (Cut.BEFORE_BODY, "cut", 0),
        (Cut.BEFORE_CHARGE, "cut", 0),
        (Cut.AFTER_CHARGE, "cut", 1),
        (Cut.AFTER_HEAD, "torn", 1),
        (Cut.MID_BODY, "torn", 1),
    ],
)
async def test_a_cut_is_charged_once_the_answer_was_ready(
    cut: Cut, ending: str, charges: int
) -> None:
    async with Emulator() as emulator, calling(emulator) as caller:
        emulator.faults.add(FaultRule(operation="edit", cut=cut, times=1))
        assert ending == await fate(caller)
        await emulator.until(lambda: emulator.bill.answers["cut"] == 1)
        assert charges == emulator.bill.charges
        assert {"POST /v2/edit": 1} == emulator.bill.requests
        assert "200" == await fate(caller)


async def test_a_torn_answer_promises_more_than_it_brings() -> None:
    async with Emulator() as emulator, aiohttp.ClientSession() as session:
        emulator.faults.add(FaultRule(cut=Cut.MID_BODY))
        params = {"imageUrl": "https://far.invalid/a.png"}
        request = session.get(
            f"{emulator.url}/v2/edit", params=params, headers={"x-api-key": "emulator-key"}
        )
        async with request as answer:
            promised = int(answer.headers["Content-Length"])
            assert (200, "image/png") == (answer.status, answer.content_type)
            assert promised // 2 == len(await answer.content.readexactly(promised // 2))
            with pytest.raises(aiohttp.ClientPayloadError):
                await answer.content.read(1)


async def test_a_caller_who_hangs_up_pays() -> None:
    async with Emulator() as emulator, calling(emulator) as caller:
        emulator.faults.add(FaultRule(gate="slow"))
        call = asyncio.ensure_future(caller.edit())
        await emulator.until(lambda: emulator.gates.waiting("slow") == 1)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        assert 0 == emulator.bill.charges
        emulator.gates.open("slow")
        await emulator.until(lambda: emulator.bill.charges == 1)


async def test_a_caller_who_hangs_up_before_the_body_ended_pays_nothing() -> None:
    async with Emulator() as emulator:
        _, writer = await asyncio.open_connection("127.0.0.1", int(emulator.url.rpartition(":")[2]))
        head = (
            "POST /v2/edit HTTP/1.1\r\nHost: x\r\nx-api-key: emulator-key\r\nContent-Length: 99\r\n"
        )
        writer.write(f"{head}Content-Type: multipart/form-data; boundary=x\r\n\r\n--x".encode())
        await emulator.until(lambda: emulator.bill.requests["POST /v2/edit"] == 1)
        writer.close()
        await writer.wait_closed()
        await emulator.until(lambda: emulator.bill.answers["cut"] == 1)
        assert 0 == emulator.bill.charges


@pytest.mark.parametrize(("after", "charges"), [(False, 0), (True, 1)])
async def test_a_gate_holds_a_call_before_or_after_the_charge(
    after: bool,  # noqa: FBT001 - a column of the table
    charges: int,
) -> None:
    async with Emulator() as emulator, calling(emulator) as caller:
        emulator.faults.add(FaultRule(gate="g", gate_after_charge=after))
        call = asyncio.ensure_future(caller.edit())
        await emulator.until(lambda: emulator.gates.waiting("g") == 1)
        assert charges == emulator.bill.charges
        await caller.send("POST", "/_emulator/gates/g/open")
        assert 200 == (await call).status
        assert 1 == emulator.bill.charges


async def test_an_emulator_that_stops_lets_held_calls_go() -> None:
    async with asyncio.timeout(10):
        async with Emulator() as emulator, calling(emulator) as caller:
            emulator.faults.add(FaultRule(gate="never"))
            call = asyncio.ensure_future(fate(caller))
            await emulator.until(lambda: emulator.gates.waiting("never") == 1)
            emulator.reset()
            assert "200" == await call


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 413, 500, 502, 503, 504])
async def test_an_error_that_was_asked_for_is_free_unless_it_is_late(status: int) -> None:
    async with Emulator() as emulator, calling(emulator) as caller:
        emulator.faults.add(FaultRule(status=status, times=1))
        emulator.faults.add(FaultRule(status=status, charged=True))
        assert [str(status), str(status)] == [await fate(caller), await fate(caller)]
        assert 1 == emulator.bill.charges


async def test_a_proxys_error_is_a_page() -> None:
    async with Emulator() as emulator, calling(emulator) as caller:
        emulator.faults.add(FaultRule(status=502))
        answer = await caller.segment()
    assert "text/html" == answer.headers["content-type"].partition(";")[0]
    assert b"502 Bad Gateway" in answer.body


@pytest.mark.parametrize(
    ("retry_after", "header"), [(None, "14782"), ("3", "3"), ("", None), ("soon", "soon")]
)
async def test_a_429_may_lie_in_its_header(retry_after: str | None, header: str | None) -> None:
    async with Emulator() as emulator, calling(emulator) as caller:
        emulator.faults.add(FaultRule(status=429, wait_s=14_782, retry_after=retry_after))
        answer = await caller.edit()
    assert {"detail": "Request was throttled. Expected available in 14782 seconds."} == answer.json
    assert header == answer.headers.get("retry-after")


async def test_an_error_may_have_any_body() -> None:
    async with Emulator() as emulator, calling(emulator) as caller:
        emulator.faults.add(FaultRule(status=500, body="oops", content_type="text/plain"))
        answer = await caller.edit()
    assert (b"oops", True) == (answer.body, answer.headers["content-type"].startswith("text/plain"))


@pytest.mark.parametrize(
    ("wrong", "content_type"), [(Wrong.JSON, "application/json"), (Wrong.EMPTY, "image/png")]
)
async def test_a_200_without_a_picture_is_charged(wrong: Wrong, content_type: str) -> None:
    async with Emulator() as emulator, calling(emulator) as caller:
        emulator.faults.add(FaultRule(wrong=wrong))
        answer = await caller.edit()
        assert 1 == emulator.bill.charges
    assert (200, content_type) == (answer.status, answer.headers["content-type"].partition(";")[0])
    assert (wrong is Wrong.EMPTY) == (answer.body == b"")


async def test_a_200_may_name_attributes_that_are_known() -> None:
    async with Emulator() as emulator, calling(emulator) as caller:
        emulator.faults.add(FaultRule(unsupported=("padding",)))
        answer = await caller.edit({"padding": "0.1"})
    assert "Unsupported attributes: padding" == answer.headers["pr-unsupported-attributes"]
    assert (120, 80) == opened(answer.body).size


@pytest.mark.parametrize("status", [400, 403, 500])
async def test_account_calls_can_fail_too(status: int) -> None:
    async with Emulator() as emulator, calling(emulator) as caller:
        emulator.faults.add(FaultRule(operation="account", status=status))
        assert status == (await caller.send("GET", "/v2/account")).status
        assert "200" == await fate(caller)


@pytest.mark.parametrize(
    ("rule", "status"),
    [
        (FaultRule(status=500), 200),
        (FaultRule(key="k1", method="GET", status=500), 200),
        (FaultRule(path="/v2/account", status=500), 500),
    ],
)
async def test_account_calls_are_met_only_by_rules_that_say_so(
    rule: FaultRule, status: int
) -> None:
    async with Emulator() as emulator, calling(emulator) as caller:
        emulator.faults.add(rule)
        assert status == (await caller.send("GET", "/v2/account")).status


async def test_latency_is_of_the_class_of_the_call_or_of_the_fault() -> None:
    latency = LatencySettings(generative=(30.0, 30.0), edit=(0.0, 0.01))
    async with Emulator(EmulatorSettings(latency=latency)) as emulator, calling(emulator) as caller:
        assert "200" == await fate(caller)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(caller.edit({"background.prompt": "x"}), 0.2)
        emulator.faults.add(FaultRule(latency_s=(0.0, 0.0)))
        assert 200 == (await caller.edit({"background.prompt": "x"})).status


def test_a_rule_meets_what_it_names_after_what_it_skips() -> None:
    faults = Faults()
    rule = FaultRule(operation="edit", key="a", method="POST", path="/v2/edit", skip=1, times=2)
    faults.add(rule)
    call = ("edit", "a", "POST", "/v2/edit")
    others = [("segment", *call[1:]), ("edit", "b", *call[2:]), (*call[:2], "GET", call[3])]
    assert [NO_FAULT] * 3 == [faults.take(*other) for other in others]
    assert [NO_FAULT, rule, rule, NO_FAULT] == [faults.take(*call) for _ in range(4)]
    assert (3,) == faults.met()


def test_the_first_rule_that_is_not_used_up_applies() -> None:
    faults, call = Faults(), ("edit", "a", "POST", "/v2/edit")
    first, second = FaultRule(status=500, times=1), FaultRule(status=503)
    faults.add(first, second)
    assert [first, second, second] == [faults.take(*call) for _ in range(3)]
    faults.clear()
    assert NO_FAULT == faults.take(*call)


def test_rules_are_read_from_json() -> None:
    text = '[{"cut": "mid_body", "latency_s": [0.1, 0.2], "times": 3}, {"wrong": "json"}]'
    expected = (
        FaultRule(cut=Cut.MID_BODY, latency_s=(0.1, 0.2), times=3),
        FaultRule(wrong=Wrong.JSON),
    )
    assert expected == read_rules(text)


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ('[{"status": 200}]', "0.status"),
        ('[{"kut": "mid_body"}]', "0.kut"),
        ('[{}, {"times": 0}]', "1.times"),
        ("nonsense", "Invalid JSON"),
    ],
)
def test_a_bad_rule_is_named(text: str, field: str) -> None:
    with pytest.raises(ValueError, match=field):
        read_rules(text)
