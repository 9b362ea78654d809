"""What the pipeline needs from the world: small protocols, named by role.

Adapters know these and the domain, and not each other. The pipeline knows these and no adapter.
"""

from gateway.ports.accounts import (
    AccountBook,
    AccountDesk,
    AccountPool,
    AccountSource,
    BookUnavailable,
    Findings,
    Look,
    Question,
)
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
from gateway.ports.buying import Draft, Pictures, Purchase, Upstream
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
    "AccountBook",
    "AccountDesk",
    "AccountPool",
    "AccountSource",
    "AccountStanding",
    "AdminAuthenticator",
    "Administration",
    "Admission",
    "Authenticator",
    "BlobStore",
    "BoardUnavailable",
    "BookUnavailable",
    "CacheKey",
    "CachedAnswer",
    "CallTraits",
    "Claim",
    "DenyList",
    "Draft",
    "Ended",
    "EndpointStanding",
    "EpochSource",
    "Findings",
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
    "Look",
    "Pictures",
    "PoolStanding",
    "Purchase",
    "Question",
    "Replay",
    "ReplayBook",
    "ReplayConflict",
    "RequestGate",
    "ResultCache",
    "Settlement",
    "Upstream",
]
