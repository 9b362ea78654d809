"""Every rule between parameters: what it finds, by name, and what it lets pass."""

from __future__ import annotations

import random

import pytest

from gateway.domain import rules
from gateway.domain.edit import Edit, Operation
from gateway.domain.facts import Facts, Finder, all_of, is_one_of, unless_value
from gateway.domain.rules import RULES, Level, Rule, check_rules
from gateway.emulator.table import EDIT_PARAMETERS, MODEL_HEADERS, SEGMENT_PARAMETERS
from tests.support.rule_cases import KEPT, Case, Given
from tests.support.rule_refusals import REFUSED
from tests.support.rule_warnings import WARNED

CASES = [(Level.REFUSE, c) for c in REFUSED] + [(Level.WARN, c) for c in WARNED]
EVERY_CASE = pytest.mark.parametrize(
    ("level", "case"), CASES, ids=lambda v: getattr(v, "code", str(v))
)


@EVERY_CASE
def test_a_rule_names_exactly_the_fields_at_fault(level: Level, case: Case) -> None:
    assert case.fields.split() == case.wrong.found(level, case.code)


@EVERY_CASE
def test_a_rule_lets_pass_what_is_right(level: Level, case: Case) -> None:
    assert [] == case.right.found(level, case.code)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.code}: {rule.why[:40]}")
def test_every_row_has_a_case_that_it_finds_and_one_that_it_lets_pass(rule: Rule) -> None:
    cases = [c for level, c in CASES if (level, c.code) == (rule.level, rule.code)]
    assert any(list(rule.find(c.wrong.facts())) for c in cases)
    assert any(not list(rule.find(c.right.facts())) for c in cases)


def test_the_codes_are_those_of_the_table() -> None:
    assert {(level, c.code) for level, c in CASES} == {(rule.level, rule.code) for rule in RULES}
    assert list(RULES) == sorted(RULES, key=lambda rule: rule.level)


def test_a_plain_cut_out_is_neither_refused_nor_doubtful() -> None:
    assert ((), ()) == check_rules(Given().facts())


def test_what_the_vendors_own_examples_send_is_not_refused() -> None:
    facts = Given(
        f"{KEPT}&referenceBox=originalImage&editWithAI.mode=ai.auto&editWithAI.prompt=a"
    ).facts()
    refused, warned = check_rules(facts)
    assert () == refused
    assert [("referenceBox", "IGNORED_WITHOUT_CUTOUT")] == [(w.field, w.code) for w in warned]


def test_rules_see_what_was_set_and_no_default() -> None:
    """`outputSize` is `auto` when it is absent, and `removeBackground` is true: both say nothing."""
    assert Given().facts().value("outputSize") is None
    assert Given("removeBackground=true").facts().has("removeBackground")


TABLE = (*EDIT_PARAMETERS, *SEGMENT_PARAMETERS, *MODEL_HEADERS)
NAMES = {leaf.settles or leaf.name for leaf in TABLE}
PATHS = {name[: at + 1] for name in NAMES for at, c in enumerate(name) if c == "."}
TEXTS = {leaf.name: leaf.examples for leaf in TABLE}


class Rehearsal(Facts):
    """Answers by chance, and notes every name that a rule asks for."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__(Edit(Operation.EDIT), pixels=10**9)
        self.asked: set[str] = set()
        self._chance = chance

    def has(self, name: str) -> bool:
        self.asked.add(name)
        return self._chance.random() < 0.5

    def value(self, name: str) -> str | None:
        self.asked.add(name)
        return self._chance.choice([None, *TEXTS.get(name, ())])

    def present(self, *names: str) -> list[str]:
        self.asked.update(names)
        known = [name.replace("layers.", "layers.{key}.") for name in names]
        return [name for name in known if self._chance.random() < 0.5]


def asked_by(*finders: Finder) -> set[str]:
    facts = Rehearsal(random.Random(7))
    for find in finders:
        for _ in range(300):
            list(find(facts))
    return facts.asked


def test_rules_speak_of_real_parameters_and_headers() -> None:
    """A misspelt name in a rule would make it a rule about nothing."""
    asked = asked_by(*(rule.find for rule in RULES)) | rules._PURE_CUTOUT
    assert set() == asked - NAMES - PATHS


def test_a_misspelt_name_would_be_seen_at_the_end_of_a_chain() -> None:
    chain = all_of(
        is_one_of("shadow.mode", "ai.hard"),
        unless_value("pr-ai-shadows-model-version", ("2026-04-15",), "shadow.mood"),
    )
    assert {"shadow.mood"} == asked_by(chain) - NAMES - PATHS
