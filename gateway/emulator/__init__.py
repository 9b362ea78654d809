"""A Photoroom that runs anywhere: real pictures, a bill, the vendor's errors, scripted faults.

It knows nothing of the gateway's own code, so that it cannot share the gateway's mistakes.
"""

from gateway.emulator.app import create_app
from gateway.emulator.bill import Bill, Charge
from gateway.emulator.config import (
    DEFAULT_KEY,
    AccountSettings,
    EmulatorSettings,
    KeySettings,
    LatencySettings,
)
from gateway.emulator.faults import Cut, FaultRule, Wrong
from gateway.emulator.reading import read_edit, read_segment
from gateway.emulator.server import Emulator, serve
from gateway.emulator.table import EDIT_PARAMETERS, MODEL_HEADERS, SEGMENT_PARAMETERS, Leaf
from gateway.emulator.values import Refused, Settings

__all__ = [
    "DEFAULT_KEY",
    "EDIT_PARAMETERS",
    "MODEL_HEADERS",
    "SEGMENT_PARAMETERS",
    "AccountSettings",
    "Bill",
    "Charge",
    "Cut",
    "Emulator",
    "EmulatorSettings",
    "FaultRule",
    "KeySettings",
    "LatencySettings",
    "Leaf",
    "Refused",
    "Settings",
    "Wrong",
    "create_app",
    "read_edit",
    "read_segment",
    "serve",
]
