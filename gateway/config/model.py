"""Everything that can be configured: one field a key, with a sentence, its bounds and its default."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Final, Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from gateway.config.marks import (
    BY_SHAPE,
    MAPPING,
    NOT_IN_FORCE,
    RELOADED,
    WORD,
    Section,
    Written,
    spelled,
)
from gateway.config.scalars import NOT_EMPTY, Id, OptionalUrl, Share
from gateway.config.secret import OptionalSecretFile, SecretFile, SecretText, given, one_of
from gateway.config.tenants import Admin, Tenant
from gateway.config.units import Address, Bytes, Duration, ListenAddress
from gateway.config.upstream import Upstream
from gateway.domain import tenant

__all__ = [
    "EMBEDDED",
    "Bodies",
    "Cache",
    "Config",
    "Listen",
    "Redis",
    "RedisServers",
    "Telemetry",
    "Urls",
]

EMBEDDED: Final = "embedded"

_SECRET_BYTES = 32


class Listen(Section):
    """Where the doors listen. Port 0 takes a free one."""

    rest: ListenAddress = Field(
        default=spelled("0.0.0.0:8080"), description="REST: the drop-in routes and blobs."
    )
    grpc: ListenAddress = Field(default=spelled("0.0.0.0:50051"), description="The gRPC services.")
    ops: ListenAddress = Field(
        default=spelled("0.0.0.0:9090"), description="Metrics and health; never tenant traffic."
    )

    @field_validator("grpc", "ops")
    @classmethod
    def _is_its_own(cls, address: Address, info: ValidationInfo) -> Address:
        if address.port and address in info.data.values():
            raise ValueError("is the address of another door")
        return address


class RedisServers(Section):
    """The two roles of Redis; each URL is given here or in a file, not both."""

    state_url: SecretText | None = Field(
        default=None,
        description=(
            "Redis that keeps what money depends on: persistent, never evicting. "
            "`redis://`, `rediss://`, `unix://`, `redis+sentinel://h1,h2/name`, `redis+cluster://h1,h2`."
        ),
    )
    state_url_file: SecretFile | None = Field(
        default=None, description="File that holds `state_url`, for a URL with a password."
    )
    cache_url: SecretText | None = Field(
        default=None,
        description="Redis that keeps results, evicting; absent: the state Redis keeps them.",
    )
    cache_url_file: SecretFile | None = Field(
        default=None, description="File that holds `cache_url`, for a URL with a password."
    )

    _one_state = one_of("state_url", "state_url_file")
    _one_cache = one_of("cache_url", "cache_url_file", required=False)

    @property
    def state(self) -> SecretStr:
        """URL of the state Redis."""
        return given(self.state_url, self.state_url_file)

    @property
    def cache(self) -> SecretStr:
        """URL of the cache Redis: that of the state Redis when there is no other."""
        return given(self.cache_url, self.cache_url_file, self.state)


Redis = Annotated[Annotated[Literal["embedded"], WORD] | Annotated[RedisServers, MAPPING], BY_SHAPE]


class Cache(Section):
    """How long and how much is remembered."""

    ttl: Duration = Field(default=spelled("30d"), description="Life of a result.")
    template_ttl: Duration = Field(
        default=spelled("1h"), description="Life of a result that a template or layers went into."
    )
    negative_ttl: Duration = Field(
        default=spelled("5m"),
        description="Life of a refusal by the upstream that is certain to repeat.",
    )
    memory: Bytes = Field(
        default=spelled("256MiB"), description="Results kept in the memory of each replica."
    )
    redis_bytes: Bytes = Field(
        default=spelled("1GiB"),
        description="Results kept in Redis where one server has both roles.",
    )
    max_blob: Bytes = Field(default=spelled("64MiB"), description="Largest picture that is kept.")
    secret_file: OptionalSecretFile = Field(
        default=spelled(""),
        description=(
            "File with the secret under which all keys of the cache are named, 32 bytes at least; "
            "empty: one is made, and kept in state Redis."
        ),
    )

    @field_validator("secret_file")
    @classmethod
    def _is_long(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and len(secret) < _SECRET_BYTES:
            raise ValueError(f"names a file that holds less than {_SECRET_BYTES} bytes")
        return secret


class Urls(Section):
    """What happens to image URLs in requests."""

    mode: Annotated[Literal["pass_through", "fetch"], NOT_IN_FORCE] = Field(
        default="pass_through",
        description="Whether the upstream fetches the picture, or the gateway does, guarded.",
    )
    ttl: Annotated[Duration, NOT_IN_FORCE] = Field(
        default=spelled("10m"), description="Life of a result that is keyed on the text of a URL."
    )


class Bodies(Section):
    """Where request bodies wait."""

    memory: Annotated[Bytes, NOT_IN_FORCE] = Field(
        default=spelled("128MiB"), description="Bodies held in the memory of a replica at once."
    )
    spool: Annotated[Bytes, NOT_IN_FORCE] = Field(
        default=spelled("8GiB"), description="Bodies held in spool files of a replica at once."
    )
    dir: Annotated[str, NOT_IN_FORCE] = Field(
        default="", description="Folder of the spool files; empty: that of the system."
    )


class Telemetry(Section):
    """What is told about calls, and where."""

    otlp_endpoint: Annotated[OptionalUrl, NOT_IN_FORCE] = Field(
        default="", description="Where traces are sent; empty: nowhere."
    )
    sample: Annotated[Share, NOT_IN_FORCE] = Field(
        default=0.01, description="Share of calls that are traced."
    )
    log_format: Literal["json", "text"] = Field(
        default="json", description="How log lines are written."
    )


class Config(Section):
    """All of the configuration."""

    listen: Listen = Field(default=Listen(), description="Where the doors listen.")
    redis: Redis | None = Field(
        default=None,
        description=(
            "Servers that keep results and state, or the word `embedded`: a server of the gateway's "
            "own, for a single replica."
        ),
    )
    upstream: Upstream = Field(description="Where Photoroom is, and who pays there.")
    tenants: Annotated[tuple[Tenant, ...], NOT_EMPTY, RELOADED] = Field(
        description="Teams that call the gateway."
    )
    cache_scopes: Annotated[
        dict[Id, tuple[Id, ...]], Written("mapping, such as `retail: [catalog, web]`"), RELOADED
    ] = Field(
        default={},
        description=(
            "Tenants that share results: a list of tenants for each name. "
            "A tenant in none shares with nobody."
        ),
    )
    cache: Cache = Field(default=Cache(), description="How long and how much is remembered.")
    urls: Urls = Field(default=Urls(), description="What happens to image URLs in requests.")
    bodies: Bodies = Field(default=Bodies(), description="Where request bodies wait.")
    admins: Annotated[tuple[Admin, ...], RELOADED] = Field(
        default=(), description="Operators who may call the administration service."
    )
    telemetry: Telemetry = Field(
        default=Telemetry(), description="What is told about calls, and where."
    )

    def scope_by_tenant(self) -> dict[str, str]:
        """Return the name of the scope that each tenant shares, by the tenant's id."""
        return {member: name for name, members in self.cache_scopes.items() for member in members}

    def tenants_by_credential(self) -> dict[str, tenant.Tenant]:
        """Return whose each credential is, by its SHA-256 in lower-case hex."""
        shared = self.scope_by_tenant()
        return {
            digest: replace(configured.value, shared_scope=shared.get(configured.id, ""))
            for configured in self.tenants
            for digest in configured.credentials_sha256
        }

    def admins_by_credential(self) -> dict[str, tenant.Admin]:
        """Return whose each administrator's credential is, by its SHA-256 in lower-case hex."""
        return {
            digest: tenant.Admin(configured.id)
            for configured in self.admins
            for digest in configured.credentials_sha256
        }
