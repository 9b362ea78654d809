"""Every key is either reloaded or named as one that needs a restart."""

from __future__ import annotations

from typing import TypeVar

import pytest

from gateway.config import Config, changes, parse_config
from gateway.config.marks import Section
from gateway.config.schema import Key, keys
from tests.config.documents import ENVIRON, HASHES, VALID, with_tenant

S = TypeVar("S", bound=Section)
RELOADED = ["upstream.accounts", "tenants", "cache_scopes", "admins"]
SERVED = f"{VALID}redis: {{state_url: 'redis://h'}}\n"


def parsed(text: str) -> Config:
    return parse_config(text, ENVIRON)


def test_these_keys_are_reloaded() -> None:
    """Golden: a running gateway takes these over, and all that is below them."""
    assert RELOADED == [key.path for key in keys() if key.reloaded]


def test_no_mark_stands_inside_another() -> None:
    """What is below a mark is not looked at, so a second one would say nothing."""
    marked = [key.path for key in keys() if key.reloaded]
    inside = [
        path for path in marked for above in marked if path.startswith((f"{above}.", f"{above}["))
    ]
    assert [] == inside


def leaves() -> list[Key]:
    """The keys that hold a value themselves, those inside lists apart."""
    paths = [key.path for key in keys()]
    return [
        key
        for key in keys()
        if key.reloaded
        or ("[]" not in key.path and not any(path.startswith(f"{key.path}.") for path in paths))
    ]


def changed(section: S, steps: list[str]) -> S:
    """The section with another value at the path, whatever its type."""
    name, *rest = steps
    value = changed(getattr(section, name), rest) if rest else object()
    return section.model_copy(update={name: value})


@pytest.mark.parametrize("key", leaves(), ids=lambda key: key.path)
def test_a_change_is_named_by_its_key(key: Key) -> None:
    """Whatever the key: none is forgotten, and none is taken over that only a restart can."""
    config = parsed(SERVED)
    found = changes(config, changed(config, key.path.split(".")))
    expected = ((key.path,), ()) if key.reloaded else ((), (key.path,))
    assert expected == (found.reloaded, found.restart)


@pytest.mark.parametrize(
    ("reloaded", "text"),
    [
        (["tenants"], with_tenant("weight: 2")),
        (["tenants"], with_tenant("sandbox: true")),
        (["tenants"], VALID.replace(HASHES[0], HASHES[1])),
        (["tenants"], VALID.replace("id: catalog", "id: web")),
        (["cache_scopes"], f"{VALID}cache_scopes: {{retail: [catalog]}}"),
        (["admins"], f"{VALID}admins: [{{id: ops, credentials_sha256: ['{HASHES[1]}']}}]"),
        (["upstream.accounts"], VALID.replace("KEY_1", "KEY_2")),
        (["upstream.accounts"], VALID.replace("id: main", "id: main\n      plan: plus")),
    ],
)  # fmt: skip
def test_what_is_below_a_reloaded_key_is_reloaded(reloaded: list[str], text: str) -> None:
    found = changes(parsed(VALID), parsed(text))
    assert (tuple(reloaded), ()) == (found.reloaded, found.restart)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (VALID, VALID),
        (VALID, f"# written otherwise\n{VALID}cache: {{ttl: 720h}}"),
        (VALID, with_tenant("time_zone: UTC")),
        (VALID, VALID.replace(HASHES[0], HASHES[0].upper())),
    ],
)
def test_the_same_values_are_no_change_however_they_are_written(old: str, new: str) -> None:
    assert parsed(old) == parsed(new)
    found = changes(parsed(old), parsed(new))
    assert ((), ()) == (found.reloaded, found.restart)


def test_a_secret_that_only_a_restart_takes_over_is_named() -> None:
    text = f"{VALID}redis: {{state_url: 'redis://:first@h', cache_url: 'redis://c'}}"
    found = changes(parsed(text), parsed(text.replace("first", "other")))
    assert ("redis.state_url",) == found.restart
    assert ("redis",) == changes(parsed(text), parsed(f"redis: embedded{VALID}")).restart
