"""A configuration is read again when a file that it was read from has changed, whichever way."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from gateway.config import Config, ConfigError, ConfigWatch, ReadFiles, load_config
from tests.config.documents import ENVIRON, VALID, with_upstream_key
from tests.config.mounted import Mounted

LONG = 3600.0
"""Seconds between looks in tests that do not wait for one."""

BY_FILE = with_upstream_key("id: k1, secret_file: secrets/k1")
OTHER = VALID.replace("catalog", "web")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "gateway.yaml"
    path.write_text(VALID)
    return path


def watch_of(path: Path, *, interval: float = LONG) -> ConfigWatch:
    """A watch that has loaded the file."""
    watch = ConfigWatch(partial(load_config, path, ENVIRON), interval=interval)
    watch.load()
    return watch


def looked_twice(watch: ConfigWatch) -> Config | ConfigError | None:
    """What the second of two looks tells; the first sees the change and waits for quiet."""
    assert watch.look() is None
    return watch.look()


def first_tenant(reading: Config | ConfigError | None) -> str:
    assert isinstance(reading, Config), reading
    return reading.tenants[0].id


def secret(reading: Config | ConfigError | None) -> str:
    assert isinstance(reading, Config), reading
    return reading.upstream.accounts[0].keys[0].secret.get_secret_value()


def mistakes(reading: Config | ConfigError | None) -> list[str]:
    assert isinstance(reading, ConfigError), reading
    return [str(mistake) for mistake in reading.mistakes]


def test_files_that_stay_as_they_are_are_not_read_again(file: Path) -> None:
    watch = watch_of(file)
    assert [None] * 3 == [watch.look() for _ in range(3)]


def test_a_watch_that_has_loaded_nothing_looks_at_nothing(file: Path) -> None:
    watch = ConfigWatch(partial(load_config, file, ENVIRON))
    assert looked_twice(watch) is None


def _overwrite(path: Path, text: str) -> None:
    path.write_text(text)


def _put_in_its_place(path: Path, text: str) -> None:
    written = path.with_name("new")
    written.write_text(text)
    written.replace(path)


def _keep_size_and_time(path: Path, text: str) -> None:
    before = path.stat()
    path.write_text(text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("change", [_overwrite, _put_in_its_place, _keep_size_and_time])
def test_a_change_is_read_once(file: Path, change: Callable[[Path, str], None]) -> None:
    watch = watch_of(file)
    change(file, VALID.replace("catalog", "gallery"))
    assert "gallery" == first_tenant(looked_twice(watch))
    assert looked_twice(watch) is None


def test_a_file_that_is_being_written_is_left_alone_until_it_is_quiet(file: Path) -> None:
    """The first half of a file may be right in itself, with half of the tenants."""
    watch = watch_of(file)
    for end in (40, 80, len(OTHER)):
        file.write_text(OTHER[:end])
        assert watch.look() is None
    assert "web" == first_tenant(watch.look())


def test_a_reading_during_which_a_file_changed_is_dropped_and_done_again(file: Path) -> None:
    def read(files: ReadFiles) -> Config:
        config = load_config(file, ENVIRON, files)
        if config.tenants[0].id == "half":
            file.write_text(OTHER)
        return config

    watch = ConfigWatch(read, interval=LONG)
    watch.load()
    file.write_text(VALID.replace("catalog", "half"))
    assert looked_twice(watch) is None
    assert "web" == first_tenant(looked_twice(watch))


def test_a_wrong_file_is_told_once_and_tried_again_when_it_changes(file: Path) -> None:
    watch = watch_of(file)
    file.write_text(VALID.replace("id: catalog", "id: ' '"))
    assert ["tenants[0].id"] == [line.partition(":")[0] for line in mistakes(looked_twice(watch))]
    assert looked_twice(watch) is None
    file.write_text(OTHER)
    assert "web" == first_tenant(looked_twice(watch))


def test_a_file_that_goes_is_a_mistake_until_it_comes_back(file: Path) -> None:
    watch = watch_of(file)
    file.unlink()
    expected = ["configuration: cannot be read: No such file or directory"]
    assert expected == mistakes(looked_twice(watch))
    file.write_text(VALID)
    assert "catalog" == first_tenant(looked_twice(watch))


def test_a_changed_secret_file_is_read_again(file: Path) -> None:
    key = file.parent / "secrets/k1"
    key.parent.mkdir()
    key.write_text("sk_first")
    file.write_text(BY_FILE)
    watch = watch_of(file)
    key.write_text("sk_other")
    assert "sk_other" == secret(looked_twice(watch))


def test_a_secret_file_that_was_missing_is_waited_for(file: Path) -> None:
    watch = watch_of(file)
    file.write_text(BY_FILE)
    path = "upstream.accounts[0].keys[0].secret_file"
    expected = [f"{path}: names a file that cannot be read: No such file or directory"]
    assert expected == mistakes(looked_twice(watch))
    (file.parent / "secrets").mkdir()
    (file.parent / "secrets/k1").write_text("sk_late")
    assert "sk_late" == secret(looked_twice(watch))


def test_a_swap_of_the_link_behind_the_files_is_seen(tmp_path: Path) -> None:
    config, keys = Mounted(tmp_path), Mounted(tmp_path / "secrets")
    keys.swap({"k1": "sk_first"})
    config.swap({"config": BY_FILE})
    watch = watch_of(tmp_path / "config")

    keys.swap({"k1": "sk_second"})
    assert "sk_second" == secret(looked_twice(watch))
    config.swap({"config": BY_FILE.replace("catalog", "gallery")})
    assert "gallery" == first_tenant(looked_twice(watch))
    assert looked_twice(watch) is None


async def test_a_reading_is_waited_for(file: Path) -> None:
    watch = watch_of(file, interval=0.01)
    waiting = asyncio.ensure_future(watch.reading())
    _overwrite(file, OTHER)
    async with asyncio.timeout(20):
        assert "web" == first_tenant(await waiting)


async def test_one_who_is_in_a_hurry_is_told_at_once_even_that_nothing_changed(file: Path) -> None:
    watch = watch_of(file)
    async with asyncio.timeout(20):
        watch.hurry()
        assert "catalog" == first_tenant(await watch.reading())
        _overwrite(file, OTHER)
        watch.hurry()
        assert "web" == first_tenant(await watch.reading())
