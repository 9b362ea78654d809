"""A form as the doors see it, whatever encoding its body had; and why a body can be no form."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from gateway.domain.edit import ImageRef
from gateway.domain.errors import InvalidRequest, Violation

__all__ = ["FilePart", "Form", "FormCode", "FormLimits", "field_text", "refusal"]


class FormCode(enum.StrEnum):
    """Why a body cannot be read as a form: stable codes. The comment is the documentation."""

    UNSUPPORTED_MEDIA_TYPE = "UNSUPPORTED_MEDIA_TYPE"  # Content-Type names neither form encoding
    BAD_BOUNDARY = "BAD_BOUNDARY"  # Content-Type names no boundary, a wrong one, or several
    MALFORMED_MULTIPART = "MALFORMED_MULTIPART"  # the body is not what RFC 7578 describes
    BAD_CODING = (
        "BAD_CODING"  # the body is not in the transfer or content coding that its head names
    )
    TRUNCATED_BODY = "TRUNCATED_BODY"  # the body ends before its last boundary
    TOO_MANY_FIELDS = "TOO_MANY_FIELDS"  # more parts than any edit has
    UNNAMED_FIELD = "UNNAMED_FIELD"  # a urlencoded text without a name
    FIELD_TOO_LONG = "FIELD_TOO_LONG"  # a text of more bytes than any parameter takes
    TRANSFER_ENCODING = "TRANSFER_ENCODING"  # a part in base64 or the like
    BAD_ESCAPE = "BAD_ESCAPE"  # a % that two hexadecimal digits do not follow
    NOT_UTF8 = "NOT_UTF8"  # a name or a text that is not UTF-8


@dataclass(frozen=True, slots=True)
class FormLimits:
    """Bounds, all inclusive: bytes of the body, of one file, of one text, and the number of parts.

    `urlencoded` bounds the bytes of a body that can hold texts alone. The longest prompt has 10,000
    characters, up to 40 KB; the widest edit has 121 parameters.
    """

    body: int
    file: int
    text: int = 64 << 10
    parts: int = 512
    urlencoded: int = 1 << 20


@dataclass(frozen=True, slots=True)
class FilePart:
    """A file as it was sent. `filename` and `content_type` are the client's word, None if unsaid."""

    name: str
    filename: str | None
    content_type: str | None
    data: bytes = field(repr=False)
    ref: ImageRef


@dataclass(frozen=True, slots=True)
class Form:
    """Texts and files, each in the order of arrival. A name that was sent twice stands twice."""

    fields: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    files: tuple[FilePart, ...] = ()


def refusal(name: str, code: FormCode, text: str) -> InvalidRequest:
    """Make the error of one violation, of a field or of `body`, `query`, `content-type`."""
    return InvalidRequest([Violation(name, code, text)])


def field_text(data: bytes, name: str, limits: FormLimits) -> str:
    """Decode the text of field `name`. Raises InvalidRequest when it is too long or not UTF-8."""
    if len(data) > limits.text:
        raise refusal(name, FormCode.FIELD_TOO_LONG, f"is longer than {limits.text} bytes")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise refusal(name, FormCode.NOT_UTF8, "is not text in UTF-8") from None
