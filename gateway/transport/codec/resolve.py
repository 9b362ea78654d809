"""From a wire name to the node that it names, and to the path of its proto field."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from gateway.transport.codec.schema import EXTRA, Group, Leaf, Many, Slot
from gateway.transport.codec.values import Reader

__all__ = [
    "KEY",
    "LONGEST_NAME",
    "Found",
    "extra_path",
    "header_leaves",
    "proto_path",
    "resolve",
    "wire_names",
]

KEY = re.compile(r"[^.\[\]\x00-\x1f\x7f]{1,128}")
"""A key of a map: one segment of the wire name, which stands in a header of its form part."""

LONGEST_NAME = 256
"""Characters that the name of an extra parameter may have, and that are repeated of an unknown one."""

_SEGMENT = re.compile(r"([^.\[\]]{1,128})(?:\[(0|[1-9][0-9]{0,3})\])?")


@dataclass(frozen=True, slots=True)
class Found:
    """A leaf or a slot, and the concrete wire name under which its value is kept.

    `reader` is the leaf's own or, under a group's bare name, the one of older texts. `lists` are the
    list items that the name passes through, as (name of the list, index); `beyond` says that one of
    them stands behind the last item allowed.
    """

    node: Leaf | Slot
    name: str
    reader: Reader | None
    lists: tuple[tuple[str, int], ...] = ()
    beyond: bool = False


def resolve(root: Group, name: str) -> Found | None:
    """Find what a wire name stands for; None when it names no parameter."""
    return _in_group(root, name, "", name.split("."))


def _in_group(group: Group, name: str, prefix: str, segments: list[str]) -> Found | None:
    head, *rest = segments
    match = _SEGMENT.fullmatch(head)
    node = group.by_wire.get(match[1]) if match else None
    if match is None or node is None:
        return None
    index = match[2]
    if isinstance(node, Many):
        return _in_many(node, name, prefix, (index, rest))
    if index is not None:
        return None
    if isinstance(node, Group):
        if rest:
            return _in_group(node, name, f"{prefix}{head}.", rest)
        return _bare(node, name)
    if rest or (isinstance(node, Leaf) and node.header):
        return None
    return Found(node, name, node.reader if isinstance(node, Leaf) else None)


def _in_many(
    many: Many, name: str, prefix: str, tail: tuple[str | None, list[str]]
) -> Found | None:
    """Go through `name[i].` or `name.{key}.`; `tail` is the index and what comes behind it."""
    index, rest = tail
    if many.is_map:
        if index is not None or len(rest) < 2 or not KEY.fullmatch(rest[0]):
            return None
        return _in_group(many.item, name, f"{prefix}{many.wire}.{rest[0]}.", rest[1:])
    if index is None or not rest:
        return None
    found = _in_group(many.item, name, f"{prefix}{many.wire}[{index}].", rest)
    if found is None:
        return None
    beyond = bool(many.most) and int(index) >= many.most
    return replace(found, lists=((prefix + many.wire, int(index)), *found.lists), beyond=beyond)


def _bare(node: Group, name: str) -> Found | None:
    """Read a group's own name as its field, where the proto says so."""
    if node.bare is None:
        return None
    field, reader = node.bare
    leaf = node.by_wire[field]
    return Found(leaf, f"{name}.{field}", reader) if isinstance(leaf, Leaf) else None


def proto_path(root: Group, name: str) -> str:
    """Translate a wire name, whole or part of one, into the path of the proto field.

    What the tree does not know is an extra parameter, but for numbers of fields: `background.#77` is
    field 77 of `background`.
    """
    if name.startswith(EXTRA):
        return name
    headers = header_leaves(root)
    if name in headers:
        return headers[name][1]
    out: list[str] = []
    group: Group | Many | None = root
    for segment in name.split("."):
        if isinstance(group, Many):
            out[-1] += f'["{segment}"]'
            group = group.item
            continue
        stem, bracket, rest = segment.partition("[")
        node = group.by_wire.get(stem) if group is not None else None
        if node is None and not segment.startswith("#"):
            return extra_path(name)
        out.append((node.field if node is not None else stem) + bracket + rest)
        group = node.item if isinstance(node, Many) and not node.is_map else None
        if isinstance(node, Group) or (isinstance(node, Many) and node.is_map):
            group = node
    return ".".join(out)


def extra_path(name: str) -> str:
    """Return the path of an extra parameter, whatever its name is like."""
    return f'{EXTRA}["{name[:LONGEST_NAME]}"]'


def header_leaves(root: Group) -> dict[str, tuple[Leaf, str]]:
    """Return the model versions by header name, each with the path of its proto field."""
    return {
        leaf.header: (leaf, f"{group.field}.{leaf.field}")
        for group in root.by_number.values()
        if isinstance(group, Group)
        for leaf in group.by_number.values()
        if isinstance(leaf, Leaf) and leaf.header
    }


def wire_names(group: Group, prefix: str = "") -> tuple[str, ...]:
    """Return every wire name below `group`; `{key}` and `[i]` stand for keys and indices."""
    names: list[str] = []
    for node in group.by_number.values():
        name = prefix + node.wire
        match node:
            case Leaf(header=header):
                names += [] if header else [name]
            case Slot():
                names.append(name)
            case Group(bare=bare):
                names += [name] if bare else []
                names += wire_names(node, name + ".")
            case Many(is_map=is_map):
                names += wire_names(node.item, f"{name}.{{key}}." if is_map else f"{name}[i].")
    return tuple(names)
