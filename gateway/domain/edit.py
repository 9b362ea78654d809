"""What all doors meet in: one edit, checked, whatever it was spelled like.

An `Edit` says everything that decides the picture and nothing else. It holds two spellings of each
value: `wire`, what the caller set, in normalised spelling, which goes upstream; and `canonical`, which
enters the digest. Pictures are named by content; their bytes travel beside the edit.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

__all__ = ["Edit", "Generative", "ImageRef", "ImageSlot", "Kind", "Operation", "Parameter"]

T = TypeVar("T")


class Operation(enum.StrEnum):
    """The upstream's two paid calls."""

    EDIT = "v2/edit"
    SEGMENT = "v1/segment"


class Kind(enum.Enum):
    """Type of a value in the digest, so that the text `1` and the number 1 are two edits."""

    FLAG = b"b"
    NUMBER = b"n"
    PIXELS = b"p"
    CHOICE = b"e"
    TEXT = b"t"
    COLOR = b"c"
    URL = b"u"
    IMAGE = b"i"
    HEADER = b"h"
    EXTRA = b"x"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One value under its wire name (for a model version: its header's name).

    `same_as_absent` marks a value that means the same as leaving the parameter out, as long as neither
    a template nor layers are set.
    """

    name: str
    kind: Kind
    wire: str = field(repr=False)  # may be a prompt
    canonical: str = field(repr=False)
    same_as_absent: bool = False


@dataclass(frozen=True, slots=True)
class ImageRef:
    """A picture by its content: SHA-256 in lower-case hex, and size in bytes."""

    sha256: str
    size: int

    @classmethod
    def of(cls, data: bytes | bytearray | memoryview) -> ImageRef:
        """Name `data` by its content."""
        return cls(hashlib.sha256(data).hexdigest(), len(data))


@dataclass(frozen=True, slots=True)
class ImageSlot:
    """A wire name such as `imageFile`, and the picture that stands there."""

    name: str
    image: ImageRef


@dataclass(frozen=True, slots=True)
class Generative:
    """A parameter whose presence makes the edit generative, and the one that seeds it.

    `seed` is None where the upstream offers no seed: such an edit can never be repeated.
    """

    name: str
    seed: str | None


@dataclass(frozen=True, slots=True)
class Edit:
    """One edit. Every tuple is sorted by name, and no name stands twice.

    `headers` are the model versions, by header name.
    """

    operation: Operation
    parameters: tuple[Parameter, ...] = ()
    images: tuple[ImageSlot, ...] = ()
    headers: tuple[Parameter, ...] = ()
    generative: tuple[Generative, ...] = ()
    _names: frozenset[str] = field(init=False, repr=False, compare=False)
    _known: dict[object, Any] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        names = frozenset(
            [p.name for p in self.parameters]
            + [slot.name for slot in self.images]
            + [p.name for p in self.headers]
        )
        object.__setattr__(self, "_names", names)

    def on(self, *images: ImageSlot) -> Edit:
        """Return the same settings on pictures, sorted by name; what is known of them stays known."""
        edit = Edit(self.operation, self.parameters, images, self.headers, self.generative)
        object.__setattr__(edit, "_known", self._known)
        return edit

    def once(self, what: object, make: Callable[[], T]) -> T:
        """Return what `make` makes, made once for all edits that `on` gave pictures in equal slots.

        It may depend on anything but what the pictures are. `what` names it.
        """
        key = (what, *(slot.name for slot in self.images))
        if key not in self._known:
            self._known[key] = make()
        made: T = self._known[key]
        return made

    def __contains__(self, name: object) -> bool:
        """Whether the parameter, image slot or model header of that wire name is set."""
        return name in self._names

    @property
    def unseeded(self) -> tuple[str, ...]:
        """Generative parameters for which no seed is set: two purchases give two pictures."""
        return tuple(g.name for g in self.generative if g.seed is None or g.seed not in self)

    @property
    def uses_template(self) -> bool:
        """Whether a template or layers are set: then a default may mean something else."""
        return "templateId" in self or any(name.startswith("layers.") for name in self._names)

    @property
    def template(self) -> str:
        """A name of the template that is used, 16 hex digits; empty without one."""
        for parameter in self.parameters:
            if parameter.name == "templateId":
                return hashlib.sha256(parameter.wire.encode()).hexdigest()[:16]
        return ""
