"""What every error has."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import ClassVar, Self

__all__ = ["Ending", "Fault", "GatewayError", "Violation"]


class Fault(enum.StrEnum):
    """Whose fault a failure is."""

    CALLER = "caller"
    POLICY = "policy"
    UPSTREAM = "upstream"
    GATEWAY = "gateway"


class Ending(enum.StrEnum):
    """What a failed attempt cost."""

    NOT_SPENT = "not_spent"
    DROPPED = "dropped"
    SPENT = "spent"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that is wrong with a request.

    `field` is the wire name (`background.color`, `editWithAI.additionalImages.logo.imageFile`); a gRPC
    door translates it into the path of the proto field. `code` is stable, `description` is for people.
    """

    field: str
    code: str
    description: str


class GatewayError(Exception):
    """Base of every error that leaves the pipeline.

    `retry_after` is the wait in seconds after which the same call may succeed, where one is known.
    `shared` says that the error is an outcome of the request itself, the same for everybody who makes it
    just then; trouble with a key, an account or a replica is nobody else's.
    """

    reason: ClassVar[str] = "INTERNAL"
    fault: ClassVar[Fault] = Fault.GATEWAY
    ending: ClassVar[Ending] = Ending.NOT_SPENT
    shared: ClassVar[bool] = False

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after = retry_after

    def fresh(self) -> Self:
        """Return the same error without a traceback, for one more caller to raise."""
        twin = type(self).__new__(type(self), *self.args)
        twin.__dict__.update(self.__dict__)
        return twin
