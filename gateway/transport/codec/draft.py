"""Collects what a walk finds, until it is an `Edit` with its pictures and violations."""

from __future__ import annotations

from collections.abc import Callable

from gateway.domain.edit import Edit, Generative, ImageRef, ImageSlot, Kind, Operation, Parameter
from gateway.domain.errors import Violation
from gateway.domain.violations import Code
from gateway.ports import Draft
from gateway.transport.codec.schema import Leaf
from gateway.transport.codec.values import Unreadable, Value

__all__ = ["DraftBuilder"]


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

    def read(self, name: str, leaf: Leaf, read: Callable[[], Value]) -> None:
        """Read the value of `leaf`, found under the concrete wire name `name`."""
        try:
            value = read()
        except Unreadable as error:
            self.refuse(leaf.header or name, error.code, error.description)
            return
        self._take(name, leaf, value)

    def carry(self, name: str, kind: Kind, text: str) -> None:
        """Carry a parameter (or a header) that is newer than the proto as it stands."""
        target = self._headers if kind is Kind.HEADER else self._parameters
        if self._fresh(name):
            target[name] = Parameter(name, kind, text, text)

    def picture(self, name: str, data: bytes, ref: ImageRef | None = None) -> None:
        """Put a picture into the slot of that wire name."""
        if not self._fresh(name):
            return
        ref = ref or ImageRef.of(data)
        self._images[name] = ImageSlot(name, ref)
        self._pictures[ref] = data

    def build(self) -> Draft:
        """Return all that was found."""
        edit = Edit(
            operation=self._operation,
            parameters=tuple(p for _, p in sorted(self._parameters.items())),
            images=tuple(s for _, s in sorted(self._images.items())),
            headers=tuple(p for _, p in sorted(self._headers.items())),
            generative=tuple(self._generative),
        )
        return Draft(edit, self._pictures, tuple(self._violations), tuple(self._ignored))

    def _take(self, name: str, leaf: Leaf, value: Value) -> None:
        name = leaf.header or name
        if not self._fresh(name):
            return
        same = leaf.same_as_absent == value.canonical and value.kind is not Kind.PIXELS
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
