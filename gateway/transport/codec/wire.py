"""The walk from wire parameters: the drop-in routes' side of the codec."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial

from gateway.domain.edit import ImageRef, ImageSlot, Operation
from gateway.domain.tenant import Tenant
from gateway.domain.violations import Code
from gateway.ports import Draft
from gateway.transport.codec.draft import LONGEST_SETTINGS, MOST_SETTINGS, DraftBuilder
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
        # Names of list items and map keys are not among them: those are found by the walk.
        self._plain = {name: resolve(root, name) for name in self._names}
        self._settings = lru_cache(MOST_SETTINGS)(self._read_settings)

    def is_slot(self, name: str) -> bool:
        """Whether a picture belongs under that name."""
        found = self._find(name)
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
        slots = self._slots(files)
        settings = (*texts, *headers.items())
        if slots is None or sum(len(n) + len(text) for n, text in settings) > LONGEST_SETTINGS:
            return self._walk(texts, files, headers, tenant)
        draft = self._settings(tuple(texts), tuple(headers.items()), tenant)
        if not files:
            return draft
        pictures = {file.ref: file.data for file in files}
        return replace(draft, edit=draft.edit.on(*slots), pictures=pictures)

    def _slots(self, files: Sequence[WireFile]) -> list[ImageSlot] | None:
        """Return the slots that the files fill; None when the walk has to judge them.

        It judges items of lists and maps too: of their names there is no end, and what is known of an
        edit is known by the names of its slots.
        """
        slots = {}
        for file in files:
            found = self._plain.get(file.name)
            if found is None or not isinstance(found.node, Slot):
                return None
            slots[file.name] = ImageSlot(file.name, file.ref)
        return [slots[name] for name in sorted(slots)] if len(slots) == len(files) else None

    def _read_settings(
        self,
        texts: tuple[tuple[str, str], ...],
        headers: tuple[tuple[str, str], ...],
        tenant: Tenant,
    ) -> Draft:
        return self._walk(texts, (), dict(headers), tenant)

    def _walk(
        self,
        texts: Sequence[tuple[str, str]],
        files: Sequence[WireFile],
        headers: Mapping[str, str],
        tenant: Tenant,
    ) -> Draft:
        reading = _Reading(self._find, self._operation, tenant, self._names)
        for name, text in texts:
            reading.text(name, text)
        for file in files:
            reading.file(file)
        for name, text in headers.items():
            if name.startswith("pr-"):
                reading.header(name, self._headers.get(name), text)
        reading.check_lists()
        return reading.out.build()

    def _find(self, name: str) -> Found | None:
        """Find what a wire name stands for; None when it names no parameter."""
        found = self._plain.get(name)
        return resolve(self._root, name) if found is None else found


class _Reading:
    def __init__(
        self,
        find: Callable[[str], Found | None],
        operation: Operation,
        tenant: Tenant,
        names: Sequence[str],
    ) -> None:
        self._find = find
        self.out = DraftBuilder(operation)
        self._never_read = _NEVER_READ[operation]
        self._tenant = tenant
        self._names = names
        self._hints = _MOST_HINTS
        self._lists: dict[str, set[int]] = {}

    def text(self, name: str, text: str) -> None:
        found = self._find(name)
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
        found = self._find(file.name)
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
