"""The id under which a request is found in every log."""

from __future__ import annotations

import re
import secrets
from typing import Final

__all__ = ["REQUEST_ID", "request_id"]

REQUEST_ID: Final = "x-request-id"
"""The name of the id in headers and metadata, both ways."""

_PROPER = re.compile(r"[A-Za-z0-9._-]{1,64}")


def request_id(sent: str | None) -> str:
    """Return the caller's own id if it is a plain one, else a new one."""
    return sent if sent is not None and _PROPER.fullmatch(sent) else secrets.token_hex(16)
