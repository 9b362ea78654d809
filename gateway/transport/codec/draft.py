"""Collects what a walk finds, until it is an `Edit` with its pictures and violations."""

from __future__ import annotations

import re
from collections.abc import Callable
from operator import attrgetter

from gateway.domain.edit import Edit, Generative, ImageRef, ImageSlot, Kind, Operation, Parameter
from gateway.domain.errors import Violation
from gateway.domain.violations import Code
from gateway.ports import Draft
from gateway.transport.codec.resolve import LONGEST_NAME
from gateway.transport.codec.schema import Leaf
from gateway.transport.codec.values import Unreadable, Value

__all__ = ["LONGEST_SETTINGS", "MOST_SETTINGS", "DraftBuilder"]

MOST_SETTINGS = 1024
LONGEST_SETTINGS = 4096
"""Settings that are kept as they were read, of each operation at each door, and characters of the longest
ones: the same few are sent with picture after picture. The picture itself is not kept."""

_EXTRA_NAME = re.compile(rf"[A-Za-z0-9_.\[\]-]{{1,{LONGEST_NAME}}}")
_HEADER_TEXT = re.compile(r"[!-~](?:[ -~]*[!-~])?")
_LONGEST_EXTRA = 10_000


class DraftBuilder:
    """The mutable side of a walk. Every name is added once; violations pile up."""

    def __init__(self, operation: Operation) -> None:
        self._operation = operation
        self._parameters: dict[str, Parameter] = {}
        self._images: dict[str, ImageSlot] = {}
        self._headers: dict[str, Parameter] = {}
        self._generative: list[Generative] = []
        self._pictures: dict[ImageRef, bytes] = {}
        self._violations: list[Violation] = []
        self._ignored: list[str] = []

    def refuse(self, name: str, code: Code, description: str) -> None:
        """Note that the field of that wire name is wrong."""
        self._violations.append(Violation(name, code, description))

    def ignore(self, name: str) -> None:
        """Note that an unknown parameter was left out, as the tenant's settings ask."""
        self._ignored.append(name)

    def read(self, name: str, leaf: Leaf, read: Callable[[], Value], *, sent: str = "") -> None:
        """Read the value of `leaf`, kept under the concrete wire name `name`, sent under `sent`."""
        try:
            value = read()
        except Unreadable as error:
            self.refuse(leaf.header or sent or name, error.code, error.description)
            return
        self._take(name, leaf, value)

    def carry(self, name: str, text: str) -> None:
        """Carry a parameter that is newer than the proto as it stands; `pr-...` is a header."""
        header = name.startswith("pr-")
        if not _EXTRA_NAME.fullmatch(name):
            self.refuse(name[:LONGEST_NAME], Code.BAD_KEY, "is not the name of a parameter")
        elif len(text) > _LONGEST_EXTRA:
            self.refuse(name, Code.TOO_LONG, f"must have at most {_LONGEST_EXTRA} characters")
        elif header and not _HEADER_TEXT.fullmatch(text):
            self.refuse(name, Code.BAD_FORMAT, "must be one line of visible ASCII characters")
        elif self._fresh(name):
            kind = Kind.HEADER if header else Kind.EXTRA
            (self._headers if header else self._parameters)[name] = Parameter(
                name, kind, text, text
            )

    def picture(self, name: str, data: bytes, ref: ImageRef | None = None) -> None:
        """Put a picture into the slot of that wire name."""
        ref = ref or ImageRef.of(data)
        self.named(name, ref)
        self._pictures[ref] = data

    def named(self, name: str, ref: ImageRef) -> None:
        """Put a picture whose bytes are kept elsewhere into the slot of that wire name."""
        if self._fresh(name):
            self._images[name] = ImageSlot(name, ref)

    def build(self) -> Draft:
        """Return all that was found."""
        edit = Edit(
            operation=self._operation,
            parameters=tuple(p for _, p in sorted(self._parameters.items())),
            images=tuple(s for _, s in sorted(self._images.items())),
            headers=tuple(p for _, p in sorted(self._headers.items())),
            generative=tuple(sorted(self._generative, key=attrgetter("name"))),
        )
        return Draft(edit, self._pictures, tuple(self._violations), tuple(self._ignored))

    def _take(self, name: str, leaf: Leaf, value: Value) -> None:
        name = leaf.header or name
        if not self._fresh(name):
            return
        same = leaf.same_as_absent == value.canonical
        parameter = Parameter(name, value.kind, value.wire, value.canonical, same)
        (self._headers if leaf.header else self._parameters)[name] = parameter
        if leaf.generative:
            seed = name.removesuffix(leaf.wire) + leaf.seed if leaf.seed else None
            self._generative.append(Generative(name, seed))

    def _fresh(self, name: str) -> bool:
        if name in self._parameters or name in self._images or name in self._headers:
            self.refuse(name, Code.DUPLICATE, "is given more than once")
            return False
        return True
