"""Form bodies as they arrive: texts and files in order, each file hashed on the way.

Multipart (RFC 7578) is read by PyPI's `multipart`, a push parser; aiohttp's own reader takes several
times the CPU. What arrives is cut into blocks of one size first, so that how the network cut the body
decides nothing: not the form, not the error, and not the CPU that a body in single bytes costs.
Memory is bounded by `FormLimits`, time is linear in the body. No error text holds any of the content.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterable, Callable
from urllib.parse import unquote

from multipart import (
    MultipartError,
    MultipartSegment,
    ParserError,
    ParserLimitReached,
    PushMultipartParser,
    StrictParserError,
)

from gateway.domain.edit import ImageRef
from gateway.domain.errors import BodyTooLarge, InvalidRequest
from gateway.domain.picture_rules import too_large
from gateway.transport.form import FilePart, Form, FormCode, FormLimits, field_text, refusal
from gateway.transport.urlencoded import parse_urlencoded

__all__ = ["read_form"]


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
    within 256 KiB of the cause: the rest of `chunks` is not asked for.
    """
    match content_type.partition(";")[0].strip().lower():
        case "multipart/form-data":
            return await _read_multipart(
                _Multipart(_boundary(content_type), limits, is_file_field), chunks, limits.body
            )
        case "application/x-www-form-urlencoded":
            return await _read_urlencoded(chunks, limits)
        case _:
            text = "must be multipart/form-data or application/x-www-form-urlencoded"
            raise refusal("content-type", FormCode.UNSUPPORTED_MEDIA_TYPE, text)


_BLOCK = 256 << 10


async def _read_multipart(reader: _Multipart, chunks: AsyncIterable[bytes], most: int) -> Form:
    received, held = 0, bytearray()
    async for chunk in chunks:
        received += len(chunk)
        _check_size(received, most)
        held += chunk
        while len(held) >= _BLOCK:
            reader.feed(bytes(held[:_BLOCK]))
            del held[:_BLOCK]
    reader.feed(bytes(held))
    return reader.finish()


async def _read_urlencoded(chunks: AsyncIterable[bytes], limits: FormLimits) -> Form:
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        _check_size(len(body), min(limits.body, limits.urlencoded))
    return Form(fields=parse_urlencoded(bytes(body), limits, "body"))


def _check_size(received: int, most: int) -> None:
    if received > most:
        raise BodyTooLarge(f"The body has more than {most} bytes.")


# RFC 2046 §5.1.1. Java clients send `boundary=----=_Part_0` without the quotes that it needs.
_BOUNDARY = re.compile(r';\s*boundary\s*=\s*(?:"([^"]*)"|([^\s;"]*))', re.IGNORECASE)
_BOUNDARY_TEXT = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")


def _boundary(content_type: str) -> bytes:
    found: list[tuple[str, str]] = _BOUNDARY.findall(content_type)
    boundary = "".join(found[0]) if len(found) == 1 else ""
    if not _BOUNDARY_TEXT.fullmatch(boundary):
        text = "must name one boundary, of 1 to 70 of the characters that RFC 2046 allows"
        raise refusal("content-type", FormCode.BAD_BOUNDARY, text)
    return boundary.encode("ascii")


_LONGEST_HEADER = 4096  # bytes of one line
_MOST_HEADERS = 8  # of a part; RFC 7578 knows three


class _Multipart:
    """Drives the push parser and gathers what it finds."""

    _part: _Part  # the one that is arriving; the parser announces each before its bytes

    def __init__(
        self, boundary: bytes, limits: FormLimits, is_file_field: Callable[[str], bool]
    ) -> None:
        # Strict mode refuses folded headers, which would cost quadratic time. It refuses an epilogue
        # too, or not, as the blocks fall: `feed` ignores every epilogue, and `_check_opening` lets no
        # preamble in.
        self._parser = PushMultipartParser(
            boundary,
            max_header_size=_LONGEST_HEADER,
            max_header_count=_MOST_HEADERS,
            header_charset="latin-1",  # every byte has a character: `_begin` judges names
            strict=True,
        )
        self._opening: bytes | None = b"--" + boundary
        self._limits = limits
        self._is_file_field = is_file_field
        self._ended = False
        self._count = 0
        self._fields: list[tuple[str, str]] = []
        self._files: list[FilePart] = []

    def feed(self, block: bytes) -> None:
        if self._ended or not block:
            return
        self._check_opening(block)
        try:
            for event in self._parser.parse(block):
                self._take(event)
        except ParserLimitReached:
            raise _malformed("has a part with too many headers, or too long ones") from None
        except MultipartError as error:
            self._ended = isinstance(error, StrictParserError) and self._is_complete()
            if not self._ended:
                # Its first argument is one of the parser's own texts; no other is passed on.
                raise _malformed(f"is not multipart/form-data: {error.args[0]}") from None

    def finish(self) -> Form:
        if not self._is_complete():
            raise refusal("body", FormCode.TRUNCATED_BODY, "ends before its last boundary")
        return Form(tuple(self._fields), tuple(self._files))

    def _is_complete(self) -> bool:
        try:
            self._parser.close()
        except ParserError:
            return False
        return True

    def _check_opening(self, block: bytes) -> None:
        opening, self._opening = self._opening, None
        start = block.removeprefix(b"\r\n")
        if opening and not start.startswith(opening) and not opening.startswith(start):
            raise _malformed("does not begin with the boundary that content-type names")

    def _take(self, event: MultipartSegment | bytes | None) -> None:
        if isinstance(event, MultipartSegment):
            self._count += 1
            if self._count > self._limits.parts:
                text = f"has more than {self._limits.parts} parts"
                raise refusal("body", FormCode.TOO_MANY_FIELDS, text)
            self._part = _begin(event, self._is_file_field, self._limits)
        elif event is not None:
            self._part.add(event)
        elif self._part.is_file:
            self._files.append(self._part.as_file())
        else:
            self._fields.append(self._part.as_field())


class _Part:
    """A part while it arrives."""

    def __init__(
        self,
        name: str,
        filename: str | None,
        content_type: str | None,
        limits: FormLimits,
        *,
        is_file: bool,
    ) -> None:
        self.is_file = is_file
        self._name = name
        self._filename = filename
        self._content_type = content_type
        self._limits = limits
        self._size = 0
        self._pieces: list[bytes] = []
        self._sha256 = hashlib.sha256()

    def add(self, piece: bytes) -> None:
        self._size += len(piece)
        self._pieces.append(piece)
        if self.is_file:
            if self._size > self._limits.file:
                raise InvalidRequest([too_large(self._name, self._limits.file)])
            self._sha256.update(piece)
        elif self._size > self._limits.text:
            self.as_field()  # raises: what is too long is not gathered

    def as_file(self) -> FilePart:
        ref = ImageRef(self._sha256.hexdigest(), self._size)
        data = b"".join(self._pieces)
        self._pieces.clear()  # else the file stays twice until the next part comes
        return FilePart(self._name, self._filename, self._content_type, data, ref)

    def as_field(self) -> tuple[str, str]:
        return self._name, field_text(b"".join(self._pieces), self._name, self._limits)


_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_EXTENDED_FILENAME = re.compile(r";\s*filename\*\s*=\s*([^;]*)", re.IGNORECASE)


def _begin(
    segment: MultipartSegment, is_file_field: Callable[[str], bool], limits: FormLimits
) -> _Part:
    """Check a part's headers, and tell whether it is a file."""
    name = _name(segment)
    encoding = segment.header("Content-Transfer-Encoding", "binary").strip().lower()
    if encoding not in {"binary", "8bit", "7bit"}:
        text = "has a content-transfer-encoding (RFC 7578 ended them): send the bytes themselves"
        raise refusal(name, FormCode.TRANSFER_ENCODING, text)
    filename = _filename(segment)
    is_file = (
        filename is not None
        or (segment.content_type or "").startswith("image/")
        or is_file_field(name)
    )
    return _Part(name, filename, segment.content_type, limits, is_file=is_file)


def _name(segment: MultipartSegment) -> str:
    if [name for name, _ in segment.headerlist].count("Content-Disposition") != 1:
        raise _malformed("has a part with two Content-Disposition headers")
    if any(_CONTROL.search(value) for _, value in segment.headerlist):
        raise _malformed("has a part with a control character in a header")
    try:
        name = (segment.name or "").encode("latin-1").decode("utf-8")
    except UnicodeDecodeError:
        text = "has a part whose name is not UTF-8"
        raise refusal("body", FormCode.NOT_UTF8, text) from None
    if not name:
        raise _malformed("has a part without a name")
    if _CONTROL.search(name):
        raise _malformed("has a part with a control character in its name")
    return name


def _filename(segment: MultipartSegment) -> str | None:
    """The client's filename; some write it as `filename*` (RFC 5987), which the parser passes over."""
    plain: str | None = segment.filename
    if plain is not None:
        return plain.encode("latin-1").decode("utf-8", "replace")
    extended = _EXTENDED_FILENAME.search(segment["Content-Disposition"])
    if extended is None:
        return None
    value: str = extended[1]
    charset, _, rest = value.partition("'")
    escaped = rest.partition("'")[2]
    return unquote(escaped, "latin-1" if charset.lower() == "iso-8859-1" else "utf-8")


def _malformed(text: str) -> InvalidRequest:
    return refusal("body", FormCode.MALFORMED_MULTIPART, text)
