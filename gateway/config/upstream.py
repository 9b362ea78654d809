"""The upstream's part of the configuration: where it is, and the accounts and keys that buy there."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    Field,
    SecretStr,
    StrictFloat,
    field_validator,
)

from gateway.config.marks import (
    BY_SHAPE,
    MAPPING,
    RELOADED,
    WORD,
    Section,
    Written,
    spelled,
)
from gateway.config.scalars import NOT_EMPTY, Count, Id, Quantity, Url
from gateway.config.secret import SecretFile, SecretVariable, given, one_of
from gateway.config.units import Duration
from gateway.domain.accounts import Rhythm
from gateway.domain.credits import BASIC, PLUS, Price
from gateway.domain.keys import PoolAccount, PoolKey, fingerprint
from gateway.domain.tenant import SANDBOX_PREFIX

__all__ = ["Account", "Plan", "PlanPrices", "Timeouts", "Upstream", "UpstreamKey"]


def _in_thousandths(amount: float) -> float:
    if Decimal(str(amount)) % Decimal("0.001"):
        raise ValueError("has to be a whole number of thousandths")
    return amount


Images = Annotated[
    StrictFloat,
    Field(ge=0, le=1_000_000, allow_inf_nan=False),
    AfterValidator(_in_thousandths),
    Written("images, to the thousandth"),
]


class PlanPrices(Section):
    """What one call costs the account."""

    edit: Images = Field(description="Images that one edit costs.")
    segment: Images = Field(description="Images that one segment costs.")


Plan = Annotated[
    Annotated[Literal["basic", "plus"], WORD] | Annotated[PlanPrices, MAPPING], BY_SHAPE
]


def _calls_in(window: float, per_minute: int) -> int:
    """Return how many calls fit in so many seconds: at least one."""
    return max(1, math.floor(per_minute * window / 60))


class UpstreamKey(Section):
    """One live API key of an account. Exactly one of `secret_file` and `secret_env` is set."""

    id: Id = Field(
        description="What logs and metrics call the key; unique over all accounts.",
    )
    secret_file: SecretFile | None = Field(
        default=None,
        description="File that holds the key, relative to the folder of this configuration.",
    )
    secret_env: SecretVariable | None = Field(
        default=None, description="Environment variable that holds the key."
    )
    requests_per_minute: Count = Field(
        default=60, description="Calls that the key may make in `window`, scaled to a minute."
    )
    window: Duration = Field(
        default=spelled("60s"), description="Window over which the upstream counts the key's calls."
    )
    max_in_flight: Count | None = Field(
        default=None,
        description="Calls of the key that may be under way at once; absent: any number.",
    )

    _one_secret = one_of("secret_file", "secret_env")

    @field_validator("secret_file", "secret_env")
    @classmethod
    def _is_live(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and secret.get_secret_value().startswith(SANDBOX_PREFIX):
            raise ValueError(
                "names a sandbox key; configure the live one, "
                f"sandbox calls get the prefix {SANDBOX_PREFIX} by themselves"
            )
        return secret

    @property
    def secret(self) -> SecretStr:
        """The key itself, from wherever it was read."""
        return given(self.secret_file, self.secret_env)

    @property
    def value(self) -> PoolKey:
        """The key as the pool knows it. At least one call fits in a window."""
        calls = _calls_in(self.window, self.requests_per_minute)
        name = fingerprint(self.secret.get_secret_value())
        return PoolKey(self.id, name, calls, round(self.window * 1000), self.max_in_flight)


class Account(Section):
    """A prepaid account and its keys."""

    id: Id = Field(description="What logs and metrics call the account; unique.")
    plan: Plan | None = Field(
        default=None,
        description=(
            "What a call costs in images: `basic` (5 and 1), `plus` (1 and 0.2), or a mapping; "
            "absent: as the account itself says."
        ),
    )
    requests_per_minute: Count | None = Field(
        default=None,
        description=(
            "Calls that all keys of the account may make in `window`, scaled to a minute; "
            "absent: no bound."
        ),
    )
    window: Duration = Field(
        default=spelled("60s"),
        description="Window over which the upstream counts the account's calls.",
    )
    reserve_images: Quantity = Field(default=0, description="Images that are never spent.")
    tenants: tuple[Id, ...] | None = Field(
        default=None, description="Tenants that the account serves; absent: all of them."
    )
    keys: Annotated[tuple[UpstreamKey, ...], NOT_EMPTY] = Field(
        description="Keys of the account, tried in this order."
    )

    @property
    def price(self) -> Price | None:
        """What a call costs in thousandths of an image; None when the account itself has to say."""
        match self.plan:
            case "basic":
                return BASIC
            case "plus":
                return PLUS
            case PlanPrices(edit=edit, segment=segment):
                return Price(round(edit * 1000), round(segment * 1000))
            case None:
                return None

    @property
    def value(self) -> PoolAccount:
        """The account as the pool knows it."""
        return PoolAccount(
            id=self.id,
            keys=tuple(key.value for key in self.keys),
            price=self.price,
            calls=None
            if self.requests_per_minute is None
            else _calls_in(self.window, self.requests_per_minute),
            window_ms=round(self.window * 1000),
            reserve_milli=self.reserve_images * 1000,
            tenants=None if self.tenants is None else frozenset(self.tenants),
        )


class Timeouts(Section):
    """How long an upstream call may take, from the wait for a connection to the last byte."""

    edit: Duration = Field(
        default=spelled("60s"), description="Bound of an edit or segment that generates nothing."
    )
    generative: Duration = Field(
        default=spelled("180s"), description="Bound of an edit that generates."
    )


class Upstream(Section):
    """Where Photoroom is, and who pays there."""

    edit_url: Url = Field(
        default="https://image-api.photoroom.com",
        description="Origin of `/v2/edit` and the account calls.",
    )
    segment_url: Url = Field(
        default="https://sdk.photoroom.com", description="Origin of `/v1/segment`."
    )
    timeouts: Timeouts = Field(default=Timeouts(), description="How long a call may take.")
    takeover_paid_attempts: Quantity = Field(
        default=1,
        description=(
            "Paid attempts that may follow when a replica died with a call under way, "
            "each after the time-out."
        ),
    )
    account_poll: Duration = Field(
        default=spelled("60s"),
        description=(
            "How often each account is asked what it has left; six times as often "
            "when little or nothing is, or it does not answer."
        ),
    )
    account_lag: Duration = Field(
        default=spelled("120s"),
        description="How late at the most an account shows that a call was charged.",
    )
    accounts: Annotated[tuple[Account, ...], NOT_EMPTY, RELOADED] = Field(
        description="Accounts, tried in this order."
    )

    @property
    def rhythm(self) -> Rhythm:
        """When accounts are asked."""
        return Rhythm.of(self.account_poll, self.account_lag)

    @property
    def pool(self) -> tuple[PoolAccount, ...]:
        """The accounts as the pool knows them."""
        return tuple(account.value for account in self.accounts)
