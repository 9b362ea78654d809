"""What the repository as a whole keeps to."""

import re
from pathlib import PurePosixPath

import pytest

from tests.policy.source import listed_files, text_of

# Written in parts, so that this file does not hold what it searches for.
REGISTRIES = [
    *("pypi" + ".org", "python" + "hosted.org", "npm" + "js.org", "debian" + ".org"),
    *("docker" + ".io", "gh" + "cr.io", "quay" + ".io", "gcr" + ".io"),
]
INDEX_OPTIONS = [
    "--index" + "-url",
    "--extra-index" + "-url",
    "--find" + "-links http",
    "/simple" + "/",
]
MACHINE_PATHS = re.compile(r"(?<![\w./-])/(?:work|tmp|root|home/\w+)/")
FENCE = re.compile(r"^```(?P<kind>\w*)[^\n]*\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL)
SHELLS = {"", "sh", "bash", "shell", "console"}


def lines_with(pattern: re.Pattern[str]) -> list[str]:
    """Where a pattern occurs in the text files of the checkout."""
    return [
        f"{path}:{number}"
        for path in listed_files()
        for number, line in enumerate((text_of(path) or "").splitlines(), 1)
        if pattern.search(line)
    ]


def test_no_file_names_a_package_registry() -> None:
    """Where packages come from is the machine's own setting."""
    unwanted = "|".join(map(re.escape, [*REGISTRIES, *INDEX_OPTIONS]))
    assert [] == lines_with(re.compile(unwanted))


def test_no_file_holds_a_path_of_one_machine() -> None:
    assert [] == lines_with(MACHINE_PATHS)


def test_no_lock_that_records_addresses_is_kept() -> None:
    """uv.lock and pylock write the registry's address beside each file; requirements.lock does not."""
    names = (PurePosixPath(path) for path in listed_files())
    assert [] == [str(n) for n in names if n.name == "uv.lock" or n.match("pylock*.toml")]


def test_the_readme_asks_for_two_commands() -> None:
    """One starts everything, one tests everything; whatever else there is, `make help` tells."""
    blocks = FENCE.finditer(text_of("README.md") or "")
    shown = [block["text"] for block in blocks if block["kind"] in SHELLS]
    commands = [line.removeprefix("$ ") for text in shown for line in text.splitlines() if line]
    assert ["make run", "make test"] == commands, "a block that is no command says ```text"


def test_the_changelog_has_a_place_for_the_next_change() -> None:
    headings = re.findall(r"^## \[(.+?)\]", text_of("CHANGELOG.md") or "", re.MULTILINE)
    assert ["Unreleased"] == headings[:1]


def test_the_decisions_are_all_in_the_index() -> None:
    """docs/adr/README.md links every record, in order."""
    records = [PurePosixPath(p).name for p in listed_files() if re.match(r"docs/adr/\d{4}-", p)]
    index = text_of("docs/adr/README.md") or ""
    assert records == re.findall(r"^\| \[\d{4}\]\((.+?)\)", index, re.MULTILINE)


@pytest.mark.parametrize("target", re.findall(r"`make ([a-z-]+)", text_of("CONTRIBUTING.md") or ""))
def test_a_command_that_contributors_are_told_of_exists(target: str) -> None:
    assert re.search(rf"^{target}:.*##", text_of("Makefile") or "", re.MULTILINE)
