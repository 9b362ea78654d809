"""What the pipeline delivers, as messages."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from google.protobuf.duration_pb2 import Duration

from gateway.domain.answer import Answer
from gateway.domain.calls import Balance, Delivery, FromCache
from gateway.domain.errors import Violation
from gateway.domain.numbers import read_number
from gateway.transport.codec import INLINE_BYTES
from gateway.v1.edit_service_pb2 import CacheReport, Finding, Result
from gateway.v1.image_pb2 import BlobRef

__all__ = ["budget_left", "findings", "response_bytes", "result_message"]

_UNSUPPORTED_PREFIX = "Unsupported attributes:"


def response_bytes(
    delivery: Delivery, balance: Balance | None, path_of: Callable[[str], str], *, field: int
) -> bytes:
    """Return the bytes of a response whose field of that number is the result, picture included.

    The picture is put behind the other fields by hand: to set it, to set the result and to serialise
    the response would copy it three times. Fields may come in any order.
    """
    rest = result_message(delivery, balance, path_of).SerializeToString()
    by_reference = delivery.kept and delivery.body.size > INLINE_BYTES
    image = b"" if by_reference else delivery.answer.body
    head = _head(Result.IMAGE_FIELD_NUMBER, len(image)) if image else b""
    return b"".join((_head(field, len(rest) + len(head) + len(image)), rest, head, image))


def _head(number: int, size: int) -> bytes:
    """Return what stands before a field of that number and so many bytes (wire type 2, LEN)."""
    return _varint(number << 3 | 2) + _varint(size)


def _varint(value: int) -> bytes:
    """Write a number in base 128, least significant group first (the encoding guide of protobuf)."""
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    groups.append(value)
    return bytes(groups)


def result_message(
    delivery: Delivery, balance: Balance | None, path_of: Callable[[str], str]
) -> Result:
    """Return the message of a served picture, without the picture; `balance` is the tenant's."""
    answer = delivery.answer
    return Result(
        media_type=answer.media_type,
        digest=delivery.digest,
        cost_milli_credits=delivery.cost_milli,
        uncertainty_score=_number(answer, "x-uncertainty-score"),
        background_seed=_whole(answer, "pr-ai-background-seed", 2**64),
        texts_detected=_whole(answer, "pr-texts-detected", 2**32),
        unsupported_attributes=(*_unsupported(answer), *delivery.ignored),
        edit_further_url=answer.header("pr-edit-further-url") or "",
        warnings=findings(delivery.warnings, path_of),
        blob=BlobRef(sha256=delivery.body.sha256, size_bytes=delivery.body.size),
        cache=_cache_report(delivery.cache),
        budget_left_milli_credits=budget_left(balance),
    )


def budget_left(balance: Balance | None) -> int | None:
    """Return what is left of a budget in thousandths of a credit; None for none, or an unknown one."""
    return None if balance is None else balance.left_milli


def findings(violations: Iterable[Violation], path_of: Callable[[str], str]) -> list[Finding]:
    """Return remarks about fields, by the paths of their proto fields."""
    return [
        Finding(field=path_of(v.field), code=v.code, description=v.description) for v in violations
    ]


def _cache_report(cache: FromCache) -> CacheReport:
    hit = bool(cache.tier)
    return CacheReport(
        hit=hit,
        source=cache.tier or cache.why_not,
        age=_duration(cache.age) if hit else None,
        ttl=None if cache.ttl is None else _duration(cache.ttl),
        saved_milli_credits=cache.saved_milli,
    )


def _duration(seconds: float) -> Duration:
    whole, milliseconds = divmod(int(seconds * 1000), 1000)
    return Duration(seconds=whole, nanos=milliseconds * 1_000_000)


def _unsupported(answer: Answer) -> list[str]:
    text = answer.header("pr-unsupported-attributes") or ""
    names = text.removeprefix(_UNSUPPORTED_PREFIX).split(",")
    return [name.strip() for name in names if name.strip()]


def _number(answer: Answer, name: str) -> float | None:
    """Read a number that the upstream sent; one that cannot be read is left out, the picture is not."""
    text = answer.header(name)
    try:
        return None if text is None else read_number(text)
    except ValueError:
        return None


def _whole(answer: Answer, name: str, limit: int) -> int | None:
    value = _number(answer, name)
    if value is None or not value.is_integer() or not 0 <= value < limit:
        return None
    return int(value)
