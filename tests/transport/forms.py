"""Multipart bodies for the tests of their reader."""

from collections.abc import AsyncIterator, Iterable

import pytest

from gateway.domain.edit import ImageRef
from gateway.domain.errors import InvalidRequest, Violation
from gateway.transport.form import FilePart, Form, FormLimits
from gateway.transport.multipart_reader import read_form

BOUNDARY = "frontier"
CONTENT_TYPE = f"multipart/form-data; boundary={BOUNDARY}"
BLOCK = 256 * 1024
LIMITS = FormLimits(body=4_000_000, file=1_000_000)


def part(headers: str | bytes, content: bytes = b"x") -> bytes:
    """One part; `headers` is what follows `Content-Disposition: form-data; `."""
    raw = headers if isinstance(headers, bytes) else headers.encode()
    return b"--frontier\r\nContent-Disposition: form-data; " + raw + b"\r\n\r\n" + content + b"\r\n"


def body(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--frontier--\r\n"


def is_file_field(name: str) -> bool:
    return name.endswith("File")


async def stream(chunks: Iterable[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def read(
    *chunks: bytes, content_type: str = CONTENT_TYPE, limits: FormLimits = LIMITS
) -> Form:
    return await read_form(content_type, stream(chunks), limits, is_file_field)


async def refusal(
    *chunks: bytes, content_type: str = CONTENT_TYPE, limits: FormLimits = LIMITS
) -> Violation:
    with pytest.raises(InvalidRequest) as caught:
        await read(*chunks, content_type=content_type, limits=limits)
    (violation,) = caught.value.violations
    return violation


def file_part(name: str, filename: str | None, content_type: str | None, data: bytes) -> FilePart:
    return FilePart(name, filename, content_type, data, ImageRef.of(data))


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]
