"""Reads a request's wire parameters into effective settings, as the real server would."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from gateway.emulator.rules import Given, check_edit
from gateway.emulator.table import (
    EDIT_PARAMETERS,
    MODEL_HEADERS,
    SEGMENT_PARAMETERS,
    Leaf,
    edit_leaf,
)
from gateway.emulator.values import Refused, Settings, Value

__all__ = ["read_edit", "read_segment", "refuse_duplicates"]

_MOST_PRODUCTS = 4
_PRODUCT = re.compile(r"virtualModel\.additionalProductImages\[(\d+)\]\.", re.ASCII)
_SIDES = ("Top", "Right", "Bottom", "Left")

# Objects of the schema that allow no other member, and what is said about one.
_CLOSED = (
    (re.compile(r"(virtualModel\.(?:model|scene))\b"), "must match a schema in anyOf"),
    (re.compile(r"(layers\.[^.]+)\."), "must match a schema in anyOf"),
    (re.compile(r"(background\.expandPrompt)\."), "must match a schema in anyOf"),
    (
        re.compile(r"(virtualModel\.additionalProductImages)\["),
        "must NOT have additional properties",
    ),
    (re.compile(r"(virtualModel\.additionalProductImages)$"), "must be array"),
)
_OBJECTS = frozenset(
    ".".join(leaf.name.split(".")[:depth])
    for leaf in EDIT_PARAMETERS
    for depth in range(1, leaf.name.count(".") + 1)
)


def read_edit(
    params: Sequence[tuple[str, str]],
    files: Mapping[str, bytes],
    headers: Mapping[str, str],
    method: str,
) -> Settings:
    """The effective settings of a `/v2/edit` call; raises `Refused` as the server would.

    `params` are the texts in the order sent, `files` the bytes of the file parts, `headers` the
    request's headers by name in lower case, `method` is GET or POST.
    """
    refuse_duplicates([name for name, _ in params] + list(files))
    values: dict[str, Value] = {}
    unsupported = []
    for name, text in params:
        leaf = edit_leaf(name)
        if leaf is None:
            _refuse_bad_shape(name)
            unsupported.append(name)
        else:
            _keep(values, leaf, name, _read_text(leaf, name, text, method))
    for name, data in files.items():
        leaf = edit_leaf(name)
        if leaf is None:
            _refuse_bad_shape(name)
            unsupported.append(name)
        elif leaf.kind.examples:
            raise Refused(400, f"{_path(name)} must be string")
        else:
            values[name] = _content(data)
    _refuse_bad_indices(values)
    models = _read_models(headers)
    given = Given(values, dict(models), files)
    check_edit(given)
    return Settings("edit", _with_defaults(values), models, tuple(unsupported))


def read_segment(
    params: Sequence[tuple[str, str]], files: Mapping[str, bytes], headers: Mapping[str, str]
) -> Settings:
    """The effective settings of a `/v1/segment` call; extras are ignored without a word."""
    leaves = {leaf.name: leaf for leaf in SEGMENT_PARAMETERS}
    values: dict[str, Value] = {
        leaf.name: leaf.kind.read(leaf.default) for leaf in SEGMENT_PARAMETERS if leaf.default
    }
    if not files.get("image_file"):
        raise Refused(400, "Please provide an image.", "missing_image")
    values["image_file"] = _content(files["image_file"])
    for name, text in params:
        leaf = leaves.get(name)
        if leaf is not None:
            try:
                values[name] = leaf.kind.read(text)
            except ValueError as error:
                raise Refused(400, f"{name} {error}", "invalid_parameter") from None
    return Settings("segment", tuple(sorted(values.items())), _read_models(headers))


def refuse_duplicates(names: Iterable[str]) -> None:
    """Raise `Refused` when a name stands twice."""
    for name, count in Counter(names).items():
        if count > 1:
            raise Refused(400, f"{name} was provided more than once, but can only be provided once")


def _path(name: str) -> str:
    """The validator's spelling of a wire name: `upscale/mode`, `a/0/imageUrl`."""
    return re.sub(r"\[(\d+)\]", r"/\1", name).replace(".", "/")


def _read_text(leaf: Leaf, name: str, text: str, method: str) -> Value:
    # The specification lists no URL under POST; clients send them there and are served.
    if method not in leaf.methods and not leaf.name.endswith("Url"):
        raise Refused(400, f"{_path(name)} can only be sent as a file in a POST request")
    try:
        return leaf.kind.read(text)
    except ValueError as error:
        raise Refused(400, f"{_path(name)} {error}") from None


def _keep(values: dict[str, Value], leaf: Leaf, name: str, value: Value) -> None:
    name = leaf.settles or name
    if name in values:
        raise Refused(400, f"{_path(name.rpartition('.')[0])} must match a schema in anyOf")
    values[name] = value


def _content(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _refuse_bad_shape(name: str) -> None:
    """Refuse a name that no row has when it stands where the schema allows no other.

    What passes is an unknown attribute: ignored, named in a header, and charged.
    """
    for pattern, message in _CLOSED:
        match = pattern.match(name)
        if match:
            raise Refused(400, f"{_path(match[1])} {message}")
    if name in _OBJECTS:
        raise Refused(400, f"{_path(name)} must be object")


def _refuse_bad_indices(values: Mapping[str, Value]) -> None:
    path = "virtualModel/additionalProductImages"
    indices = {int(match[1]) for name in values if (match := _PRODUCT.match(name))}
    if len(indices) > _MOST_PRODUCTS:
        raise Refused(400, f"{path} must NOT have more than {_MOST_PRODUCTS} items")
    for index in range(len(indices)):
        if index not in indices:
            raise Refused(400, f"{path}/{index} must be object")


def _read_models(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    found = []
    for leaf in MODEL_HEADERS:
        text = headers.get(leaf.name, leaf.default or "").strip()
        if text:
            found.append((leaf.name, text))
    return tuple(sorted(found))


def _with_defaults(values: Mapping[str, Value]) -> tuple[tuple[str, Value], ...]:
    """The values, and what absence means.

    Absence means nothing known with a template or layers: the template decides. A side of margin
    or padding that is not set is the general one.
    """
    settled = dict(values)
    if "templateId" not in values and not any(name.startswith("layers.") for name in values):
        for leaf in EDIT_PARAMETERS:
            if leaf.default is not None:
                settled.setdefault(leaf.name, leaf.kind.read(leaf.default))
        for part in ("model", "scene"):
            if any(name.startswith(f"virtualModel.{part}.custom.") for name in values):
                del settled[f"virtualModel.{part}.preset.name"]
        for name in ("margin", "padding"):
            general = settled.pop(name)
            for side in _SIDES:
                settled.setdefault(f"{name}{side}", general)
    return tuple(sorted(settled.items()))
