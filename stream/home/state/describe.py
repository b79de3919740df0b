"""The page on what is remembered of a home: every field, as `layout` declares it and as its comments tell it.

Law: nothing is told here that the layout does not tell; `python -m stream.home.state.describe` writes the page, docs/state.md.
"""

import ast
import io
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from stream.home.state import layout

__all__ = ["Field", "Limit", "fields_of", "limits", "page", "records"]

UNITS: Final = {  # what is found in a field's comment (or at the end of its name) -> its unit
    "share steps": "1/4096 of an event", "NATS_STEP": "1/256 nat", "1/4096 nats": "1/4096 nat", "LLR_STEP": "1/16 nat",
    "VECTOR_STEP": "1/16 standard deviation", "MEAN_STEP": "1/4096 standard deviation", "NOISE_STEP": "1/32 variance",
    "word": "number of a word", "hash": "48-bit hash", "place": "place", "index": "index", "days": "days", "(nats)": "nats",
    "_at": "ms", "_time": "ms", "_until": "ms", "_day": "days", "_dbm": "dBm", "_used": "entries", "_odds": "nats",
    "_name": "number of a word",
}  # fmt: skip
OPENING: Final = """# What is remembered of a home

Everything remembered of a household is one record of {total} bytes in memory, `HOME`; its lists have the limits that are told
first. A list is a field `x` beside which there is a field `x_used`. Words (people, devices, phones, activities, encoders) stand
once, in a table, and are numbers from 1 everywhere else; 0 is none. A *place* is 0 for the guest, and a person's column in
`people` + 1.

At rest a home is what it uses of that record, in this order:

| part | bytes |
|---|---|
| CRC-32 of all that follows, the greatest byte first | 4 |
| version, bytes of the household's id, of its words, of its record; the least byte first | 1, 1, 2, 4 |
| the household's id, in UTF-8 | as told |
| words in the order of their numbers, in UTF-8, a zero byte between two | as told |
| the record: numbers, then of each list as many entries as it has | as told |

Of shares and ratios those of people there are stand there, of vectors those that are there, of habits those that are not 0 (and
bits that tell which), of shares that are as their evidence one zero byte, of hashes in `seen` 6 bytes.

This page is written by `python -m stream.home.state.describe`.
"""


class Limit(NamedTuple):
    """How many of something there may be, and why."""

    name: str
    value: int
    reason: str


class Field(NamedTuple):
    """One field of a record, as it was declared."""

    name: str
    type: str
    shape: str  # as it was written: names of limits
    place: int  # bytes from the start of its record
    size: int  # bytes
    unit: str
    meaning: str


def limits() -> list[Limit]:
    """Every limit of the layout, in its order."""
    comments = _comments()
    found = []
    for node in _tree().body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            value = getattr(layout, node.target.id)
            if isinstance(value, int) and value > 0:
                found.append(Limit(node.target.id, value, comments.get(node.end_lineno or 0, "")))
    return found


def records() -> dict[str, str]:
    """Names of all records, in the order they are declared, and what is said of each."""
    comments = _comments()
    return {name: comments.get(call.lineno, "") for name, call in _find_declared()}


def fields_of(name: str) -> list[Field]:
    """The fields of a record, but for what is reserved."""
    comments, call = _comments(), dict(_find_declared())[name]
    dtype: Any = getattr(layout, name)
    lines = [part.end_lineno for part in call.args]
    found = []
    for part in call.args:
        assert isinstance(part, ast.Tuple), f"a field of {name} is written as a tuple"
        own, kind, *shape = part.elts
        field, type_of = str(ast.literal_eval(own)), ast.unparse(kind).strip("'")
        if not field.startswith("reserved"):
            alone = lines.count(part.end_lineno) == 1 and call.lineno != call.end_lineno
            meaning = comments.get(part.end_lineno or 0, "") if alone else ""
            item, place, *_ = dtype.fields[field]
            where = ast.unparse(shape[0]).strip("()") if shape else ""
            found.append(Field(field, type_of, where, place, item.itemsize, _unit(field, meaning), meaning))
    return found


def page() -> str:
    """The page, in Markdown."""
    parts = [OPENING.format(total=f"{layout.HOME.itemsize:,}"), "## Limits\n", _table("limit | most | reason")]
    parts += [f"| `{limit.name}` | {limit.value:,} | {_cell(limit.reason)} |" for limit in limits()]
    for name, told in reversed(records().items()):
        dtype: np.dtype[Any] = getattr(layout, name)
        said = f", {told}" if told else ""
        columns = _table("field | type | times | at | bytes | unit | what it is")
        parts += [f"\n## {name}\n", f"{dtype.itemsize:,} bytes{said}.\n", columns]
        parts += [_row(field) for field in fields_of(name)]
    return "\n".join(parts) + "\n"


def _row(f: Field) -> str:
    cells = f"`{f.name}`", _type(f.type), f.shape, f"{f.place:,}", f"{f.size:,}", f.unit, _cell(f.meaning)
    return f"| {' | '.join(cells)} |"


def _table(columns: str) -> str:
    return f"| {columns} |\n|{'---|' * len(columns.split('|'))}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _type(kind: str) -> str:
    """A type as people write it: `<i8` is int64; a record by its name."""
    return f"[{kind}](#{kind.lower()})" if kind.isupper() else np.dtype(kind).name


def _unit(name: str, meaning: str) -> str:
    for sign, unit in UNITS.items():
        if f"_{name}".endswith(sign) if sign.startswith("_") else sign in meaning:
            return unit
    return ""


def _source() -> str:
    return Path(layout.__file__).read_text("utf-8")


def _tree() -> ast.Module:
    return ast.parse(_source())


def _find_declared() -> Iterator[tuple[str, ast.Call]]:
    """Every record and how it is declared."""
    for node in _tree().body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Name):
            (target,) = node.targets
            if node.value.func.id == "record" and isinstance(target, ast.Name):
                yield target.id, node.value


def _comments() -> dict[int, str]:
    """By line, what is said beside the code."""
    tokens = tokenize.generate_tokens(io.StringIO(_source()).readline)
    return {token.start[0]: token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT}


if __name__ == "__main__":
    sys.stdout.write(page())
