"""Takes over changes of the configuration while the gateway runs, each file whole or not at all."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

from gateway.config import (
    Config,
    ConfigError,
    ConfigWatch,
    Mistake,
    changes,
    not_in_force,
)
from gateway.store.background import in_background
from gateway.telemetry.metrics import Metrics

__all__ = ["Reloadable", "Reloader"]

Reloadable = Callable[[Config], Callable[[], None]]
"""A part of the gateway whose settings may change while it runs. It makes all that a configuration asks
of it, and returns what puts that in force, which neither fails nor waits."""

_APPLIED, _REFUSED, _UNCHANGED = "applied", "refused", "unchanged"
_MOST_MISTAKES: Final = 20
"""Mistakes of one file that are logged; their number is logged too."""

_log = logging.getLogger(__name__)


class Reloader:
    """Gives what came of each reading of the configuration to the parts that can take it over.

    `started` is what the gateway was built from: where a key that no part takes over differs from it, a
    restart is needed. All parts have made theirs before the first puts it in force, and no call runs in
    between: none sees half of a configuration.
    """

    def __init__(self, started: Config, parts: Sequence[Reloadable], metrics: Metrics) -> None:
        self._started = self._running = started
        self._parts = parts
        self._metrics = metrics.config
        for outcome in (_APPLIED, _REFUSED, _UNCHANGED):
            self._metrics.reloads.labels(outcome)
        self._metrics.refused.set(0)
        self._metrics.applied.set_to_current_time()

    @asynccontextmanager
    async def following(self, watch: ConfigWatch) -> AsyncIterator[None]:
        """Take every reading until the end of the context."""
        async with in_background(reload=self._follow(watch)):
            yield

    def take(self, reading: Config | ConfigError) -> None:
        """Put a configuration in force; when it has mistakes, or is the one that runs, say so."""
        if isinstance(reading, ConfigError):
            self._refuse(reading.mistakes)
        elif reading == self._running:
            _log.info("the configuration was read again, and is the one that runs")
            self._count(_UNCHANGED)
        else:
            self._apply(reading)

    async def _follow(self, watch: ConfigWatch) -> None:
        while True:
            try:
                self.take(await watch.reading())
            except Exception:  # noqa: BLE001 - it is logged
                # The next file may be mended; until then the old settings go on.
                _log.exception("a configuration was not taken over by a mistake of ours")
                self._count(_REFUSED)

    def _refuse(self, mistakes: Sequence[Mistake]) -> None:
        named = [str(mistake) for mistake in mistakes[:_MOST_MISTAKES]]
        _log.error(
            "the configuration is refused, the settings before it go on",
            extra={"mistakes": named, "mistakes_in_all": len(mistakes)},
        )
        self._count(_REFUSED)

    def _apply(self, new: Config) -> None:
        made = [part(new) for part in self._parts]
        for put_in_force in made:
            put_in_force()
        old, self._running = self._running, new
        _log.info("the configuration is applied", extra=_told(old, new))
        for path in sorted({*not_in_force(new)} - {*not_in_force(old)}):
            _log.warning("configured but not in force yet: %s", path)
        self._metrics.applied.set_to_current_time()
        self._say_what_needs_a_restart(new)
        self._count(_APPLIED)

    def _say_what_needs_a_restart(self, new: Config) -> None:
        paths = changes(self._started, new).restart
        self._metrics.needs_restart.clear()
        for path in paths:
            self._metrics.needs_restart.labels(path).set(1)
        if paths:
            _log.warning("some changes need a restart", extra={"paths": list(paths)})

    def _count(self, outcome: str) -> None:
        self._metrics.reloads.labels(outcome).inc()
        self._metrics.refused.set(outcome == _REFUSED)


def _told(old: Config, new: Config) -> dict[str, list[str]]:
    """Return what the log line of a change says: paths of keys and ids, no values."""
    line = {"changed": list(changes(old, new).reloaded)}
    for kind, members in (("tenants", _tenants), ("admins", _admins), ("upstream_keys", _keys)):
        before, after = members(old), members(new)
        both = before.keys() & after.keys()
        line |= {
            f"{kind}_added": sorted(after.keys() - both),
            f"{kind}_removed": sorted(before.keys() - both),
            f"{kind}_changed": sorted(id_ for id_ in both if before[id_] != after[id_]),
        }
    return {what: ids for what, ids in line.items() if ids}


def _tenants(config: Config) -> Mapping[str, object]:
    shared = config.scope_by_tenant()
    return {tenant.id: (tenant, shared.get(tenant.id)) for tenant in config.tenants}


def _admins(config: Config) -> Mapping[str, object]:
    return {admin.id: admin for admin in config.admins}


def _keys(config: Config) -> Mapping[str, object]:
    return {
        key.id: (key, account.id) for account in config.upstream.accounts for key in account.keys
    }
