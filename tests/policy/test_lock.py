"""requirements.lock pins what pyproject.toml asks for. Read from both files; no network."""

import re
import tomllib
from functools import cache

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.policy.source import ROOT

PIN = re.compile(r"^(?P<name>[\w.-]+)==(?P<version>[^\s;\\]+)")
LOCK = ROOT / "requirements.lock"
STALE = "run `make lock` and commit what it changes"


def direct_requirements() -> list[Requirement]:
    """Dependencies and extras of the project, without its own extras among them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lists = [project["dependencies"], *project["optional-dependencies"].values()]
    wanted = [Requirement(text) for texts in lists for text in texts]
    return [requirement for requirement in wanted if requirement.name != project["name"]]


@cache
def pinned() -> dict[str, list[Version]]:
    """Versions in the lock by name: more than one where Pythons or platforms differ."""
    versions: dict[str, list[Version]] = {}
    for line in LOCK.read_text("utf-8").splitlines():
        if pin := PIN.match(line):
            versions.setdefault(canonicalize_name(pin["name"]), []).append(Version(pin["version"]))
    return versions


@pytest.mark.parametrize("requirement", direct_requirements(), ids=lambda r: r.name)
def test_a_dependency_is_pinned_within_its_bounds(requirement: Requirement) -> None:
    versions = pinned().get(canonicalize_name(requirement.name), [])
    assert versions, STALE
    assert all(requirement.specifier.contains(v, prereleases=True) for v in versions), STALE


def test_every_pin_has_its_hashes() -> None:
    """A package is the bytes that we tested, or it is not installed."""
    blocks = re.split(r"^(?=[\w.-]+==)", LOCK.read_text("utf-8"), flags=re.MULTILINE)[1:]
    assert blocks
    assert [] == [block.split()[0] for block in blocks if "--hash=sha256:" not in block]
