"""What the tests of keys share: a pool, replicas over one Redis that choose among its keys, and claims."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from gateway.domain.credits import PLUS
from gateway.domain.edit import Operation
from gateway.domain.keys import PoolAccount, PoolKey, Seen, Verdict, fingerprint
from gateway.domain.limits import Limits
from gateway.domain.tenant import Tenant
from gateway.ports import CallTraits, Claim, Hold, Settlement
from gateway.store.admission import RedisAdmission
from gateway.store.connect import connect
from gateway.store.hold_table import HoldTable
from gateway.store.key_desk import RedisKeyDesk
from gateway.store.link import Link, TimeOuts
from gateway.store.pool import Pool

__all__ = ["TENANT", "KeyReplica", "account_of", "key_of", "replicas"]

TENANT = Tenant("catalog", limits=Limits(emergency_milli=100_000))
PATIENT = TimeOuts(connect=10.0, operation=10.0)


def key_of(name: str, **more: int) -> PoolKey:
    """A key of a secret that no other test uses."""
    return PoolKey(name, fingerprint(f"{name} {secrets.token_hex(8)}"), 60, 60_000, **more)


def account_of(name: str, *keys: PoolKey, calls: int | None = None) -> PoolAccount:
    """An account on the Plus plan, of a name that no other test uses."""
    return PoolAccount(f"{name}-{secrets.token_hex(4)}", keys, PLUS, calls)


@dataclass(frozen=True, slots=True)
class KeyReplica:
    """One replica's admission and its desk."""

    admission: RedisAdmission
    desk: RedisKeyDesk
    pool: Pool
    link: Link

    async def admit(
        self, operation: Operation = Operation.EDIT, traits: CallTraits | None = None
    ) -> Hold:
        """Claim a call, and say that it was sent."""
        if traits is None:
            traits = CallTraits(digest=secrets.token_hex(8))
        claim = Claim(secrets.token_hex(8), TENANT, operation, 1000, 60.0, traits)
        hold = await self.admission.admit(claim)
        self.admission.sent(hold)
        return hold

    async def show(
        self,
        verdict: Verdict,
        wait: float = 60.0,
        operation: Operation = Operation.EDIT,
        masks: tuple[str, ...] = (),
    ) -> Hold:
        """Make a call that shows this; nothing was charged."""
        hold = await self.admit(operation)
        self.admission.settle(hold, Settlement.VOIDED, Seen(verdict, wait, masks))
        await self.told()
        return hold

    async def told(self) -> None:
        """Wait until Redis has heard of all holds."""
        await self.admission._teller._tell_all()


@asynccontextmanager
async def replicas(
    url: str, accounts: Sequence[PoolAccount], count: int = 1, time_outs: TimeOuts = PATIENT
) -> AsyncIterator[list[KeyReplica]]:
    """Run that many replicas that know these accounts."""
    async with AsyncExitStack() as stack:
        made = []
        for _ in range(count):
            link = connect(url, time_outs=time_outs)
            stack.push_async_callback(link.aclose)
            pool = Pool(accounts)
            admission = RedisAdmission(
                link,
                secrets.token_hex(8),
                HoldTable(time.monotonic),
                replicas=lambda: count,
                pool=pool,
                window=0.0,
            )
            await stack.enter_async_context(admission.running())
            made.append(KeyReplica(admission, RedisKeyDesk(link, pool), pool, link))
        yield made
