"""The checks that need more than one parameter, or a picture."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gateway.domain.edit import Edit, ImageRef
from gateway.domain.errors import Violation
from gateway.domain.facts import Facts
from gateway.domain.picture_rules import check_picture
from gateway.domain.rules import PIXELS_COUNT_WITH, check_rules

__all__ = ["examine"]

_MAIN_PICTURES = ("imageFile", "image_file")


def examine(
    edit: Edit, pictures: Mapping[ImageRef, bytes], found_before: Iterable[Violation] = ()
) -> tuple[tuple[Violation, ...], tuple[Violation, ...]]:
    """Check what a door could not: pictures by their headers, and the rules between parameters.

    Returns every violation, those found before included, and every warning. Pictures that are not there
    yet are passed over.
    """
    violations = list(found_before)
    pixels = None
    for slot in edit.images:
        data = pictures.get(slot.image)
        if data is None:
            continue
        header, found = check_picture(edit.operation, slot.name, data)
        violations += found
        if slot.name in _MAIN_PICTURES and header and header.width and header.height:
            pixels = header.width * header.height
    # A field that could not be read is not missing: only one of its complaints is true.
    unread = {v.field for v in violations}
    if unread or PIXELS_COUNT_WITH in edit:
        refused, warnings = check_rules(Facts(edit, pixels, unread))
    else:
        refused, warnings = edit.once("rules", lambda: check_rules(Facts(edit)))
    return (*violations, *(v for v in refused if v.field not in unread)), warnings
