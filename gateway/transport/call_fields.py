"""What every answer says beside its body, in the same words at both doors.

The call's id, and once the tenant is known what is left of its limits: `RateLimit` and `RateLimit-Policy`
of draft-ietf-httpapi-ratelimit-headers-10, and `Gateway-Budget-Remaining` in credits.
"""

from __future__ import annotations

import math
from typing import Final

from gateway.domain.calls import Call
from gateway.domain.credits import milli_text
from gateway.domain.limits import BucketState
from gateway.transport.request_id import REQUEST_ID

__all__ = ["BUDGET_LEFT", "RATE_LIMIT", "RATE_POLICY", "call_fields"]

RATE_LIMIT: Final = "RateLimit"
RATE_POLICY: Final = "RateLimit-Policy"
BUDGET_LEFT: Final = "Gateway-Budget-Remaining"


def call_fields(call: Call) -> list[tuple[str, str]]:
    """Return names and texts: HTTP's header fields, and in lower case gRPC's trailing metadata.

    A limit that the tenant does not have, or that the call did not come to, is not told.
    """
    record = call.record
    fields = [(REQUEST_ID, call.request_id)]
    if record.buckets:
        buckets = record.buckets.items()
        fields += (
            (RATE_LIMIT, ", ".join(_state(name, bucket) for name, bucket in buckets)),
            (RATE_POLICY, ", ".join(_policy(name, bucket) for name, bucket in buckets)),
        )
    if record.balance is not None:
        fields.append((BUDGET_LEFT, milli_text(record.balance.left_milli)))
    return fields


def _policy(name: str, bucket: BucketState) -> str:
    """Write a quota policy (section 3.1): `q` calls in `w` seconds, which are one at least."""
    return f'"{name}";q={bucket.burst};w={max(1, math.ceil(bucket.window))}'


def _state(name: str, bucket: BucketState) -> str:
    """Write a service limit (section 4.1): `r` calls are left, and `t` seconds from now one more is.

    `t` is not when the bucket is full again: whoever has no call left would wait for all of it. And
    section 6 wants no `Retry-After` before `t`.
    """
    return f'"{name}";r={bucket.left};t={_refill_seconds(bucket)}'


def _refill_seconds(bucket: BucketState) -> int:
    """Return the whole seconds, rounded up, until the bucket gains a token; 0 for a full one."""
    missing = bucket.burst - bucket.left
    if missing <= 0:
        return 0
    seconds = bucket.full_in - (missing - 1) * bucket.window / bucket.burst
    return max(1, math.ceil(round(seconds, 6)))  # buckets are counted in microseconds
