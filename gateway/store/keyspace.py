"""Every Redis key: its name, its time to live, its hash tag.

    pg1:e:<entry>           an entry; lives as long as its result
    pg1:b:{<blob>}:m        a blob's manifest        } one hash tag a blob, so that all of a blob is in
    pg1:b:{<blob>}:<i>      its i-th chunk, from 0   } one slot and is read in one command
    pg1:{ctl}:cache-secret  the secret that names all of the above, in the state Redis; never expires
    pg1:{ctl}:flight:<id>   a flight's record; lives a minute longer than anybody waits for it
    pg1:{ctl}:replay:<slot> what became of the call under an idempotency key; lives a day
    pg1:{ctl}:tick          hash of what administrators purged and revoked; state Redis, never expires
    pg1:{ctl}:replicas      sorted set of the replicas that live, by the time they last said so
    pg1:{ctl}:gen, seq:*, hold:*, holds, slots:*, bucket:*, budget:*, journal
                            the ledger; `lua/hold.lua` says what each holds and for how long
    pg1:{ctl}:calls:*, made, leaving, open, key:*, troubled, serves:*, fails:*, probe:*, bad:*
                            the choice of upstream keys; `lua/keys.lua` and `lua/health.lua` say what each holds
    pg1:{ctl}:account:*, posts@*, used@*, poll@*
                            what upstream accounts have left; see `lua/keys.lua`, `poll.lua`, `polled.lua`
    pg1:{ctl}:requests:<tenant>
                            the bucket of all calls of a tenant; lives until it is full, a second at least
    pg1:tick                the channel on which replicas are told of a change of the tick's hash
    pg1:wake:<replica>      the channel on which a replica is told of flights that have changed

All that money depends on is in the slot of `{ctl}`, so that a failover takes all of it back together.

<entry> and <blob> are HMAC-SHA256 under a secret of the scope, itself an HMAC of the master secret. So
a key tells nobody who it belongs to or what it holds, and a scope can name nothing that is another's.
`pg1` is the format version: a change of a name, or of a value's encoding, needs a new one.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass

__all__ = [
    "BLOB_MARGIN",
    "BUDGET_FIELDS",
    "CACHE_SECRET",
    "CHUNK_BYTES",
    "JOURNAL",
    "LEDGER_ROOT",
    "REPLAY_MS",
    "REPLICAS",
    "TICK",
    "TICK_CHANNEL",
    "WAKE_PREFIX",
    "BlobKeys",
    "ScopeKeys",
    "budget_key",
    "flight_key",
    "replay_key",
    "requests_key",
    "scope_keys",
]

CHUNK_BYTES = 524_224
"""Bytes in every chunk but the last: 64 below 2^19, whose allocation class would cost 25 % more."""

BLOB_MARGIN = 300.0
"""Seconds that a blob outlives the entry it was written for: an entry never points at nothing."""

CACHE_SECRET = "pg1:{ctl}:cache-secret"  # noqa: S105 - the key's name, not the secret

LEDGER_ROOT = "pg1:{ctl}:"
"""What the names of the ledger's keys begin with; its scripts make them, `lua/hold.lua` lists them."""

BUDGET_FIELDS = ("base", "posted", "presumed", "held")
"""What a budget has, in the order in which `lua/hold.lua` lists it; all of it together is spent."""

JOURNAL = LEDGER_ROOT + "journal"
"""The stream of what happened to holds."""

TICK = "pg1:{ctl}:tick"
REPLICAS = "pg1:{ctl}:replicas"
TICK_CHANNEL = "pg1:tick"

REPLAY_MS = 24 * 3600 * 1000
"""Milliseconds for which the outcome under an idempotency key is kept."""

WAKE_PREFIX = "pg1:wake:"
"""What the name of a replica's channel begins with; its id follows."""


@dataclass(frozen=True, slots=True)
class BlobKeys:
    """Names of one blob's keys."""

    prefix: str

    @property
    def manifest(self) -> str:
        """Name of the manifest's key."""
        return self.prefix + "m"

    def chunks(self, start: int, stop: int) -> list[str]:
        """Names of the chunks from `start` up to `stop`, exclusive."""
        return [f"{self.prefix}{index}" for index in range(start, stop)]


@dataclass(frozen=True, slots=True)
class ScopeKeys:
    """What one scope can name."""

    secret: bytes

    def entry(self, epoch: int, digest: str) -> str:
        """Name of the key of an edit's entry."""
        return "pg1:e:" + self._hmac(f"entry|{epoch}|{digest}").hex()

    def blob(self, sha256: str) -> BlobKeys:
        """Names of a blob's keys."""
        return BlobKeys(f"pg1:b:{{{self._hmac(f'blob|{sha256}').hex()}}}:")

    def seal(self, name: str, value: bytes) -> bytes:
        """Return 16 bytes that prove that this scope wrote `value` under the key `name`."""
        return self._hmac(f"seal|{name}|".encode() + value)[:16]

    def _hmac(self, message: str | bytes) -> bytes:
        raw = message.encode() if isinstance(message, str) else message
        return hmac.digest(self.secret, raw, "sha256")


def scope_keys(master: bytes, scope: str) -> ScopeKeys:
    """Return the names that the scope's own secret, HMAC(master, scope), makes."""
    return ScopeKeys(hmac.digest(master, scope.encode(), "sha256"))


def flight_key(flight: str) -> str:
    """Name of the key of a flight's record."""
    return "pg1:{ctl}:flight:" + flight


def replay_key(slot: str) -> str:
    """Name of the record of an idempotency key."""
    return "pg1:{ctl}:replay:" + slot


def requests_key(tenant: str) -> str:
    """Name of the bucket of all calls of a tenant."""
    return "pg1:{ctl}:requests:" + tenant


def budget_key(tenant: str, start: int) -> str:
    """Name of what a tenant has spent in the period that begins at `start`, as the scripts name it."""
    return f"{LEDGER_ROOT}budget:{tenant}:{start}"
