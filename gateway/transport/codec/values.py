"""How one value is read, checked and spelled, by type.

Each reader takes the text of the wire or the value of a proto field and returns the same `Value` for
the same meaning; both doors run through the same checks. An `Unreadable` never repeats the value: it
may be a prompt or a secret in the wrong field.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from gateway.domain.colors import read_color
from gateway.domain.edit import Kind
from gateway.domain.numbers import LARGEST_SEED, number_text, read_number
from gateway.domain.violations import Code

__all__ = [
    "Choice",
    "Color",
    "Flag",
    "Number",
    "Reader",
    "Seed",
    "Text",
    "Unreadable",
    "Value",
    "prompt_form",
    "url_form",
    "uuid_form",
]

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Value:
    """One value: its type in the digest, the text that goes upstream, the text that is digested."""

    kind: Kind
    wire: str
    canonical: str


class Unreadable(Exception):
    """The value is not one of its type; `code` is stable, the description is for people."""

    def __init__(self, code: Code, description: str) -> None:
        super().__init__(description)
        self.code = code
        self.description = description


class Reader(Protocol):
    """Reads a value of one type."""

    def from_text(self, text: str) -> Value:
        """Read the text of the wire. Raises Unreadable."""
        ...

    def from_field(self, value: object) -> Value:
        """Read the value of a proto field. Raises Unreadable."""
        ...


@dataclass(frozen=True, slots=True)
class Flag:
    """`true` or `false`."""

    def from_text(self, text: str) -> Value:
        if text not in {"true", "false"}:
            raise Unreadable(Code.NOT_A_BOOLEAN, "must be true or false")
        return Value(Kind.FLAG, text, text)

    def from_field(self, value: object) -> Value:
        return self.from_text("true" if value else "false")


@dataclass(frozen=True, slots=True)
class Number:
    """A double within bounds, with a unit behind it (`suffix`) where the wire has one.

    `divisor` turns the unit into the plain number of the same meaning; a suffix without one is a unit
    of its own.
    """

    low: float | None = None
    high: float | None = None
    above: float | None = None
    below: float | None = None
    whole: bool = False
    suffix: str = ""
    divisor: float = 0.0

    def from_text(self, text: str) -> Value:
        try:
            value = read_number(text.removesuffix(self.suffix))
        except ValueError as error:
            raise Unreadable(Code.NOT_A_NUMBER, str(error)) from None
        return self.from_field(value)

    def from_field(self, value: object) -> Value:
        if not isinstance(value, int | float) or not math.isfinite(value):
            raise Unreadable(Code.NOT_A_NUMBER, "is not a finite number")
        number = float(value)
        if self.whole and not number.is_integer():
            raise Unreadable(Code.NOT_WHOLE, "must be a whole number")
        if not self._within(number):
            raise Unreadable(Code.OUT_OF_RANGE, f"must be {self.bounds}")
        wire = number_text(number) + self.suffix
        if self.suffix and not self.divisor:
            return Value(Kind.PIXELS, wire, wire)
        plain = number / self.divisor if self.divisor else number
        return Value(Kind.NUMBER, wire, number_text(plain))

    def _within(self, number: float) -> bool:
        return (
            (self.low is None or number >= self.low)
            and (self.high is None or number <= self.high)
            and (self.above is None or number > self.above)
            and (self.below is None or number < self.below)
        )

    @property
    def bounds(self) -> str:
        """The bounds in words, such as `at least 0% and at most 49%`."""
        words = (
            ("at least", self.low),
            ("above", self.above),
            ("at most", self.high),
            ("below", self.below),
        )
        return " and ".join(
            f"{word} {number_text(bound)}{self.suffix}"
            for word, bound in words
            if bound is not None
        )


@dataclass(frozen=True, slots=True)
class Seed:
    """A whole number from 1 to 2^53-1, the range in which a double is exact."""

    def from_text(self, text: str) -> Value:
        try:
            return self.from_field(read_number(text))
        except ValueError as error:
            raise Unreadable(Code.NOT_A_NUMBER, str(error)) from None

    def from_field(self, value: object) -> Value:
        if not isinstance(value, int | float):
            raise Unreadable(Code.NOT_A_NUMBER, "is not a number")
        if value != int(value):
            raise Unreadable(Code.NOT_WHOLE, "must be a whole number")
        if not 1 <= value <= LARGEST_SEED:
            raise Unreadable(Code.OUT_OF_RANGE, f"must be at least 1 and at most {LARGEST_SEED}")
        text = str(int(value))
        return Value(Kind.NUMBER, text, text)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some texts. `by_text` also knows older spellings; `by_number` is the proto enum."""

    by_text: Mapping[str, str]
    by_number: Mapping[int, str]

    def from_text(self, text: str) -> Value:
        wire = self.by_text.get(text)
        if wire is None:
            raise Unreadable(Code.NOT_ALLOWED, f"must be one of {', '.join(self.by_text)}")
        return Value(Kind.CHOICE, wire, wire)

    def from_field(self, value: object) -> Value:
        wire = self.by_number.get(value) if isinstance(value, int) else None
        if wire is None:
            raise Unreadable(
                Code.NOT_ALLOWED, f"must be one of {', '.join(self.by_number.values())}"
            )
        return Value(Kind.CHOICE, wire, wire)


@dataclass(frozen=True, slots=True)
class Color:
    """A colour; with `hash_sign` its digits are written behind a `#` on the wire."""

    hash_sign: bool = False

    def from_text(self, text: str) -> Value:
        try:
            wire, canonical = read_color(text)
        except ValueError as error:
            raise Unreadable(Code.BAD_COLOR, str(error)) from None
        named = wire != canonical or wire == "transparent"
        return Value(Kind.COLOR, f"#{wire}" if self.hash_sign and not named else wire, canonical)

    def from_field(self, value: object) -> Value:
        return self.from_text(str(value))


@dataclass(frozen=True, slots=True)
class Text:
    """Text of a bounded length, in code points.

    `longest` bounds what came, so that forming it stays cheap; `shortest` what is left of it after.
    """

    shortest: int = 0
    longest: int = 10_000
    pattern: re.Pattern[str] | None = None
    form: Callable[[str], str] | None = None
    kind: Kind = Kind.TEXT

    def from_text(self, text: str) -> Value:
        if len(text) > self.longest:
            raise Unreadable(Code.TOO_LONG, f"must have at most {self.longest} characters")
        if self.form is not None:
            text = self.form(text)
        if len(text) < self.shortest:
            raise Unreadable(Code.TOO_SHORT, f"must have at least {self.shortest} characters")
        if self.pattern is not None and not self.pattern.fullmatch(text):
            raise Unreadable(Code.BAD_FORMAT, f"must match {self.pattern.pattern}")
        return Value(self.kind, text, text)

    def from_field(self, value: object) -> Value:
        return self.from_text(str(value))


def prompt_form(text: str) -> str:
    """Bring a prompt into the form in which it is sent and compared: NFC, stripped at both ends."""
    return unicodedata.normalize("NFC", text).strip()


def uuid_form(text: str) -> str:
    """Bring a UUID into lower case. Raises Unreadable for anything but the 8-4-4-4-12 form."""
    text = text.lower()
    if not _UUID.fullmatch(text):
        raise Unreadable(
            Code.BAD_UUID, "must be a UUID such as 01234567-89ab-cdef-0123-456789abcdef"
        )
    return text


def url_form(text: str) -> str:
    """Check a URL and leave it as it is: it is fetched, and compared, by its text."""
    try:
        url = urlsplit(text)
        proper = url.scheme in {"http", "https"} and bool(url.hostname) and url.port != 0
    except ValueError:
        proper = False
    # Of all white space, the space alone is printable.
    if not proper or " " in text or not text.isprintable():
        raise Unreadable(Code.BAD_URL, "must be an absolute http or https URL")
    return text
