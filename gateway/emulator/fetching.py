"""Fetches the pictures that a call names by URL, from this machine only."""

import ipaddress

import aiohttp
from yarl import URL

from gateway.emulator.headers import EDIT_LIMITS
from gateway.emulator.values import Refused, Settings

__all__ = ["fetch_images"]

_TIMEOUT = aiohttp.ClientTimeout(total=10)


async def fetch_images(settings: Settings) -> dict[str, bytes]:
    """The bytes of the loopback URLs by wire name; other addresses are drawn, not fetched.

    Raises `Refused` when a URL does not answer with a picture of at most 30 MB.
    """
    found = {}
    for name, value in settings.values:
        if name.endswith("Url") and isinstance(value, str) and _is_loopback(value):
            found[name] = await _fetch(name, value)
    return found


def _is_loopback(address: str) -> bool:
    try:
        url = URL(address)
        if url.host == "localhost":
            return True
        return ipaddress.ip_address(url.host or "").is_loopback
    except ValueError:
        return False


async def _fetch(name: str, address: str) -> bytes:
    limit = EDIT_LIMITS.file_mb * 1024 * 1024
    try:
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT) as session,
            session.get(address, allow_redirects=False) as answer,
        ):
            if answer.status == 200:
                chunks, total = [], 0
                async for chunk in answer.content.iter_any():
                    total += len(chunk)
                    if total > limit:
                        raise Refused(400, f"{name} is larger than {EDIT_LIMITS.file_mb}MB")
                    chunks.append(chunk)
                return b"".join(chunks)
    except (aiohttp.ClientError, TimeoutError, OSError):
        raise Refused(400, f"{name} could not be downloaded") from None
    raise Refused(400, f"{name} could not be downloaded: status {answer.status}")
