"""How long a REST client waits."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.domain.errors import InvalidRequest, Violation
from gateway.domain.numbers import read_number
from gateway.domain.violations import Code

__all__ = ["request_seconds"]

_NAME = "Request-Timeout"


def request_seconds(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of `Request-Timeout`; None where it is not sent: the pipeline has a default.

    Raises InvalidRequest for anything but a number above zero.
    """
    text = headers.get(_NAME)
    if text is None:
        return None
    try:
        seconds = read_number(text.strip())
    except ValueError:
        seconds = 0.0
    if seconds <= 0:
        why = "must be a number of seconds above 0"
        raise InvalidRequest([Violation(_NAME, Code.NOT_A_NUMBER, why)])
    return seconds
