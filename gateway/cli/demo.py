"""`demo`: edits a real photograph through both doors, and says what it cost."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import aiohttp
import grpc
import uvloop

from gateway.cli.dev import add_ports, ports_of, say_how_to_call
from gateway.cli.local import DEMO_KEY, Local, Ports, running_locally
from gateway.cli.serve import until_told_to_stop
from gateway.telemetry.logs import set_up_logging
from gateway.v1.edit_pb2 import Edit
from gateway.v1.edit_service_pb2 import EditImageRequest
from gateway.v1.edit_service_pb2_grpc import EditServiceStub

__all__ = ["HELP", "NAME", "configure", "run"]

NAME = "demo"
HELP = "edit a real photograph through both doors, and show what it cost"
_PHOTOGRAPH = "coffee.png"
_KEY = (("x-api-key", DEMO_KEY),)
_LARGEST = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Edited:
    """One call of the demo: where its picture lies, what it cost."""

    what: str
    path: Path
    cost: str


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add_ports(parser)
    parser.add_argument("--keep-serving", action="store_true", help="go on serving at the end")
    parser.add_argument("--out", type=Path, default=Path("demo-out"), help="folder of the results")
    parser.add_argument("--picture", type=Path, help="a picture of yours instead of the photograph")


def run(args: argparse.Namespace) -> int:
    """Run the demo; 1 when a call fails or the bill is not what it should be."""
    set_up_logging(sys.stderr, "text")
    picture: Path = args.picture or _photograph()
    # Only a gateway that goes on serving needs ports that people know.
    ports = ports_of(args) if args.keep_serving else Ports()
    try:
        return uvloop.run(_demo(picture, args.out, ports, keep_serving=args.keep_serving))
    except OSError as error:
        print(f"cannot start: {error}", file=sys.stderr)
        return 1


async def _demo(picture: Path, out: Path, ports: Ports, *, keep_serving: bool) -> int:
    out.mkdir(parents=True, exist_ok=True)
    photograph = picture.read_bytes()
    async with running_locally(ports) as local:
        edited = [
            *await _over_grpc(local, photograph, out),
            *await _over_rest(local, photograph, out),
        ]
        charges = local.emulator.bill.charges
        print(f"\n{picture.name} edited {len(edited)} ways:")
        for one in edited:
            print(f"  {one.what:<44} {one.cost:>4} credits   {one.path}")
        print(f"Calls: {len(edited)}. Charges on the emulator's bill: {charges}.")
        if charges != len(edited):
            return 1
        if keep_serving:
            say_how_to_call(local, str(picture))
            await until_told_to_stop()
    return 0


async def _over_grpc(local: Local, photograph: bytes, out: Path) -> list[Edited]:
    color, scene = Edit(), Edit()
    for edit in (color, scene):
        edit.image_file.data = photograph
        edit.output_size = "900x900"
        edit.padding.percent = 8
    color.background.color = "#FFD166"
    scene.background.prompt = "on a marble table by the sea, morning light"
    scene.background.seed = 7
    edited = []
    options = [("grpc.max_receive_message_length", _LARGEST)]
    async with grpc.aio.insecure_channel(local.grpc_address, options=options) as channel:
        stub = EditServiceStub(channel)
        for name, what, edit in (
            ("color", "gRPC: cut-out on a colour", color),
            ("scene", "gRPC: AI background, seed 7", scene),
        ):
            result = (await stub.EditImage(EditImageRequest(edit=edit), metadata=_KEY)).result
            path = out / f"{name}.png"
            path.write_bytes(result.image)
            edited.append(Edited(what, path, f"{result.cost_milli_credits / 1000:g}"))
    return edited


async def _over_rest(local: Local, photograph: bytes, out: Path) -> list[Edited]:
    calls: tuple[tuple[str, str, str, Mapping[str, str]], ...] = (
        (
            "shadow",
            "REST: soft shadow on white",
            "/v2/edit",
            {"shadow.mode": "ai.soft", "background.color": "white", "padding": "0.1"},
        ),
        (
            "expand",
            "REST: expanded to a wide frame, seed 3",
            "/v2/edit",
            {
                "removeBackground": "false",
                "expand.mode": "ai.auto",
                "expand.seed": "3",
                "outputSize": "1200x700",
            },
        ),
        ("segment", "REST: /v1/segment, cropped", "/v1/segment", {"crop": "true"}),
    )
    edited = []
    async with aiohttp.ClientSession(headers=dict(_KEY)) as session:
        for name, what, route, fields in calls:
            form = aiohttp.FormData(dict(fields))
            slot = "image_file" if route == "/v1/segment" else "imageFile"
            form.add_field(slot, photograph, filename="photograph.png", content_type="image/png")
            async with session.post(local.rest_url + route, data=form) as response:
                response.raise_for_status()
                path = out / f"{name}.png"
                path.write_bytes(await response.read())
                edited.append(Edited(what, path, response.headers["Gateway-Cost"]))
    return edited


def _photograph() -> Path:
    """Find a photograph that a package brings; none is copied into this project."""
    try:
        found = [file for file in files("scikit-image") or () if file.name == _PHOTOGRAPH]
    except PackageNotFoundError:
        found = []
    if not found:
        raise FileNotFoundError(
            "the demo's photograph comes with scikit-image: install the extra `demo`, "
            "or name one with --picture"
        )
    return Path(str(found[0].locate()))
