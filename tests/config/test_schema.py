"""What is read off the model: keys that are not in force, the reference, the example."""

from __future__ import annotations

import pytest

from gateway.config import Config, not_in_force, parse_config, reference
from gateway.config.schema import keys
from tests.config.documents import ENVIRON, VALID
from tests.policy.source import ROOT

NOT_IN_FORCE = """
bodies.dir
bodies.memory
bodies.spool
telemetry.otlp_endpoint
telemetry.sample
tenants[].derive_seeds
tenants[].priority
tenants[].urls
tenants[].weight
urls.mode
urls.ttl
"""


def test_these_keys_are_not_in_force() -> None:
    """Golden: a feature that lands takes its line from here and its mark from the model."""
    idle = {key.path for key in keys() if not key.in_force}
    inside = {path for path in idle if any(path.startswith((f"{p}.", f"{p}[]")) for p in idle)}
    assert NOT_IN_FORCE.split() == sorted(idle - inside)


def test_a_configuration_names_those_that_it_sets() -> None:
    text = f"""{VALID}    weight: 2
    sandbox: false
    priority: batch
urls: {{mode: pass_through}}
bodies: {{}}
"""
    config = parse_config(text, {**ENVIRON, "GATEWAY_TELEMETRY__SAMPLE": "0.5"})
    expected = (
        "tenants[0].weight",
        "tenants[0].priority",
        "urls.mode",
        "telemetry.sample",
    )
    assert expected == not_in_force(config)


def test_a_configuration_of_features_that_work_names_none() -> None:
    assert () == not_in_force(parse_config(VALID, ENVIRON))


@pytest.mark.parametrize("key", keys(), ids=lambda key: key.path)
def test_a_key_has_a_sentence(key: object) -> None:
    description = getattr(key, "description", "")
    assert description.endswith(".")
    assert description[0].isupper()


def test_a_variable_names_one_key() -> None:
    variables = [key.variable for key in keys() if key.variable]
    assert len(set(variables)) == len(variables)
    assert {"GATEWAY_REDIS", "GATEWAY_LISTEN__REST"} <= set(variables)
    assert not {"GATEWAY_TENANTS", "GATEWAY_CACHE", "GATEWAY_CACHE_SCOPES"} & set(variables)


def test_every_field_of_the_top_has_its_section_in_the_reference() -> None:
    headings = [line for line in reference().splitlines() if line.startswith("## ")]
    assert [f"## `{name}`" for name in Config.model_fields] == headings


def test_the_reference_is_that_of_the_model() -> None:
    """If not: `photoroom-gateway check --reference > docs/configuration.md`."""
    assert reference() == (ROOT / "docs/configuration.md").read_text("utf-8")


def test_the_example_is_right_and_in_force() -> None:
    text = (ROOT / "deploy/gateway.example.yaml").read_text("utf-8")
    config = parse_config(text, {"PHOTOROOM_KEY_1": "sk_example"})
    assert () == not_in_force(config)
