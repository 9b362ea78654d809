"""The walk from wire parameters: the drop-in routes' side of the codec."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from gateway.domain.edit import ImageRef, Operation
from gateway.domain.tenant import Tenant
from gateway.domain.violations import Code
from gateway.ports import Draft
from gateway.transport.codec.draft import DraftBuilder
from gateway.transport.codec.resolve import (
    LONGEST_NAME,
    Found,
    header_leaves,
    resolve,
    wire_names,
)
from gateway.transport.codec.schema import Group, Leaf, Slot

__all__ = ["WireCodec", "WireFile"]

_MOST_HINTS = 10
_NEVER_READ: Mapping[Operation, frozenset[str]] = {
    Operation.EDIT: frozenset(),
    Operation.SEGMENT: frozenset({"type", "scale", "shadow", "position", "quality", "text_prompt"}),
}
"""Options of other services that clients send and Photoroom does not read: always left out."""


@dataclass(frozen=True, slots=True)
class WireFile:
    """A file part: its name, its bytes and their content address."""

    name: str
    data: bytes
    ref: ImageRef


class WireCodec:
    """Reads wire parameters of one operation."""

    def __init__(self, root: Group, operation: Operation) -> None:
        self._root = root
        self._operation = operation
        self._headers = {name: leaf for name, (leaf, _) in header_leaves(root).items()}
        self._names = (*wire_names(root), *self._headers)

    def is_slot(self, name: str) -> bool:
        """Whether a picture belongs under that name."""
        found = resolve(self._root, name)
        return found is not None and isinstance(found.node, Slot)

    def read(
        self,
        texts: Sequence[tuple[str, str]],
        files: Sequence[WireFile],
        headers: Mapping[str, str],
        tenant: Tenant,
    ) -> Draft:
        """Read a request into a draft; every violation is found, none is raised.

        Of `headers`, lower-case, those that begin with `pr-` are read.
        """
        reading = _Reading(self._root, self._operation, tenant, self._names)
        for name, text in texts:
            reading.text(name, text)
        for file in files:
            reading.file(file)
        for name, text in headers.items():
            if name.startswith("pr-"):
                reading.header(name, self._headers.get(name), text)
        reading.check_lists()
        return reading.out.build()


class _Reading:
    def __init__(
        self, root: Group, operation: Operation, tenant: Tenant, names: Sequence[str]
    ) -> None:
        self._root = root
        self.out = DraftBuilder(operation)
        self._never_read = _NEVER_READ[operation]
        self._tenant = tenant
        self._names = names
        self._hints = _MOST_HINTS
        self._lists: dict[str, set[int]] = {}

    def text(self, name: str, text: str) -> None:
        found = resolve(self._root, name)
        if found is None:
            # A header's name among the parameters is a mistake, never a header.
            self._unknown(name, None if name.startswith("pr-") else text)
            return
        self._note_lists(found)
        if not isinstance(found.node, Leaf) or found.reader is None:
            self.out.refuse(name, Code.FILE_EXPECTED, "must be sent as a file part")
        else:
            read = partial(found.reader.from_text, text)
            self.out.read(found.name, found.node, read, sent=name)

    def file(self, file: WireFile) -> None:
        found = resolve(self._root, file.name)
        if found is None:
            self._unknown(file.name, None)
            return
        self._note_lists(found)
        if isinstance(found.node, Leaf):
            self.out.refuse(file.name, Code.TEXT_EXPECTED, "must be sent as text, not as a file")
        else:
            self.out.picture(found.name, file.data, file.ref)

    def header(self, name: str, leaf: Leaf | None, text: str) -> None:
        if leaf is None:
            self._unknown(name, text.strip())
        else:
            self.out.read(name, leaf, partial(leaf.reader.from_text, text.strip()))

    def check_lists(self) -> None:
        for name, indices in self._lists.items():
            if indices != set(range(len(indices))):
                self.out.refuse(name, Code.LIST_GAP, "must be numbered from 0 without gaps")

    def _note_lists(self, found: Found) -> None:
        if found.beyond:
            self.out.refuse(found.name, Code.TOO_MANY_ITEMS, "stands beyond the last item allowed")
        for name, index in found.lists:
            self._lists.setdefault(name, set()).add(index)

    def _unknown(self, name: str, text: str | None) -> None:
        """Carry, leave out or refuse what has no place in the tree; without a text, never carry it."""
        shown = name[:LONGEST_NAME]
        if name in self._never_read:
            self.out.ignore(name)
        elif self._tenant.extra_parameters and text is not None:
            self.out.carry(name, text)
        elif self._tenant.ignore_unknown:
            self.out.ignore(shown)
        else:
            self.out.refuse(shown, Code.UNKNOWN_PARAMETER, f"is not known{self._hint(shown)}")

    def _hint(self, name: str) -> str:
        """Name the nearest parameter, for the first few unknown names: the search is slow."""
        if not self._hints:
            return ""
        self._hints -= 1
        near = difflib.get_close_matches(name, self._names, n=1, cutoff=0.6)
        return f"; did you mean {near[0]}?" if near else ""
