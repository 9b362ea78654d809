"""Wrappers of the ports that count, time and log, so that the pipeline need not."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from itertools import count

from prometheus_client import Counter, Gauge, Histogram

from gateway.domain.answer import AccountState, Answer
from gateway.domain.calls import Call, Delivery, Plan
from gateway.domain.edit import ImageRef
from gateway.domain.errors import GatewayError, InternalError
from gateway.pipeline import Editor, ReadDraft, ReadUpload
from gateway.ports import Purchase, Upstream
from gateway.telemetry.metrics import Metrics

__all__ = ["ObservedEditor", "ObservedUpstream"]

_log = logging.getLogger("gateway.requests")


_SAMPLE = 100
"""One hit in so many has a log line: a line costs more than the hit. The metrics count them all."""


class _Children:
    """The children of labelled metrics, each looked up once: `labels` costs more than the counting."""

    def __init__(self) -> None:
        self.counter: Callable[..., Counter] = cache(Counter.labels)
        self.gauge: Callable[..., Gauge] = cache(Gauge.labels)
        self.histogram: Callable[..., Histogram] = cache(Histogram.labels)


class ObservedEditor:
    """An Editor: each call is counted, timed, and leaves one log line; of hits, one in a hundred does."""

    def __init__(self, inner: Editor, metrics: Metrics) -> None:
        self._inner = inner
        self._metrics = metrics
        self._of = _Children()
        self._hits = count()

    async def edit(self, call: Call, read: ReadDraft) -> Delivery:
        with self._observed(call) as line:
            delivery = await self._inner.edit(call, read)
            cache = delivery.cache
            line |= {"cost_milli": delivery.cost_milli, "cache": cache.tier or cache.why_not}
            if cache.tier:
                line["sample"] = _SAMPLE
            tenant, operation = call.record.tenant, call.operation
            counter, metrics = self._of.counter, self._metrics
            counter(metrics.cached, tenant, operation, line["cache"]).inc()
            counter(metrics.saved_credits, tenant, operation).inc(cache.saved_milli / 1000)
            counter(metrics.spent_credits, tenant, operation).inc(delivery.cost_milli / 1000)
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
        of, metrics = self._of, self._metrics
        in_flight = of.gauge(metrics.in_flight, call.door)
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
            door, operation, tenant = call.door, call.operation, call.record.tenant
            of.counter(metrics.requests, door, operation, tenant, outcome, fault).inc()
            of.histogram(metrics.request_seconds, door, operation).observe(seconds)
            if "sample" not in line or next(self._hits) % _SAMPLE == 0:
                line |= {
                    "request_id": call.request_id,
                    "door": door,
                    "operation": operation,
                    "tenant": tenant,
                    "digest": call.record.digest,
                    "outcome": outcome,
                    "fault": fault,
                    "seconds": round(seconds, 4),
                }
                level = logging.INFO if mistake is None else logging.ERROR
                _log.log(level, "call", extra=line, exc_info=mistake)


class ObservedUpstream:
    """An Upstream: each attempt is counted and timed."""

    def __init__(self, inner: Upstream, metrics: Metrics) -> None:
        self._inner = inner
        self._metrics = metrics

    async def buy(self, purchase: Purchase, key: str) -> Answer:
        started = time.monotonic()
        operation = purchase.edit.operation.value
        outcome, ending = "CANCELLED", "unknown"
        try:
            answer = await self._inner.buy(purchase, key)
            outcome, ending = "OK", "spent"
        except GatewayError as error:
            outcome, ending = error.reason, error.ending.value
            raise
        except Exception:
            outcome = InternalError.reason
            raise
        finally:
            self._metrics.upstream_calls.labels(operation, outcome, ending).inc()
            self._metrics.upstream_seconds.labels(operation).observe(time.monotonic() - started)
        return answer
