"""What an emulator remembers while it runs, and how it forgets."""

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from gateway.emulator.accounts import Access, Accounts
from gateway.emulator.bill import Bill, Charge
from gateway.emulator.config import EmulatorSettings
from gateway.emulator.faults import Faults, Gates
from gateway.emulator.values import Settings

__all__ = ["RecordedFile", "RecordedRequest", "State"]

_MOST_REQUESTS = 1000


@dataclass(frozen=True, slots=True)
class RecordedFile:
    """A file that a request carried."""

    name: str
    sha256: str
    size: int
    filename: str | None
    content_type: str | None


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """A request that was read to its end; `headers` are by name in lower case, without the key."""

    method: str
    path: str
    params: tuple[tuple[str, str], ...]
    files: tuple[RecordedFile, ...]
    headers: tuple[tuple[str, str], ...]
    key: str | None


class State:
    """Accounts, bill, faults, gates and the last requests of one emulator.

    `clock` gives monotonic seconds; it drives windows, quotas and the lag of accounts.
    """

    def __init__(
        self, settings: EmulatorSettings, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.gates = Gates()
        self.faults = Faults()
        self.requests: deque[RecordedRequest] = deque(maxlen=_MOST_REQUESTS)
        self.bill = Bill()
        self.accounts = Accounts(settings)
        self._change = asyncio.Event()
        self._random = random.Random(0)  # latencies repeat from run to run

    def reset(self) -> None:
        """Forget everything: a new bill, full accounts, no faults; calls that wait go on."""
        self.gates.open_all()
        self.faults.clear()
        self.requests.clear()
        self.bill = Bill()
        self.accounts = Accounts(self.settings)

    def changed(self) -> None:
        """Wake those in `until`: a request, a charge, an answer or a wait has come."""
        self._change.set()
        self._change = asyncio.Event()

    async def until(self, fact: Callable[[], bool]) -> None:
        """Wait until `fact` holds; it is asked again after every change."""
        while not fact():
            await self._change.wait()

    async def pass_gate(self, name: str) -> None:
        """Wait at a gate until it is open."""
        with self.gates.arrive(name) as opened:
            self.changed()
            await opened.wait()

    def latency_s(self, least_and_most: tuple[float, float]) -> float:
        """Seconds between the two."""
        return self._random.uniform(*least_and_most)

    def charge(self, access: Access, settings: Settings) -> Charge:
        """Take the price of an answer that is ready and write its line; raises `Refused` (402)."""
        taken = self.accounts.charge(access, settings.operation, self.clock())
        charge = Charge(
            id=self.bill.charges + 1,
            key=access.key,
            account=access.account,
            operation=settings.operation,
            thousandths=taken,
            settings=settings.digest(),
            sandbox=access.sandbox,
            time_s=time.time(),
        )
        self.bill.add(charge)
        return charge
