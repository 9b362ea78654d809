"""What a request means once it has been read: effective settings, and the ways to be refused."""

import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = ["Colour", "Length", "Refused", "Settings", "Size", "Value"]


class Length(NamedTuple):
    """A distance on the output picture: `amount` of the side (`ratio`) or of pixels (`px`)."""

    amount: float
    unit: str


class Colour(NamedTuple):
    """A colour, 0 to 255 a channel; alpha 255 is opaque."""

    red: int
    green: int
    blue: int
    alpha: int


class Size(NamedTuple):
    """Width and height in pixels."""

    width: int
    height: int


Value = bool | float | str | Length | Colour | Size


class Refused(Exception):
    """The request is answered with an error.

    `status` is the HTTP status, `kind` the `type` that v1 answers carry.
    """

    def __init__(self, status: int, message: str, kind: str = "invalid_request") -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that decides the picture; equal settings mean the same effective picture.

    `values` are (name, value) in the order of names, documented defaults included; pictures stand
    there as `sha256:<hex>` of their bytes or as the text of their URL. `models` are the
    model-version headers. `unsupported` names what was sent and ignored: it decides nothing.
    """

    operation: str
    values: tuple[tuple[str, Value], ...]
    models: tuple[tuple[str, str], ...] = ()
    unsupported: tuple[str, ...] = field(default=(), compare=False)
    _index: Mapping[str, Value] = field(init=False, repr=False, compare=False, hash=False)

    def __post_init__(self) -> None:
        """Index the values by name."""
        object.__setattr__(self, "_index", dict(self.values))

    def has(self, name: str) -> bool:
        """Whether the parameter was set, or has a default in force."""
        return name in self._index

    def any_under(self, prefix: str) -> bool:
        """Whether any parameter whose name starts with `prefix` is set."""
        return any(name.startswith(prefix) for name in self._index)

    def text(self, name: str) -> str | None:
        """The text of `name`; None when it is not set."""
        value = self._index.get(name)
        return value if isinstance(value, str) else None

    def number(self, name: str) -> float | None:
        """The number of `name`; None when it is not set or holds a word."""
        value = self._index.get(name)
        return value if isinstance(value, float) else None

    def flag(self, name: str, *, default: bool = False) -> bool:
        """The truth of `name`; `default` when it is not set."""
        value = self._index.get(name)
        return value if isinstance(value, bool) else default

    def length(self, name: str) -> Length | None:
        """The length of `name`; None when it is not set."""
        value = self._index.get(name)
        return value if isinstance(value, Length) else None

    def colour(self, name: str) -> Colour | None:
        """The colour of `name`; None when it is not set."""
        value = self._index.get(name)
        return value if isinstance(value, Colour) else None

    def size(self, name: str) -> Size | None:
        """The size of `name` when it is one in pixels; None otherwise."""
        value = self._index.get(name)
        return value if isinstance(value, Size) else None

    def digest(self) -> str:
        """SHA-256 over the settings, hex; equal exactly for equal settings."""
        total = hashlib.sha256()
        for name, value in (("operation", self.operation), *self.values, *self.models):
            for part in (name.encode(), type(value).__name__.encode(), repr(value).encode()):
                total.update(struct.pack(">I", len(part)) + part)
        return total.hexdigest()
