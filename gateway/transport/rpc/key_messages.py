"""How the upstream keys stand, as messages of AdminService."""

from __future__ import annotations

from typing import Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from gateway.domain.edit import Operation
from gateway.ports import AccountStanding, EndpointStanding, KeyStanding, PoolStanding
from gateway.v1 import admin_service_pb2 as messages

__all__ = ["keys_message"]

_OPERATIONS: Final = {
    Operation.EDIT: messages.UPSTREAM_OPERATION_EDIT,
    Operation.SEGMENT: messages.UPSTREAM_OPERATION_SEGMENT,
}
_OFF: Final = {
    "drained": messages.KEY_CONDITION_DRAINED,
    "rejected": messages.KEY_CONDITION_REJECTED,
    "forbidden": messages.KEY_CONDITION_FORBIDDEN,
}


def keys_message(standing: PoolStanding) -> messages.ListKeysResponse:
    """Return the answer of ListKeys."""
    return messages.ListKeysResponse(
        keys=[_key(one) for one in standing.keys],
        accounts=[_account(one) for one in standing.accounts],
        endpoints=[_endpoint(one) for one in standing.endpoints],
    )


def _key(one: KeyStanding) -> messages.UpstreamKey:
    key = one.key
    return messages.UpstreamKey(
        id=key.id,
        fingerprint=key.fingerprint,
        account=one.account,
        condition=_condition(one),
        cooling_until=_time(one.cooling_until),
        sandbox_cooling_until=_time(one.sandbox_cooling_until),
        masked=[
            messages.MaskedOperation(operation=_OPERATIONS[operation], until=_time(until))
            for operation, until in one.masked.items()
        ],
        calls_in_window=one.calls,
        calls_per_window=key.calls,
        window=_duration(key.window_ms),
        in_flight=one.in_flight,
        max_in_flight=key.places,
        leaving=one.leaving,
    )


def _condition(one: KeyStanding) -> messages.KeyCondition.ValueType:
    """What an operator has to know first."""
    if one.off:
        return _OFF[one.off]
    if one.checking:
        return messages.KEY_CONDITION_CHECKING
    if one.cooling_until is not None:
        return messages.KEY_CONDITION_COOLING
    return messages.KEY_CONDITION_USABLE


def _account(one: AccountStanding) -> messages.UpstreamAccount:
    return messages.UpstreamAccount(
        id=one.account.id,
        available_milli_images=one.available_milli,
        headroom_milli_images=one.headroom_milli,
        exhausted=one.exhausted,
        cooling_until=_time(one.cooling_until),
        calls_in_window=one.calls,
        calls_per_window=one.account.calls,
        window=_duration(one.account.window_ms),
    )


def _endpoint(one: EndpointStanding) -> messages.UpstreamEndpoint:
    return messages.UpstreamEndpoint(
        operation=_OPERATIONS[one.operation],
        digests_in_trouble=one.in_trouble,
        open_until=_time(one.open_until),
    )


def _duration(ms: int) -> Duration:
    duration = Duration()
    duration.FromMilliseconds(ms)
    return duration


def _time(seconds: float | None) -> Timestamp | None:
    if seconds is None:
        return None
    time = Timestamp()
    time.FromMilliseconds(round(seconds * 1000))
    return time
