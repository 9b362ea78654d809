"""Form bodies: what real clients send is read as it was meant."""

import hashlib

import aiohttp
import pytest

from gateway.domain.edit import ImageRef
from gateway.domain.errors import BodyTooLarge
from gateway.transport.form import Form
from tests.transport.forms import BLOCK, body, cut, file_part, part, read, refusal


async def test_texts_and_files_come_in_the_order_in_which_they_arrived() -> None:
    form = await read(
        body(
            part('name="b"', b"2"),
            part('name="imageFile"; filename="a.png"\r\nContent-Type: image/png', b"\x89PNG"),
            part('name="a"', "é".encode()),
            part('name="b"', b""),
        )
    )
    assert (("b", "2"), ("a", "é"), ("b", "")) == form.fields
    assert (file_part("imageFile", "a.png", "image/png", b"\x89PNG"),) == form.files


async def test_a_file_is_named_by_the_sha_256_of_its_bytes() -> None:
    data = bytes(range(256)) * 3000
    (file,) = (await read(*cut(body(part('name="imageFile"; filename="x"', data)), 4000))).files
    assert ImageRef(hashlib.sha256(data).hexdigest(), len(data)) == file.ref
    assert data == file.data


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ('name="imageFile"', (None, None)),
        ('name="imageFile"; filename=""', ("", None)),
        ('name="padding"; filename="a"', ("a", None)),
        ('name="padding"\r\nContent-Type: IMAGE/PNG; x=y', (None, "image/png")),
        ('name="padding"\r\ncontent-type: application/octet-stream', None),
        ('name="padding"\r\nContent-Type: text/plain', None),
    ],
)
async def test_a_filename_an_image_type_or_the_name_makes_a_file(
    headers: str, expected: tuple[str | None, str | None] | None
) -> None:
    form = await read(body(part(headers)))
    assert ([] if expected is None else [expected]) == [
        (file.filename, file.content_type) for file in form.files
    ]
    assert (expected is None) == bool(form.fields)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        pytest.param('filename="a b.png"; name="imageFile"', "a b.png", id="the other order"),
        pytest.param("name=imageFile; filename=a.png", "a.png", id="unquoted"),
        pytest.param('name="imageFile"; filename="a\\"b.png"', 'a"b.png', id="backslash"),
        pytest.param('name="imageFile"; filename="a%22b.png"', 'a"b.png', id="browser"),
        pytest.param('name="imageFile"; filename="фото.png"', "фото.png", id="UTF-8"),
        pytest.param(
            b'name="imageFile"; filename="caf\xe9.png"', "caf\ufffd.png", id="Windows code page"
        ),
        pytest.param(
            "name=\"imageFile\"; filename*=utf-8''caf%C3%A9.png", "café.png", id="RFC 5987"
        ),
        pytest.param(
            "name=\"imageFile\"; filename*=ISO-8859-1'fr'caf%E9.png",
            "café.png",
            id="RFC 5987 Latin",
        ),
        pytest.param('name="imageFile"; filename*=broken', "", id="not RFC 5987"),
        pytest.param(
            'name="imageFile"; filename="a"; filename*=utf-8\'\'b', "a", id="RFC 5987 second"
        ),
        pytest.param('name="imageFile"; filename="C:\\dir\\a.png"', "a.png", id="a Windows path"),
    ],
)
async def test_a_filename_is_read_however_it_is_written(
    headers: str | bytes, expected: str
) -> None:
    (file,) = (await read(body(part(headers)))).files
    assert expected == file.filename


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(
            'Content-Disposition: form-data; name="padding"\r\n'
            "Content-Type: text/plain; charset=ISO-8859-1\r\nContent-Transfer-Encoding: 8bit",
            id="Apache HttpClient",
        ),
        pytest.param(
            "Content-Type: text/plain; charset=utf-8\r\n"
            "Content-Disposition: form-data; name=padding",
            id=".NET",
        ),
        pytest.param(
            'content-disposition: form-data; name="padding"\r\ncontent-length: 3', id="OkHttp"
        ),
        pytest.param('Content-Disposition: form-data; name="padding"', id="curl"),
    ],
)
async def test_real_clients_spell_a_text_in_many_ways(head: str) -> None:
    raw = f"--frontier\r\n{head}\r\n\r\n0.1\r\n--frontier--".encode()
    assert (("padding", "0.1"),) == (await read(raw)).fields


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/form-data; boundary=x", "x"),
        ('Multipart/Form-Data;boundary="a b"', "a b"),
        ("multipart/form-data; charset=utf-8; Boundary = x ; q=1", "x"),
        ("multipart/form-data; boundary=----=_Part_0_12.3", "----=_Part_0_12.3"),
        ("multipart/form-data; boundary=" + "x" * 70, "x" * 70),
    ],
)
async def test_a_boundary_is_read_however_it_is_written(content_type: str, boundary: str) -> None:
    raw = body(part('name="a"', b"1")).replace(b"frontier", boundary.encode())
    assert (("a", "1"),) == (await read(raw, content_type=content_type)).fields


async def test_what_aiohttp_writes_is_read() -> None:
    data = aiohttp.FormData()
    data.add_field("background.prompt", "on a beach, für immer")
    data.add_field("imageFile", b"\x89PNG", filename="ä.png", content_type="image/png")
    payload = data()
    form = await read(await payload.as_bytes(), content_type=payload.headers["Content-Type"])
    assert (("background.prompt", "on a beach, für immer"),) == form.fields
    assert [("imageFile", b"\x89PNG")] == [(file.name, file.data) for file in form.files]


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"--frontier--\r\n", id="no part"),
        pytest.param(b"--frontier--", id="no line end"),
        pytest.param(b"\r\n--frontier--\r\n", id="a line end first"),
    ],
)
async def test_a_form_may_be_empty(raw: bytes) -> None:
    assert Form() == await read(raw)


@pytest.mark.parametrize(
    "content",
    [
        b"--frontier--",
        b"\n--frontier\n",
        b"\r\n--frontie\r\n",
        b"\r\n-frontier",
        b"\r\r\n\r\n",
        b"\r\n--other\r\nContent-Disposition: form-data; name=b\r\n\r\n2\r\n--other--",
    ],
)
async def test_what_only_looks_like_a_boundary_is_content(content: bytes) -> None:
    form = await read(body(part('name="a"', content), part('name="c"', b"3")))
    assert (("a", content.decode()), ("c", "3")) == form.fields


@pytest.mark.parametrize("epilogue", [b"", b"\r\n", b"junk", b"\r\n" + body(part('name="b"'))])
@pytest.mark.parametrize("shift", [-3, -2, -1, 0, 1])
async def test_what_follows_the_last_boundary_is_ignored_wherever_the_blocks_end(
    epilogue: bytes, shift: int
) -> None:
    frame = len(body(part('name="imageFile"', b"")).removesuffix(b"\r\n"))
    content = b"z" * (BLOCK - frame + shift)
    raw = body(part('name="imageFile"', content)).removesuffix(b"\r\n") + epilogue
    expected = Form(files=(file_part("imageFile", None, None, content),))
    assert expected == await read(raw + b"!" * BLOCK)
    assert expected == await read(raw)


URLENCODED = "application/x-www-form-urlencoded; charset=utf-8"


async def test_a_urlencoded_body_is_a_form_without_files() -> None:
    form = await read(b"imageUrl=https%3A%2F%2F", b"a.example&b=1+2", content_type=URLENCODED)
    assert Form(fields=(("imageUrl", "https://a.example"), ("b", "1 2"))) == form


async def test_a_urlencoded_body_is_refused_by_the_name_of_the_body() -> None:
    violation = await refusal(b"=1", content_type=URLENCODED)
    assert ("body", "UNNAMED_FIELD") == (violation.field, violation.code)


async def test_a_urlencoded_body_holds_texts_alone_and_may_be_as_large_as_those() -> None:
    with pytest.raises(BodyTooLarge):
        await read(*[b"a=1&"] * 300_000, content_type=URLENCODED)
