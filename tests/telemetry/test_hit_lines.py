"""Of hits, one in a hundred has a log line: the metrics count them all."""

from __future__ import annotations

import logging

import pytest

from gateway.telemetry.metrics import Metrics
from gateway.telemetry.observers import ObservedEditor
from tests.pipeline.recording import Steps, a_call, an_edit


async def logged(caplog: pytest.LogCaptureFixture, calls: int) -> list[tuple[object, object]]:
    """What the log says of a purchase and the hits that follow it: the source and the sample."""
    steps = Steps()
    editor = ObservedEditor(steps.pipeline, Metrics("1"))
    with caplog.at_level(logging.INFO, "gateway.requests"):
        for _ in range(calls):
            await editor.edit(a_call(), an_edit(steps))
    return [(vars(line)["cache"], vars(line).get("sample")) for line in caplog.records]


async def test_a_line_of_a_hit_says_for_how_many_it_stands(
    caplog: pytest.LogCaptureFixture,
) -> None:
    hit = ("redis", 100)
    assert [("miss", None), hit, hit, hit] == await logged(caplog, 1 + 201)


async def test_a_process_logs_its_first_hit(caplog: pytest.LogCaptureFixture) -> None:
    assert [("miss", None), ("redis", 100)] == await logged(caplog, 3)
