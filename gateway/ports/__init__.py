"""What the pipeline needs from the world: small protocols, named by role.

Adapters know these and the domain, and not each other. The pipeline knows these and no adapter.
"""

from gateway.ports.admission import (
    NO_TRAITS,
    Admission,
    CallTraits,
    Claim,
    Hold,
    HoldLost,
    KeyCheck,
    RequestGate,
    Settlement,
)
from gateway.ports.buying import AccountSource, Draft, Pictures, Purchase, Upstream
from gateway.ports.callers import (
    AdminAuthenticator,
    Administration,
    Authenticator,
    DenyList,
    EpochSource,
)
from gateway.ports.flights import (
    BoardUnavailable,
    Ended,
    FlightBoard,
    Follow,
    Joined,
    Lead,
    Replay,
    ReplayBook,
    ReplayConflict,
)
from gateway.ports.keys import (
    AccountStanding,
    EndpointStanding,
    KeyDesk,
    KeyMarks,
    KeyStanding,
    PoolStanding,
)
from gateway.ports.results import BlobStore, CachedAnswer, CacheKey, ResultCache

__all__ = [
    "NO_TRAITS",
    "AccountSource",
    "AccountStanding",
    "AdminAuthenticator",
    "Administration",
    "Admission",
    "Authenticator",
    "BlobStore",
    "BoardUnavailable",
    "CacheKey",
    "CachedAnswer",
    "CallTraits",
    "Claim",
    "DenyList",
    "Draft",
    "Ended",
    "EndpointStanding",
    "EpochSource",
    "FlightBoard",
    "Follow",
    "Hold",
    "HoldLost",
    "Joined",
    "KeyCheck",
    "KeyDesk",
    "KeyMarks",
    "KeyStanding",
    "Lead",
    "Pictures",
    "PoolStanding",
    "Purchase",
    "Replay",
    "ReplayBook",
    "ReplayConflict",
    "RequestGate",
    "ResultCache",
    "Settlement",
    "Upstream",
]
