"""What is written into a file, and which files are not taken."""

import pytest
from PIL import Image, ImageCms

from gateway.emulator import Refused
from gateway.emulator.headers import read_header
from tests.emulator.support import close, draw, drawn, encoded, opened, photo, pixels

KEPT = {"removeBackground": "false"}


@pytest.mark.parametrize(
    ("format_", "name"),
    [("png", "PNG"), ("jpeg", "JPEG"), ("jpg", "JPEG"), ("webp", "WEBP"), ("avif", "AVIF")],
)
def test_each_format_is_written(format_: str, name: str) -> None:
    answer = drawn({"export.format": format_})
    assert name == opened(answer.body).format
    assert f"image/{name.lower()}" == answer.content_type


def test_a_jpeg_has_a_ground_where_it_cannot_be_clear() -> None:
    picture = draw({"export.format": "jpg", "padding": "0.2"})
    assert close((255, 255, 255), pixels(picture)[0, 0])


@pytest.mark.parametrize("format_", ["png", "jpeg"])
def test_resolution_is_written(format_: str) -> None:
    dpi = draw({"export.format": format_, "export.dpi": "300"}).info["dpi"]
    assert [300, 300] == [round(value) for value in dpi]


def test_resolution_goes_into_the_exif_of_webp() -> None:
    assert 300 == draw({"export.format": "webp", "export.dpi": "300"}).getexif()[0x011A]


@pytest.mark.parametrize(("mode", "kept"), [("exifSubset", "me"), ("never", None)])
def test_copyright_is_kept_when_asked_for(mode: str, kept: str | None) -> None:
    exif = Image.Exif()
    exif[0x8298] = "me"
    data = encoded(photo(), "JPEG", exif=exif)
    picture = draw({"preserveMetadata": mode, "export.format": "jpeg"}, data)
    assert kept == picture.getexif().get(0x8298)


@pytest.mark.parametrize("format_", ["png", "jpeg", "webp", "avif"])
def test_xmp_is_kept_when_asked_for(format_: str) -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'
    data = encoded(photo(), "JPEG", xmp=xmp)
    assert xmp == draw({"preserveMetadata": "xmp", "export.format": format_}, data).info["xmp"]
    assert "xmp" not in draw({"export.format": format_}, data).info


def test_kept_fields_are_written_as_xmp_too_for_those_who_read_only_that() -> None:
    exif = Image.Exif()
    exif[0x8298] = "me & you"
    exif.get_ifd(0x8769)[0x9286] = b"ASCII\0\0\0by hand"
    data = encoded(photo(), "JPEG", exif=exif)
    picture = draw(
        {"preserveMetadata": "exifSubsetWithXmpCompatibility", "export.format": "jpeg"}, data
    )
    assert "me & you" == picture.getexif()[0x8298]
    assert b"ASCII\0\0\0by hand" == picture.getexif().get_ifd(0x8769)[0x9286]
    assert b">me &amp; you<" in picture.info["xmp"]
    assert b">by hand<" in picture.info["xmp"]


def test_the_profile_of_the_original_is_kept_when_asked_for() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = encoded(photo(), "PNG", icc_profile=profile)
    assert profile == draw({"colorSpace": "original"}, data).info["icc_profile"]
    assert "icc_profile" not in draw({}, data).info


def test_a_picture_is_turned_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert (80, 120) == draw(KEPT, encoded(photo(), "JPEG", exif=exif)).size


def test_the_sandbox_puts_a_watermark_on_all_of_it() -> None:
    plain, marked = drawn(), drawn(watermark=True)
    assert plain.body != marked.body
    big = Image.new("RGB", (400, 400), "white")
    changed = pixels(opened(drawn(KEPT, big, watermark=True).body))[:, :, 0] != 255
    for quarter in (
        changed[:200, :200],
        changed[200:, :200],
        changed[:200, 200:],
        changed[200:, 200:],
    ):
        assert quarter.any()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"no picture", "imageFile is not a supported image"),
        (encoded(photo(), "GIF"), "imageFile is not a supported image"),
        (encoded(Image.new("I;16", (9, 9))), "Images deeper than 8-bit are not supported"),
        (encoded(Image.new("1", (5001, 1))), "imageFile is larger than 5000px on a side"),
        (encoded(photo())[:90], "imageFile is not a supported image"),
    ],
)
def test_what_the_server_does_not_take_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(Refused) as refused:
        draw({}, data)
    assert (400, message) == (refused.value.status, refused.value.message)


def test_a_file_beyond_30_megabytes_is_refused() -> None:
    with pytest.raises(Refused, match="larger than 30MB"):
        read_header(encoded(photo()) + bytes(30 * 1024 * 1024), "imageFile")


def test_a_png_labelled_as_anything_is_sniffed() -> None:
    assert "PNG" == read_header(encoded(photo()), "imageFile").format
