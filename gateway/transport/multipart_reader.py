"""Form bodies as they arrive: texts and files in order, each file hashed on the way.

Multipart (RFC 7578) is read by PyPI's `multipart`, a push parser; aiohttp's own reader takes several
times the CPU. What arrives is cut into blocks of one size first, so that how the network cut the body
decides nothing: not the form, not the error, and not the CPU that a body in single bytes costs.
Memory is bounded by `FormLimits`, time is linear in the body. No error text holds any of the content.
"""

from __future__ import annotations

import enum
import hashlib
import re
from collections.abc import AsyncIterable, Callable, Iterator
from dataclasses import dataclass, field
from typing import NoReturn, Protocol
from urllib.parse import unquote, unquote_to_bytes

from multipart import (
    MultipartError,
    MultipartSegment,
    ParserError,
    ParserLimitReached,
    PushMultipartParser,
    StrictParserError,
)

from gateway.domain.edit import ImageRef
from gateway.domain.errors import BodyTooLarge, InvalidRequest, Violation
from gateway.domain.picture_rules import too_large

__all__ = ["FilePart", "Form", "FormCode", "FormLimits", "parse_urlencoded", "read_form"]


class FormCode(enum.StrEnum):
    """Why a body cannot be read as a form: the stable codes."""

    UNSUPPORTED_MEDIA_TYPE = "UNSUPPORTED_MEDIA_TYPE"
    BAD_BOUNDARY = "BAD_BOUNDARY"
    MALFORMED_MULTIPART = "MALFORMED_MULTIPART"
    TRUNCATED_BODY = "TRUNCATED_BODY"
    UNNAMED_FIELD = "UNNAMED_FIELD"
    TOO_MANY_FIELDS = "TOO_MANY_FIELDS"
    FIELD_TOO_LONG = "FIELD_TOO_LONG"
    TRANSFER_ENCODING = "TRANSFER_ENCODING"
    BAD_ESCAPE = "BAD_ESCAPE"
    NOT_UTF8 = "NOT_UTF8"


@dataclass(frozen=True, slots=True)
class FormLimits:
    """Most bytes of a body, of one file, of one text; most parts; most bytes of a urlencoded body.

    The longest prompt has 10,000 characters, 40 KB at most, and an edit has 121 parameters.
    """

    body: int
    file: int
    text: int = 64 << 10
    parts: int = 512
    urlencoded: int = 1 << 20


@dataclass(frozen=True, slots=True)
class FilePart:
    """A file as it was sent. `filename` and `content_type` are the client's word, None where not said."""

    name: str
    filename: str | None
    content_type: str | None
    data: bytes = field(repr=False)
    ref: ImageRef


@dataclass(frozen=True, slots=True)
class Form:
    """Texts and files, each in the order of arrival; a name that was sent twice stands twice."""

    fields: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    files: tuple[FilePart, ...] = ()


async def read_form(
    content_type: str,
    chunks: AsyncIterable[bytes],
    limits: FormLimits,
    is_file_field: Callable[[str], bool],
) -> Form:
    """Read a body whose Content-Type header is `content_type`, in chunks of any size.

    A part is a file when it has a filename (`filename*` counts too), an image type, or a name for which
    `is_file_field` is true; any other is text in UTF-8, whatever charset it claims. What follows the
    last boundary is ignored.

    Raises InvalidRequest with one violation, of a `FormCode` or IMAGE_TOO_LARGE, and BodyTooLarge; both
    as soon as the cause has arrived: the rest is not read.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    reader: _Reader
    match media_type:
        case "multipart/form-data":
            reader, most = _Multipart(_boundary(content_type), limits, is_file_field), limits.body
        case "application/x-www-form-urlencoded":
            reader, most = _UrlEncoded(limits), min(limits.body, limits.urlencoded)
        case _:
            _refuse(
                "content-type",
                FormCode.UNSUPPORTED_MEDIA_TYPE,
                "must be multipart/form-data or application/x-www-form-urlencoded",
            )
    blocks = _Blocks(reader.feed)
    received = 0
    async for chunk in chunks:
        received += len(chunk)
        if received > most:
            raise BodyTooLarge(f"The body has more than {most} bytes.")
        blocks.add(chunk)
    blocks.flush()
    return reader.finish()


def parse_urlencoded(
    raw: str | bytes, limits: FormLimits, where: str = "query"
) -> tuple[tuple[str, str], ...]:
    """Read a query string, or a urlencoded body, into names and texts in order.

    A name without `=` has the empty text; empty pieces between `&` are skipped. Raises InvalidRequest,
    of `where` if no field can be named.
    """
    data = raw if isinstance(raw, bytes) else raw.encode("utf-8", "surrogatepass")
    if data.count(b"&") >= limits.parts:
        _refuse(where, FormCode.TOO_MANY_FIELDS, f"has more than {limits.parts} fields")
    pairs = (piece.partition(b"=") for piece in data.split(b"&") if piece)
    return tuple(_decode_pair(name, text, limits, where) for name, _, text in pairs)


def _refuse(name: str, code: FormCode, text: str) -> NoReturn:
    raise InvalidRequest([Violation(name, code, text)])


# --- from chunks to blocks ---------------------------------------------------------------------------

_BLOCK = 256 << 10


class _Reader(Protocol):
    def feed(self, block: bytes) -> None: ...

    def finish(self) -> Form: ...


class _Blocks:
    """Hands on what arrives in blocks of one size; only the last is shorter."""

    def __init__(self, feed: Callable[[bytes], None]) -> None:
        self._feed = feed
        self._held = bytearray()

    def add(self, chunk: bytes) -> None:
        self._held += chunk
        while len(self._held) >= _BLOCK:
            block = bytes(self._held[:_BLOCK])
            del self._held[:_BLOCK]
            self._feed(block)

    def flush(self) -> None:
        if self._held:
            self._feed(bytes(self._held))


# --- multipart/form-data -----------------------------------------------------------------------------

# RFC 2046 §5.1.1. Unquoted too: Java clients send `boundary=----=_Part_0` without the quotes it needs.
_BOUNDARY = re.compile(r';\s*boundary\s*=\s*(?:"([^"]*)"|([^\s;"]*))', re.IGNORECASE)
_BOUNDARY_TEXT = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")


def _boundary(content_type: str) -> bytes:
    found = [quoted or plain for quoted, plain in _BOUNDARY.findall(content_type)]
    if len(found) != 1 or not _BOUNDARY_TEXT.fullmatch(found[0]):
        text = "must name one boundary, of 1 to 70 of the characters that RFC 2046 allows"
        _refuse("content-type", FormCode.BAD_BOUNDARY, text)
    return found[0].encode()


class _Multipart:
    """Drives the push parser and gathers its events."""

    def __init__(
        self, boundary: bytes, limits: FormLimits, is_file_field: Callable[[str], bool]
    ) -> None:
        # In strict mode folded headers are refused; unfolding them would cost quadratic time.
        # Its refusal of an epilogue is taken back below, that of a preamble made independent of size.
        self._parser = PushMultipartParser(boundary, strict=True, header_charset="latin-1")
        self._opening: bytes | None = b"--" + boundary
        self._limits = limits
        self._is_file_field = is_file_field
        self._in_epilogue = False
        self._count = 0
        self._part = _Part("", None, None, is_file=False, limit=0)
        self._fields: list[tuple[str, str]] = []
        self._files: list[FilePart] = []

    def feed(self, block: bytes) -> None:
        if self._in_epilogue:
            return
        self._check_opening(block)
        try:
            for event in self._parser.parse(block):
                self._take(event)
        except ParserLimitReached:
            _refuse("body", FormCode.MALFORMED_MULTIPART, "has a part with too many or long headers")
        except MultipartError as error:
            self._in_epilogue = isinstance(error, StrictParserError) and self._is_complete()
            if not self._in_epilogue:
                # The parser's first argument is a fixed text, the second may be the client's bytes.
                text = f"is not multipart/form-data: {error.args[0]}"
                _refuse("body", FormCode.MALFORMED_MULTIPART, text)

    def finish(self) -> Form:
        if not self._is_complete():
            _refuse("body", FormCode.TRUNCATED_BODY, "ends before its last boundary")
        return Form(tuple(self._fields), tuple(self._files))

    def _is_complete(self) -> bool:
        try:
            self._parser.close()
        except ParserError:
            return False
        return True

    def _check_opening(self, block: bytes) -> None:
        opening, self._opening = self._opening, None
        if opening is None or block.removeprefix(b"\r\n").startswith(opening):
            return
        if not opening.startswith(block.removeprefix(b"\r\n")):
            text = "does not begin with the boundary that content-type names"
            _refuse("body", FormCode.MALFORMED_MULTIPART, text)

    def _take(self, event: MultipartSegment | bytes | None) -> None:
        if event is None:
            self._keep(self._part)
        elif isinstance(event, MultipartSegment):
            self._count += 1
            if self._count > self._limits.parts:
                text = f"has more than {self._limits.parts} parts"
                _refuse("body", FormCode.TOO_MANY_FIELDS, text)
            self._part = self._begin(event)
        else:
            self._part.add(event)

    def _begin(self, segment: MultipartSegment) -> _Part:
        name = _name(segment)
        encoding = segment.header("Content-Transfer-Encoding", "binary").strip().lower()
        if encoding not in {"binary", "8bit", "7bit"}:
            text = "has a content-transfer-encoding, which RFC 7578 ended; send the bytes themselves"
            _refuse(name, FormCode.TRANSFER_ENCODING, text)
        filename = _filename(segment)
        is_file = (
            filename is not None
            or (segment.content_type or "").startswith("image/")
            or self._is_file_field(name)
        )
        limit = self._limits.file if is_file else self._limits.text
        return _Part(name, filename, segment.content_type, is_file=is_file, limit=limit)

    def _keep(self, part: _Part) -> None:
        if part.is_file:
            self._files.append(part.as_file())
        else:
            self._fields.append((part.name, part.as_text()))


class _Part:
    """A part while it arrives."""

    def __init__(
        self,
        name: str,
        filename: str | None,
        content_type: str | None,
        *,
        is_file: bool,
        limit: int,
    ) -> None:
        self.name = name
        self.is_file = is_file
        self._filename = filename
        self._content_type = content_type
        self._limit = limit
        self._size = 0
        self._pieces: list[bytes] = []
        self._sha256 = hashlib.sha256()

    def add(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > self._limit:
            if self.is_file:
                raise InvalidRequest([too_large(self.name, self._limit)])
            _refuse(self.name, FormCode.FIELD_TOO_LONG, f"is longer than {self._limit} bytes")
        self._pieces.append(piece)
        if self.is_file:
            self._sha256.update(piece)

    def as_file(self) -> FilePart:
        ref = ImageRef(self._sha256.hexdigest(), self._size)
        data = b"".join(self._pieces)
        return FilePart(self.name, self._filename, self._content_type, data, ref)

    def as_text(self) -> str:
        return _text(b"".join(self._pieces), self.name, "is not text in UTF-8")
