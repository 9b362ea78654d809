"""The programs of docs/client.md run as they are printed."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

import pytest

from gateway.client import errors
from tests.client.noise import MB, noise_png
from tests.e2e.harness import CATALOG_KEY, world
from tests.policy.source import ROOT
from tests.support.pictures import opened

TEXT = (ROOT / "docs" / "client.md").read_text("utf-8")
PROGRAMS = re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("program", PROGRAMS, ids=["first", "patient"])
async def test_a_program_of_the_manual_runs(program: str, tmp_path: Path) -> None:
    photo = noise_png(5 * MB)
    await asyncio.to_thread((tmp_path / "photo.png").write_bytes, photo)
    async with world(changes={"redis": "embedded"}) as w:
        adapted = program.replace("localhost:50051", f"127.0.0.1:{w.gateway.grpc.port}")
        adapted = adapted.replace("demo-key", CATALOG_KEY)
        assert adapted != program
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", adapted, cwd=tmp_path, stdout=-1, stderr=-2
        )
        output, _ = await process.communicate()
        edited = await asyncio.to_thread((tmp_path / "edited.png").read_bytes)

        assert 0 == process.returncode, output.decode()
        assert (800, 800) == opened(edited).size
        assert b"thousandths of a credit" in output
        assert 1 == w.emulator.bill.charges


def test_the_manual_names_every_error() -> None:
    names = {name for name in errors.__all__ if name not in {"REQUEST_ID", "call_error"}}
    told = set(re.findall(r"^\| `([A-Z]\w+)` \|", TEXT, re.MULTILINE))

    assert names - {"FieldMistake", "GatewayCallError"} == told
