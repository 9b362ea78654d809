"""What comes back for an edit."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["KEPT_HEADERS", "AccountState", "Answer"]

KEPT_HEADERS = (
    "x-uncertainty-score",
    "pr-ai-background-seed",
    "pr-texts-detected",
    "pr-unsupported-attributes",
    "pr-edit-further-url",
)
"""The upstream's answer headers that say something about the picture, in lower case."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A picture, whole.

    `media_type` is told by the picture's first bytes, not by what the upstream says of it. `headers`
    are those of `KEPT_HEADERS` that the upstream sent.
    """

    body: bytes = field(repr=False)
    media_type: str
    headers: tuple[tuple[str, str], ...] = ()

    def header(self, name: str) -> str | None:
        """Return the upstream header of that lower-case name, if it was sent."""
        return next((value for key, value in self.headers if key == name), None)


@dataclass(frozen=True, slots=True)
class AccountState:
    """What an upstream account says of itself. Amounts are thousandths of an image; plan is its word."""

    available_milli: int
    subscription_milli: int
    plan: str
