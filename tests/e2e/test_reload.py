"""Tenants, limits and secrets change while the gateway runs; a file with a mistake changes nothing."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest

from gateway.emulator import Emulator
from gateway.emulator.faults import FaultRule
from gateway.v1.account_service_pb2 import GetAccountRequest
from gateway.v1.admin_service_pb2 import PurgeCacheRequest
from tests.client.waiting import until
from tests.config.mounted import Mounted
from tests.e2e.canaries import recorded_log
from tests.e2e.fleet import ADMINS, RED, failure, nothing_answers, purge, source, warm
from tests.e2e.harness import CATALOG_KEY, LAB_KEY, World, key_pair, tenant
from tests.e2e.reloading import SECRETS, following, metric_lines
from tests.e2e.serving import PATIENCE, Serving, configuration, serving
from tests.support.leak_watch import leaks
from tests.support.pictures import png

PICTURE = png()
CATALOG, LAB = tenant("catalog", CATALOG_KEY), tenant("lab", LAB_KEY)


async def status(w: World, key: str) -> int:
    """What a free call answers to a key."""
    return (await w.request("GET", "/v2/account", key=key)).status


async def until_it_answers(w: World, key: str, expected: int) -> None:
    async def does() -> bool:
        return await status(w, key) == expected

    await until(does)


async def edited(w: World, fields: list[tuple[str, str]], key: str = CATALOG_KEY) -> int:
    return (await w.post("/v2/edit", fields, {"imageFile": PICTURE}, key=key)).status


async def test_a_tenant_that_is_added_can_call_and_one_that_is_removed_cannot(
    tmp_path: Path,
) -> None:
    async with following(tmp_path) as f:
        assert (200, 401) == (await status(f.world, CATALOG_KEY), await status(f.world, LAB_KEY))

        f.change(tenants=[LAB])
        await until_it_answers(f.world, LAB_KEY, 200)
        assert 401 == await status(f.world, CATALOG_KEY)
        refusal = await failure(
            f.world.accounts.GetAccount(GetAccountRequest(), metadata=key_pair(CATALOG_KEY))
        )
        assert grpc.StatusCode.UNAUTHENTICATED == refusal.code
        await f.world.accounts.GetAccount(GetAccountRequest(), metadata=key_pair(LAB_KEY))

        f.change(tenants=[CATALOG, LAB])
        await until_it_answers(f.world, CATALOG_KEY, 200)


async def test_a_call_under_way_finishes_although_its_tenant_and_its_key_are_gone(
    tmp_path: Path,
) -> None:
    async with following(tmp_path) as f:
        f.world.emulator.faults.add(FaultRule(gate="held", times=1))
        call = asyncio.ensure_future(edited(f.world, []))
        await f.world.emulator.until(lambda: f.world.emulator.gates.waiting("held") == 1)
        f.secrets.swap({"key": SECRETS["k2"]})
        f.change(tenants=[LAB])
        await until_it_answers(f.world, CATALOG_KEY, 401)
        assert not call.done()

        f.world.emulator.gates.open("held")
        assert 200 == await call
        assert 1 == f.world.emulator.bill.charges


async def test_what_a_tenant_may_do_changes_with_its_next_call(tmp_path: Path) -> None:
    async with following(tmp_path) as f:
        unknown = [("shinyNewThing", "1")]
        assert 400 == await edited(f.world, unknown)
        f.change(tenants=[{**CATALOG, "unknown_parameters": "ignore"}])
        await f.until_metrics_have('gateway_config_reloads_total{outcome="applied"} 1.0')
        assert 200 == await edited(f.world, unknown)


async def test_a_limit_that_changes_holds_for_the_next_call(tmp_path: Path) -> None:
    async with following(tmp_path) as f:
        assert 200 == await edited(f.world, [("padding", "0.1")])
        f.change(tenants=[{**CATALOG, "max_cost": 0.5}])
        await f.until_metrics_have('gateway_config_reloads_total{outcome="applied"} 1.0')
        reply = await f.world.post("/v2/edit", [("padding", "0.2")], {"imageFile": PICTURE})
        assert (403, "REQUEST_COST") == (reply.status, reply.json["error"]["type"])
        f.change()
        await f.until_metrics_have('gateway_config_reloads_total{outcome="applied"} 2.0')
        assert 200 == await edited(f.world, [("padding", "0.2")])


WRONG: dict[str, Callable[[str], str]] = {
    "half of a file": lambda right: right[:-20],
    "an unknown key": lambda right: f'{right[:-1]}, "colour": "red"}}',
    "a key that stands twice": lambda right: f'{right[:-1]}, "tenants": []}}',
}


@pytest.mark.parametrize("name", WRONG)
async def test_a_file_with_a_mistake_changes_nothing_and_shows_until_it_is_mended(
    name: str, tmp_path: Path
) -> None:
    async with following(tmp_path) as f:
        before = await metric_lines(f.world.http, f.world.ops_url)
        assert "gateway_config_refused 0.0" in before
        [applied] = [line for line in before if line.startswith("gateway_config_applied_")]

        # What is right in the file is refused with the rest.
        f.write(WRONG[name](json.dumps(f.document | {"tenants": [LAB]})))
        await f.until_metrics_have(
            "gateway_config_refused 1.0",
            'gateway_config_reloads_total{outcome="refused"} 1.0',
            'gateway_config_reloads_total{outcome="applied"} 0.0',
            applied,
        )
        assert (200, 401) == (await status(f.world, CATALOG_KEY), await status(f.world, LAB_KEY))
        assert 200 == await edited(f.world, [])

        f.change(tenants=[LAB])
        await f.until_metrics_have(
            "gateway_config_refused 0.0", 'gateway_config_reloads_total{outcome="applied"} 1.0'
        )
        assert (401, 200) == (await status(f.world, CATALOG_KEY), await status(f.world, LAB_KEY))


async def test_a_secret_that_is_swapped_is_used_once_it_was_checked(tmp_path: Path) -> None:
    """Until then calls go on with the one before: none of them fails."""
    async with following(tmp_path) as f:
        lines = f.world.emulator.bill.lines
        shades = (f"0.{shade:03}" for shade in range(1, 1000))

        async def used(key: str) -> bool:
            assert 200 == await edited(f.world, [("padding", next(shades))])
            return lines[-1].key == key

        assert await used("k1")
        f.secrets.swap({"key": SECRETS["k2"]})
        await until(partial(used, "k2"))
        assert await used("k2")


async def test_neither_metrics_nor_log_show_a_secret(tmp_path: Path) -> None:
    with recorded_log() as log:
        async with following(tmp_path) as f:
            f.secrets.swap({"key": SECRETS["k2"]})
            f.change(tenants=[CATALOG, LAB])
            await until_it_answers(f.world, LAB_KEY, 200)
            f.secrets.swap({"key": f"sandbox_{SECRETS['k1']}"})
            await f.until_metrics_have("gateway_config_refused 1.0")
            page = await metric_lines(f.world.http, f.world.ops_url)
    assert [] == leaks(*page, log.getvalue())
    assert '"tenants_added": ["lab"]' in log.getvalue()
    assert "upstream.accounts[0].keys[0].secret_file: names a sandbox key" in log.getvalue()


async def test_results_and_purges_follow_the_scopes(tmp_path: Path) -> None:
    alone: dict[str, Any] = {"tenants": [CATALOG, LAB], "redis": "embedded", **ADMINS}

    async def lab_has_it(w: World) -> bool:
        return await source(w, RED, LAB_KEY) is not None

    async with following(tmp_path, **alone) as f:
        await warm([f.world], RED)
        assert not await lab_has_it(f.world)
        f.change(cache_scopes={"retail": ["catalog", "lab"]})
        await f.until_metrics_have('gateway_config_reloads_total{outcome="applied"} 1.0')
        await warm([f.world], RED)
        assert await lab_has_it(f.world)

        # A purge of one tenant reaches the scope that it has now.
        await purge(f.world, PurgeCacheRequest(tenant="lab"))
        await nothing_answers([f.world], RED)

        f.change(tenants=[CATALOG])
        await until_it_answers(f.world, LAB_KEY, 401)
        refusal = await failure(purge(f.world, PurgeCacheRequest(tenant="lab")))
        assert grpc.StatusCode.INVALID_ARGUMENT == refusal.code


async def test_administrators_change_too(tmp_path: Path) -> None:
    async with following(tmp_path, redis="embedded") as f:
        request = PurgeCacheRequest(all=True)
        refusal = await failure(purge(f.world, request))
        assert grpc.StatusCode.UNAUTHENTICATED == refusal.code
        f.change(**ADMINS)
        await f.until_metrics_have('gateway_config_reloads_total{outcome="applied"} 1.0')
        assert 0 < await purge(f.world, request)


async def test_a_change_that_needs_a_restart_is_named_and_the_rest_is_applied(
    tmp_path: Path,
) -> None:
    async with following(tmp_path) as f:
        f.change(tenants=[LAB], cache={"ttl": "1h"})
        await until_it_answers(f.world, LAB_KEY, 200)
        needs = 'gateway_config_needs_restart{path="cache.ttl"} 1.0'
        await f.until_metrics_have(needs, "gateway_config_refused 0.0")
        f.change(tenants=[LAB])
        await f.until_metrics_have('gateway_config_reloads_total{outcome="applied"} 2.0')
        assert needs not in await metric_lines(f.world.http, f.world.ops_url)


async def account(http: aiohttp.ClientSession, served: Serving, key: str) -> int:
    url = f"{served.rest_url}/v2/account"
    async with asyncio.timeout(PATIENCE), http.get(url, headers={"x-api-key": key}) as response:
        return response.status


async def test_the_process_reads_its_files_again_on_sighup_and_by_itself(tmp_path: Path) -> None:
    async with Emulator() as emulator, aiohttp.ClientSession() as http:
        document = configuration(emulator)
        mounted = Mounted(tmp_path)
        mounted.swap({"gateway.yaml": ""})
        async with serving(document, tmp_path) as served:

            async def metrics_have(line: str) -> bool:
                return line in await metric_lines(http, served.ops_url)

            async def answers(key: str, expected: int) -> bool:
                return await account(http, served, key) == expected

            # Unchanged files are never read again but for the signal.
            served.process.send_signal(signal.SIGHUP)
            await until(
                partial(metrics_have, 'gateway_config_reloads_total{outcome="unchanged"} 1.0')
            )
            mounted.swap({"gateway.yaml": json.dumps(document | {"tenants": [LAB]})})
            served.process.send_signal(signal.SIGHUP)
            await until(partial(answers, LAB_KEY, 200))
            assert 401 == await account(http, served, CATALOG_KEY)

            # The store's word on Redis counts as it does at the start.
            wrong = document | {"redis": {"state_url": "http://h"}}
            mounted.swap({"gateway.yaml": json.dumps(wrong)})
            served.process.send_signal(signal.SIGHUP)
            await until(partial(metrics_have, "gateway_config_refused 1.0"))
            assert 200 == await account(http, served, LAB_KEY)

            mounted.swap({"gateway.yaml": json.dumps(document)})
            await until(partial(answers, CATALOG_KEY, 200))
            served.process.send_signal(signal.SIGTERM)
            assert 0 == await served.ended()
    messages = [line["message"] for line in served.log]
    assert [] == served.plain
    refusal = served.log[
        messages.index("the configuration is refused, the settings before it go on")
    ]
    assert ["redis.state_url"] == [text.partition(":")[0] for text in refusal["mistakes"]]
