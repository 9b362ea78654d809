"""What a caller sees of each way in which the upstream can fail, and what each costs."""

from __future__ import annotations

from dataclasses import dataclass

import grpc
import pytest

from gateway.emulator.faults import Cut, FaultRule, Wrong
from gateway.v1.edit_service_pb2 import EditImageRequest
from tests.e2e.harness import Reply, RpcFailure, World, key_pair, rpc_failure, world
from tests.e2e.metric_lines import counted
from tests.support.pictures import png

PICTURE = png()
HTML = "<html><body><h1>An outage</h1></body></html>"
Code = grpc.StatusCode


@dataclass(frozen=True, slots=True)
class Case:
    """A fault of the upstream, and what is to come of it.

    `wait` is the Retry-After in seconds, `charges` what one call costs at the upstream, `ending` how
    the gateway books it, `attempts` how often the upstream is asked. `trouble` is the key's: the outcome,
    and how many of three calls are sent before the key is not asked any more.
    """

    name: str
    fault: FaultRule
    http: int
    rpc: grpc.StatusCode
    reason: str
    ending: str = "not_spent"
    charges: int = 0
    wait: int | None = None
    attempts: int = 1
    trouble: tuple[str, int] | None = None

    @property
    def bought(self) -> dict[tuple[str, ...], float]:
        """Outcome and ending of what three calls send."""
        if self.trouble:
            outcome, times = self.trouble
            return {(outcome, "dropped"): times}
        return {(self.reason, self.ending): 3 * self.attempts}


def page(status: int, *, charged: bool = False) -> FaultRule:
    return FaultRule(status=status, body=HTML, content_type="text/html", charged=charged)


def throttled(seconds: int) -> FaultRule:
    return FaultRule(status=429, wait_s=seconds)


REFUSED = (400, Code.FAILED_PRECONDITION, "UPSTREAM_REFUSED")
NO_KEY = (503, Code.UNAVAILABLE, "UPSTREAM_UNAVAILABLE")
FAILED = (502, Code.UNAVAILABLE, "UPSTREAM_FAILED")
UNKNOWN = (504, Code.ABORTED, "OUTCOME_UNKNOWN", "unknown")
NO_PICTURE = (502, Code.INTERNAL, "UPSTREAM_BAD_ANSWER", "spent", 1)

CASES = (
    Case("400", FaultRule(status=400), *REFUSED),
    Case("404", FaultRule(status=404), *REFUSED),
    Case("413 page", page(413), *REFUSED),
    Case("401", FaultRule(status=401), *NO_KEY, trouble=("KEY_REJECTED", 1)),
    Case("402", FaultRule(status=402), *NO_KEY, trouble=("KEY_EXHAUSTED", 1), wait=60),
    Case("403", FaultRule(status=403), *NO_KEY, trouble=("KEY_FORBIDDEN", 3)),
    Case("403 page", page(403), *NO_KEY, trouble=("KEY_FORBIDDEN", 3)),
    Case("429 seconds", throttled(7), *NO_KEY, trouble=("KEY_THROTTLED", 1), wait=8),
    Case("429 hours", throttled(14_782), *NO_KEY, trouble=("KEY_THROTTLED", 1), wait=14_783),
    Case("500", FaultRule(status=500), *FAILED, attempts=3),
    Case("500 page", page(500), *FAILED, attempts=3),
    Case("502 page", page(502), *UNKNOWN),
    Case("503 page", page(503), *UNKNOWN),
    Case("504 page", page(504), *UNKNOWN),
    Case("504 after the charge", page(504, charged=True), *UNKNOWN, charges=1),
    Case("503 with a wait", FaultRule(status=503, retry_after="9"), *UNKNOWN, wait=9),
    Case("cut at the head", FaultRule(cut=Cut.BEFORE_BODY), *UNKNOWN),
    Case("cut before the charge", FaultRule(cut=Cut.BEFORE_CHARGE), *UNKNOWN),
    Case("cut after the charge", FaultRule(cut=Cut.AFTER_CHARGE), *UNKNOWN, charges=1),
    Case("cut after the answer's head", FaultRule(cut=Cut.AFTER_HEAD), *NO_PICTURE),
    Case("cut within the picture", FaultRule(cut=Cut.MID_BODY), *NO_PICTURE),
    Case("200 with JSON", FaultRule(wrong=Wrong.JSON), *NO_PICTURE),
    Case("200 with nothing", FaultRule(wrong=Wrong.EMPTY), *NO_PICTURE),
)


async def edit_over_grpc(w: World) -> RpcFailure:
    request = EditImageRequest()
    request.edit.image_file.data = PICTURE
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await w.edits.EditImage(request, metadata=key_pair())
    return rpc_failure(caught.value)


def wait_of(reply: Reply) -> int | None:
    text = reply.headers.get("Retry-After")
    return None if text is None else int(text)


def is_wait(wait: int | None, seen: int | None) -> bool:
    """Whether the caller was told to wait so long; a second or two may have gone by meanwhile."""
    if wait is None or seen is None:
        return wait == seen
    return wait - 3 < seen <= wait


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
async def test_each_failure_of_the_upstream_has_its_status_its_reason_and_its_price(
    case: Case,
) -> None:
    async with world() as w:
        w.emulator.faults.add(case.fault)
        v2 = await w.post("/v2/edit", [], {"imageFile": PICTURE})
        v1 = await w.post("/v1/segment", [], {"image_file": PICTURE})
        rpc = await edit_over_grpc(w)

        assert [case.http] * 2 == [v2.status, v1.status]
        assert case.reason == v2.json["error"]["type"]
        assert (case.http, case.reason) == (v1.json["status_code"], v1.json["type"])
        assert (case.rpc, case.reason) == (rpc.code, rpc.reason)
        assert is_wait(case.wait, wait_of(v2)), v2.headers
        assert is_wait(case.wait, wait_of(v1)), v1.headers
        assert is_wait(case.wait, rpc.retry_seconds), rpc
        assert all((v2.json["error"]["message"], v1.json["detail"], rpc.message))
        assert 3 * case.charges == w.emulator.bill.charges
        bought = await counted(w, "gateway_upstream_calls_total", "outcome", "ending")
        assert case.bought == bought


@pytest.mark.parametrize(("after_charge", "charges"), [(False, 0), (True, 1)])
async def test_a_call_that_gets_no_answer_in_time_has_an_unknown_outcome(
    after_charge: bool,  # noqa: FBT001 - a column of the table
    charges: int,
) -> None:
    async with world(timeout="150ms") as w:
        w.emulator.faults.add(FaultRule(gate="held", gate_after_charge=after_charge))
        v2 = await w.post("/v2/edit", [], {"imageFile": PICTURE})
        rpc = await edit_over_grpc(w)

        assert (504, "OUTCOME_UNKNOWN") == (v2.status, v2.json["error"]["type"])
        assert (Code.ABORTED, "OUTCOME_UNKNOWN") == (rpc.code, rpc.reason)
        assert 2 * charges == w.emulator.bill.charges
        assert {"POST /v2/edit": 2} == dict(w.emulator.bill.requests)


async def test_an_upstream_that_cannot_be_reached_costs_nothing() -> None:
    async with world() as w:
        await w.emulator.__aexit__(None, None, None)
        v2 = await w.post("/v2/edit", [], {"imageFile": PICTURE})
        rpc = await edit_over_grpc(w)

        assert (503, "UPSTREAM_UNREACHABLE") == (v2.status, v2.json["error"]["type"])
        assert (Code.UNAVAILABLE, "UPSTREAM_UNREACHABLE") == (rpc.code, rpc.reason)


async def test_what_the_upstream_says_of_a_refusal_reaches_the_caller() -> None:
    said = '{"error": {"message": "upscale/mode must be equal to one of the allowed values"}}'
    async with world() as w:
        w.emulator.faults.add(FaultRule(status=400, body=said))
        reply = await w.post("/v2/edit", [], {"imageFile": PICTURE})
        rpc = await edit_over_grpc(w)

        words = "upscale/mode must be equal to one of the allowed values"
        assert [words] * 2 == [reply.json["error"]["message"], rpc.message]


async def test_every_failure_is_counted_by_its_reason_and_whose_fault_it_is() -> None:
    async with world() as w:
        await w.post("/v2/edit", [("padding", "9")], {"imageFile": PICTURE})
        await w.post("/v2/edit", [], {"imageFile": PICTURE}, key="nobody")
        w.emulator.faults.add(FaultRule(status=500))
        await w.post("/v2/edit", [], {"imageFile": PICTURE})

        counts = await counted(w, "gateway_requests_total", "tenant", "outcome", "fault")
        assert {
            ("catalog", "INVALID_REQUEST", "caller"): 1,
            ("", "UNAUTHENTICATED", "caller"): 1,
            ("catalog", "UPSTREAM_FAILED", "upstream"): 1,
        } == counts
