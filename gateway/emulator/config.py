"""What an emulator is started with."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["DEFAULT_KEY", "AccountSettings", "EmulatorSettings", "KeySettings", "LatencySettings"]

DEFAULT_KEY = "emulator-key"
"""The key that works when nothing else is configured."""


@dataclass(frozen=True, slots=True)
class KeySettings:
    """One API key; `status` is the HTTP status that every call with it answers, if any."""

    id: str
    secret: str
    requests_per_window: int = 6000
    status: int | None = None


@dataclass(frozen=True, slots=True)
class AccountSettings:
    """One prepaid account: amounts in images, template ids that it owns.

    An account with `old_pricing` is refused by `/v2/account` and answered by `/v1/account`.
    `requests_per_window` limits all keys of the account together.
    """

    id: str
    keys: tuple[KeySettings, ...]
    plan: Literal["basic", "plus"] = "plus"
    available: float = 1000.0
    subscription: float = 1000.0
    templates: frozenset[str] = frozenset()
    old_pricing: bool = False
    requests_per_window: int | None = None


@dataclass(frozen=True, slots=True)
class LatencySettings:
    """How long a call takes beside the drawing: seconds, the least and the most, drawn evenly."""

    segment: tuple[float, float] = (0.0, 0.0)
    edit: tuple[float, float] = (0.0, 0.0)
    generative: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, slots=True)
class EmulatorSettings:
    """An emulator: its accounts, its limiter's window, how late `/v2/account` knows of a call.

    Sandbox quotas are those of the vendor: 100 calls in any 24 hours, 1,000 in any 30 days.
    """

    accounts: tuple[AccountSettings, ...] = (
        AccountSettings(id="emulator", keys=(KeySettings(id="k1", secret=DEFAULT_KEY),)),
    )
    window_s: float = 60.0
    account_lag_s: float = 0.0
    latency: LatencySettings = LatencySettings()
    sandbox_per_day: int = 100
    sandbox_per_month: int = 1000

    def __post_init__(self) -> None:
        """Refuse ids and secrets that stand twice."""
        keys = [key for account in self.accounts for key in account.keys]
        for names in (
            [account.id for account in self.accounts],
            [key.id for key in keys],
            [key.secret for key in keys],
        ):
            if len(names) != len(set(names)):
                raise ValueError("ids of accounts, ids of keys and secrets must differ")
