"""Secrets: read from files and from the environment when the configuration is loaded.

Errors never repeat what stands in the configuration, not even the name of a file or variable: a secret
that was pasted in its place would be shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, SecretStr, ValidationInfo, field_validator

from gateway.config.files import ReadFiles
from gateway.config.marks import Written

__all__ = [
    "OptionalSecretFile",
    "SecretFile",
    "SecretText",
    "SecretVariable",
    "Sources",
    "given",
    "one_of",
]

_LONGEST = 64 * 1024


@dataclass(frozen=True, slots=True)
class Sources:
    """Where secrets come from: the environment, and the folder that relative paths start from.

    Each file is noted in `files` before it is opened.
    """

    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    folder: Path = Path()
    files: ReadFiles = field(default_factory=ReadFiles, repr=False, compare=False)


def _sources(info: ValidationInfo) -> Sources:
    return info.context if isinstance(info.context, Sources) else Sources()


def _from_file(value: Any, info: ValidationInfo) -> SecretStr:  # noqa: ANN401 - not checked yet
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError("has to be the path of a file")
    sources = _sources(info)
    path = sources.files.note(sources.folder / value)
    try:
        with path.open("rb") as file:
            content = file.read(_LONGEST + 1)
    except OSError as error:
        raise ValueError(f"names a file that cannot be read: {error.strerror}") from None
    if len(content) > _LONGEST:
        raise ValueError(f"names a file of more than {_LONGEST} bytes")
    return _plain(content.decode("utf-8", "replace"), "names a file that ")


def _from_variable(value: Any, info: ValidationInfo) -> SecretStr:  # noqa: ANN401 - as above
    if not isinstance(value, str) or not value:
        raise ValueError("has to be the name of an environment variable")
    secret = _sources(info).environ.get(value)
    if secret is None:
        raise ValueError("names a variable that the environment does not have")
    return _plain(secret, "names a variable that ")


def _plain(text: str, what: str = "") -> SecretStr:
    """Keep text that can stand in a header; the newline that editors put at the end is dropped."""
    secret = text.strip()
    if not secret:
        raise ValueError(f"{what}is empty")
    if not (secret.isascii() and secret.isprintable()) or " " in secret:
        raise ValueError(f"{what}holds more than one word of plain ASCII")
    return SecretStr(secret)


SecretFile = Annotated[SecretStr, BeforeValidator(_from_file), Written("path of a file")]
"""What the named file says, white space around it dropped."""

OptionalSecretFile = Annotated[
    SecretStr | None,
    BeforeValidator(lambda value, info: None if value == "" else _from_file(value, info)),
    Written("path of a file, or empty"),
]

SecretVariable = Annotated[
    SecretStr, BeforeValidator(_from_variable), Written("name of an environment variable")
]
"""What the named environment variable says."""

SecretText = Annotated[
    SecretStr, AfterValidator(lambda text: _plain(text.get_secret_value())), Written("URL")
]
"""Text that may hold a secret, such as a URL with a password."""


def one_of(first: str, second: str, *, required: bool = True) -> Any:  # noqa: ANN401 - pydantic's own
    """Return the check of a model in which not both fields may be set; one has to be if `required`.

    It hangs on the second field, which is validated after the first one even when it is not set.
    """

    def check(value: Any, info: ValidationInfo) -> Any:  # noqa: ANN401 - not checked yet
        # A first field that is not there was set, and is wrong in itself.
        set_first = info.data.get(first, "wrong") is not None
        if set_first and value is not None:
            raise ValueError(f"is set beside {first}: only one of them may be")
        if required and not set_first and value is None:
            raise ValueError(f"is required, or {first} in its place")
        return value

    return field_validator(second, mode="before")(check)


def given(*secrets: SecretStr | None) -> SecretStr:
    """Return the first secret that is set. There is one: the model has been checked."""
    return next(secret for secret in secrets if secret is not None)
