"""What a drawing takes from its request: the pictures of image slots, and seeds."""

import random
from collections.abc import Mapping
from dataclasses import dataclass

from PIL import Image

from gateway.emulator.encoding import open_picture, picture_of_address
from gateway.emulator.values import Settings

__all__ = ["LARGEST_SEED", "Slots"]

LARGEST_SEED = 2**31


@dataclass(frozen=True, slots=True)
class Slots:
    """Settings and the bytes of files and of fetched URLs, by wire name."""

    settings: Settings
    images: Mapping[str, bytes]

    def image(self, slot: str) -> Image.Image | None:
        """The picture of the slot whose names start so, by file or URL; None: there is none.

        Raises `Refused` for one that the server does not take.
        """
        for name in (f"{slot}imageFile", f"{slot}imageUrl"):
            if name in self.images:
                keep = self.settings.text("colorSpace") == "original"
                return open_picture(self.images[name], name, keep_profile=keep)
            address = self.settings.text(name)
            if address is not None:
                return picture_of_address(address)
        return None

    def images_under(self, prefix: str) -> list[Image.Image]:
        """The pictures of a list or map, in the order of their names."""
        slots = {
            f"{name.rpartition('.')[0]}."
            for name, _ in self.settings.values
            if name.startswith(prefix)
        }
        return [picture for slot in sorted(slots) if (picture := self.image(slot)) is not None]

    def seed(self, name: str = "") -> int | float:
        """The seed that was set; a new one when there is none, as each call differs then."""
        given = self.settings.number(name)
        if given is None:
            return random.randrange(1, LARGEST_SEED)
        return int(given) if given.is_integer() else given
