"""`protos`: the messages and services, for clients in other languages."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.cli import main
from tests.policy.source import ROOT


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_every_proto_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "new" / "folder"
    expected = {k: v for k, v in contents(ROOT / "proto").items() if k.endswith(".proto")}
    assert 0 == main(["protos", str(target)])
    assert expected == contents(target)
    assert f"wrote {len(expected)} files to {target}\n" == capsys.readouterr().out


def test_older_files_are_replaced_and_others_kept(tmp_path: Path) -> None:
    assert 0 == main(["protos", str(tmp_path)])
    written = contents(tmp_path)
    name = min(written)
    (tmp_path / name).write_text("older")
    (tmp_path / "mine.proto").write_text("mine")
    assert 0 == main(["protos", str(tmp_path)])
    assert {**written, "mine.proto": b"mine"} == contents(tmp_path)


def test_a_folder_that_cannot_be_written_is_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert 1 == main(["protos", str(tmp_path / "file" / "inside")])
    assert "Not a directory" in capsys.readouterr().err
