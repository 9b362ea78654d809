"""`docs/errors.md` says all of the codes, and says them as they are."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from gateway.domain.errors import DeadlineExceeded, Ending, GatewayError, PolicyError
from gateway.domain.picture_rules import PictureCode
from gateway.domain.rules import RULES, Level
from gateway.domain.violations import Code
from gateway.transport.call_fields import BUDGET_LEFT, RATE_LIMIT, RATE_POLICY
from gateway.transport.form import FormCode
from gateway.transport.rpc.errors import DOMAIN
from gateway.transport.rpc.server import LARGEST_MESSAGE
from gateway.transport.status import STATUS
from tests.transport.test_status import SEEN

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "errors.md").read_text()
PROTO = (ROOT / "proto" / "gateway" / "v1" / "edit_service.proto").read_text()
SPENT = {Ending.NOT_SPENT: "no", Ending.SPENT: "yes", Ending.UNKNOWN: "perhaps"}

REFUSING = {rule.code for rule in RULES if rule.level is Level.REFUSE}
WARNING = {rule.code for rule in RULES if rule.level is Level.WARN}
CODES: dict[str, set[str]] = {
    "Codes of a field": {str(code) for code in Code},
    "Codes of a picture": {str(code) for code in PictureCode},
    "Codes of a body": {str(code) for code in FormCode},
    "Codes of rules between parameters": REFUSING,
    "Codes of warnings": WARNING,
}


def rows(title: str) -> list[list[str]]:
    """The cells of the table under a heading, its head apart."""
    _, _, section = PAGE.partition(f"\n## {title}\n")
    lines = [line for line in section.partition("\n## ")[0].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def test_every_reason_stands_with_its_statuses_and_its_price() -> None:
    def spent(kind: type[GatewayError]) -> str:
        # The error itself costs nothing; the work that goes on without its caller may.
        return "perhaps" if kind is DeadlineExceeded else SPENT[kind.ending]

    expected = {
        (f"`{kind.reason}`", str(STATUS[kind].http), STATUS[kind].grpc.name, spent(kind))
        for kind in SEEN
    }

    assert expected == {(row[0], row[1], row[2], row[3]) for row in rows("Reasons")}


def test_every_code_stands_under_its_heading_once() -> None:
    for title, codes in CODES.items():
        assert Counter(f"`{code}`" for code in codes) == Counter(row[0] for row in rows(title))


def test_every_row_says_what_it_means_and_what_to_do_in_one_sentence() -> None:
    for title in ("Reasons", *CODES):
        for row in rows(title):
            assert re.fullmatch(r"[A-Z`].+: .+\.", row[-1]), row


def test_a_code_has_one_meaning_wherever_it_appears() -> None:
    seen = Counter(code for codes in CODES.values() for code in codes)

    assert [] == [code for code, count in seen.items() if count > 1]


def test_a_reason_that_is_a_code_too_means_the_same() -> None:
    codes = set().union(*CODES.values())

    assert {"BLOB_NOT_FOUND"} == codes & {kind.reason for kind in SEEN}


def test_the_limits_and_names_in_the_text_are_the_code_s() -> None:
    assert f"domain `{DOMAIN}`" in PAGE
    assert f"a gRPC message over {LARGEST_MESSAGE >> 20} MiB" in PAGE


def test_what_is_told_of_limits_has_the_names_that_are_documented() -> None:
    names = {RATE_LIMIT, RATE_POLICY, BUDGET_LEFT}

    assert {f"`{name}`" for name in (*names, "Retry-After")} == {
        row[0] for row in rows("Limits of a tenant")
    }
    assert [] == [name for name in names if f"`{name.lower()}`" not in PROTO]


def test_the_proto_names_every_limit_that_refuses() -> None:
    reasons = [kind.reason for kind in SEEN if issubclass(kind, PolicyError)]

    assert [] == [reason for reason in reasons if f"`{reason}`" not in PROTO]
