"""Purchases and settings that the tests of the upstream share."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.domain.edit import Edit, Generative, ImageRef, ImageSlot, Kind, Operation, Parameter
from gateway.ports import Purchase
from gateway.upstream.settings import Timeouts, UpstreamKey, UpstreamSettings

__all__ = [
    "JPEG",
    "KEY",
    "PNG",
    "SECRET",
    "by_bytes",
    "by_url",
    "generative",
    "parameter",
    "segment",
    "settings",
]

SECRET = "sk_pr_canary_0123456789abcdef"
KEY = UpstreamKey("k1", SECRET, "plus")
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(200))
JPEG = b"\xff\xd8\xff\xe0" + bytes(100)


def settings(
    url: str,
    *,
    segment_url: str | None = None,
    keys: Sequence[UpstreamKey] = (KEY,),
    edit: float = 5.0,
    generative: float = 5.0,
    connect: float = 5.0,
    connections: int = 8,
    max_answer: int = 1 << 20,
) -> UpstreamSettings:
    return UpstreamSettings(
        edit_url=url,
        segment_url=segment_url or url,
        timeouts=Timeouts(edit=edit, generative=generative, connect=connect, account=5.0),
        keys=tuple(keys),
        connections=connections,
        max_answer=max_answer,
    )


def parameter(name: str, wire: str, kind: Kind = Kind.CHOICE) -> Parameter:
    return Parameter(name, kind, wire, wire)


def by_bytes(
    *parameters: Parameter,
    picture: bytes = PNG,
    headers: tuple[Parameter, ...] = (),
    sandbox: bool = False,
) -> Purchase:
    ref = ImageRef.of(picture)
    edit = Edit(Operation.EDIT, parameters, images=(ImageSlot("imageFile", ref),), headers=headers)
    return Purchase(edit, {ref: picture}, sandbox=sandbox)


def by_url(*parameters: Parameter) -> Purchase:
    source = parameter("imageUrl", "https://shop.example/a b.png?x=1&y=%41", Kind.URL)
    return Purchase(Edit(Operation.EDIT, (*parameters, source)), {}, sandbox=False)


def segment(picture: bytes = JPEG) -> Purchase:
    ref = ImageRef.of(picture)
    edit = Edit(Operation.SEGMENT, (parameter("format", "jpg"),), (ImageSlot("image_file", ref),))
    return Purchase(edit, {ref: picture}, sandbox=False)


def generative() -> Purchase:
    edit = Edit(
        Operation.EDIT,
        (parameter("imageFromPrompt.prompt", "a red shoe", Kind.TEXT),),
        generative=(Generative("imageFromPrompt.prompt", "imageFromPrompt.seed"),),
    )
    return Purchase(edit, {}, sandbox=False)
