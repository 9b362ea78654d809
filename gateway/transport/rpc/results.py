"""What the pipeline delivers, as messages."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from gateway.domain.answer import Answer
from gateway.domain.errors import Violation
from gateway.domain.numbers import read_number
from gateway.pipeline import Delivery
from gateway.v1.edit_service_pb2 import Finding, Result

__all__ = ["findings", "result_message"]

_UNSUPPORTED_PREFIX = "Unsupported attributes:"


def result_message(delivery: Delivery, path_of: Callable[[str], str]) -> Result:
    """Return the message of a served picture."""
    answer = delivery.answer
    return Result(
        image=answer.body,
        media_type=answer.media_type,
        digest=delivery.digest,
        cost_milli_credits=delivery.cost_milli,
        uncertainty_score=_number(answer, "x-uncertainty-score"),
        background_seed=_whole(answer, "pr-ai-background-seed", 2**64),
        texts_detected=_whole(answer, "pr-texts-detected", 2**32),
        unsupported_attributes=(*_unsupported(answer), *delivery.ignored),
        edit_further_url=answer.header("pr-edit-further-url") or "",
        warnings=findings(delivery.warnings, path_of),
    )


def findings(violations: Iterable[Violation], path_of: Callable[[str], str]) -> list[Finding]:
    """Return remarks about fields, by the paths of their proto fields."""
    return [
        Finding(field=path_of(v.field), code=v.code, description=v.description) for v in violations
    ]


def _unsupported(answer: Answer) -> list[str]:
    text = answer.header("pr-unsupported-attributes") or ""
    names = text.removeprefix(_UNSUPPORTED_PREFIX).split(",")
    return [name.strip() for name in names if name.strip()]


def _number(answer: Answer, name: str) -> float | None:
    """Read a number that the upstream sent; one that cannot be read is left out, the picture is not."""
    try:
        return read_number(answer.header(name) or "")
    except ValueError:
        return None


def _whole(answer: Answer, name: str, limit: int) -> int | None:
    value = _number(answer, name)
    if value is None or not value.is_integer() or not 0 <= value < limit:
        return None
    return int(value)
