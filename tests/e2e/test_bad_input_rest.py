"""Bad input at the REST door: refused by name before the upstream hears of it, and the next call is served."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from tests.e2e.asks import Found, edit_of
from tests.e2e.harness import World
from tests.e2e.odd_pictures import GIF, HEIC, flat, png_header
from tests.e2e.raw_http import BOUNDARY, head, multipart, wire
from tests.support.pictures import png

pytestmark = pytest.mark.asyncio(loop_scope="module")

EDIT, SEGMENT = "/v2/edit", "/v1/segment"
MB = 1 << 20
FORM = f"multipart/form-data; boundary={BOUNDARY}"
URLENCODED = "application/x-www-form-urlencoded"
PICTURE = png()
FILE = ('name="imageFile"; filename="a.png"', PICTURE)
CUT = ('name="image_file"; filename="a.png"', PICTURE)
URL = b"https://pictures.invalid/a.png"
NESTED = (
    'name="imageFile"\r\nContent-Type: multipart/mixed; boundary=inner',
    b'--inner\r\nContent-Disposition: file; filename="a.png"\r\n\r\n' + PICTURE + b"\r\n--inner--",
)


@dataclass(frozen=True, slots=True)
class Bad:
    """A request, and how it is refused: status, reason, and the field and code of each violation."""

    body: bytes
    found: Found
    content_type: str = FORM
    path: str = EDIT
    status: int = 400
    reason: str = "INVALID_REQUEST"
    headers: Mapping[str, str] = field(default_factory=dict)


def form(found: Found, *parts: tuple[str, bytes]) -> Bad:
    return Bad(multipart(*parts), found)


def cut_out(found: Found, *parts: tuple[str, bytes]) -> Bad:
    return Bad(multipart(*parts), found, path=SEGMENT)


def main(data: bytes, *codes: str) -> Bad:
    """A main picture that is wrong."""
    found = [("imageFile", code) for code in codes]
    return form(found, ('name="imageFile"; filename="a.png"', data))


def value(name: str, text: bytes, code: str) -> Bad:
    """A text that is wrong, beside a picture."""
    return form([(name, code)], (f'name="{name}"', text), FILE)


def body(raw: bytes, code: str, content_type: str = FORM) -> Bad:
    """A body that cannot be read at all."""
    return Bad(raw, [("body", code)], content_type)


def fields(count: int) -> list[tuple[str, bytes]]:
    return [(f'name="f{number}"', b"x") for number in range(count)]


PICTURES = {
    "over 30 MB": main(PICTURE.ljust(30 * MB + 1, b"\0"), "IMAGE_TOO_LARGE"),
    "over 50 MB": cut_out(
        [("image_file", "IMAGE_TOO_LARGE")],
        ('name="image_file"; filename="a.png"', PICTURE.ljust(50 * MB + 1, b"\0")),
    ),
    "over 50 MB, bare": Bad(
        PICTURE.ljust(50 * MB + 1, b"\0"), [], "image/png", SEGMENT, 413, "BODY_TOO_LARGE"
    ),
    "not an image": main(b"%PDF-1.7 this is no picture", "NOT_AN_IMAGE"),
    "not an image, bare": Bad(b"no picture", [("imageFile", "NOT_AN_IMAGE")], "image/png"),
    "empty": main(b"", "EMPTY_IMAGE"),
    "half a header": main(PICTURE[:20], "BROKEN_IMAGE"),
    "gif": main(GIF, "IMAGE_FORMAT"),
    "heic": main(HEIC, "IMAGE_FORMAT"),
    "16 bit": main(png_header(8, 8, 16), "IMAGE_DEPTH"),
    "too wide": main(flat(5001, 1), "IMAGE_DIMENSIONS"),
    "too many pixels for upscale": form(
        [("upscale.mode", "UPSCALE_TOO_LARGE")],
        ('name="upscale.mode"', b"ai.fast"),
        ('name="imageFile"; filename="a.png"', flat(1001, 1000)),
    ),
    "two images": form([("imageFile", "DUPLICATE")], FILE, FILE),
    "two images to cut out": cut_out([("image_file", "DUPLICATE")], CUT, CUT),
    "an image and a URL": form(
        [
            ("imageFile", "SOURCE_CONFLICT"),
            ("imageUrl", "SOURCE_CONFLICT"),
            ("imageUrl", "MIXED_SOURCES"),
        ],
        FILE,
        ('name="imageUrl"', URL),
    ),
    "no image": form([("imageFile", "SOURCE_MISSING")], ('name="padding"', b"0.1")),
    "a file field as text": Bad(
        b"imageFile=picture.png", [("imageFile", "FILE_EXPECTED")], URLENCODED
    ),
    "a file field as text in a form": form(
        [("imageFile", "NOT_AN_IMAGE")], ('name="imageFile"', b"picture.png")
    ),
    "a text field as a file": form(
        [("padding", "TEXT_EXPECTED")], ('name="padding"; filename="a.txt"', b"0.1"), FILE
    ),
}
VALUES = {
    "removeBackground=maybe": value("removeBackground", b"maybe", "NOT_A_BOOLEAN"),
    "removeBackground=True": value("removeBackground", b"True", "NOT_A_BOOLEAN"),
    "beautify.mode=auto": value("beautify.mode", b"auto", "NOT_ALLOWED"),
    "export.format=WebP": value("export.format", b"WebP", "NOT_ALLOWED"),
    "NaN": value("padding", b"NaN", "NOT_A_NUMBER"),
    "1e999": value("margin", b"1e999", "NOT_A_NUMBER"),
    "-1e-999x": value("export.dpi", b"-1e-999x", "NOT_A_NUMBER"),
    "digits without end": value("export.dpi", b"1" * 60_000, "NOT_A_NUMBER"),
    "10 MB prompt": value("background.prompt", b"x" * 10 * MB, "FIELD_TOO_LONG"),
    "10 MB prompt, urlencoded": Bad(
        b"background.prompt=" + b"x" * 10 * MB, [], URLENCODED, EDIT, 413, "BODY_TOO_LARGE"
    ),
    "10,001 characters": value("background.prompt", b"x" * 10_001, "TOO_LONG"),
    "not UTF-8": value("background.prompt", b"caf\xe9", "NOT_UTF8"),
    "not UTF-8, urlencoded": Bad(
        b"background.prompt=caf%E9", [("background.prompt", "NOT_UTF8")], URLENCODED
    ),
    "a name that is not UTF-8": body(
        multipart(FILE, ('name="padding"', b"0.1")).replace(b"padding", b"padd\xefng"), "NOT_UTF8"
    ),
    "half an escape": Bad(b"padding=%z1", [("padding", "BAD_ESCAPE")], URLENCODED),
    "10,000 fields": body(multipart(*fields(10_000)), "TOO_MANY_FIELDS"),
    "10,000 fields, urlencoded": body(b"&f=x" * 10_000, "TOO_MANY_FIELDS", URLENCODED),
    "100 unknown fields": form(
        [(f"f{number}", "UNKNOWN_PARAMETER") for number in range(100)], *fields(100), FILE
    ),
    "an unknown cache mode": Bad(
        multipart(FILE), [("Gateway-Cache", "NOT_ALLOWED")], headers={"Gateway-Cache": "never"}
    ),
}
WHOLE = multipart(FILE)
DELIMITER = f"--{BOUNDARY}\r\n".encode()
BODIES = {
    "empty": Bad(b"", [("body", "EMPTY_BODY")]),
    "truncated before the last boundary": body(WHOLE[:-20], "TRUNCATED_BODY"),
    "truncated in a picture": body(WHOLE[: len(WHOLE) // 2], "TRUNCATED_BODY"),
    "truncated in a part's head": body(WHOLE[:40], "TRUNCATED_BODY"),
    "the same delimiter twice": body(DELIMITER + WHOLE, "MALFORMED_MULTIPART"),
    "nothing but delimiters": body(DELIMITER * 1000, "MALFORMED_MULTIPART"),
    "another boundary": body(WHOLE.replace(b"frontier", b"border"), "MALFORMED_MULTIPART"),
    "nested": form([("imageFile", "NOT_AN_IMAGE")], NESTED),
    "a form in a form": form([("imageFile", "NOT_AN_IMAGE")], ('name="imageFile"', WHOLE)),
    "no boundary": Bad(WHOLE, [("content-type", "BAD_BOUNDARY")], "multipart/form-data"),
    "two boundaries": Bad(
        WHOLE, [("content-type", "BAD_BOUNDARY")], f"{FORM}; boundary={BOUNDARY}"
    ),
    "a boundary without end": Bad(
        WHOLE, [("content-type", "BAD_BOUNDARY")], f"multipart/form-data; boundary={'x' * 71}"
    ),
    "a part without a name": body(multipart(('filename="a.png"', PICTURE)), "MALFORMED_MULTIPART"),
    "a part in base64": form(
        [("imageFile", "TRANSFER_ENCODING")],
        ('name="imageFile"\r\nContent-Transfer-Encoding: base64', b"aGk="),
    ),
    "a part with endless headers": body(
        multipart((FILE[0] + "\r\nx: y" * 5000, PICTURE)), "MALFORMED_MULTIPART"
    ),
    "a form said to be JSON": Bad(
        WHOLE, [("content-type", "UNSUPPORTED_MEDIA_TYPE")], "application/json"
    ),
    "a form said to be JSON to cut out": Bad(
        WHOLE, [("body", "MALFORMED_JSON")], "application/json", SEGMENT
    ),
    "a form said to be a picture": Bad(WHOLE, [("imageFile", "NOT_AN_IMAGE")], "image/png"),
    "a picture said to be a form": body(PICTURE, "MALFORMED_MULTIPART"),
    "a picture said to be urlencoded": body(PICTURE, "NOT_UTF8", URLENCODED),
    "JSON said to be a form": body(b'{"imageFile": "x"}', "MALFORMED_MULTIPART"),
    "nothing said": Bad(
        WHOLE, [("content-type", "UNSUPPORTED_MEDIA_TYPE")], "application/octet-stream"
    ),
    "said to be packed": Bad(WHOLE, [("body", "BAD_CODING")], headers={"Content-Encoding": "gzip"}),
    "JSON that nests without end": Bad(
        b"[" * 100_000, [("body", "MALFORMED_JSON")], "application/json", SEGMENT
    ),
    "JSON with another image": Bad(
        json.dumps({"image_file_b64": "bm8gcGljdHVyZQ=="}).encode(),
        [("image_file", "NOT_AN_IMAGE")],
        "application/json",
        SEGMENT,
    ),
    "fuzz": body(random.Random(3).randbytes(100_000), "MALFORMED_MULTIPART"),
    "fuzz after a delimiter": body(
        DELIMITER + random.Random(4).randbytes(100_000), "MALFORMED_MULTIPART"
    ),
}
CASES = [
    pytest.param(bad, id=f"{group}: {name}")
    for group, bads in (("picture", PICTURES), ("value", VALUES), ("body", BODIES))
    for name, bad in bads.items()
]


@pytest.mark.parametrize("bad", CASES)
async def test_bad_input_is_refused_by_name_and_the_next_call_is_served(
    shared: World, bad: Bad
) -> None:
    """By hand: a client library may stop reading when it is answered before it has sent all."""
    shared.emulator.reset()
    more = [f"{name}: {text}" for name, text in bad.headers.items()]
    lines = [f"Content-Type: {bad.content_type}", f"Content-Length: {len(bad.body)}", *more]
    async with wire(shared) as connection:
        await connection.send(head(f"POST {bad.path}", *lines), bad.body)
        reply = await connection.read_reply()
    assert "application/json" == reply.headers["Content-Type"]
    said = reply.json if bad.path == SEGMENT else reply.json["error"]
    violations = [(v["field"], v["code"]) for v in said.get("violations", [])]
    assert (bad.status, bad.reason, bad.found) == (reply.status, said["type"], violations)
    assert {} == shared.emulator.bill.requests
    assert 200 == (await shared.post(EDIT, [], edit_of().files)).status
    assert 1 == shared.emulator.bill.charges
