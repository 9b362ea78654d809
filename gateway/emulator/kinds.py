"""The kinds of parameter: how a text on the wire is read, and what the server says when it is bad.

`read` raises `ValueError` with the words that follow the parameter's path in the answer. They are
those of the JSON-schema validator Ajv, which the vendor's messages show it to use.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from gateway.emulator.values import Value

__all__ = ["UUID", "Choice", "File", "Flag", "Kind", "Pattern", "Text", "Url"]


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


@dataclass(frozen=True, slots=True)
class Choice:
    """One of `words`; `same` maps a word to the one that means the same."""

    words: tuple[str, ...]
    same: Mapping[str, str] = field(default_factory=dict, hash=False)
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
        """The address as it was sent; a scheme may be written in any case (RFC 3986, 3.1)."""
        if not text[:8].lower().startswith(("http://", "https://")):
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
