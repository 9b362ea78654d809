"""Pictures edited through a door, for tests that look at pixels."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from PIL import Image

from tests.e2e.asks import Ask, ask_rest, ask_rpc
from tests.e2e.harness import CATALOG_KEY, World
from tests.support.pictures import opened

__all__ = ["DOORS", "Answered", "Draw"]


@dataclass(frozen=True, slots=True)
class Answered:
    """A picture as it came, and what was said of it."""

    body: bytes
    media_type: str
    uncertainty: float | None
    seed: int | None
    texts: int | None

    @property
    def picture(self) -> Image.Image:
        return opened(self.body)


async def _rest(w: World, ask: Ask, key: str) -> Answered:
    reply = await ask_rest(w, ask, key=key)
    assert 200 == reply.status, reply.body
    said = reply.headers
    return Answered(
        reply.body,
        said["Content-Type"],
        float(said["x-uncertainty-score"]) if "x-uncertainty-score" in said else None,
        int(said["pr-ai-background-seed"]) if "pr-ai-background-seed" in said else None,
        int(said["pr-texts-detected"]) if "pr-texts-detected" in said else None,
    )


async def _rpc(w: World, ask: Ask, key: str) -> Answered:
    result = await ask_rpc(w, ask, key=key)
    return Answered(
        result.image,
        result.media_type,
        result.uncertainty_score if result.HasField("uncertainty_score") else None,
        result.background_seed if result.HasField("background_seed") else None,
        result.texts_detected if result.HasField("texts_detected") else None,
    )


DOORS: Mapping[str, Callable[[World, Ask, str], Awaitable[Answered]]] = MappingProxyType(
    {"rest": _rest, "grpc": _rpc}
)


@dataclass(frozen=True, slots=True)
class Draw:
    """Edits through one door."""

    world: World
    door: str

    async def answer(self, ask: Ask, *, key: str = CATALOG_KEY) -> Answered:
        """Have the edit made, and fail if it is refused."""
        return await DOORS[self.door](self.world, ask, key)

    async def __call__(self, ask: Ask, *, key: str = CATALOG_KEY) -> Image.Image:
        """The edited picture."""
        return (await self.answer(ask, key=key)).picture
