"""`demo`: edits a real photograph through both doors, and says what it cost."""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import aiohttp
import grpc
import uvloop

from gateway.backing import StartError
from gateway.cli.dev import add_ports, ports_of, say_how_to_call
from gateway.cli.local import DEMO_KEY, Local, Ports, running_locally
from gateway.cli.signals import until_told_to_stop
from gateway.domain.credits import milli_text
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
    """One call of the demo: where its picture lies, what it cost, how long it took, what was saved."""

    what: str
    path: Path
    cost_milli: int
    saved_milli: int
    seconds: float


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add_ports(parser)
    parser.add_argument("--keep-serving", action="store_true", help="go on serving at the end")
    parser.add_argument("--out", type=Path, default=Path("demo-out"), help="folder of the results")
    parser.add_argument("--picture", type=Path, help="a picture of yours instead of the photograph")


def run(args: argparse.Namespace) -> int:
    """Run the demo; 1 when a call fails or the bill is not what it should be."""
    set_up_logging(sys.stderr, "text", level=logging.WARNING)
    picture: Path = args.picture or _photograph()
    # Only a gateway that goes on serving needs ports that people know.
    ports = ports_of(args) if args.keep_serving else Ports()
    try:
        return uvloop.run(_demo(picture, args.out, ports, keep_serving=args.keep_serving))
    except (OSError, StartError) as error:
        print(f"cannot start: {error}", file=sys.stderr)
        return 1


async def _demo(picture: Path, out: Path, ports: Ports, *, keep_serving: bool) -> int:
    out.mkdir(parents=True, exist_ok=True)
    photograph = picture.read_bytes()
    async with running_locally(ports) as local:
        rounds = []
        for title in ("Bought", "Asked again"):
            print(f"\n{title}: {picture.name}, edited")
            edited = [
                *await _over_grpc(local, photograph, out),
                *await _over_rest(local, photograph, out),
            ]
            for one in edited:
                print(_row(one))
            rounds.append(edited)
        bought, again = rounds
        charges = local.emulator.bill.charges
        saved = sum(one.saved_milli for one in again)
        print(
            f"\nCalls: {len(bought) + len(again)}. Charges on the emulator's bill: {charges}. "
            f"The second round saved {milli_text(saved)} credits."
        )
        if charges != len(bought) or any(one.cost_milli for one in again):
            return 1
        if keep_serving:
            say_how_to_call(local, str(picture))
            await until_told_to_stop()
    return 0


def _row(one: Edited) -> str:
    cost = f"{milli_text(one.cost_milli)} credits"
    return f"  {one.what:<40} {one.seconds * 1000:6.1f} ms  {cost:>11}  {one.path}"


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
            started = time.perf_counter()
            result = (await stub.EditImage(EditImageRequest(edit=edit), metadata=_KEY)).result
            seconds = time.perf_counter() - started
            path = out / f"{name}.png"
            path.write_bytes(result.image)
            saved = result.cache.saved_milli_credits
            edited.append(Edited(what, path, result.cost_milli_credits, saved, seconds))
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
            started = time.perf_counter()
            async with session.post(local.rest_url + route, data=form) as response:
                response.raise_for_status()
                body = await response.read()
            seconds = time.perf_counter() - started
            path = out / f"{name}.png"
            path.write_bytes(body)
            cost, saved = (
                int(Decimal(response.headers[header]) * 1000)
                for header in ("Gateway-Cost", "Gateway-Saved")
            )
            edited.append(Edited(what, path, cost, saved, seconds))
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
