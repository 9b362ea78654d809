"""Durations, amounts of bytes and listen addresses, as they are written in the configuration."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated

from pydantic import BeforeValidator, Field

from gateway.config.marks import Written

__all__ = [
    "Address",
    "Bytes",
    "Duration",
    "ListenAddress",
    "parse_address",
    "parse_bytes",
    "parse_duration",
]

_SECONDS = {
    "ms": Decimal("0.001"),
    "s": Decimal(1),
    "m": Decimal(60),
    "h": Decimal(3600),
    "d": Decimal(86400),
}
_BYTES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}

_DURATION = re.compile(rf"(\d{{1,9}}(?:\.\d{{1,6}})?)({'|'.join(_SECONDS)})", re.ASCII)
_AMOUNT = re.compile(rf"(\d{{1,12}})({'|'.join(_BYTES)})", re.ASCII)
_ADDRESS = re.compile(r"(\[[^\[\]]+\]|[^:\[\]]+):(\d{1,5})", re.ASCII)
_HOST_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?", re.ASCII)
_LAST_PORT = 65535


@dataclass(frozen=True, slots=True)
class Address:
    """Where a door listens. Port 0 takes a free one; `host` has no brackets around IPv6."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def parse_duration(text: str) -> float:
    """Return the seconds of a number with its unit, such as `10ms`, `1.5h`. Raises ValueError."""
    found = _DURATION.fullmatch(text)
    if not found:
        raise ValueError("has to be a duration with its unit: 10ms, 60s, 5m, 1h or 30d")
    return float(Decimal(found[1]) * _SECONDS[found[2]])


def parse_bytes(text: str) -> int:
    """Return the bytes of a whole number with its unit, such as `256MiB`. Raises ValueError."""
    found = _AMOUNT.fullmatch(text)
    if not found:
        raise ValueError(
            "has to be a whole amount with its unit: 512B, 64KiB, 256MiB, 1GiB or 1TiB"
        )
    return int(found[1]) * _BYTES[found[2]]


def parse_address(text: str) -> Address:
    """Read `host:port` or `[IPv6]:port`. Raises ValueError."""
    found = _ADDRESS.fullmatch(text)
    if not found or int(found[2]) > _LAST_PORT or not _is_host(found[1]):
        raise ValueError("has to be host:port, such as 0.0.0.0:8080 or [::]:8080")
    return Address(found[1].strip("[]"), int(found[2]))


def _is_host(text: str) -> bool:
    if not text.startswith("["):
        return _HOST_NAME.fullmatch(text) is not None
    try:
        ipaddress.IPv6Address(text.strip("[]"))
    except ValueError:
        return False
    return True


def _from_text(parse: Callable[[str], object]) -> BeforeValidator:
    """Return a validator that hands text alone to `parse`: anything else is refused in its words."""
    return BeforeValidator(lambda value: parse(value if isinstance(value, str) else ""))


Duration = Annotated[
    float,
    _from_text(parse_duration),
    Field(gt=0),
    Written("duration, such as `10ms`, `60s`, `5m`, `1h`, `30d`"),
]
"""Seconds, more than none."""

Bytes = Annotated[int, _from_text(parse_bytes), Written("bytes, such as `64KiB`, `256MiB`, `1GiB`")]
"""Bytes, none allowed."""

ListenAddress = Annotated[Address, _from_text(parse_address), Written("`host:port`")]
