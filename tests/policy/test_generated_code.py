"""What is generated is what its source says."""

import subprocess
import sys
from pathlib import Path

from tests.policy.source import ROOT


def contents(folder: Path) -> dict[str, bytes]:
    """Every generated file of a folder, by name."""
    files = (path for path in folder.iterdir() if path.suffix in {".py", ".pyi"})
    return {path.name: path.read_bytes() for path in files}


def test_generated_code_is_fresh(tmp_path: Path) -> None:
    """gateway/v1 is byte for byte what protoc makes of proto/ now; if not: `make proto`."""
    command = [sys.executable, str(ROOT / "scripts/proto.py"), "--out", str(tmp_path)]
    subprocess.run(command, check=True)
    made, kept = contents(tmp_path / "gateway/v1"), contents(ROOT / "gateway/v1")
    stale = sorted(name for name in made | kept if made.get(name) != kept.get(name))
    assert [] == stale, "run `make proto` and commit what it changes"
