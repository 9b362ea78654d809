"""File and environment -> settings; every mistake is reported at once, each with its path.

A key is declared once, as a field of the model; the reference, the environment variables and the list of
keys that are not in force yet are read off it.
"""

from gateway.config.changes import Changes, changes
from gateway.config.files import ReadFiles
from gateway.config.load import load_config, parse_config
from gateway.config.mistakes import ConfigError, Mistake
from gateway.config.model import (
    EMBEDDED,
    Bodies,
    Cache,
    Config,
    Listen,
    RedisServers,
    Telemetry,
    Urls,
)
from gateway.config.reference import reference
from gateway.config.scalars import check_id
from gateway.config.schema import not_in_force
from gateway.config.secret import Sources
from gateway.config.tenants import Admin, Rate, Tenant
from gateway.config.units import Address
from gateway.config.upstream import Account, PlanPrices, Timeouts, Upstream, UpstreamKey
from gateway.config.watch import ConfigWatch

__all__ = [
    "EMBEDDED",
    "Account",
    "Address",
    "Admin",
    "Bodies",
    "Cache",
    "Changes",
    "Config",
    "ConfigError",
    "ConfigWatch",
    "Listen",
    "Mistake",
    "PlanPrices",
    "Rate",
    "ReadFiles",
    "RedisServers",
    "Sources",
    "Telemetry",
    "Tenant",
    "Timeouts",
    "Upstream",
    "UpstreamKey",
    "Urls",
    "changes",
    "check_id",
    "load_config",
    "not_in_force",
    "parse_config",
    "reference",
]
