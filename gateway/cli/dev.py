"""`dev`: emulator, gateway and a demo tenant on this machine, until told to stop."""

from __future__ import annotations

import argparse
import sys

import uvloop

from gateway.backing import StartError
from gateway.cli.local import DEMO_KEY, Local, Ports, running_locally
from gateway.cli.signals import until_told_to_stop
from gateway.telemetry.logs import set_up_logging

__all__ = ["HELP", "NAME", "add_ports", "configure", "ports_of", "run", "say_how_to_call"]

NAME = "dev"
HELP = "run emulator, gateway and a demo tenant on this machine"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add_ports(parser)


def add_ports(parser: argparse.ArgumentParser) -> None:
    """Declare the ports of the three doors."""
    for name, port in (("rest", 8080), ("grpc", 50051), ("ops", 9090)):
        parser.add_argument(f"--{name}", type=int, default=port, metavar="PORT")


def ports_of(args: argparse.Namespace) -> Ports:
    """Return the ports that were asked for."""
    return Ports(args.rest, args.grpc, args.ops)


def run(args: argparse.Namespace) -> int:
    """Serve until told to stop; 1 when a port is taken."""
    set_up_logging(sys.stderr, "text")
    try:
        uvloop.run(_serve(ports_of(args)))
    except (OSError, StartError) as error:
        print(f"cannot start: {error}", file=sys.stderr)
        return 1
    return 0


async def _serve(ports: Ports) -> None:
    async with running_locally(ports) as local:
        say_how_to_call(local, "PICTURE.jpg")
        await until_told_to_stop()


def say_how_to_call(local: Local, picture: str) -> None:
    """Print calls to copy: REST by curl, gRPC by grpcurl."""
    grpc_fields = '{"edit": {"imageFile": {"data": "\'"$(base64 -w0 ' + picture + ')"\'"}}}'
    print(
        f"""
Serving. Ctrl-C stops. Emulator's bill: {local.emulator.url}/_emulator/bill
Metrics: http://127.0.0.1:{local.gateway.ops.port}/metrics

  curl -sS {local.rest_url}/v2/edit -H 'x-api-key: {DEMO_KEY}' \\
    -F 'imageFile=@{picture}' -F 'background.color=FFD166' -F 'padding=10%' -o edited.png

  echo '{grpc_fields}' | grpcurl -plaintext -H 'x-api-key: {DEMO_KEY}' \\
    -max-msg-sz 67108864 -d @ {local.grpc_address} gateway.v1.EditService/EditImage
""",
        flush=True,
    )
