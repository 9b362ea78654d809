"""From a file and the environment to a configuration, or to all that is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from gateway.config.checks import check
from gateway.config.document import read_document
from gateway.config.environment import overlay
from gateway.config.files import ReadFiles
from gateway.config.mistakes import ConfigError, Mistake, mistakes_of
from gateway.config.model import Config
from gateway.config.schema import known_under
from gateway.config.secret import Sources

__all__ = ["load_config", "parse_config"]


def load_config(path: Path, environ: Mapping[str, str], files: ReadFiles | None = None) -> Config:
    """Read a configuration file; every file that is opened is noted in `files` before.

    Raises ConfigError with every mistake in file and environment.
    """
    files = files or ReadFiles()
    try:
        text = files.note(path).read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ConfigError([Mistake("", f"cannot be read: {error.strerror}")]) from None
    except UnicodeDecodeError:
        raise ConfigError([Mistake("", "is not UTF-8 text")]) from None
    return parse_config(text, environ, folder=path.parent, files=files)


def parse_config(
    text: str,
    environ: Mapping[str, str],
    *,
    folder: Path = Path(),
    files: ReadFiles | None = None,
) -> Config:
    """Read a configuration from YAML; the paths of secrets start from `folder`.

    The files that hold them are noted in `files`. Raises ConfigError with every mistake in text and
    environment.
    """
    document, mistakes = read_document(text)
    overlaid = overlay(document, environ)
    found = [*mistakes, *overlaid.mistakes]
    config: Config | None = None
    sources = Sources(environ, folder, files or ReadFiles())
    try:
        config = Config.model_validate(overlaid.document, context=sources)
    except ValidationError as error:
        found += mistakes_of(error, known_under)
    found += check(overlaid.document)
    if config is None or found:
        raise ConfigError(_with_origin(mistake, overlaid.origins) for mistake in found)
    return config


def _with_origin(mistake: Mistake, origins: Mapping[str, str]) -> Mistake:
    variable = origins.get(mistake.path)
    return Mistake(mistake.path, f"{mistake.text} (set by {variable})") if variable else mistake
