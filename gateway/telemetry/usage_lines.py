"""The usage line: what a hold leaves in the log when it is settled. Written and read here alone.

Redis may be lost; the log is the lasting record of what was spent. What collects logs may put something
before a line, such as a time, and may lose the end of one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, Field, TypeAdapter, ValidationError

from gateway.domain.edit import Operation
from gateway.domain.periods import Period
from gateway.ports import Hold, Settlement

__all__ = ["USAGE_LOGGER", "UsageLine", "read_usage_line", "usage_fields"]

USAGE_LOGGER: Final = "gateway.usage"

_LONGEST_PERIOD_MS = 32 * 86_400_000

_Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
_Number = Annotated[int, Field(ge=0, lt=1 << 53)]

_WEIGHT: Final = {Settlement.PRESUMED: 0, Settlement.VOIDED: 1, Settlement.POSTED: 2}


@dataclass(frozen=True, slots=True)
class UsageLine:
    """One usage line, as far as it counts; the fields are those of its JSON.

    `cost_milli` is what was held, in thousandths of a credit. The period is that of the budget it was
    held in, in milliseconds since the epoch; `time` is when the hold was settled, by the replica's clock.
    """

    logger: Literal["gateway.usage"]
    time: AwareDatetime
    hold: _Id
    tenant: _Id
    operation: Operation
    outcome: Settlement
    cost_milli: _Number
    period_start_ms: _Number
    period_end_ms: _Number

    def __post_init__(self) -> None:
        if not 0 < self.period_end_ms - self.period_start_ms <= _LONGEST_PERIOD_MS:
            raise ValueError("no period of a budget")

    @property
    def period(self) -> Period:
        """The period of the budget."""
        return Period(self.period_start_ms, self.period_end_ms)

    @property
    def spent_milli(self) -> int:
        """What the call cost, as far as anybody knows."""
        return 0 if self.outcome is Settlement.VOIDED else self.cost_milli

    def outweighs(self, other: UsageLine) -> bool:
        """Whether this line of a hold counts, and not that `other` one of the same hold.

        A known outcome counts, and not a presumed one. The rule knows no order of files and lines.
        """
        mine = (_WEIGHT[self.outcome], self.time, self.cost_milli)
        return mine > (_WEIGHT[other.outcome], other.time, other.cost_milli)


def usage_fields(hold: Hold, settlement: Settlement) -> dict[str, object]:
    """Return what the line of a settled hold says beside its time and logger."""
    return {
        "hold": hold.id,
        "tenant": hold.tenant,
        "operation": hold.operation.value,
        "outcome": settlement.value,
        "cost_milli": hold.cost_milli,
        "period_start_ms": hold.period.start,
        "period_end_ms": hold.period.end,
    }


def read_usage_line(line: bytes) -> UsageLine | None:
    """Return what a line of a JSON log says; None for another line, and for one that is not whole."""
    if USAGE_LOGGER.encode() not in line:
        return None
    try:
        return _adapter().validate_json(line[line.find(b"{") :], strict=True)
    except ValidationError:
        return None


@cache
def _adapter() -> TypeAdapter[UsageLine]:
    return TypeAdapter(UsageLine)
