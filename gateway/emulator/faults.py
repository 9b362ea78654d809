"""Scripted faults: which requests they meet, and what goes wrong."""

import asyncio
import contextlib
import enum
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

__all__ = ["NO_FAULT", "Cut", "FaultRule", "Faults", "Gates", "Wrong", "read_rules"]


class Cut(enum.StrEnum):
    """Where the connection is cut."""

    BEFORE_BODY = "before_body"
    BEFORE_CHARGE = "before_charge"
    AFTER_CHARGE = "after_charge"
    AFTER_HEAD = "after_head"
    MID_BODY = "mid_body"


class Wrong(enum.StrEnum):
    """What a 200 carries in the place of the picture; it is charged."""

    JSON = "json"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultRule:
    """One fault. What is not said matches everything and does nothing.

    Which requests: `operation` (segment, edit, account), `key` (its id), `method`, `path`; of
    those the first `skip` pass, the next `times` are met (None: all). Account calls, which a gateway
    makes on its own, are met only by a rule that says so by `operation` or `path`.

    What happens: `latency_s` (least and most seconds, in the place of the configured latency);
    `gate` holds the call until that gate is opened, before the charge or `gate_after_charge`;
    `status` answers an error with the vendor's body, or with `body` of `content_type`; a 429 names
    `wait_s`, its Retry-After is that too unless `retry_after` says another text (empty: no
    header); with `charged` the error comes after the charge, as a 504 may. `cut` cuts the
    connection; `wrong` spoils a 200; `unsupported` names parameters in the header of a 200.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    operation: str | None = None
    key: str | None = None
    method: str | None = None
    path: str | None = None
    skip: Annotated[int, Field(ge=0)] = 0
    times: Annotated[int, Field(ge=1)] | None = None
    latency_s: tuple[float, float] | None = None
    gate: str | None = None
    gate_after_charge: bool = False
    status: Annotated[int, Field(ge=400, le=599)] | None = None
    body: str | None = None
    content_type: str = "application/json"
    wait_s: Annotated[int, Field(ge=0)] = 1
    retry_after: str | None = None
    charged: bool = False
    cut: Cut | None = None
    wrong: Wrong | None = None
    unsupported: tuple[str, ...] = ()

    def meets(self, operation: str, key: str | None, method: str, path: str) -> bool:
        """Whether the rule is about such a request."""
        facts = (
            (self.operation, operation),
            (self.key, key),
            (self.method, method),
            (self.path, path),
        )
        is_aimed = operation != "account" or self.operation is not None or self.path is not None
        return is_aimed and all(wanted is None or wanted == fact for wanted, fact in facts)


_RULES = TypeAdapter(tuple[FaultRule, ...])


def read_rules(document: str | bytes) -> tuple[FaultRule, ...]:
    """The rules of a JSON list; raises `ValueError` that names each field at fault."""
    try:
        return _RULES.validate_json(document)
    except ValidationError as error:
        raise ValueError(
            "; ".join(
                f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()
            )
        ) from None


class Faults:
    """The rules in force; the first one that meets a request and is not used up applies."""

    def __init__(self) -> None:
        self._rules: list[FaultRule] = []
        self._met: list[int] = []

    def add(self, *rules: FaultRule) -> None:
        """Put rules behind those in force."""
        for rule in rules:
            self._rules.append(rule)
            self._met.append(0)

    def clear(self) -> None:
        """Let everything go well again."""
        self._rules.clear()
        self._met.clear()

    def met(self) -> tuple[int, ...]:
        """How many requests each rule has met, those that it let pass included."""
        return tuple(self._met)

    def take(self, operation: str, key: str | None, method: str, path: str) -> FaultRule:
        """The rule for a request that has just arrived; `NO_FAULT` when there is none."""
        for index, rule in enumerate(self._rules):
            used_up = rule.times is not None and self._met[index] >= rule.skip + rule.times
            if used_up or not rule.meets(operation, key, method, path):
                continue
            self._met[index] += 1
            if self._met[index] > rule.skip:
                return rule
        return NO_FAULT


NO_FAULT = FaultRule()


class Gates:
    """Named gates that hold calls until a test opens them."""

    def __init__(self) -> None:
        self._gates: dict[str, asyncio.Event] = {}
        self._waiting: Counter[str] = Counter()

    @contextlib.contextmanager
    def arrive(self, name: str) -> Iterator[asyncio.Event]:
        """Stand before a gate: the event is set once it is open."""
        self._waiting[name] += 1
        try:
            yield self._gates.setdefault(name, asyncio.Event())
        finally:
            self._waiting[name] -= 1

    def waiting(self, name: str) -> int:
        """How many calls a gate holds."""
        return self._waiting[name]

    def open(self, name: str) -> None:
        """Open a gate for all that wait and all that come."""
        self._gates.setdefault(name, asyncio.Event()).set()

    def open_all(self) -> None:
        """Let every waiting call go and forget the gates."""
        for gate in self._gates.values():
            gate.set()
        self._gates.clear()
