"""What the tests of flights share: scripts that read their time from a key."""

from __future__ import annotations

import re
from dataclasses import fields

from gateway.store.flight_calls import FlightScripts
from gateway.store.link import Command
from gateway.store.scripts import Script

__all__ = ["set_time", "timed_scripts"]

NOW = re.compile(r"^local function now\(\) .* end$", re.MULTILINE)


def timed_scripts(clock: str) -> FlightScripts:
    """The scripts with another `now()`: milliseconds from the key `clock`, in the slot of `{ctl}`."""
    shipped = FlightScripts.load()
    reading = f"local function now() return tonumber(redis.call('GET', '{clock}')) end"
    scripts: dict[str, Script] = {}
    for name in (field.name for field in fields(shipped)):
        text, replaced = NOW.subn(reading, getattr(shipped, name).text)
        assert 1 == replaced, f"{name}.lua has one line that tells the time"
        scripts[name] = Script.of(text)
    return FlightScripts(**scripts)


def set_time(clock: str, now: int) -> Command:
    """The command that sets the time of `timed_scripts`."""
    return ("SET", clock, now)
