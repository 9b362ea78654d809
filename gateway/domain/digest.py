"""The content address of an edit.

The digest is SHA-256 over an encoding of our own, never over serialised protobuf: deterministic is not
canonical, and a library's next version may order fields differently. The encoding is, in this order:

- the format version, the operation, and `sandbox` or `live`, each as a length-prefixed text;
- then each parameter, picture and model header in ascending order of name (code points): one byte of
  type, the name, the value, the last two length-prefixed (four bytes, big-endian) and in UTF-8.

A change of this encoding, or of a canonical spelling, needs a new `FORMAT_VERSION`: it disowns every
stored result, where a silent change would mix old and new under one name.
"""

from __future__ import annotations

import hashlib

from gateway.domain.edit import Edit, Kind, Parameter

__all__ = ["FORMAT_VERSION", "edit_digest"]

FORMAT_VERSION = "edit/1"


def edit_digest(edit: Edit, *, sandbox: bool) -> str:
    """Return the SHA-256 of the edit's canonical form, in lower-case hex.

    Equal digests mean the same picture by the upstream's own reading; different spellings of one value
    are equal only where the design lists them.
    """
    images = {slot.name: slot.image for slot in edit.images}
    runs, rest = edit.once(("digest", sandbox), lambda: _runs(edit, sandbox=sandbox))
    hasher = hashlib.sha256()
    for run, slot in runs:
        hasher.update(run + _sized(f"{images[slot].sha256}:{images[slot].size}"))
    hasher.update(rest)
    return hasher.hexdigest()


def _runs(edit: Edit, *, sandbox: bool) -> tuple[list[tuple[bytes, str]], bytes]:
    """Return the encoding up to the value of each picture, with its slot's name, and the rest."""
    runs: list[tuple[bytes, str]] = []
    run = _sized(FORMAT_VERSION) + _sized(edit.operation.value)
    run += _sized("sandbox" if sandbox else "live")
    drop_defaults = not edit.uses_template
    fields = [_field(p) for p in edit.parameters if not (drop_defaults and p.same_as_absent)]
    fields += [(slot.name, Kind.IMAGE, None) for slot in edit.images]
    fields += [_field(p) for p in edit.headers]
    for name, kind, value in sorted(fields, key=lambda item: item[0]):
        run += kind.value + _sized(name)
        if value is None:
            runs.append((run, name))
            run = b""
        else:
            run += _sized(value)
    return runs, run


def _field(parameter: Parameter) -> tuple[str, Kind, str | None]:
    return parameter.name, parameter.kind, parameter.canonical


def _sized(text: str) -> bytes:
    raw = text.encode()
    return len(raw).to_bytes(4, "big") + raw
