"""Log lines as JSON, without secrets, prompts, URLs and pictures.

An exception is logged by its type and its stack, never by its message: a foreign message may repeat
what it choked on.
"""

from __future__ import annotations

import json
import logging
import time
import traceback
from typing import TextIO

__all__ = ["JsonFormatter", "TextFormatter", "set_up_logging"]

_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and what `extra` gave."""

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(self.fields(record), default=repr)

    @staticmethod
    def fields(record: logging.LogRecord) -> dict[str, object]:
        """Return what a line says."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, object] = {
            "time": f"{stamp}.{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {key: value for key, value in vars(record).items() if key not in _OWN}
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
            line["stack"] = [
                f"{frame.filename}:{frame.lineno} {frame.name}"
                for frame in traceback.extract_tb(record.exc_info[2])
            ]
        return line


class TextFormatter(JsonFormatter):
    """The same for people: time, level, message, then `name=value` for the rest."""

    def format(self, record: logging.LogRecord) -> str:
        line = self.fields(record)
        head = " ".join(str(line.pop(name)) for name in ("time", "level", "message"))
        return " ".join((head, *(f"{name}={value}" for name, value in line.items() if value != "")))


def set_up_logging(stream: TextIO, form: str = "json", level: int = logging.INFO) -> None:
    """Send every log line of the process from `level` on to `stream`, as `json` or, for people, as `text`."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
