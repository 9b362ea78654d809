"""What the composition root tells the upstream client. Secrets are never part of a `repr`."""

from __future__ import annotations

import math
import string
from dataclasses import dataclass, field

from yarl import URL

from gateway.domain.tenant import SANDBOX_PREFIX

__all__ = ["Timeouts", "UpstreamKey", "UpstreamSettings"]

_SECRET_CHARACTERS = frozenset(string.ascii_letters + string.digits + string.punctuation)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. `edit` and `generative` bound a whole call, from the pool to the answer's last byte.

    `connect` bounds the wait for a connection (a place in the pool, DNS, TCP, TLS); `account` bounds a
    whole account call. aiohttp rounds a bound of more than five seconds up to a full second of its clock.
    """

    edit: float
    generative: float
    connect: float = 10.0
    account: float = 10.0

    def __post_init__(self) -> None:
        for seconds in (self.edit, self.generative, self.connect, self.account):
            if not (math.isfinite(seconds) and seconds > 0):
                raise ValueError("an upstream time-out is a positive number of seconds")


@dataclass(frozen=True, slots=True)
class UpstreamKey:
    """A live upstream key. `id` is what logs may show; `account_id` says whose images it spends.

    Only live secrets are taken: the client adds `SANDBOX_PREFIX` itself. A sandbox secret in this place
    would sell watermarked pictures to live callers.
    """

    id: str
    secret: str = field(repr=False)
    account_id: str

    def __post_init__(self) -> None:
        if not self.id or not self.account_id:
            raise ValueError("an upstream key needs an id and an account")
        if not self.secret or not _SECRET_CHARACTERS.issuperset(self.secret):
            raise ValueError(f"the secret of upstream key {self.id} is empty or not plain ASCII")
        if self.secret.startswith(SANDBOX_PREFIX):
            raise ValueError(
                f"upstream key {self.id} is a sandbox key: configure the live one, "
                f"sandbox calls get the prefix {SANDBOX_PREFIX} by themselves"
            )


@dataclass(frozen=True, slots=True)
class UpstreamSettings:
    """Where the upstream is and how it is spoken to.

    The upstream has two origins: `/v2/edit` and the account calls live under `edit_url`, `/v1/segment`
    under `segment_url`. `keys` are tried in this order. `connections` bounds the open connections, and
    `keepalive` the seconds for which an idle one is kept: less than the other side keeps it, because a
    call on a connection that the other side has just closed has an unknown outcome. `max_answer` is the
    size in bytes beyond which an answer is not read.
    """

    edit_url: str
    segment_url: str
    timeouts: Timeouts
    keys: tuple[UpstreamKey, ...]
    connections: int = 512
    keepalive: float = 15.0
    max_answer: int = 64 * 1024 * 1024

    def __post_init__(self) -> None:
        for name, text in (("edit_url", self.edit_url), ("segment_url", self.segment_url)):
            _check_origin(name, text)
        if not self.keys:
            raise ValueError("the upstream needs at least one key")
        if len({key.id for key in self.keys}) != len(self.keys):
            raise ValueError("two upstream keys have the same id")
        if self.connections < 1 or self.keepalive <= 0 or self.max_answer < 1:
            raise ValueError("connections, keepalive and max_answer are positive")


def _check_origin(name: str, text: str) -> None:
    url = URL(text)
    if url.scheme not in {"http", "https"} or not url.host or url.query_string or url.fragment:
        raise ValueError(f"{name} is an http or https URL without query and fragment")
    if url.user is not None or url.password is not None:
        raise ValueError(f"{name} carries no credentials")
