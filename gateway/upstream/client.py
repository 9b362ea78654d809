"""Photoroom's two paid calls and its account call, each sent at most once."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import aiohttp

from gateway.domain.answer import Answer
from gateway.domain.edit import Edit, Kind
from gateway.ports import Purchase
from gateway.upstream.exchange import exchange, open_session
from gateway.upstream.reading import Reply, read_answer
from gateway.upstream.request import account_request, edit_request
from gateway.upstream.settings import UpstreamKey, UpstreamSettings

__all__ = ["PhotoroomClient"]

_PRIVATE_KINDS = frozenset({Kind.TEXT, Kind.URL, Kind.EXTRA})


class PhotoroomClient:
    """Buys edits with a given key. Used as `async with`, which opens and closes its connections."""

    def __init__(self, settings: UpstreamSettings) -> None:
        self._settings = settings
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = open_session(self._settings)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(self, purchase: Purchase, key: UpstreamKey) -> Answer:
        """Buy one edit with one key: one request, never a second.

        Raises UpstreamRefused, KeyTrouble, UpstreamUnreachable, UpstreamFailed, OutcomeUnknown or
        UpstreamBadAnswer; the error's `ending` says what the attempt cost. A cancelled call is cut off,
        with an unknown outcome once it was sent.
        """
        timeouts = self._settings.timeouts
        total = timeouts.generative if purchase.edit.generative else timeouts.edit
        request = edit_request(self._settings, purchase, key)
        reply = await exchange(
            self._opened,
            request,
            timeouts=aiohttp.ClientTimeout(total=total, connect=timeouts.connect),
            max_answer=self._settings.max_answer,
        )
        return read_answer(reply, hide=(key.secret, *_private(purchase.edit)))

    async def ask_account(self, version: str, key: UpstreamKey) -> Reply:
        """Ask the account of `key` in API `version`. Free; raises as `exchange` does."""
        timeouts = self._settings.timeouts
        return await exchange(
            self._opened,
            account_request(self._settings, version, key),
            timeouts=aiohttp.ClientTimeout(total=timeouts.account, connect=timeouts.connect),
            max_answer=self._settings.max_answer,
        )

    @property
    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("PhotoroomClient is used inside `async with`")
        return self._session


def _private(edit: Edit) -> list[str]:
    """What must not come back in an error text: prompts, texts on layers, URLs."""
    return [p.wire for p in edit.parameters if p.kind in _PRIVATE_KINDS]
