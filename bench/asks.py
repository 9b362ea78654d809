"""One edit in every form in which a door takes it, as bytes that are ready to be sent."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

import numpy as np
from PIL import Image as Pixels

from bench.processes import KEY
from gateway.v1.background_pb2 import Background
from gateway.v1.edit_pb2 import Edit
from gateway.v1.edit_service_pb2 import EditImageRequest
from gateway.v1.image_pb2 import Image
from gateway.v1.layout_pb2 import Length
from gateway.v1.retouch_pb2 import EXPORT_FORMAT_PNG, Export

__all__ = ["BOUNDARY", "EDIT", "HttpAsk", "edit_message", "get", "multipart", "picture", "raw"]

EDIT: Mapping[str, str] = {
    "background.color": "FFD166",
    "padding": "10%",
    "outputSize": "originalImage",
    "export.format": "png",
}
BOUNDARY = "bench-3f1c8e5a7d2b"


def picture(subject: int = 175, side: int = 240) -> bytes:
    """A PNG of about 100 KB: a subject of noise, which does not compress, on an even ground."""
    pixels = np.full((side, side, 3), 220, np.uint8)
    low = (side - subject) // 2
    noise = np.random.default_rng(1).integers(0, 256, (subject, subject, 3), np.uint8)
    pixels[low : low + subject, low : low + subject] = noise
    out = io.BytesIO()
    Pixels.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


@dataclass(frozen=True, slots=True)
class HttpAsk:
    """A request but for its path."""

    method: str
    query: str = ""
    media_type: str = ""
    body: bytes = field(default=b"", repr=False)

    def to(self, path: str, key: str = KEY) -> bytes:
        """The bytes of the request."""
        target = f"{path}?{self.query}" if self.query else path
        lines = [
            f"{self.method} {target} HTTP/1.1",
            "Host: 127.0.0.1",
            f"x-api-key: {key}",
            "Accept: image/png, application/json",
        ]
        if self.body:
            lines += [f"Content-Type: {self.media_type}", f"Content-Length: {len(self.body)}"]
        return "\r\n".join([*lines, "", ""]).encode() + self.body


def multipart(data: bytes, edit: Mapping[str, str] = EDIT) -> HttpAsk:
    """A form: the edit's texts, and the picture last."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'
        for name, text in edit.items()
    ]
    parts.append(
        f"--{BOUNDARY}\r\nContent-Disposition: form-data; "
        'name="imageFile"; filename="picture.png"\r\nContent-Type: image/png\r\n\r\n'
    )
    body = "".join(parts).encode() + data + f"\r\n--{BOUNDARY}--\r\n".encode()
    return HttpAsk("POST", "", f"multipart/form-data; boundary={BOUNDARY}", body)


def raw(data: bytes) -> HttpAsk:
    """The picture itself, and the edit in the query."""
    return HttpAsk("POST", urlencode(EDIT), "image/png", data)


def get(url: str) -> HttpAsk:
    """The picture by its URL."""
    return HttpAsk("GET", urlencode({"imageUrl": url, **EDIT}))


def edit_message(data: bytes) -> EditImageRequest:
    """The same edit as a message."""
    edit = Edit(
        image_file=Image(data=data),
        background=Background(color="FFD166"),
        padding=Length(percent=10),
        output_size="originalImage",
        export=Export(format=EXPORT_FORMAT_PNG),
    )
    return EditImageRequest(edit=edit)
