"""Pictures to edit, and the ways to have them edited."""

import io
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw

from gateway.emulator import (
    DEFAULT_KEY,
    AccountSettings,
    Emulator,
    EmulatorSettings,
    KeySettings,
    Refused,
    Settings,
    read_edit,
)
from gateway.emulator.drawing import Drawn, draw_edit

__all__ = [
    "GROUND",
    "SUBJECT",
    "Answer",
    "Caller",
    "calling",
    "close",
    "difference",
    "draw",
    "drawn",
    "encoded",
    "opened",
    "photo",
    "pixels",
    "read",
    "refusal",
    "serving",
    "subject_box",
]

GROUND = (200, 210, 220)
SUBJECT = (180, 40, 40)


def photo(
    size: tuple[int, int] = (120, 80), subject: tuple[int, int, int, int] = (40, 20, 80, 60)
) -> Image.Image:
    """A red rectangle (left, top, right, bottom; outside at right and bottom) on grey."""
    picture = Image.new("RGB", size, GROUND)
    left, top, right, bottom = subject
    ImageDraw.Draw(picture).rectangle((left, top, right - 1, bottom - 1), fill=SUBJECT)
    return picture


def encoded(picture: Image.Image, format_: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, format_, **options)
    return out.getvalue()


def opened(data: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture


def pixels(picture: Image.Image) -> npt.NDArray[np.int64]:
    return np.asarray(picture.convert("RGBA"), dtype=np.int64)


def read(
    params: Mapping[str, str] | None = None,
    files: Mapping[str, bytes] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Settings:
    """The settings of a POST with a main picture, unless `files` says otherwise."""
    files = {"imageFile": encoded(photo())} if files is None else files
    return read_edit(list((params or {}).items()), files, headers or {}, "POST")


def drawn(
    params: Mapping[str, str] | None = None,
    picture: Image.Image | bytes | None = None,
    *,
    files: Mapping[str, bytes] | None = None,
    headers: Mapping[str, str] | None = None,
    watermark: bool = False,
) -> Drawn:
    """The answer to an edit of the picture."""
    picture = picture or photo()
    data = picture if isinstance(picture, bytes) else encoded(picture)
    images = {"imageFile": data, **(files or {})}
    return draw_edit(read(params, images, headers), images, watermark=watermark)


def draw(
    params: Mapping[str, str] | None = None,
    picture: Image.Image | bytes | None = None,
    *,
    files: Mapping[str, bytes] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Image.Image:
    """The edited picture."""
    return opened(drawn(params, picture, files=files, headers=headers).body)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that was read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    json: object


class Caller:
    """A client of an emulator with one key."""

    def __init__(self, session: aiohttp.ClientSession, url: str, key: str | None) -> None:
        self._session = session
        self._url = url
        self._key = key

    async def send(self, method: str, path: str, **options: object) -> Answer:
        headers = dict(options.pop("headers", None) or {})  # type: ignore[call-overload] # any
        if self._key is not None:
            headers["X-Api-Key"] = self._key
        request = self._session.request(method, self._url + path, headers=headers, **options)  # type: ignore[arg-type] # passed on as it comes
        async with request as answer:
            body = await answer.read()
            is_json = answer.content_type == "application/json"
            lowered = {name.lower(): text for name, text in answer.headers.items()}
            return Answer(answer.status, lowered, body, await answer.json() if is_json else None)

    async def edit(self, params: Mapping[str, str] | None = None) -> Answer:
        form = aiohttp.FormData()
        for name, text in (params or {}).items():
            form.add_field(name, text)
        form.add_field("imageFile", encoded(photo()), filename="a.png", content_type="image/png")
        return await self.send("POST", "/v2/edit", data=form)

    async def segment(self, params: Mapping[str, str] | None = None, **options: object) -> Answer:
        form = aiohttp.FormData()
        form.add_field("image_file", encoded(photo()), filename="a.png", content_type="image/png")
        for name, text in (params or {}).items():
            form.add_field(name, text)
        return await self.send("POST", "/v1/segment", data=form, **options)


@asynccontextmanager
async def calling(emulator: Emulator, key: str | None = DEFAULT_KEY) -> AsyncIterator[Caller]:
    async with aiohttp.ClientSession() as session:
        yield Caller(session, emulator.url, key)


@asynccontextmanager
async def serving(
    key: str | None = "A", **account: object
) -> AsyncIterator[tuple[Emulator, Caller]]:
    """An emulator with one account of two keys, a and b, and a caller with one of their secrets."""
    keys = (KeySettings("a", "A", 5), KeySettings("b", "B"))
    settings = AccountSettings(id="one", keys=keys, **account)  # type: ignore[arg-type] # as named
    emulator = Emulator(EmulatorSettings(accounts=(settings,)))
    async with emulator, calling(emulator, key) as caller:
        yield emulator, caller


def close(expected: tuple[int, ...], actual: np.ndarray, by: int = 12) -> bool:
    return bool(np.abs(np.asarray(expected) - actual[: len(expected)]).max() <= by)


def difference(one: Image.Image, other: Image.Image) -> float:
    return float(np.abs(pixels(one) - pixels(other)).mean())


def subject_box(picture: Image.Image) -> tuple[int, int, int, int] | None:
    return picture.getchannel("A").point([255 * (level > 127) for level in range(256)]).getbbox()


def refusal(
    params: dict[str, str], headers: dict[str, str] | None = None, **files: bytes
) -> tuple[int, str]:
    with pytest.raises(Refused) as refused:
        read(params, {"imageFile": encoded(photo()), **files}, headers)
    return refused.value.status, refused.value.message
