"""The emulator's table as a source of test cases: it was not made from our protos."""

from __future__ import annotations

from gateway.domain.edit import Operation
from gateway.emulator.kinds import File
from gateway.emulator.table import EDIT_PARAMETERS, SEGMENT_PARAMETERS, Leaf

__all__ = ["FILES", "OPERATIONS", "TEXTS", "leaves"]

OPERATIONS = {Operation.EDIT: EDIT_PARAMETERS, Operation.SEGMENT: SEGMENT_PARAMETERS}


def leaves(*, files: bool) -> list[tuple[Operation, Leaf]]:
    """Every parameter with its operation: those that hold a file, or those that hold a text."""
    return [
        (operation, leaf)
        for operation, table in OPERATIONS.items()
        for leaf in table
        if isinstance(leaf.kind, File) is files
    ]


TEXTS = [(o, leaf, text) for o, leaf in leaves(files=False) for text in leaf.examples]
"""Every documented example of every parameter."""

FILES = leaves(files=True)
"""Every slot for a picture."""
