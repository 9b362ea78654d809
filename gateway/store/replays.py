"""What became of calls under idempotency keys, in the state Redis."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from gateway.domain.edit import ImageRef
from gateway.ports import BoardUnavailable, Replay, ReplayConflict
from gateway.store.keyspace import REPLAY_MS, replay_key
from gateway.store.link import Link, RedisTrouble
from gateway.store.scripts import Script, ScriptCall, load, run

__all__ = ["RedisReplays", "ReplayScripts"]


@dataclass(frozen=True, slots=True)
class ReplayScripts:
    """The scripts of the book."""

    open: Script
    close: Script

    @classmethod
    def load(cls) -> ReplayScripts:
        """Read them from the package."""
        return cls(load("replay_open"), load("replay_close"))


class RedisReplays:
    """ReplayBook over a link. Asked twice with the same words, Redis answers the same."""

    def __init__(self, link: Link, scripts: ReplayScripts | None = None) -> None:
        self._link = link
        self._scripts = scripts or ReplayScripts.load()

    async def open(self, slot: str, request: str) -> Replay | None:
        """Open the slot for the request; return how it ended if it has. Raises ReplayConflict."""
        answer = await self._run(self._scripts.open, slot, request, REPLAY_MS)
        match [part.decode() for part in answer]:
            case ["open"]:
                return None
            case ["ended", outcome]:
                return _decode(outcome)
        raise ReplayConflict

    async def close(self, slot: str, request: str, replay: Replay) -> None:
        """Note how the call in the slot ended; the first word stands."""
        await self._run(self._scripts.close, slot, request, _encode(replay), REPLAY_MS)

    async def _run(self, script: Script, slot: str, *arguments: str | int) -> Any:  # noqa: ANN401 - a reply has any shape
        try:
            [answer] = await run(self._link, ScriptCall(script, (replay_key(slot),), arguments))
        except RedisTrouble as trouble:
            raise BoardUnavailable(str(trouble)) from None
        return answer


def _encode(replay: Replay) -> str:
    body = replay.body
    return json.dumps(
        {
            "reason": replay.reason,
            "message": replay.message,
            "body": None if body is None else [body.sha256, body.size],
            "media_type": replay.media_type,
            "headers": replay.headers,
            "cost_milli": replay.cost_milli,
        }
    )


def _decode(text: str) -> Replay:
    value = json.loads(text)
    body = value["body"]
    return Replay(
        reason=value["reason"],
        message=value["message"],
        body=None if body is None else ImageRef(*body),
        media_type=value["media_type"],
        headers=tuple((name, header) for name, header in value["headers"]),
        cost_milli=value["cost_milli"],
    )
