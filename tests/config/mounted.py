"""Files as Kubernetes mounts them from a ConfigMap or a Secret."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

__all__ = ["Mounted"]


class Mounted:
    """A volume as Kubernetes mounts it: files are links through `..data`, which is swapped as a whole."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._folder = folder
        self._swaps = 0

    def swap(self, files: Mapping[str, str]) -> None:
        """Write all files into a new folder, turn `..data` to it in one step, remove the old one."""
        self._swaps += 1
        written, data = self._folder / f"..{self._swaps}", self._folder / "..data"
        old = data.resolve() if data.is_symlink() else None
        written.mkdir()
        for name, text in files.items():
            (written / name).write_text(text)
            link = self._folder / name
            if not link.is_symlink():
                link.symlink_to(f"..data/{name}")
        turned = self._folder / "..data_tmp"
        turned.symlink_to(written.name)
        turned.replace(data)
        for path in () if old is None else (*old.iterdir(), old):
            path.rmdir() if path.is_dir() else path.unlink()
