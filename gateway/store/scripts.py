"""Lua scripts: loaded from package data, called by their digest, sent in full where they are unknown."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from redis.exceptions import NoScriptError

from gateway.store.link import Command, Link, RedisRefused

__all__ = ["Script", "ScriptCall", "load", "run"]


@dataclass(frozen=True, slots=True)
class Script:
    """A script's text; Redis knows it by the SHA-1 of that."""

    text: str
    sha1: str

    @classmethod
    def of(cls, text: str) -> Script:
        """Return the script with that text."""
        return cls(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


@dataclass(frozen=True, slots=True)
class ScriptCall:
    """One call of a script; all its keys are in one hash slot."""

    script: Script
    keys: tuple[str, ...]
    arguments: tuple[str | int, ...]

    def by_digest(self) -> Command:
        """The call as a command that a server answers once it knows the script."""
        return ("EVALSHA", self.script.sha1, len(self.keys), *self.keys, *self.arguments)

    def in_full(self) -> Command:
        """The call as a command that tells the server the script."""
        return ("EVAL", self.script.text, len(self.keys), *self.keys, *self.arguments)


def load(*names: str) -> Script:
    """Return the script that the files `<name>.lua` make together, in order."""
    folder = files("gateway.store") / "lua"
    return Script.of("".join((folder / f"{name}.lua").read_text("utf-8") for name in names))


async def run(link: Link, *calls: ScriptCall) -> list[Any]:
    """Make the calls in one exchange and return their answers in order.

    Where the server does not know a script, as after its start or a failover, all calls are made a
    second time: each must be a no-op then. Raises RedisTrouble.
    """
    try:
        return await link.exchange(*(call.by_digest() for call in calls))
    except RedisRefused as refusal:
        if str(refusal) != NoScriptError.__name__:
            raise
    return await link.exchange(*(call.in_full() for call in calls))
