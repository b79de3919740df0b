"""The pages of the documentation that are told by the code: commands, metrics, records and settings.

Law: a page is a pure function of the code. `tests/test_docs.py` holds the files to it; `pytest --update-golden` writes them.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, get_args

import typer
from pydantic import BaseModel

from stream.cli import app
from stream.contract.policy import Policy
from stream.contract.reading import LEFT_OUT
from stream.contract.records import INPUT_TOPICS, MODELS
from stream.contract.settings import Wiring
from stream.runtime.telemetry.registry import FLEET_METRICS, METRICS, Metric

__all__ = ["commands", "leaves", "page_of_commands", "page_of_metrics", "page_of_records", "page_of_settings"]


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
        lines += ["", f"## {name}", "", _flowing(command.help or "")]
        rows = [_parameter(p) for p in command.params if p.name != "help"]
        if rows:
            lines += ["", "| argument | means |", "|---|---|", *rows]
    return "\n".join(lines) + "\n"


def _parameter(parameter: Any) -> str:
    written = ", ".join(f"`{o}`" for o in (*parameter.opts, *parameter.secondary_opts) if o.startswith("-"))
    return f"| {written or f'`{parameter.name.upper()}`'} | {_cell(getattr(parameter, 'help', None) or '')} |"


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


def page_of_settings() -> str:
    told = "The policy can change outputs, and its hash is on every output; the wiring cannot. An unknown key is an error."
    lines = ["# Settings", "", told]
    lines += ["", "## The policy", "", _doc(Policy), "", *_settings(Policy())]
    lines += ["", "## The wiring", "", _doc(Wiring), "Flags come before `KITHKIN_…` variables, these before the file.", ""]
    lines += _settings(Wiring.model_construct())
    return "\n".join(lines) + "\n"


def _settings(model: BaseModel) -> list[str]:
    rows = [f"| `{name}` | `{value!r}` | {_cell(means)} |" for name, value, means in leaves(model)]
    return ["| setting | default | means |", "|---|---|---|", *rows]


def page_of_metrics() -> str:
    told = "What a worker shows on `/metrics` of its `listen` address. A counter's name ends in `_total` there, and it begins "
    told += "anew with each process. Beside these stand the process's own CPU, memory and files (`process_…`)."
    page = ["# Metrics", "", told, "", *_metrics(METRICS), "", "## The fleet stage", "", *_metrics(FLEET_METRICS)]
    return "\n".join(page) + "\n"


def _metrics(metrics: Mapping[str, Metric]) -> list[str]:
    rows = [
        f"| `{name}` | {metric.kind} | {', '.join(f'`{label}`' for label in metric.labels)} | {_cell(metric.means)} |"
        for name, metric in metrics.items()
    ]
    return ["| metric | kind | labels | means |", "|---|---|---|---|", *rows]


_PARTS: Final = (
    "A fault in what makes identity or order unclear (`v`, the ids, `observed_at`, the key) makes the record a dead",
    "letter. A fault in a part that may be absent costs that part alone, the smallest that it lies in, and the rest is",
    "answered: one signal (the phone counts as heard, nobody knows how strongly), one phone, one quality, one attribute,",
    "a vector. Of more than 64 phones the strongest count. `modalities` of the identity say what was used;",
    "`kithkin_parts_left_out` and the summary of a replay count what was not, by the field at fault:",
    f"{', '.join(f'`{word}`' for word in LEFT_OUT)}. A record of which nothing is left is a dead letter.",
    "",
    "Ids of households, events, devices, people and encoders are 1 to 64 of `A-Z a-z 0-9 . _ : -`. Names that come from",
    "the world (of phones, activities, attributes) are any text of 1 to 64 characters without control characters. A",
    "whole number may be written as 1763690000123.0, but `v` is 1 and neither `true` nor `1.0`. A record whose own",
    "timestamp is -1 (none), or before the year 2000 (it is in seconds, perhaps), is judged by `observed_at` alone.",
)


def page_of_records() -> str:
    lines = ["# Records", "", "One section a topic; `kithkin schema` prints the same as JSON Schema, with every limit."]
    for topic, model in MODELS.items():
        comes_in = topic in (*INPUT_TOPICS, "drift-commands")
        lines += ["", f"## {topic}", "", "What comes in." if comes_in else "What goes out."]
        if topic == "recognitions":
            lines += ["", *_PARTS]
        parts: dict[str, Any] = {}
        for kind in [model] if isinstance(model, type) else get_args(get_args(model._type)[0]):
            schema = kind.model_json_schema(mode="validation" if comes_in else "serialization")
            parts |= schema.get("$defs", {})
            lines += _table(kind.__name__, schema)
        for name, schema in parts.items():
            lines += _table(name, schema)
    return "\n".join(lines) + "\n"


def _table(name: str, schema: dict[str, Any]) -> list[str]:
    """What is said of an object, and its fields."""
    required = set(schema.get("required", ()))
    rows = [
        f"| `{field}` | {'always' if field in required else 'may be absent'} | {_type(inner)} |"
        for field, inner in schema["properties"].items()
    ]
    told = _flowing(schema.get("description", "").partition("\n\n")[0])
    return ["", f"**{name}**: {told}", "", "| field | present | type |", "|---|---|---|", *rows]


def _type(field: dict[str, Any]) -> str:
    """A JSON Schema's type in a word or two."""
    if "anyOf" in field:
        return " or ".join(_type(each) for each in field["anyOf"])
    if "$ref" in field:
        return str(field["$ref"]).rpartition("/")[2]
    if "const" in field:
        return f"`{field['const']!r}`"
    if "enum" in field:
        return ", ".join(f"`{each}`" for each in field["enum"])
    if field.get("type") == "array":
        return f"list of {_type(field['items'])}"
    if field.get("type") == "object":
        inner = field.get("additionalProperties") or next(iter(field.get("patternProperties", {}).values()), None)
        return f"name → {_type(inner)}" if isinstance(inner, dict) else "object"
    return str(field.get("type", "anything"))


def _doc(model: type) -> str:
    return _flowing((model.__doc__ or "").strip().partition("\n\n")[0])


def _flowing(text: str) -> str:
    """Help or docstring as Markdown: lines joined, paragraphs kept."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.replace("\b", "").split("\n\n"))


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
