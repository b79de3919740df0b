"""The pages of the documentation that are told by the code: commands, metrics and settings; records have `page_of_records`.

Law: a page is a pure function of the code. `tests/test_docs.py` holds the files to it; `pytest --update-golden` writes them.
"""

from collections.abc import Iterator, Mapping
from inspect import isclass
from typing import Any, get_args

import typer
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from stream.cli import app
from stream.contract.policy import Policy
from stream.contract.settings import Wiring
from stream.runtime.telemetry.registry import FLEET_METRICS, METRICS, SLO_METRICS, Metric

__all__ = ["cell", "commands", "flowing", "leaves", "page_of_commands", "page_of_metrics", "page_of_settings"]


def commands() -> dict[str, Any]:
    """Every command by what is typed: `kithkin`, `kithkin replay`, …"""
    found: dict[str, Any] = {}

    def walk(name: str, command: Any) -> None:
        found[name] = command
        for part, inner in getattr(command, "commands", {}).items():
            walk(f"{name} {part}", inner)

    walk("kithkin", typer.main.get_command(app))
    return found


def page_of_commands() -> str:
    lines = ["# Commands", "", "`kithkin --help` and `--help` after any command tell the same."]
    for name, command in commands().items():
        lines += ["", f"## {name}", "", flowing(command.help or "")]
        rows = [_parameter(p) for p in command.params if p.name != "help"]
        if rows:
            lines += ["", "| argument | means |", "|---|---|", *rows]
    return "\n".join(lines) + "\n"


def _parameter(parameter: Any) -> str:
    written = ", ".join(f"`{o}`" for o in (*parameter.opts, *parameter.secondary_opts) if o.startswith("-"))
    return f"| {written or f'`{parameter.name.upper()}`'} | {cell(getattr(parameter, 'help', None) or '')} |"


def leaves(model: BaseModel, path: str = "") -> Iterator[tuple[str, object, str]]:
    """Dotted name, default and meaning of every setting."""
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from leaves(value, f"{path}{name}.")
        elif isinstance(value, dict) and any(isinstance(inner, BaseModel) for inner in value.values()):
            for key, inner in value.items():
                yield from leaves(inner, f'{path}{name}."{key}".')
        else:
            yield path + name, value, field.description or ""
            for table in get_args(field.annotation) if value is None else ():
                if isclass(table) and issubclass(table, BaseModel):
                    for key, own in table.model_fields.items():
                        yield f"{path}{name}.{key}", own.default, own.description or ""


def page_of_settings() -> str:
    told = "The policy can change outputs, and its hash is on every output; the wiring cannot. An unknown key is an error."
    lines = ["# Settings", "", told]
    lines += ["", "## The policy", "", _doc(Policy), "", *_settings(Policy())]
    lines += ["", "## The wiring", "", _doc(Wiring), "Flags come before `KITHKIN_…` variables, these before the file.", ""]
    lines += _settings(Wiring.model_construct())
    return "\n".join(lines) + "\n"


def _settings(model: BaseModel) -> list[str]:
    rows = [
        f"| `{name}` | {'needed' if value is PydanticUndefined else f'`{value!r}`'} | {cell(means)} |"
        for name, value, means in leaves(model)
    ]
    return ["| setting | default | means |", "|---|---|---|", *rows]


def page_of_metrics() -> str:
    told = "What a worker shows on `/metrics` of its `listen` address. A counter's name ends in `_total` there, and it begins "
    told += "anew with each process. Beside these stand the process's own CPU, memory and files (`process_…`)."
    page = ["# Metrics", "", told, "", *_metrics(METRICS), "", "## The fleet stage", "", *_metrics(FLEET_METRICS)]
    page += ["", "## Objectives", "", "What `kithkin slo --listen` shows.", "", *_metrics(SLO_METRICS)]
    return "\n".join(page) + "\n"


def _metrics(metrics: Mapping[str, Metric]) -> list[str]:
    rows = [
        f"| `{name}` | {metric.kind} | {', '.join(f'`{label}`' for label in metric.labels)} | {cell(metric.means)} |"
        for name, metric in metrics.items()
    ]
    return ["| metric | kind | labels | means |", "|---|---|---|---|", *rows]


def _doc(model: type) -> str:
    return flowing((model.__doc__ or "").strip().partition("\n\n")[0])


def flowing(text: str) -> str:
    """Help or docstring as Markdown: lines joined, paragraphs kept."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.replace("\b", "").split("\n\n"))


def cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
