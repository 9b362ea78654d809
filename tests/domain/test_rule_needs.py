"""Rules are asked only where something is set that they need: nothing is missed by that."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.edit import Edit, Kind, Operation, Parameter
from gateway.domain.errors import Violation
from gateway.domain.facts import Facts
from gateway.domain.rules import PIXELS_COUNT_WITH, RULES, check_rules
from gateway.emulator.table import EDIT_PARAMETERS
from tests.support.rule_refusals import REFUSED
from tests.support.rule_warnings import WARNED

NAMES = sorted(
    {leaf.name.replace("[i]", "[0]").replace("{key}", "a") for leaf in EDIT_PARAMETERS}
    | {name for rule in RULES for name in rule.find.needs if not name.endswith(".")}
)
VALUES = ["false", "original", "error", "ai.auto", "ai.fast", "ai.soft", "jpeg", "exifSubset"]
PARAMETERS = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(VALUES), max_size=8)


def found_by_asking_all(facts: Facts) -> list[Violation]:
    return [Violation(name, rule.code, rule.why) for rule in RULES for name in rule.find(facts)]


def found(facts: Facts) -> list[Violation]:
    refused, warned = check_rules(facts)
    return [*refused, *warned]


@given(PARAMETERS, st.sampled_from(Operation), st.sampled_from([None, 1, 2_000_000]))
def test_whatever_is_set_all_that_is_wrong_is_found(
    set_: dict[str, str], operation: Operation, pixels: int | None
) -> None:
    parameters = tuple(Parameter(n, Kind.TEXT, v, v) for n, v in sorted(set_.items()))
    facts = Facts(Edit(operation, parameters), pixels)

    assert found_by_asking_all(facts) == found(facts)


def test_in_every_case_of_every_rule_all_that_is_wrong_is_found() -> None:
    for case in (*REFUSED, *WARNED):
        for given_ in (case.wrong, case.right):
            assert found_by_asking_all(given_.facts()) == found(given_.facts())


@given(PARAMETERS)
def test_pixels_count_with_one_parameter_alone(set_: dict[str, str]) -> None:
    parameters = [Parameter(n, Kind.TEXT, v, v) for n, v in sorted(set_.items())]
    edit = Edit(Operation.EDIT, tuple(p for p in parameters if p.name != PIXELS_COUNT_WITH))

    assert check_rules(Facts(edit)) == check_rules(Facts(edit, 100_000_000))
