"""Wrappers of the ports that count, time and log, so that the pipeline need not."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from gateway.domain.answer import AccountState, Answer
from gateway.domain.calls import Call, Delivery, Plan
from gateway.domain.edit import ImageRef
from gateway.domain.errors import GatewayError, InternalError
from gateway.pipeline import Editor, ReadDraft, ReadUpload
from gateway.ports import Purchase, Upstream
from gateway.telemetry.metrics import Metrics

__all__ = ["ObservedEditor", "ObservedUpstream"]

_log = logging.getLogger("gateway.requests")


class ObservedEditor:
    """An Editor: each call is counted, timed, and leaves one log line."""

    def __init__(self, inner: Editor, metrics: Metrics) -> None:
        self._inner = inner
        self._metrics = metrics

    async def edit(self, call: Call, read: ReadDraft) -> Delivery:
        with self._observed(call) as line:
            delivery = await self._inner.edit(call, read)
            cache = delivery.cache
            line |= {"cost_milli": delivery.cost_milli, "cache": cache.tier or cache.why_not}
            self._metrics.cached.labels(call.record.tenant, call.operation, line["cache"]).inc()
            saved = self._metrics.saved_credits.labels(call.record.tenant, call.operation)
            saved.inc(cache.saved_milli / 1000)
            spent = self._metrics.spent_credits.labels(call.record.tenant, call.operation)
            spent.inc(delivery.cost_milli / 1000)
        return delivery

    async def plan(self, call: Call, read: ReadDraft) -> Plan:
        with self._observed(call):
            return await self._inner.plan(call, read)

    async def account(self, call: Call) -> AccountState:
        with self._observed(call):
            return await self._inner.account(call)

    async def upload(self, call: Call, read: ReadUpload) -> ImageRef:
        with self._observed(call):
            return await self._inner.upload(call, read)

    async def download(self, call: Call, sha256: str) -> bytes:
        with self._observed(call):
            return await self._inner.download(call, sha256)

    @contextmanager
    def _observed(self, call: Call) -> Iterator[dict[str, object]]:
        started = time.monotonic()
        in_flight = self._metrics.in_flight.labels(call.door)
        in_flight.inc()
        line: dict[str, object] = {}
        outcome, fault, mistake = "CANCELLED", "caller", None
        try:
            yield line
            outcome, fault = "OK", ""
        except GatewayError as error:
            outcome, fault = error.reason, error.fault.value
            raise
        except Exception as error:
            outcome, fault, mistake = InternalError.reason, InternalError.fault.value, error
            raise
        finally:
            in_flight.dec()
            seconds = time.monotonic() - started
            tenant = call.record.tenant
            metrics = self._metrics
            metrics.requests.labels(call.door, call.operation, tenant, outcome, fault).inc()
            metrics.request_seconds.labels(call.door, call.operation).observe(seconds)
            line |= {
                "request_id": call.request_id,
                "door": call.door,
                "operation": call.operation,
                "tenant": tenant,
                "digest": call.record.digest,
                "outcome": outcome,
                "fault": fault,
                "seconds": round(seconds, 4),
            }
            level = logging.INFO if mistake is None else logging.ERROR
            _log.log(level, "call", extra=line, exc_info=mistake)


class ObservedUpstream:
    """An Upstream: each purchase is counted and timed."""

    def __init__(self, inner: Upstream, metrics: Metrics) -> None:
        self._inner = inner
        self._metrics = metrics

    async def buy(self, purchase: Purchase) -> Answer:
        started = time.monotonic()
        operation = purchase.edit.operation.value
        outcome, ending = "CANCELLED", "unknown"
        try:
            answer = await self._inner.buy(purchase)
            outcome, ending = "OK", "spent"
        except GatewayError as error:
            outcome, ending = error.reason, error.ending.value
            raise
        finally:
            self._metrics.upstream_calls.labels(operation, outcome, ending).inc()
            self._metrics.upstream_seconds.labels(operation).observe(time.monotonic() - started)
        return answer
