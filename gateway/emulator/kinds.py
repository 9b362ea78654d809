"""The kinds of parameter: how a text on the wire is read, and what the server says when it is bad.

`read` raises `ValueError` with the words that follow the parameter's path in the answer. They are
those of the JSON-schema validator Ajv, which the vendor's messages show it to use.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from PIL import ImageColor

from gateway.emulator.values import Colour, Length, Size, Value

__all__ = [
    "UUID",
    "Choice",
    "ColourText",
    "File",
    "Flag",
    "Kind",
    "LengthText",
    "Number",
    "NumberOr",
    "OutputSize",
    "Pattern",
    "Text",
    "Url",
]

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_LENGTH = re.compile(r"(\d+\.?\d*|\.\d+)(%|px)?", re.ASCII)
_HEX = re.compile(r"#?([0-9a-fA-F]{3,4}|[0-9a-fA-F]{6}|[0-9a-fA-F]{8})", re.ASCII)
_OUTPUT_SIZE = re.compile(r"auto|originalImage|croppedSubject|(\d+)x(\d+)", re.ASCII)
_MAX_RATIO = 0.49


class Kind(Protocol):
    """What a parameter may hold."""

    @property
    def examples(self) -> tuple[str, ...]:
        """Valid texts: every word of an enumeration, each bound, and typical values."""

    @property
    def bad(self) -> tuple[str, ...]:
        """Texts that are refused."""

    def read(self, text: str) -> Value:
        """The value of `text`; raises `ValueError` in the server's words."""


def _double(text: str) -> float:
    if not _NUMBER.fullmatch(text.strip()):
        raise ValueError("must be number")
    value = float(text)
    if value in {float("inf"), float("-inf")}:
        raise ValueError("must be number")
    return value + 0.0  # -0.0 and 0.0 are one number


@dataclass(frozen=True, slots=True)
class Choice:
    """One of `words`; `same` maps a word to the one that means the same."""

    words: tuple[str, ...]
    same: Mapping[str, str] = field(default_factory=dict)
    refusal: str = "must be equal to one of the allowed values"

    @property
    def examples(self) -> tuple[str, ...]:
        """Every word."""
        return self.words

    @property
    def bad(self) -> tuple[str, ...]:
        """No word, another word, and a word in another case."""
        return ("", "nonsense", self.words[0].swapcase())

    def read(self, text: str) -> Value:
        """The word itself."""
        if text not in self.words:
            raise ValueError(self.refusal)
        return self.same.get(text, text)


@dataclass(frozen=True, slots=True)
class Number:
    """A number; `minimum` and `maximum` are allowed values, `above` is not one."""

    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    typical: tuple[str, ...] = ("1", "2.5", "1000")

    @property
    def examples(self) -> tuple[str, ...]:
        """The bounds and what lies between them."""
        low = self.minimum if self.minimum is not None else self.above
        if low is None or self.maximum is None:
            return self.typical
        middle = (low + self.maximum) / 2
        first = middle if self.minimum is None else self.minimum
        return tuple(f"{number:g}" for number in (first, middle, self.maximum))

    @property
    def bad(self) -> tuple[str, ...]:
        """No number, and numbers just outside the bounds."""
        outside = []
        if self.minimum is not None:
            outside.append(f"{self.minimum - 0.001:.12g}")
        if self.above is not None:
            outside.append(f"{self.above:g}")
        if self.maximum is not None:
            outside.append(f"{self.maximum + 0.001:.12g}")
        return ("", "much", "NaN", "Infinity", *outside)

    def read(self, text: str) -> Value:
        """The number as a double."""
        value = _double(text)
        if self.minimum is not None and value < self.minimum:
            raise ValueError(f"must be >= {self.minimum:g}")
        if self.above is not None and value <= self.above:
            raise ValueError(f"must be > {self.above:g}")
        if self.maximum is not None and value > self.maximum:
            raise ValueError(f"must be <= {self.maximum:g}")
        return value


@dataclass(frozen=True, slots=True)
class NumberOr:
    """Degrees, or the word that stands for a number of them."""

    words: Mapping[str, float]

    @property
    def examples(self) -> tuple[str, ...]:
        """Every word and two numbers."""
        return (*self.words, "0", "33.5")

    @property
    def bad(self) -> tuple[str, ...]:
        """Neither a number nor a word."""
        return ("", "nonsense")

    def read(self, text: str) -> Value:
        """The degrees."""
        if text in self.words:
            return self.words[text]
        try:
            return _double(text)
        except ValueError:
            raise ValueError("must match a schema in anyOf") from None


@dataclass(frozen=True, slots=True)
class Flag:
    """`true` or `false`."""

    @property
    def examples(self) -> tuple[str, ...]:
        """Both."""
        return ("true", "false")

    @property
    def bad(self) -> tuple[str, ...]:
        """What other places take for a truth."""
        return ("", "1", "yes", "True")

    def read(self, text: str) -> Value:
        """The truth."""
        if text not in {"true", "false"}:
            raise ValueError("must be boolean")
        return text == "true"


@dataclass(frozen=True, slots=True)
class Text:
    """Words in a human language. Outer space and the Unicode composition form mean nothing."""

    shortest: int = 0
    typical: tuple[str, ...] = ("a sandy beach at noon", "ein Café in Zürich")

    @property
    def examples(self) -> tuple[str, ...]:
        """Two texts."""
        return self.typical

    @property
    def bad(self) -> tuple[str, ...]:
        """The empty text, where one is asked for."""
        return ("",) if self.shortest else ()

    def read(self, text: str) -> Value:
        """The text in normal form C, stripped."""
        if len(text) < self.shortest:
            raise ValueError(f"must NOT have fewer than {self.shortest} characters")
        return unicodedata.normalize("NFC", text).strip()


@dataclass(frozen=True, slots=True)
class LengthText:
    """A ratio of the output's side (`0` to `0.49`, `0%` to `49%`), or pixels (`100px`)."""

    @property
    def examples(self) -> tuple[str, ...]:
        """Every spelling."""
        return ("0", "0.1", "0.49", "30%", "49%", "12px")

    @property
    def bad(self) -> tuple[str, ...]:
        """Half of the side, below nothing, and other units."""
        return ("", "0.5", "50%", "-0.1", "-1px", "2em", "wide")

    def read(self, text: str) -> Value:
        """The length; a percentage is a ratio."""
        match = _LENGTH.fullmatch(text)
        if match is None:
            raise ValueError('must be a number, a percentage such as "30%" or pixels such as "9px"')
        amount = float(match[1])
        if match[2] == "px":
            return Length(amount, "px")
        ratio = amount / 100 if match[2] == "%" else amount
        if ratio > _MAX_RATIO:
            raise ValueError("must be between 0 and 0.49")
        return Length(ratio, "ratio")


@dataclass(frozen=True, slots=True)
class ColourText:
    """Hexadecimal digits with or without `#`, or a CSS colour name."""

    @property
    def examples(self) -> tuple[str, ...]:
        """Each spelling."""
        return ("FF0000", "#00FF00", "0000FF80", "fff", "abcd", "RebeccaPurple", "transparent")

    @property
    def bad(self) -> tuple[str, ...]:
        """Neither."""
        return ("", "FF000", "#GG0000", "reddish")

    def read(self, text: str) -> Value:
        """The colour with its alpha."""
        if text.lower() == "transparent":
            return Colour(0, 0, 0, 0)
        match = _HEX.fullmatch(text)
        if match is None and text.lower() not in ImageColor.colormap:
            raise ValueError("must be a valid color")
        channels = ImageColor.getcolor(f"#{match[1]}" if match else text.lower(), "RGBA")
        return Colour(*channels) if isinstance(channels, tuple) else Colour(0, 0, 0, channels)


@dataclass(frozen=True, slots=True)
class OutputSize:
    """A word, or `<width>x<height>` in pixels."""

    @property
    def examples(self) -> tuple[str, ...]:
        """Every word and a size."""
        return ("auto", "originalImage", "croppedSubject", "300x200")

    @property
    def bad(self) -> tuple[str, ...]:
        """Half a size, and a size with a sign."""
        return ("", "300x", "-3x4", "300 x 200", "Auto")

    def read(self, text: str) -> Value:
        """The word, or the size."""
        match = _OUTPUT_SIZE.fullmatch(text)
        if match is None:
            raise ValueError('must match pattern "^(auto|\\d+x\\d+|originalImage|croppedSubject)$"')
        return Size(int(match[1]), int(match[2])) if match[1] else text


@dataclass(frozen=True, slots=True)
class Pattern:
    """A text of a fixed form, whatever its case."""

    pattern: str
    refusal: str
    typical: tuple[str, ...]

    @property
    def examples(self) -> tuple[str, ...]:
        """Typical texts."""
        return self.typical

    @property
    def bad(self) -> tuple[str, ...]:
        """Texts of another form."""
        return ("", "nonsense")

    def read(self, text: str) -> Value:
        """The text in lower case."""
        if not re.fullmatch(self.pattern, text, re.IGNORECASE | re.ASCII):
            raise ValueError(self.refusal)
        return text.lower()


UUID = Pattern(
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    'must match format "uuid"',
    ("0189aa4a-5f0c-4c5c-8b0e-2f6f5f0d7a11",),
)


@dataclass(frozen=True, slots=True)
class Url:
    """The address of a picture, which the server fetches."""

    @property
    def examples(self) -> tuple[str, ...]:
        """An address that nothing answers on."""
        return ("https://pictures.invalid/chair.jpg",)

    @property
    def bad(self) -> tuple[str, ...]:
        """No address, and one of another scheme."""
        return ("", "chair.jpg", "file:///etc/passwd")

    def read(self, text: str) -> Value:
        """The address as it was sent."""
        if not text.startswith(("http://", "https://")):
            raise ValueError("must be a valid URL")
        return text


@dataclass(frozen=True, slots=True)
class File:
    """The bytes of a picture, which only a form can carry."""

    @property
    def examples(self) -> tuple[str, ...]:
        """None: a file is not a text."""
        return ()

    @property
    def bad(self) -> tuple[str, ...]:
        """Any text."""
        return ("chair.jpg",)

    def read(self, text: str) -> Value:
        """Never: a text in the place of a file is refused."""
        del text
        raise ValueError("must be a file")
