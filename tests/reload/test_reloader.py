"""What came of a reading of the configuration: taken over whole, or refused whole, and told."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import pytest
from prometheus_client import CollectorRegistry

from gateway.config import Config, ConfigError, ConfigWatch, Mistake, ReadFiles, parse_config
from gateway.reload import Reloader
from gateway.telemetry.metrics import Metrics
from tests.client.waiting import until
from tests.config.documents import CANARY, ENVIRON, HASHES, VALID

STARTED = parse_config(VALID, ENVIRON)
OTHER = parse_config(VALID.replace("id: catalog", "id: web"), ENVIRON)
ELSEWHERE = "listen: {rest: '127.0.0.1:1'}\ncache: {ttl: 1h}\n"
WRONG = ConfigError([Mistake("tenants[0].id", "is required"), Mistake("listen", "is wrong")])


@dataclass
class Part:
    """A part that notes what it is given; it cannot make what `bad` asks for."""

    bad: Config | None = None
    made: list[Config] = field(default_factory=list)
    in_force: list[Config] = field(default_factory=list)

    def __call__(self, config: Config) -> Callable[[], None]:
        if config is self.bad:
            raise LookupError("no such part")
        self.made.append(config)
        return partial(self.in_force.append, config)


@dataclass
class Setting:
    """A reloader with its parts and metrics."""

    parts: tuple[Part, ...] = field(default_factory=lambda: (Part(), Part()))
    metrics: Metrics = field(default_factory=lambda: Metrics("1"))

    def __post_init__(self) -> None:
        self.reloader = Reloader(STARTED, self.parts, self.metrics)

    def in_force(self) -> list[list[Config]]:
        return [part.in_force for part in self.parts]

    def number(self, name: str, **labels: str) -> float | None:
        registry: CollectorRegistry = self.metrics.registry
        return registry.get_sample_value(name, labels)

    def refused(self) -> float | None:
        return self.number("gateway_config_refused")

    def outcomes(self) -> dict[str, float | None]:
        """How many readings had each outcome, of those that there were."""
        names = ("applied", "refused", "unchanged")
        counts = {name: self.number("gateway_config_reloads_total", outcome=name) for name in names}
        assert None not in counts.values()
        return {name: count for name, count in counts.items() if count}


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "gateway.reload")
    return caplog


def test_at_the_start_nothing_is_refused() -> None:
    setting = Setting()
    assert {} == setting.outcomes()
    assert 0 == setting.refused()
    assert setting.number("gateway_config_applied_timestamp_seconds")


def test_a_right_configuration_is_given_to_every_part() -> None:
    setting = Setting()
    setting.reloader.take(OTHER)
    assert [[OTHER], [OTHER]] == setting.in_force()
    assert {"applied": 1} == setting.outcomes()


def test_a_wrong_configuration_is_given_to_no_part_and_told_by_its_paths(
    log: pytest.LogCaptureFixture,
) -> None:
    setting = Setting()
    before = setting.number("gateway_config_applied_timestamp_seconds")
    setting.reloader.take(WRONG)
    assert [[], []] == setting.in_force()
    assert ({"refused": 1}, 1) == (setting.outcomes(), setting.refused())
    assert before == setting.number("gateway_config_applied_timestamp_seconds")
    told = vars(log.records[-1])
    assert ["tenants[0].id: is required", "listen: is wrong"] == told["mistakes"]
    assert 2 == told["mistakes_in_all"]


def test_many_mistakes_are_counted_and_some_named(log: pytest.LogCaptureFixture) -> None:
    Setting().reloader.take(ConfigError([Mistake(f"tenants[{n}]", "is wrong") for n in range(99)]))
    assert (20, 99) == (
        len(vars(log.records[-1])["mistakes"]),
        vars(log.records[-1])["mistakes_in_all"],
    )


@pytest.mark.parametrize(("mended", "outcome"), [(OTHER, "applied"), (STARTED, "unchanged")])
def test_a_file_that_is_mended_or_put_back_is_refused_no_more(mended: Config, outcome: str) -> None:
    setting = Setting()
    setting.reloader.take(WRONG)
    setting.reloader.take(mended)
    assert ({"refused": 1, outcome: 1}, 0) == (setting.outcomes(), setting.refused())


def test_a_configuration_like_the_one_that_runs_is_given_to_no_part() -> None:
    setting = Setting()
    setting.reloader.take(OTHER)
    setting.reloader.take(OTHER.model_copy())
    assert [[OTHER], [OTHER]] == setting.in_force()
    assert {"applied": 1, "unchanged": 1} == setting.outcomes()


def test_when_a_part_cannot_make_its_own_no_part_is_changed() -> None:
    setting = Setting((Part(), Part(bad=OTHER)))
    with pytest.raises(LookupError):
        setting.reloader.take(OTHER)
    assert [[], []] == setting.in_force()
    assert [OTHER] == setting.parts[0].made


async def test_a_mistake_of_ours_refuses_the_file_and_the_next_one_is_taken(
    log: pytest.LogCaptureFixture,
) -> None:
    setting = Setting((Part(bad=OTHER),))
    readings = iter([STARTED, OTHER, STARTED])

    def read(_: ReadFiles) -> Config:
        return next(readings)

    async def has(outcome: str) -> bool:
        return outcome in setting.outcomes()

    watch = ConfigWatch(read, interval=3600)
    watch.load()
    async with setting.reloader.following(watch):
        watch.hurry()
        await until(partial(has, "refused"))
        assert 1 == setting.refused()
        watch.hurry()
        await until(partial(has, "unchanged"))
    assert 0 == setting.refused()
    assert LookupError in [record.exc_info[0] for record in log.records if record.exc_info]


def test_what_needs_a_restart_is_named_until_it_is_put_back(log: pytest.LogCaptureFixture) -> None:
    """It is compared with the start: a later file does not make it the one that runs."""
    setting = Setting()
    moved = parse_config(f"{VALID}{ELSEWHERE}", ENVIRON)
    for step in (moved, parse_config(f"{VALID.replace('catalog', 'web')}{ELSEWHERE}", ENVIRON)):
        log.clear()
        setting.reloader.take(step)
        for path in ("listen.rest", "cache.ttl"):
            assert 1 == setting.number("gateway_config_needs_restart", path=path)
        assert ["listen.rest", "cache.ttl"] == vars(log.records[-1])["paths"]
        assert logging.WARNING == log.records[-1].levelno
    assert [[moved, step], [moved, step]] == setting.in_force()
    setting.reloader.take(STARTED)
    assert setting.number("gateway_config_needs_restart", path="listen.rest") is None


CHANGED = f"""
upstream:
  accounts:
    - id: main
      keys: [{{id: k1, secret_env: KEY_2}}]
    - id: spare
      keys: [{{id: k2, secret_env: KEY_1}}]
tenants:
  - {{id: web, credentials_sha256: ["{HASHES[1]}"]}}
  - {{id: shop, credentials_sha256: ["{HASHES[2]}"], sandbox: true}}
  - {{id: blog, credentials_sha256: ["{HASHES[3]}"]}}
cache_scopes: {{retail: [blog]}}
admins: [{{id: ops, credentials_sha256: ["{HASHES[4]}"]}}]
"""
BEFORE = VALID + "".join(
    f'  - {{id: {name}, credentials_sha256: ["{HASHES[n]}"]}}\n'
    for n, name in ((2, "shop"), (3, "blog"))
)


def test_the_line_of_a_change_has_ids_and_nothing_else(log: pytest.LogCaptureFixture) -> None:
    setting = Setting()
    setting.reloader.take(parse_config(BEFORE, ENVIRON))
    log.clear()
    setting.reloader.take(parse_config(CHANGED, ENVIRON))
    [record] = log.records
    told = ("changed", "tenants_", "admins_", "upstream_")
    assert {
        "changed": ["upstream.accounts", "tenants", "cache_scopes", "admins"],
        "tenants_added": ["web"],
        "tenants_removed": ["catalog"],
        "tenants_changed": ["blog", "shop"],
        "admins_added": ["ops"],
        "upstream_keys_added": ["k2"],
        "upstream_keys_changed": ["k1"],
    } == {name: value for name, value in vars(record).items() if name.startswith(told)}
    assert CANARY not in str(vars(record))


def test_a_key_that_is_not_in_force_is_named_when_it_is_set(log: pytest.LogCaptureFixture) -> None:
    setting = Setting()
    set_ = parse_config(f"{VALID}bodies: {{dir: x}}\n", ENVIRON)
    setting.reloader.take(set_)
    assert "configured but not in force yet: bodies.dir" in [
        line.getMessage() for line in log.records
    ]
    log.clear()
    setting.reloader.take(parse_config(f"{BEFORE}bodies: {{dir: x}}\n", ENVIRON))
    assert [] == [line for line in log.records if "not in force" in line.getMessage()]
