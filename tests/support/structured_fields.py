"""A strict reader of structured header fields (RFC 9651), as far as `Cache-Status` needs them.

It shares nothing with what writes them: a field that this does not read is no structured field.
"""

from __future__ import annotations

import re
from typing import TypeAlias

__all__ = ["BareItem", "Member", "parse_list"]

BareItem: TypeAlias = str | int | bool
Member: TypeAlias = tuple[BareItem, dict[str, BareItem]]

_KEY = re.compile(r"[a-z*][a-z0-9_.*-]*")
_TOKEN = re.compile(r"[A-Za-z*][A-Za-z0-9!#$%&'*+.^_`|~:/-]*")
_INTEGER = re.compile(r"-?[0-9]{1,15}(?![.0-9])")
_STRING = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')
_BOOLEAN = re.compile(r"\?[01]")


def parse_list(text: str) -> list[Member]:
    """Read a List of Items with Parameters (sections 4.2.1 to 4.2.3). Raises ValueError."""
    members, rest = [], text.strip(" ")
    while rest:
        member, rest = _item(rest)
        members.append(member)
        rest = rest.lstrip(" \t")
        if not rest:
            break
        if not rest.startswith(",") or not rest[1:].strip(" \t"):
            raise ValueError(f"a list goes on with a comma and a member: {rest!r}")
        rest = rest[1:].lstrip(" \t")
    return members


def _item(text: str) -> tuple[Member, str]:
    value, rest = _bare(text)
    parameters: dict[str, BareItem] = {}
    while rest.startswith(";"):
        name, rest = _match(_KEY, rest[1:].lstrip(" "))
        parameters[name], rest = _bare(rest[1:]) if rest.startswith("=") else (True, rest)
    return (value, parameters), rest


def _bare(text: str) -> tuple[BareItem, str]:
    if text.startswith('"'):
        quoted, rest = _match(_STRING, text)
        return re.sub(r"\\(.)", r"\1", quoted[1:-1]), rest
    if text.startswith("?"):
        flag, rest = _match(_BOOLEAN, text)
        return flag == "?1", rest
    if text[:1].isdecimal() or text.startswith("-"):
        digits, rest = _match(_INTEGER, text)
        return int(digits), rest
    return _match(_TOKEN, text)


def _match(pattern: re.Pattern[str], text: str) -> tuple[str, str]:
    found = pattern.match(text)
    if found is None:
        raise ValueError(f"this is no part of a structured field: {text!r}")
    return found[0], text[found.end() :]
