"""The reference of the configuration, written from the model."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from gateway.config.schema import Key, keys

__all__ = ["reference"]

_INTRODUCTION = """\
# Configuration

<!-- Written by `photoroom-gateway check --reference` from gateway/config. Do not edit. -->

One YAML file, given as `--config FILE`. [The example](../deploy/gateway.example.yaml) has what a
first installation needs. `photoroom-gateway check --config FILE` says all that is wrong with a file,
each mistake with its path; unknown keys and keys that stand twice are mistakes.

- **Environment.** A key with a variable in the tables below can be set by it too, and the variable
  wins over the file. Any other variable whose name starts with `GATEWAY_` is a mistake, unless a
  `secret_env` names it. Those that Kubernetes makes for a Service named `gateway` or `gateway-...`
  are let pass.
- **Secrets** are read from the files and variables that the configuration names. A relative path
  starts from the folder of the configuration. White space around a secret is dropped. No error, log
  line or `repr` repeats a secret, nor any other value of the file.
- **Reload.** `serve` looks every two seconds at the file and at the files of secrets that it names, and
  reads all of them again when one has changed and then stayed the same for one look; on SIGHUP at once.
  Links are followed anew each time, so mounted ConfigMaps and Secrets work, but for those mounted with
  `subPath`, which Kubernetes never updates. Keys marked *reloaded*, and all below them, come in force
  for the next call, and calls under way finish as they began. Any other key needs a restart: what is
  reloaded is applied all the same, and the others are named in the log and by the metric
  `gateway_config_needs_restart`. A file with a mistake is refused whole: the settings before it go on,
  the log says what is wrong, and `gateway_config_refused` is 1 until the file is mended. Each replica
  reads its own files, in its own time.
- **Not in force yet**: the key is read and checked, and changes nothing until its feature lands. Keys
  of this kind that a file sets are named by `check` and at start.
"""


def reference() -> str:
    """Return the reference as Markdown: every key with its sentence, its form and its default."""
    groups = groupby(keys(), key=lambda key: key.path.partition(".")[0].removesuffix("[]"))
    return "\n".join([_INTRODUCTION, *(_section(list(members)) for _, members in groups)])


def _section(members: list[Key]) -> str:
    top, *below = members
    lines = [f"## `{top.path}`", "", *_lead(top), ""]
    if below:
        lines += ["| key | what it sets | value | default |", "|---|---|---|---|"]
        lines += [_row(key) for key in below]
        lines.append("")
    return "\n".join(lines)


def _lead(top: Key) -> Iterator[str]:
    yield f"{_sentence(top)} Value: {top.how}."
    if top.variable:
        yield f"Variable: `{top.variable}`."


def _row(key: Key) -> str:
    name = f"`{key.path}`"
    if key.variable:
        name += f"<br>`{key.variable}`"
    return f"| {name} | {_sentence(key)} | {key.how} | {_default(key)} |"


def _sentence(key: Key) -> str:
    marks = {"*Reloaded.*": key.reloaded, "*Not in force yet.*": not key.in_force}
    return " ".join([*(mark for mark, is_so in marks.items() if is_so), key.description])


def _default(key: Key) -> str:
    match key.default:
        case _ if key.required:
            return "required"
        case bool():
            return f"`{key.default}`".lower()
        case "":
            return "empty"
        case str() | int() | float():
            return f"`{key.default}`"
        case _:
            return ""
