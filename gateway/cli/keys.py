"""`keys new`: makes a tenant's key. Nothing but its SHA-256 is to be kept."""

from __future__ import annotations

import argparse
import hashlib
import secrets

from gateway.config import check_id

__all__ = ["HELP", "NAME", "configure", "run"]

NAME = "keys"
HELP = "make a key for a tenant"

_RANDOM_BYTES = 32


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    new = actions.add_parser(
        "new", help="print a new key, this once, and what the configuration holds of it"
    )
    new.add_argument("tenant", type=_tenant, metavar="TENANT", help="id of the tenant")


def run(args: argparse.Namespace) -> int:
    """Print the key and its SHA-256, as YAML with comments."""
    key = f"pg_{args.tenant}_{secrets.token_urlsafe(_RANDOM_BYTES)}"
    digest = hashlib.sha256(key.encode()).hexdigest()
    print(f"# For {args.tenant} alone, to send as x-api-key or Authorization: Bearer.")
    print("# It is kept nowhere, and not shown again.")
    print(f"key: {key}")
    print(f"# For the configuration, under the tenant {args.tenant}.")
    print(f'credentials_sha256: ["{digest}"]')
    return 0


def _tenant(text: str) -> str:
    try:
        return check_id(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
