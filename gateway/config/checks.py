"""What has to fit together in a configuration.

The checks read the document, not the model: so they say their part even where a value is wrong in itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gateway.config.document import select
from gateway.config.mistakes import Mistake, nearest

__all__ = ["check"]

_IDS = {
    "account": "upstream.accounts[].id",
    "key": "upstream.accounts[].keys[].id",
    "tenant": "tenants[].id",
    "administrator": "admins[].id",
}
_CREDENTIALS = ("tenants[].credentials_sha256[]", "admins[].credentials_sha256[]")
_REFERENCES = {
    "upstream.accounts[].tenants[]": "tenant",
    "tenants[].accounts[]": "account",
    "cache_scopes.*[]": "tenant",
}


def check(document: object) -> Iterator[Mistake]:
    """Yield the ids, credentials and secrets that stand twice, and the names of what is not there."""
    for what, pattern in _IDS.items():
        yield from _unique(_texts(document, pattern), f"is the id of another {what}")
    credentials = (item for pattern in _CREDENTIALS for item in _texts(document, pattern))
    yield from _unique(
        ((path, text.lower()) for path, text in credentials), "stands in a second place"
    )
    for source in ("secret_file", "secret_env"):
        pattern = f"upstream.accounts[].keys[].{source}"
        yield from _unique(_texts(document, pattern), "is the secret of another key")
    for pattern, what in _REFERENCES.items():
        yield from _known(document, pattern, what)
    yield from _unique(_texts(document, "cache_scopes.*[]"), "is in a scope already")


def _texts(document: object, pattern: str) -> Iterator[tuple[str, str]]:
    return ((path, text) for path, text in select(document, pattern) if isinstance(text, str))


def _unique(items: Iterable[tuple[str, str]], mistake: str) -> Iterator[Mistake]:
    first: dict[str, str] = {}
    for path, text in items:
        if text in first:
            yield Mistake(path, f"{mistake}: {first[text]}")
        first.setdefault(text, path)


def _known(document: object, pattern: str, what: str) -> Iterator[Mistake]:
    ids = {text for _, text in _texts(document, _IDS[what])}
    for path, text in _texts(document, pattern):
        if text not in ids:
            yield Mistake(path, f"is the id of no {what}{nearest(text, sorted(ids))}")
