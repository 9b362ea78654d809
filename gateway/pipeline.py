"""The way of a request. This is the only module that knows the order of the steps.

    authenticate -> decode -> check -> digest -> flight: buy

No step calls the next. Whatever fails raises one error of `domain/errors.py`; nothing is spent before
`buy`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from gateway.domain.answer import AccountState, Answer
from gateway.domain.credits import CREDITS
from gateway.domain.digest import edit_digest
from gateway.domain.errors import InvalidRequest, Violation
from gateway.domain.facts import Facts
from gateway.domain.picture_rules import check_picture
from gateway.domain.rules import check_rules
from gateway.domain.tenant import Caller, Tenant
from gateway.flights import Flights
from gateway.ports import AccountSource, Authenticator, Draft, Purchase, Upstream

__all__ = ["Call", "Delivery", "Editor", "Pipeline", "Plan", "ReadDraft", "Record"]

ReadDraft: TypeAlias = Callable[[Tenant], Awaitable[Draft]]
"""A door's own step: reads the request's body, once it is known whose it is."""

_MAIN_PICTURES = ("imageFile", "image_file")


@dataclass(slots=True)
class Record:
    """What became known of a call on its way, for the log and the metrics; filled step by step."""

    tenant: str = ""
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """One request at a door.

    `credential` is what the caller sent; `operation` and `door` name the route; `request_id` is ours or
    the caller's own. `record` is filled on the way.
    """

    credential: str | None
    operation: str
    door: str
    request_id: str
    record: Record


@dataclass(frozen=True, slots=True)
class Delivery:
    """A picture for its caller, with its content address and its cost in thousandths of a credit.

    `ignored` are parameters that were left out on the way, as the tenant's settings ask.
    """

    answer: Answer
    digest: str
    cost_milli: int
    warnings: tuple[Violation, ...]
    ignored: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a call would do. `digest` is empty for one that is not valid."""

    violations: tuple[Violation, ...]
    warnings: tuple[Violation, ...]
    digest: str
    cost_milli: int
    unseeded: tuple[str, ...]


class Editor(Protocol):
    """What the doors call: the pipeline, and whatever wraps it.

    Every method raises GatewayError; anything else is a mistake of ours.
    """

    async def edit(self, call: Call, read: ReadDraft) -> Delivery:
        """Serve one edit or background removal."""
        ...

    async def plan(self, call: Call, read: ReadDraft) -> Plan:
        """Say what a call would do, and spend nothing."""
        ...

    async def account(self, call: Call) -> AccountState:
        """Return the state of the upstream account."""
        ...


@dataclass(frozen=True, slots=True)
class Pipeline:
    """All that a door can ask for."""

    authenticator: Authenticator
    upstream: Upstream
    accounts: AccountSource
    flights: Flights

    async def edit(self, call: Call, read: ReadDraft) -> Delivery:
        """Serve one edit or background removal. Raises GatewayError."""
        caller = await self._authenticate(call)
        draft = await read(caller.tenant)
        violations, warnings = examine(draft)
        if violations:
            raise InvalidRequest(violations)
        call.record.digest = digest = edit_digest(draft.edit, sandbox=caller.sandbox)
        purchase = Purchase(draft.edit, draft.pictures, caller.sandbox)
        answer = await self.flights.fly(lambda: self.upstream.buy(purchase))
        cost = CREDITS.of(draft.edit.operation, sandbox=caller.sandbox)
        return Delivery(answer, digest, cost, warnings, draft.ignored)

    async def plan(self, call: Call, read: ReadDraft) -> Plan:
        """Say what a call would do and cost, and spend nothing. Raises GatewayError."""
        caller = await self._authenticate(call)
        draft = await read(caller.tenant)
        violations, warnings = examine(draft)
        digest = "" if violations else edit_digest(draft.edit, sandbox=caller.sandbox)
        call.record.digest = digest
        cost = CREDITS.of(draft.edit.operation, sandbox=caller.sandbox)
        return Plan(violations, warnings, digest, cost, draft.edit.unseeded)

    async def account(self, call: Call) -> AccountState:
        """Return the state of the upstream account. Raises GatewayError."""
        await self._authenticate(call)
        return await self.accounts.account()

    async def _authenticate(self, call: Call) -> Caller:
        caller = await self.authenticator.authenticate(call.credential)
        call.record.tenant = caller.tenant.id
        return caller


def examine(draft: Draft) -> tuple[tuple[Violation, ...], tuple[Violation, ...]]:
    """Check what the door could not: pictures by their headers, and the rules between parameters.

    Returns every violation, the door's included, and every warning.
    """
    violations = list(draft.violations)
    pixels = None
    for slot in draft.edit.images:
        header, found = check_picture(draft.edit.operation, slot.name, draft.pictures[slot.image])
        violations += found
        if slot.name in _MAIN_PICTURES and header and header.width and header.height:
            pixels = header.width * header.height
    refused, warnings = check_rules(Facts(draft.edit, pixels))
    # A field that could not be read is not missing: only one of its two complaints is true.
    unread = {v.field for v in violations}
    return (*violations, *(v for v in refused if v.field not in unread)), warnings
