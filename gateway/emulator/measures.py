"""Kinds of parameter that measure: numbers, angles, lengths, colours, sizes.

`read` raises `ValueError` with the words that follow the parameter's path in the answer.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from PIL import ImageColor

from gateway.emulator.values import Colour, Length, Size, Value

__all__ = ["ColourText", "LengthText", "Number", "NumberOr", "OutputSize"]

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_LENGTH = re.compile(r"(\d+\.?\d*|\.\d+)(%|px)?", re.ASCII)
_HEX = re.compile(r"#?([0-9a-fA-F]{3,4}|[0-9a-fA-F]{6}|[0-9a-fA-F]{8})", re.ASCII)
_OUTPUT_SIZE = re.compile(r"auto|originalImage|croppedSubject|(\d+)x(\d+)", re.ASCII)
_MAX_RATIO = 0.49


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
        return tuple(dict.fromkeys(f"{number:g}" for number in (first, middle, self.maximum)))

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

    words: Mapping[str, float] = field(hash=False)

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


def _double(text: str) -> float:
    if not _NUMBER.fullmatch(text.strip()):
        raise ValueError("must be number")
    value = float(text)
    if value in {float("inf"), float("-inf")}:
        raise ValueError("must be number")
    return value + 0.0  # -0.0 and 0.0 are one number
