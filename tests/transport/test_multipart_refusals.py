"""Form bodies that are refused, each by what is wrong with it."""

import pytest

from gateway.domain.errors import InvalidRequest, Violation
from tests.transport.forms import body, part, read, refusal


@pytest.mark.parametrize(
    ("content_type", "code"),
    [
        ("", "UNSUPPORTED_MEDIA_TYPE"),
        ("image/png", "UNSUPPORTED_MEDIA_TYPE"),
        ("multipart/mixed; boundary=frontier", "UNSUPPORTED_MEDIA_TYPE"),
        ("multipart/form-data", "BAD_BOUNDARY"),
        ("multipart/form-data; boundary=", "BAD_BOUNDARY"),
        ('multipart/form-data; boundary=""', "BAD_BOUNDARY"),
        ('multipart/form-data; boundary="x "', "BAD_BOUNDARY"),
        ('multipart/form-data; boundary="x\r\ny"', "BAD_BOUNDARY"),
        ("multipart/form-data; boundary=é", "BAD_BOUNDARY"),
        ("multipart/form-data; boundary=" + "x" * 71, "BAD_BOUNDARY"),
        ("multipart/form-data; boundary=frontier; boundary=other", "BAD_BOUNDARY"),
    ],
)
async def test_a_content_type_that_names_no_form_is_refused(content_type: str, code: str) -> None:
    violation = await refusal(body(part('name="a"')), content_type=content_type)
    assert ("content-type", code) == (violation.field, violation.code)


LINE = b"Content-Disposition: form-data; "


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        pytest.param(b"preamble\r\n" + body(), "does not begin with the boundary", id="preamble"),
        pytest.param(b"--other--\r\n", "does not begin with the boundary", id="other boundary"),
        pytest.param(
            body(part('name="a"')).replace(b"\r\n", b"\n"), "Invalid line break", id="LF only"
        ),
        pytest.param(
            b"--frontier\r\nContent-Type: text/plain\r\n\r\nx\r\n--frontier--",
            "Missing Content-Disposition",
            id="no disposition",
        ),
        pytest.param(
            b"--frontier\r\nContent-Disposition: attachment; name=a\r\n\r\nx\r\n--frontier--",
            "Wrong type",
            id="other disposition",
        ),
        pytest.param(
            body(part(b'name="a"\r\n' + LINE + b'name="b"')),
            "two Content-Disposition",
            id="two dispositions",
        ),
        pytest.param(body(part('filename="a"')), "Missing name", id="no name"),
        pytest.param(body(part('name=""')), "without a name", id="empty name"),
        pytest.param(body(part("name*=utf-8''a")), "Missing name", id="a name by RFC 5987"),
        pytest.param(body(part('name="a%0D%0Ab"')), "control character", id="escaped line end"),
        pytest.param(body(part('name="a\0b"')), "control character", id="zero byte"),
        pytest.param(body(part('name="a\nb"')), "control character", id="line feed in a name"),
        pytest.param(
            body(part('name="a"\r\nContent-Type: a\0b')), "control character", id="in a header"
        ),
        pytest.param(body(part('name="a"\r\n b')), "continuation", id="folded header"),
        pytest.param(body(part('name="a"\r\nno colon')), "Malformed segment header", id="no colon"),
        pytest.param(body(part('name="a"\r\nX y: z')), "Invalid segment header", id="header name"),
        pytest.param(body(part('name="a"\r\nX: ' + "y" * 5000)), "too long", id="long header"),
        pytest.param(body(part('name="a"; x="' + "y" * 900_000)), "too long", id="huge header"),
        pytest.param(body(part('name="a"' + "\r\nX: y" * 9)), "too many", id="many headers"),
        pytest.param(
            body(part('name="a"\r\nContent-Length: 7')), "Content-Length", id="length over"
        ),
        pytest.param(
            body(part('name="a"\r\nContent-Length: 0')), "Content-Length", id="length under"
        ),
        pytest.param(
            body(part('name="a"\r\nContent-Length: -1')), "Content-Length", id="negative length"
        ),
        pytest.param(
            body(part('name="a"', b"\r\n--frontierX")), "Unexpected bytes", id="longer boundary"
        ),
    ],
)
async def test_what_is_not_multipart_is_refused_by_what_is_wrong_with_it(
    raw: bytes, text: str
) -> None:
    violation = await refusal(raw)
    assert ("body", "MALFORMED_MULTIPART") == (violation.field, violation.code)
    assert text in violation.description


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\r\n--front", id="within the first boundary"),
        pytest.param(part('name="a"')[:30], id="within a header"),
        pytest.param(part('name="a"')[:-2], id="within a part"),
        pytest.param(part('name="a"'), id="before the last boundary"),
        pytest.param(part('name="a"') + b"--frontier", id="within the last boundary"),
        pytest.param(part('name="a"') + b"--frontier\r\n", id="a boundary that is not the last"),
    ],
)
async def test_a_body_that_ends_too_early_is_refused(raw: bytes) -> None:
    violation = await refusal(raw)
    assert ("body", "TRUNCATED_BODY") == (violation.field, violation.code)


@pytest.mark.parametrize("encoding", ["base64", "Quoted-Printable", "x-gzip"])
async def test_a_part_in_a_transfer_encoding_is_refused(encoding: str) -> None:
    headers = f'name="imageFile"; filename="a"\r\nContent-Transfer-Encoding: {encoding}'
    violation = await refusal(body(part(headers, b"aGVsbG8=")))
    assert ("imageFile", "TRANSFER_ENCODING") == (violation.field, violation.code)


async def test_a_text_that_is_not_utf_8_is_refused_by_its_name() -> None:
    raw = body(part('name="background.prompt"', "ça".encode("latin-1")))
    expected = Violation("background.prompt", "NOT_UTF8", "is not text in UTF-8")
    assert expected == await refusal(raw)


async def test_a_name_that_is_not_utf_8_is_refused() -> None:
    violation = await refusal(body(part(b'name="\xff"')))
    assert ("body", "NOT_UTF8") == (violation.field, violation.code)


async def test_no_error_text_holds_what_was_sent() -> None:
    """A prompt, a picture and a header with a canary: none of them is repeated."""
    canary = b"canary-7f3a"
    for raw in (
        body(part('name="background.prompt"', canary + b"\xff")),
        body(part('name="background.prompt"', canary * 10_000)),
        body(part('name="imageFile"', canary * 100_000)),
        body(part('name="a"\r\n' + canary.decode())),
        body(part('name="a"\r\n' + canary.decode() + " x: y")),
        body(part('name="a"\r\nContent-Length: ' + canary.decode())),
        body(part(b'name="\xff' + canary + b'"')),
        body(part('name="a"\r\nContent-Transfer-Encoding: ' + canary.decode())),
        canary + body(),
        body(part('name="a"', b"\r\n--frontier" + canary)),
    ):
        with pytest.raises(InvalidRequest) as caught:
            await read(raw)
        assert canary.decode() not in str(caught.value)
        assert caught.value.__cause__ is None
