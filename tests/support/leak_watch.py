"""A watch over the whole suite: no planted secret reaches a log line, a metric or an error.

The secrets of the fixtures (keys of tenants and upstream, prompts, queries of URLs, text inside pictures)
all hold one word, `MARK`. Every log record of the process is searched for it in the forms in which the
gateway writes logs, and a test in whose time it is found fails. The end-to-end harness looks at every
error and at the metrics of every gateway.
"""

from __future__ import annotations

import base64
import logging
import re
import traceback
from collections.abc import Generator, Iterator
from typing import Final

import pytest

from gateway.telemetry.logs import JsonFormatter, TextFormatter

__all__ = ["MARK", "LeakWatch", "leaks"]

MARK: Final = "canary"
"""The word in every planted secret."""


def _in_base64(offset: int) -> bytes:
    """What base64 makes of the word when `offset` bytes stand before it, its whole characters alone."""
    text = base64.b64encode(bytes(offset) + MARK.encode())
    return text[-(-offset * 8 // 6) : (offset + len(MARK)) * 8 // 6]


_FORMS = re.compile(
    b"|".join(
        [
            b"(?i:%b|%b)" % (MARK.encode(), MARK.encode().hex().encode()),
            *(_in_base64(offset) for offset in range(3)),
        ]
    )
)


def leaks(*texts: bytes | str) -> list[str]:
    """Return each place where the word stands: plain, in hexadecimal, or in base64."""
    whole = b"\n".join(text.encode() if isinstance(text, str) else text for text in texts)
    return [
        whole[max(0, found.start() - 30) : found.end() + 30].decode(errors="replace")
        for found in _FORMS.finditer(whole)
    ]


class LeakWatch(logging.Handler):
    """A pytest plugin; `start` begins the watch.

    It watches from the first fixture of a test to the end of its last one, those of the session among
    them, and makes the test itself fail: so it works in each worker of xdist as it does without.
    """

    def __init__(self) -> None:
        super().__init__()
        self._formatters = (JsonFormatter(), TextFormatter())
        self._found: list[str] = []

    @classmethod
    def start(cls, config: pytest.Config) -> None:
        """Watch the session of `config`."""
        config.pluginmanager.register(cls(), cls.__name__)

    def emit(self, record: logging.LogRecord) -> None:
        """Search a record as it is written, and the messages of its exceptions, which are not."""
        texts = [formatter.format(record) for formatter in self._formatters]
        if record.exc_info and record.exc_info[1]:
            texts += _messages(record.exc_info[1])
        where = f"{record.name}, {record.pathname}:{record.lineno}"
        self._found += [f"logged by {where}: ...{found}..." for found in leaks(*texts)]

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self) -> Generator[None, object, object]:
        """See what production logs. Tests may set up logging themselves, which drops all handlers."""
        root = logging.getLogger()
        level = root.level
        root.setLevel(logging.INFO)
        root.addHandler(self)
        try:
            return (yield)
        finally:
            root.removeHandler(self)
            root.setLevel(level)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self,
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Fail the phase of the test in which something leaked."""
        report = yield
        if self._found:
            report.outcome = "failed"
            report.longrepr = "\n".join([f"{report.longrepr or ''}", *self._found])
            self._found.clear()
        return report


def _messages(error: BaseException | None) -> Iterator[str]:
    while error is not None:
        yield from traceback.format_exception_only(error)
        error = error.__cause__ or error.__context__
