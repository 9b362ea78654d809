"""The control calls: bill, requests, accounts, faults, reset."""

import pytest

from tests.emulator.support import serving


@pytest.mark.parametrize("path", ["/v2/edits", "/", "/v1/edit"])
async def test_other_paths_are_404(path: str) -> None:
    async with serving() as (emulator, caller):
        assert 404 == (await caller.send("GET", path)).status
        assert {"GET (unknown)": 1} == emulator.bill.requests


async def test_control_reads_the_bill_and_the_requests() -> None:
    async with serving() as (_, caller):
        await caller.edit({"padding": "0.1"})
        bill = (await caller.send("GET", "/_emulator/bill")).json
        requests = (await caller.send("GET", "/_emulator/requests")).json
        health = await caller.send("GET", "/_emulator/healthz")
    assert isinstance(bill, dict)
    assert isinstance(requests, list)
    assert 200 == health.status
    assert (1, 1000, {"one": 1000}) == (bill["charges"], bill["thousandths"], bill["by_account"])
    assert ({"POST /v2/edit": 1}, {"200": 1}) == (bill["requests"], bill["answers"])
    assert [["padding", "0.1"]] == requests[0]["params"]


async def test_account_calls_are_free_and_are_counted_apart() -> None:
    async with serving() as (_, caller):
        for path in ("/v2/account", "/v2/account", "/v1/account"):
            await caller.send("GET", path)
        bill = (await caller.send("GET", "/_emulator/bill")).json
    assert isinstance(bill, dict)
    assert {"GET /v2/account": 2, "GET /v1/account": 1} == bill["questions"]
    assert ({}, {}, {}) == (bill["requests"], bill["requests_by_key"], bill["answers"])


async def test_control_changes_accounts_and_keys() -> None:
    async with serving() as (_, caller):
        for change in ({"account": "one", "available": 7}, {"key": "b", "status": 401}):
            assert 200 == (await caller.send("POST", "/_emulator/accounts", json=change)).status
        account = await caller.send("GET", "/v2/account")
        closed = await caller.send("GET", "/v2/account", headers={"x-api-key": "B"})
        wrong = await caller.send(
            "POST", "/_emulator/accounts", json={"account": "two", "available": 1}
        )
        unknown = await caller.send("POST", "/_emulator/accounts", json={"acount": "one"})
    assert isinstance(account.json, dict)
    assert 7 == account.json["images"]["available"]
    assert [200, 400, 400] == [closed.status, wrong.status, unknown.status]


async def test_control_scripts_faults_and_takes_them_back() -> None:
    async with serving() as (_, caller):
        bad = await caller.send("POST", "/_emulator/faults", data=b'[{"cut": "sometimes"}]')
        await caller.send("POST", "/_emulator/faults", json=[{"operation": "edit", "status": 503}])
        faulty = await caller.edit()
        await caller.send("DELETE", "/_emulator/faults")
        well = await caller.edit()
    assert (400, True) == (bad.status, b"0.cut" in bad.body)
    assert [503, 200] == [faulty.status, well.status]


async def test_a_reset_forgets_everything() -> None:
    async with serving() as (emulator, caller):
        await caller.edit()
        await caller.send("POST", "/_emulator/reset")
        account = await caller.send("GET", "/v2/account")
        assert 0 == emulator.bill.charges
    assert isinstance(account.json, dict)
    assert 1000 == account.json["images"]["available"]
