"""A gateway's ledger as its process keeps it: books in a real Redis, usage lines in a real log."""

from __future__ import annotations

import json
import logging
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from gateway.domain.edit import Operation
from gateway.domain.tenant import Tenant
from gateway.ports import Admission, Claim, Hold, Settlement
from gateway.store.admission import RedisAdmission
from gateway.store.connect import connect
from gateway.store.hold_table import HoldTable
from gateway.telemetry.admission import ObservedAdmission
from gateway.telemetry.ledger_metrics import LedgerMetrics
from gateway.telemetry.logs import JsonFormatter
from gateway.telemetry.usage_lines import USAGE_LOGGER
from tests.config.documents import HASHES

__all__ = ["Till", "configured", "logging_to", "till"]


@dataclass(frozen=True, slots=True)
class Till:
    """What buys through the ledger."""

    admission: Admission

    async def hold(self, tenant: str, cost: int = 1000, name: str = "") -> Hold:
        """Be admitted, and say that the call is sent."""
        operation = Operation.SEGMENT if cost == 200 else Operation.EDIT
        claim = Claim(name or uuid.uuid4().hex, Tenant(tenant), operation, cost, 60.0)
        hold = await self.admission.admit(claim)
        self.admission.sent(hold)
        return hold

    async def spend(
        self, tenant: str, calls: int, outcome: Settlement = Settlement.POSTED, cost: int = 1000
    ) -> None:
        """Make so many calls that end so."""
        for _ in range(calls):
            self.admission.settle(await self.hold(tenant, cost), outcome)


@contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """Have usage lines written to a file, as `serve` writes them to standard error."""
    logger = logging.getLogger(USAGE_LOGGER)
    before = logger.level
    with path.open("a", encoding="utf-8") as file:
        handler = logging.StreamHandler(file)
        handler.setFormatter(JsonFormatter())
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        try:
            yield
        finally:
            logger.removeHandler(handler)
            logger.setLevel(before)


@asynccontextmanager
async def till(url: str, log: Path) -> AsyncIterator[Till]:
    """Run a replica's ledger; at the end, Redis has heard of all that was settled."""
    link = connect(url)
    try:
        inner = RedisAdmission(
            link, uuid.uuid4().hex, HoldTable(time.monotonic), replicas=lambda: 1, window=0.0
        )
        with logging_to(log):
            async with inner.running():
                yield Till(ObservedAdmission(inner, LedgerMetrics(CollectorRegistry())))
    finally:
        await link.aclose()


def configured(folder: Path, redis: dict[str, str] | str, **tenants: dict[str, Any]) -> Path:
    """Write a configuration with these tenants; return its file."""
    (folder / "key").write_text("sk_pr_0123456789")
    document = {
        "redis": redis,
        "upstream": {
            "accounts": [{"id": "main", "keys": [{"id": "k1", "secret_file": "key"}]}],
        },
        "tenants": [
            {"id": name, "credentials_sha256": [hashed], **settings}
            for (name, settings), hashed in zip(tenants.items(), HASHES, strict=False)
        ],
    }
    file = folder / "gateway.yaml"
    file.write_text(json.dumps(document))  # JSON is YAML
    return file
