"""Where a credential stands in a request, at either door."""

from __future__ import annotations

__all__ = ["credential_of"]


def credential_of(x_api_key: str | None, authorization: str | None) -> str | None:
    """Return the key of `x-api-key`, else of `authorization: Bearer <key>`, else None."""
    if x_api_key is not None:
        return x_api_key
    scheme, _, key = (authorization or "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else None
