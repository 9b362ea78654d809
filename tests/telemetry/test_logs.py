"""Log lines: one JSON object each, and never the text of an exception."""

from __future__ import annotations

import io
import json
import logging
import re
import sys

from gateway.telemetry.logs import JsonFormatter, TextFormatter

SECRET = "canary-4411"


def record(message: str, *args: object, **extra: object) -> logging.LogRecord:
    made = logging.makeLogRecord({"msg": message, "args": args, "name": "gateway", **extra})
    made.levelname = "INFO"
    return made


def test_a_line_is_one_json_object_with_what_was_given() -> None:
    text = JsonFormatter().format(record("call of %s", "catalog", tenant="catalog", seconds=0.5))
    line = json.loads(text)

    assert "\n" not in text
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert {
        "level": "info",
        "logger": "gateway",
        "message": "call of catalog",
        "tenant": "catalog",
        "seconds": 0.5,
    } == line


def test_a_line_break_in_a_value_does_not_break_the_line() -> None:
    text = JsonFormatter().format(record("call", tenant="a\nb"))

    assert 1 == len(text.splitlines())
    assert "a\nb" == json.loads(text)["tenant"]


def failure() -> logging.LogRecord:
    try:
        int(SECRET)
    except ValueError:  # its text repeats what is no number
        return record("call", exc_info=sys.exc_info())
    raise AssertionError("it is a number")


def test_an_exception_is_logged_by_type_and_stack_and_never_by_its_text() -> None:
    for formatter in (JsonFormatter(), TextFormatter()):
        text = formatter.format(failure())

        assert "ValueError" in text
        assert "test_logs.py" in text
        assert SECRET not in text


def test_people_get_the_same_in_one_line() -> None:
    text = TextFormatter().format(record("call", tenant="catalog", fault=""))

    assert re.fullmatch(r"\S+ info call logger=gateway tenant=catalog", text)


def test_a_value_that_json_does_not_know_is_shown_as_python_would() -> None:
    line = json.loads(JsonFormatter().format(record("call", ports={1})))

    assert "{1}" == line["ports"]


def test_lines_go_where_they_are_sent() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("tests.telemetry")
    logger.addHandler(handler)
    try:
        logger.error("ours", extra={"tenant": "catalog"})
    finally:
        logger.removeHandler(handler)

    assert ("error", "catalog") == tuple(
        json.loads(stream.getvalue())[k] for k in ("level", "tenant")
    )
