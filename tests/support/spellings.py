"""Random edits, and other spellings of the same edit.

An edit is drawn with plain texts that the emulator reads; what it then says is the meaning by which
the gateway's digests are judged. Another spelling is one that the design calls equal.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field, replace
from typing import Literal

from hypothesis import strategies as st

from gateway.domain.colors import CSS_COLORS
from gateway.domain.numbers import number_text
from gateway.emulator.kinds import Choice, File, Flag, Pattern, Text, Url
from gateway.emulator.measures import ColourText, LengthText, Number, NumberOr
from gateway.emulator.reading import read_edit
from gateway.emulator.table import EDIT_PARAMETERS, MODEL_HEADERS, Leaf, edit_leaf
from gateway.emulator.values import Refused, Settings

__all__ = ["ABSENT", "Request", "altered", "edits", "respelled"]

Draw = st.DrawFn

PICTURES = (b"one picture", b"another picture")
KEYS = ("a", "b c")
LETTERS = st.text(st.sampled_from("aé\u0301ö\u0308 한Ａ"), min_size=1, max_size=6)
PROMPTS = LETTERS.filter(lambda text: text.strip() != "")
ABSENT = (
    ("removeBackground", "true"),
    ("export.format", "png"),
    ("colorSpace", "sRGB"),
    ("preserveMetadata", "never"),
    ("keepExistingAlphaChannel", "never"),
    ("outputSize", "auto"),
    ("margin", "0"),
    ("padding", "0%"),
)
"""What the design calls the same as absence, where there is neither a template nor layers."""

_FORMS: tuple[Literal["NFC", "NFD"], ...] = ("NFC", "NFD")

# A source of its own kind is drawn for every edit; the large upscalers want a real picture.
_SOURCES = frozenset({"imageFile", "imageUrl", "imageFromPrompt.prompt", "templateId"})
_FREE = tuple(
    leaf for leaf in EDIT_PARAMETERS if leaf.name not in _SOURCES and leaf.name != "upscale.mode"
)


@dataclass(frozen=True, slots=True)
class Request:
    """One drop-in request."""

    pairs: tuple[tuple[str, str], ...]
    files: dict[str, bytes] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def names(self) -> set[str]:
        return {name for name, _ in self.pairs} | set(self.files)

    def settings(self) -> Settings | None:
        """What the emulator makes of it; None where it refuses."""
        try:
            return read_edit(self.pairs, self.files, self.headers, "POST")
        except Refused:
            return None


@st.composite
def edits(draw: Draw) -> Request:
    """A request that the emulator may take or refuse."""
    source = draw(st.sampled_from(sorted(_SOURCES)))
    one_name = st.lists(st.sampled_from(_FREE), max_size=6, unique_by=lambda x: x.settles or x.name)
    chosen = draw(one_name)
    pairs: dict[str, str] = {}
    files: dict[str, bytes] = {}
    for leaf in (_leaf(source), *chosen):
        name = _name(draw, leaf)
        if isinstance(leaf.kind, File):
            files[name] = draw(st.sampled_from(PICTURES))
        else:
            pairs[name] = draw(_texts(leaf))
    return Request(tuple(pairs.items()), files, draw(_headers()))


@st.composite
def altered(draw: Draw, request: Request) -> Request:
    """The request with one parameter, picture or model version changed, dropped or added."""
    pairs, files = dict(request.pairs), dict(request.files)
    match draw(st.sampled_from(("change", "change", "drop", "add", "picture", "header"))):
        case "change" if pairs:
            name = draw(st.sampled_from(sorted(pairs)))
            pairs[name] = draw(_texts(_leaf(name)))
        case "drop" if pairs:
            del pairs[draw(st.sampled_from(sorted(pairs)))]
        case "picture" if files:
            files[draw(st.sampled_from(sorted(files)))] = b"a third picture"
        case "header":
            return replace(request, headers=draw(_headers()))
        case _:
            leaf = draw(st.sampled_from([leaf for leaf in _FREE if leaf.examples]))
            pairs[_name(draw, leaf)] = draw(_texts(leaf))
    return Request(tuple(pairs.items()), files, request.headers)


@st.composite
def respelled(draw: Draw, request: Request) -> Request:
    """The same edit in another spelling, in another order."""
    pairs = dict(_respell(draw, name, text) for name, text in request.pairs)
    if not any(n == "templateId" or n.startswith("layers.") for n in request.names):
        pairs = dict(draw(st.lists(st.sampled_from(ABSENT), unique=True))) | pairs
    return replace(request, pairs=tuple(draw(st.permutations(list(pairs.items())))))


def _leaf(name: str) -> Leaf:
    leaf = edit_leaf(name)
    if leaf is None:
        raise KeyError(name)
    return leaf


def _name(draw: Draw, leaf: Leaf) -> str:
    return leaf.name.replace("{key}", draw(st.sampled_from(KEYS))).replace("[i]", "[0]")


def _headers() -> st.SearchStrategy[dict[str, str]]:
    versions = [(leaf.name, text) for leaf in MODEL_HEADERS for text in leaf.examples]
    return st.lists(st.sampled_from(versions), max_size=2).map(dict)


def _texts(leaf: Leaf) -> st.SearchStrategy[str]:
    """Texts in plain spelling: the documented examples, and values between them."""
    examples = st.sampled_from(leaf.examples)
    match leaf.kind:
        case Text():
            return PROMPTS
        case ColourText():
            return st.one_of(examples, st.sampled_from(sorted(CSS_COLORS)), _hex_digits())
        case LengthText():
            percent = st.integers(0, 49)
            return st.one_of(
                percent.map(lambda n: f"{n}%"),
                percent.map(lambda n: number_text(n / 100)),
                percent.map(lambda n: f"{n}px"),
            )
        case _:
            return examples


def _hex_digits() -> st.SearchStrategy[str]:
    return st.one_of(
        *(st.text("0123456789abcdefABCDEF", min_size=n, max_size=n) for n in (3, 4, 6, 8))
    )


def _respell(draw: Draw, name: str, text: str) -> tuple[str, str]:
    kind = _leaf(name).kind
    match kind:
        case Text():
            space = st.text(" \t\n\u00a0", max_size=2)
            form = draw(st.sampled_from(_FORMS))
            if "layers." in name and ".text." in name:
                return name, text
            return name, draw(space) + unicodedata.normalize(form, text) + draw(space)
        case Pattern():
            return name, draw(st.sampled_from((text, text.upper())))
        case ColourText():
            return name, draw(st.sampled_from(_colours(text)))
        case LengthText():
            return name, draw(st.sampled_from(_lengths(text)))
        case Number() | NumberOr() if text[0].isdecimal():
            return name, draw(st.sampled_from(_numbers(text)))
        case Choice():
            return draw(st.sampled_from(_choices(name, text)))
        case _:
            assert isinstance(kind, Url | Flag | NumberOr) or name == "outputSize"
            return name, text


def _choices(name: str, text: str) -> list[tuple[str, str]]:
    """Other texts, and the older and the nested form of `background.expandPrompt`."""
    if name == "export.format" and text in {"jpg", "jpeg"}:
        return [(name, "jpg"), (name, "jpeg")]
    if name.startswith("background.expandPrompt"):
        word = text.removeprefix("ai.")
        return [("background.expandPrompt", word), ("background.expandPrompt.mode", f"ai.{word}")]
    return [(name, text)]


def _numbers(text: str) -> list[str]:
    value = float(text)
    plain = number_text(value)
    spellings = [plain, f"+{plain}", f"0{plain}", f"{value!r}", f"{value:.17e}", f"{value:.25f}"]
    if "." in plain:
        spellings += [f"{plain}0", plain.removeprefix("0")]
    return spellings


def _lengths(text: str) -> list[str]:
    if text.endswith("px"):
        return [f"{number}px" for number in _numbers(text.removesuffix("px"))]
    percent = text.endswith("%")
    ratio = float(text.removesuffix("%")) / (100 if percent else 1)
    hundredths = round(ratio * 100)
    if hundredths / 100 != ratio:
        return _numbers(text)
    return _numbers(number_text(ratio)) + [f"{n}%" for n in _numbers(str(hundredths))]


def _colours(text: str) -> list[str]:
    """Names by name, case and digits; digits by case, `#`, short and long form, and alpha."""
    if text.lower() == "transparent":
        return ["transparent", "Transparent"]
    if text.lower() in CSS_COLORS:
        digits, names = CSS_COLORS[text.lower()], [text.lower(), text.upper()]
    else:
        digits, names = text.removeprefix("#").upper(), []
    if len(digits) < 6:
        digits = "".join(digit * 2 for digit in digits)
    if len(digits) == 8:
        digits = digits.removesuffix("FF")
    forms = [digits] if len(digits) == 8 else [digits, f"{digits}FF"]
    forms += [form[::2] for form in forms if form[::2] == form[1::2]]
    names += [name for name, value in CSS_COLORS.items() if value == digits]
    return names + [mark + form for f in forms for form in (f, f.lower()) for mark in ("", "#")]
