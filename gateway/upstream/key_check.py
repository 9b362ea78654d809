"""Whether the upstream knows a key: by its account call, which costs nothing."""

from __future__ import annotations

from typing import Final, Protocol

from gateway.domain.errors import UpstreamError
from gateway.domain.keys import Verdict
from gateway.upstream.reading import Reply
from gateway.upstream.settings import UpstreamKey

__all__ = ["AccountCall", "check_key"]

_SHOWN: Final = {
    200: Verdict.SERVED,
    400: Verdict.SERVED,
    401: Verdict.REJECTED,
    402: Verdict.SERVED,
    403: Verdict.FORBIDDEN,
}
"""What a status shows of the key. A 400 comes for an account on old prices, or of the sandbox, and a 402
for an empty one: the upstream knows the key. Any other status is about something else."""


class AccountCall(Protocol):
    """Asks for the account of a key: `PhotoroomClient`."""

    async def ask_account(self, version: str, key: UpstreamKey) -> Reply:
        """Ask `v2` or `v1`. Raises UpstreamError."""
        ...


async def check_key(asker: AccountCall, key: UpstreamKey) -> Verdict:
    """Return SERVED, REJECTED or FORBIDDEN; NOTHING when the upstream has not said. Raises nothing."""
    try:
        reply = await asker.ask_account("v2", key)
    except UpstreamError:
        return Verdict.NOTHING
    return _SHOWN.get(reply.status, Verdict.NOTHING)
