"""`serve --config FILE`: the gateway in production."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from pathlib import Path

import uvloop

from gateway.app import running_gateway
from gateway.backing import StartError
from gateway.cli.settings import read_config, watch_of
from gateway.cli.signals import until_told_to_stop
from gateway.config import Config, ConfigWatch, not_in_force
from gateway.telemetry.logs import set_up_logging

__all__ = ["HELP", "NAME", "configure", "run"]

NAME = "serve"
HELP = "serve calls until SIGTERM; SIGHUP has the configuration read again at once"
_log = logging.getLogger("gateway")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--config", type=Path, required=True, help="the configuration, a YAML file")


def run(args: argparse.Namespace) -> int:
    """Serve; 1 when the configuration is wrong or an address is taken."""
    watch = watch_of(args.config)
    config = read_config(args.config, watch)
    if config is None:
        return 1
    set_up_logging(sys.stderr, config.telemetry.log_format)
    for key in not_in_force(config):
        _log.warning("configured but not in force yet: %s", key)
    try:
        uvloop.run(_serve(config, watch))
    except StartError as error:
        print(f"cannot start: {error}", file=sys.stderr)
        return 1
    return 0


async def _serve(config: Config, watch: ConfigWatch) -> None:
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, watch.hurry)
    async with running_gateway(config, watch) as gateway:
        _log.info(
            "serving",
            extra={
                "rest": gateway.rest.port,
                "grpc": gateway.grpc.port,
                "ops": gateway.ops.port,
            },
        )
        await until_told_to_stop()
        _log.info("stopping: no more calls are taken, those in flight are finished")
