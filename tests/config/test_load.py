"""From YAML to a configuration, or to every mistake at once."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import (
    Address,
    Config,
    ConfigError,
    Mistake,
    load_config,
    parse_config,
)
from gateway.domain.credits import BASIC, PLUS, Price
from gateway.domain.limits import Limits, Rate
from gateway.domain.tenant import Tenant
from tests.config.documents import (
    ENVIRON,
    HASHES,
    VALID,
    mistakes,
    with_tenant,
    with_upstream_key,
)

USUAL = Limits(zone=ZoneInfo("UTC"), emergency_milli=10_000)
"""Those of a tenant for which the file says nothing."""

UNKNOWN = "is no key of the configuration"


def test_what_is_left_out_has_its_default() -> None:
    config = parse_config(VALID, ENVIRON)
    assert Address("0.0.0.0", 50051) == config.listen.grpc  # noqa: S104 - the documented default
    assert (60.0, 180.0) == (config.upstream.timeouts.edit, config.upstream.timeouts.generative)
    assert "https://sdk.photoroom.com" == config.upstream.segment_url
    assert 30 * 86400 == config.cache.ttl
    assert 256 * 1024 * 1024 == config.cache.memory
    assert config.cache.secret_file is None
    assert config.redis is None


def test_a_tenant_is_found_by_the_digest_of_its_key() -> None:
    text = with_tenant("sandbox: true").replace(HASHES[0], HASHES[0].upper())
    found = parse_config(text, ENVIRON).tenants_by_credential()
    assert {HASHES[0]: Tenant("catalog", sandbox=True, limits=USUAL)} == found


def test_a_tenant_may_have_unknown_parameters_ignored() -> None:
    config = parse_config(with_tenant("unknown_parameters: ignore"), ENVIRON)
    assert Tenant("catalog", ignore_unknown=True, limits=USUAL) == config.tenants[0].value


def test_what_a_tenant_may_do_is_read_in_whole_thousandths() -> None:
    fields = (
        "requests: {per_minute: 600, burst: 60}",
        "edits: {per_minute: 0.5, burst: 1}",
        "max_in_flight: 7",
        "monthly_images: 1000.0009",
        "max_cost: 0.3",
        "time_zone: Europe/Paris",
        "strict: true",
        "emergency_images: 0",
    )
    expected = Limits(
        requests=Rate(interval_us=100_000, burst=60),
        edits=Rate(interval_us=120_000_000, burst=1),
        in_flight=7,
        budget_milli=1_000_000,
        cost_milli=300,
        zone=ZoneInfo("Europe/Paris"),
        strict=True,
        emergency_milli=0,
    )
    config = parse_config(with_tenant("\n    ".join(fields)), ENVIRON)
    assert expected == config.tenants[0].value.limits


def test_members_of_a_scope_share_it_and_others_are_alone() -> None:
    web = f'  - {{id: web, credentials_sha256: ["{HASHES[1]}"]}}\n'
    config = parse_config(f"{VALID}{web}cache_scopes: {{retail: [catalog]}}", ENVIRON)
    expected = {
        HASHES[0]: Tenant("catalog", shared_scope="retail", limits=USUAL),
        HASHES[1]: Tenant("web", limits=USUAL),
    }
    assert expected == config.tenants_by_credential()


@pytest.mark.parametrize(
    ("plan", "price"),
    [
        ("basic", BASIC),
        ("plus", PLUS),
        ("{edit: 1.5, segment: 0.001}", Price(1500, 1)),
        ("null", None),
    ],
)
def test_a_plan_is_a_price(plan: str, price: Price | None) -> None:
    config = parse_config(
        with_upstream_key(f"id: k1, secret_env: KEY_1}}]\n      plan: {plan} #"), ENVIRON
    )
    assert price == config.upstream.accounts[0].price


EVERYTHING_WRONG = f"""
listen: {{rest: here, ops: "0.0.0.0:50051"}}
cache: {{ttl: 30, ttl: 30d, memory: 1GB}}
redis: {{state_url: redis://a, state_url_file: b}}
upstream:
  edit_url: ftp://photoroom
  accounts:
    - id: main
      plan: gold
      tenants: [katalog]
      keys:
        - {{id: k1, secret_env: NOWHERE, max_in_flight: yes}}
        - {{id: k1}}
    - id: main
      keys: []
tenants:
  - {{id: a b, credentials_sha256: [key, "{HASHES[0]}"], weight: 0, priority: high}}
  - {{id: catalog, credentials_sha256: ["{HASHES[0].upper()}"], edits: {{per_minute: 1}}}}
cache_scopes: {{r: [nobody], s: [catalog], t: [catalog]}}
"""


def test_every_mistake_is_reported_at_once() -> None:
    """Each with its path; one wrong value hides no other."""
    found = mistakes(EVERYTHING_WRONG, {"GATEWAY_LISTN": "x"})
    assert sorted(
        [
            ("GATEWAY_LISTN", "is no variable of the gateway; did you mean GATEWAY_LISTEN__OPS?"),
            (
                "cache.memory",
                "has to be a whole amount with its unit: 512B, 64KiB, 256MiB, 1GiB or 1TiB",
            ),
            ("cache.ttl", "stands twice: lines 3 and 3"),
            ("cache_scopes.r[0]", "is the id of no tenant"),
            ("cache_scopes.t[0]", "is in a scope already: cache_scopes.s[0]"),
            ("listen.ops", "is the address of another door"),
            ("listen.rest", "has to be host:port, such as 0.0.0.0:8080 or [::]:8080"),
            ("redis.state_url_file", "is set beside state_url: only one of them may be"),
            ("tenants[0].credentials_sha256[0]", HASH_WANTED),
            ("tenants[0].id", ID_WANTED),
            ("tenants[0].priority", "has to be 'interactive', 'standard' or 'batch'"),
            ("tenants[0].weight", "has to be more than 0"),
            (
                "tenants[1].credentials_sha256[0]",
                "stands in a second place: tenants[0].credentials_sha256[1]",
            ),
            ("tenants[1].edits.burst", "is required"),
            ("upstream.accounts[0].keys[0].max_in_flight", "has to be a whole number"),
            (
                "upstream.accounts[0].keys[0].secret_env",
                "names a variable that the environment does not have",
            ),
            (
                "upstream.accounts[0].keys[1].id",
                "is the id of another key: upstream.accounts[0].keys[0].id",
            ),
            (
                "upstream.accounts[0].keys[1].secret_env",
                "is required, or secret_file in its place",
            ),
            ("upstream.accounts[0].plan", "has to be 'basic' or 'plus', or a mapping"),
            ("upstream.accounts[0].tenants[0]", "is the id of no tenant; did you mean catalog?"),
            ("upstream.accounts[1].id", "is the id of another account: upstream.accounts[0].id"),
            ("upstream.accounts[1].keys", "needs at least one"),
            (
                "upstream.edit_url",
                "has to be an http or https URL without user, query and fragment",
            ),
        ]
    ) == sorted(found)


ID_WANTED = (
    "has to be 1 to 64 letters, digits, dots, dashes and underscores, "
    "the first one a letter or a digit"
)
HASH_WANTED = (
    "has to be the SHA-256 of a key in 64 hex digits; `photoroom-gateway keys new` makes both"
)


@pytest.mark.parametrize(
    ("text", "path", "mistake"),
    [
        ("", "upstream", "is required"),
        ("[]", "", "has to be a mapping"),
        (f"{VALID}1: x", "[1]", "is a key that is not text; quote it"),
        (f"{VALID}cache:", "cache", "has to be a mapping"),
        (f"{VALID}urls: {{mode: 1}}", "urls.mode", "has to be 'pass_through' or 'fetch'"),
        (f"{VALID}bodies: {{dir: 7}}", "bodies.dir", "has to be text; quote what looks like something else"),
        (f"{VALID}telemetry: {{sample: 1.5}}", "telemetry.sample", "has to be 1 or less"),
        (f"{VALID}telemetry: {{sample: .nan}}", "telemetry.sample", "has to be a finite number"),
        (f'{VALID}telemetry: {{sample: "1"}}', "telemetry.sample", "has to be a number"),
        (f"{VALID}redis: built-in", "redis", "has to be 'embedded', or a mapping"),
        (f"{VALID}redis: {{}}", "redis.state_url_file", "is required, or state_url in its place"),
        (f'{VALID}redis: {{state_url: ""}}', "redis.state_url", "is empty"),
        (f"{VALID}admins: [{{id: a, id: b}}]", "admins[0].id", "stands twice: lines 9 and 9"),
        (f"{VALID}cache_scopes: {{s: catalog}}", "cache_scopes.s", "has to be a list"),
        (f"{VALID}cache_scopes: {{a b: []}}", "cache_scopes.a b", ID_WANTED),
        (f"{VALID}upstream: {{}}", "upstream", "stands twice: lines 2 and 9"),
        (with_tenant('sandbox: "yes"'), "tenants[0].sandbox", "has to be true or false"),
        (with_tenant("max_cost: -1"), "tenants[0].max_cost", "has to be 0 or more"),
        (with_tenant("weight: .inf"), "tenants[0].weight", "has to be a finite number"),
        (with_tenant("time_zone: Mars"), "tenants[0].time_zone", "has to be a time zone that this machine knows, such as UTC or Europe/Paris"),
        (with_tenant("time_zone: ../x"), "tenants[0].time_zone", "has to be a time zone that this machine knows, such as UTC or Europe/Paris"),
        (with_tenant("accounts: [mian]"), "tenants[0].accounts[0]", "is the id of no account; did you mean main?"),
        (with_tenant("sandbx: true"), "tenants[0].sandbx", f"{UNKNOWN}; did you mean sandbox?"),
        (with_tenant("requests: {per_minute: 1, burst: 0}"), "tenants[0].requests.burst", "has to be 1 or more"),
        (with_upstream_key("id: k1, secret: x"), "upstream.accounts[0].keys[0].secret", f"{UNKNOWN}; did you mean secret_env?"),
        (f'{VALID}admins: [{{id: ops, credentials_sha256: ["{HASHES[0]}"]}}]', "admins[0].credentials_sha256[0]", "stands in a second place: tenants[0].credentials_sha256[0]"),
    ],
)  # fmt: skip
def test_a_mistake_has_its_path_and_its_sentence(text: str, path: str, mistake: str) -> None:
    assert (path, mistake) in mistakes(text)


@pytest.mark.parametrize("amount", ["0.0001", "-1", ".inf", "true"])
def test_a_price_is_a_number_of_thousandths(amount: str) -> None:
    text = VALID.replace("- id: main", f"- id: main\n      plan: {{edit: {amount}, segment: 1}}")
    assert ["upstream.accounts[0].plan.edit"] == [path for path, _ in mistakes(text)]


@pytest.mark.parametrize(
    "url",
    [
        "photoroom.com",
        "http://",
        "https://u:p@h",
        "http://h?x=1",
        "http://h#f",
        "http://h:x",
        "http://h:70000",
        "http://[::1",
        "http://h\u0000",
    ],
)
def test_an_upstream_url_has_a_host_and_nothing_secret(url: str) -> None:
    text = VALID.replace("upstream:", f"upstream:\n  segment_url: {url!a}".replace("'", '"'))
    assert ["upstream.segment_url"] == [path for path, _ in mistakes(text)]


def test_aliases_and_merges_are_allowed() -> None:
    text = VALID.replace("- id: catalog", "- &first\n    id: catalog")
    second = f'  - {{<<: *first, id: web, credentials_sha256: ["{HASHES[1]}"]}}\n'
    assert ["catalog", "web"] == [
        tenant.id for tenant in parse_config(text + second, ENVIRON).tenants
    ]


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("a: [1", "is not YAML: line 1, column 6: expected ',' or ']', but got '<stream end>'"),
        ("a: 1\n---\nb: 2", "is not YAML: line 2, column 1: but found another document"),
        ("a: !!python/name:os.system", "is not YAML: line 1, column 4: could not determine a constructor for the tag '...'"),
        ("? [a]\n: 1", "is not YAML: line 1, column 3: found unhashable key"),
        ("a: \x07", "is not YAML"),
        ("a: *canary", "is not YAML: line 1, column 4: found undefined alias '...'"),
        ("a: 2024-13-45", "has a date, a number or a tag that cannot be"),
        ("a: !!bool canary", "has a date, a number or a tag that cannot be"),
        ("a: !!timestamp canary", "has a date, a number or a tag that cannot be"),
        ("a: !!int canary", "has a date, a number or a tag that cannot be"),
        (f"a: {'9' * 5000}", "has a date, a number or a tag that cannot be"),
        ("[" * 5000, "is nested too deeply"),
    ],
)  # fmt: skip
def test_what_is_no_yaml_is_refused(text: str, mistake: str) -> None:
    assert [("", mistake)] == mistakes(text)


def test_a_document_that_contains_itself_is_refused() -> None:
    assert ("tenants", "has to be a list") in mistakes("&a\nupstream: *a\ntenants: *a")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
            st.sampled_from(["id", "upstream", "tenants", "accounts", "keys", "redis", "cache", "plan"])
            | st.integers(),
            inner,
            max_size=4,
        ),
        max_leaves=12,
    )
)  # fmt: skip
def test_any_document_is_a_configuration_or_a_list_of_mistakes(document: object) -> None:
    import yaml  # noqa: PLC0415 - only this test writes YAML

    with pytest.raises(ConfigError) as caught:
        parse_config(yaml.safe_dump({"upstream": document, "tenants": document}), {})
    assert caught.value.mistakes


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(VALID, "utf-8-sig")
    assert ["catalog"] == [tenant.id for tenant in load_config(path, ENVIRON).tenants]


@pytest.mark.parametrize(
    ("content", "mistake"),
    [(None, "cannot be read: No such file or directory"), (b"\xff", "is not UTF-8 text")],
)
def test_a_file_that_cannot_be_read_is_a_mistake(
    tmp_path: Path, content: bytes | None, mistake: str
) -> None:
    path = tmp_path / "gateway.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_config(path, {})
    assert (Mistake("", mistake),) == caught.value.mistakes


def test_a_configuration_does_not_change() -> None:
    config = parse_config(VALID, ENVIRON)
    with pytest.raises(ValueError, match="frozen"):
        config.listen = Config.model_fields["listen"].default
