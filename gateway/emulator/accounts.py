"""Accounts, keys, prices, the sliding window and the sandbox's quotas.

Amounts are integers in thousandths of an image. `now` is the caller's clock in seconds, which only
ever rises.
"""

import math
from collections import deque
from dataclasses import dataclass, field

from gateway.emulator.config import AccountSettings, EmulatorSettings, KeySettings
from gateway.emulator.values import Refused

__all__ = ["PRICES", "Access", "Accounts", "Shown", "Throttled", "Window"]

PRICES = {"basic": {"segment": 1000, "edit": 5000}, "plus": {"segment": 200, "edit": 1000}}
"""What a call costs on a plan, in thousandths of an image."""

_SANDBOX = "sandbox_"
_DAY_S = 86_400.0
_OLD_PRICING = "You are using an old pricing version. Please contact support."
_EXHAUSTED = (
    "API credits exhausted. Visit https://app.photoroom.com/api-dashboard to purchase more API"
    " credits"
)
_KEY_REFUSALS = {
    401: "Invalid API key",
    402: _EXHAUSTED,
    403: "This API key is not allowed to do this",
}


class Throttled(Refused):
    """Refused for `wait_s` whole seconds: the key's window, or a sandbox's quota of hours."""

    def __init__(self, wait_s: int) -> None:
        super().__init__(
            429, f"Request was throttled. Expected available in {wait_s} seconds.", "throttled"
        )
        self.wait_s = wait_s


class Window:
    """At most `limit` calls in any `seconds`."""

    def __init__(self, limit: int, seconds: float) -> None:
        self._limit = limit
        self._seconds = seconds
        self._calls: deque[float] = deque()

    def wait(self, now: float) -> int:
        """Whole seconds until a call is allowed; 0 when it is now. Takes nothing."""
        while self._calls and self._calls[0] <= now - self._seconds:
            self._calls.popleft()
        if len(self._calls) < self._limit:
            return 0
        if not self._calls:
            return math.ceil(self._seconds)
        return max(1, math.ceil(self._calls[0] + self._seconds - now))

    def take(self, now: float) -> None:
        """Count a call that `wait` allowed."""
        self._calls.append(now)


@dataclass(frozen=True, slots=True)
class Access:
    """Who calls: a key, its account, and whether for the sandbox."""

    key: str
    account: str
    plan: str
    sandbox: bool


@dataclass(frozen=True, slots=True)
class Shown:
    """What an account call shows, in images."""

    available: float
    subscription: float
    plan: str


@dataclass(slots=True)
class _Key:
    settings: KeySettings
    account: "_Account"
    window: Window
    status: int | None


@dataclass(slots=True)
class _Account:
    settings: AccountSettings
    window: Window | None
    day: Window
    month: Window
    balance: int
    recent: deque[tuple[float, int]] = field(default_factory=deque)  # charges not shown yet


class Accounts:
    """All accounts of an emulator and what they have left."""

    def __init__(self, settings: EmulatorSettings) -> None:
        self._lag_s = settings.account_lag_s
        self._accounts: dict[str, _Account] = {}
        self._keys: dict[str, _Key] = {}
        self._secrets: dict[str, str] = {}
        for account_settings in settings.accounts:
            shared = account_settings.requests_per_window
            account = _Account(
                account_settings,
                None if shared is None else Window(shared, settings.window_s),
                Window(settings.sandbox_per_day, _DAY_S),
                Window(settings.sandbox_per_month, 30 * _DAY_S),
                round(account_settings.available * 1000),
            )
            self._accounts[account_settings.id] = account
            for key in account_settings.keys:
                window = Window(key.requests_per_window, settings.window_s)
                self._keys[key.id] = _Key(key, account, window, key.status)
                self._secrets[key.secret] = key.id

    def key_id(self, secret: str | None) -> str | None:
        """The id of the key that `secret` opens, sandbox or live; None when there is none."""
        return self._secrets.get((secret or "").removeprefix(_SANDBOX))

    def access(self, secret: str | None) -> Access:
        """Who calls with `secret`; raises `Refused` for an unknown or a closed key."""
        key_id = self.key_id(secret)
        if secret is None or key_id is None:
            raise Refused(401, _KEY_REFUSALS[401], "authentication_error")
        key = self._keys[key_id]
        if key.status is not None:
            message = _KEY_REFUSALS.get(key.status, "This API key is closed")
            raise Refused(key.status, message, "unknown_error")
        account = key.account.settings
        return Access(key_id, account.id, account.plan, secret.startswith(_SANDBOX))

    def admit(self, access: Access, operation: str, now: float) -> None:
        """Count the call against every window, or raise `Throttled` or `Refused` (402)."""
        key = self._keys[access.key]
        account = key.account
        windows = [key.window]
        if account.window is not None:
            windows.append(account.window)
        if access.sandbox:
            windows += [account.day, account.month]
        wait_s = max(window.wait(now) for window in windows)
        if wait_s:
            raise Throttled(wait_s)
        self._need(access, operation)
        for window in windows:
            window.take(now)

    def charge(self, access: Access, operation: str, now: float) -> int:
        """Take the price of a call whose answer is ready; the thousandths taken, 0 for sandbox.

        Raises `Refused` (402) when calls in flight have meanwhile used up what was left.
        """
        if access.sandbox:
            return 0
        price = self._need(access, operation)
        account = self._accounts[access.account]
        account.balance -= price
        account.recent.append((now, price))
        return price

    def shown(self, access: Access, version: int, now: float) -> Shown:
        """What `/v1/account` or `/v2/account` shows: charges become visible after the lag.

        Raises `Refused` for sandbox keys, and for old prices under version 2.
        """
        if access.sandbox:
            raise Refused(400, "Account information is not available for sandbox keys")
        account = self._accounts[access.account]
        if account.settings.old_pricing and version > 1:
            raise Refused(400, _OLD_PRICING)
        while account.recent and account.recent[0][0] <= now - self._lag_s:
            account.recent.popleft()
        hidden = sum(price for _, price in account.recent)
        settings = account.settings
        return Shown((account.balance + hidden) / 1000, settings.subscription, settings.plan)

    def owns_template(self, access: Access, template: str) -> bool:
        """Whether the account may use the template."""
        templates = self._accounts[access.account].settings.templates
        return template in {name.lower() for name in templates}

    def set_available(self, account: str, images: float) -> None:
        """Set what is left, shown at once; raises `KeyError` for an unknown account."""
        entry = self._accounts[account]
        entry.balance = round(images * 1000)
        entry.recent.clear()

    def set_status(self, key: str, status: int | None) -> None:
        """Let every call of a key answer `status` from now on; None: work again."""
        self._keys[key].status = status

    def _need(self, access: Access, operation: str) -> int:
        price = PRICES[access.plan][operation]
        if not access.sandbox and self._accounts[access.account].balance < price:
            raise Refused(402, _EXHAUSTED, "unknown_error")
        return price
