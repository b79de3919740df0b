"""docs/records.md, as the code tells it: what to send, what tiers promise, what becomes of oddities, and every topic by example.

Law: as of `pages`. Its examples are those of `kithkin schema --example`; only long vectors are cut short for the eye.
"""

import json
from collections.abc import Iterator
from typing import Any, Final, get_args

from stream.contract.policy import Policy
from stream.contract.reading import LEFT_OUT
from stream.contract.records import MODELS
from stream.home.numbers import BUDGETS
from stream.offline.senders.examples import EXAMPLES
from stream.offline.senders.schemas import TOPICS
from tests.support.oddities import ODDITIES
from tests.support.pages import cell, flowing

__all__ = ["page_of_records"]

_SHOWN: Final = 16  # characters of a vector
_BEGIN: Final = """
# Records

What to send, what comes back, and what becomes of what is odd. Three commands tell the same:

```console
$ kithkin schema --out schemas                             # a JSON Schema a topic, and asyncapi.json
$ kithkin schema recognitions --example                    # records to copy
$ kithkin schema recognitions --example | kithkin check -  # what a worker would say of them
```

A recognition, as a program makes one; the record's key is the household_id:

```python
import base64
import json
import time

import numpy as np

vector = np.random.default_rng(0).standard_normal(256)  # what your encoder gives
value = {
    "v": 1,
    "event_id": "e-000017",
    "household_id": "h-042",
    "device_id": "kitchen",
    "observed_at": int(time.time() * 1000),
    "voice": {
        "encoder": "resemblyzer-0.1.4",
        "embedding": base64.b64encode(vector.astype("<f2").tobytes()).decode(),
    },
}
key, raw = value["household_id"].encode(), json.dumps(value).encode()
```

An encoder of your own has to stand in the policy ([packs](packs.md)); `kithkin check` and `kithkin replay` tell the table to add.

Times are milliseconds since the Unix epoch, UTC. Probabilities and shares are 0 to 1, evidence is in nats (natural logarithms),
signals of phones in dBm. Fields that are not listed are passed over; another `v` is an error.
""".strip()
_TIERS: Final = (  # name and what it is good for, from tier 1 on
    ("present", "shared lists; nobody is named"), ("personal", '"play my playlist"'), ("private", '"read my messages"'),
    ("purchase", '"buy it again"'), ("protected", '"refill my prescription"'),
)  # fmt: skip
_PROMISE: Final = (
    "The error budget of a tier is the share of guests' events that may be answered with any member at this tier or above, and",
    "likewise the share of members' events that may be answered with another member; [quality](quality.md) measures both. A tier",
    "is reached from the probability that it asks for; a home's own errors and successes move that. Feedback alone raises",
    "no tier. An event without voice and face, such as a tap, is at most of tier 2; who it was is then mostly told by who was",
    "just heard or seen at the device ([decision 0023](decisions/0023-touch-is-who-was-just-there.md)).",
)
_SORTS: Final = {
    "late": "Late", "early": "Early", "double": "Double", "contradictory": "Contradictory", "impossible": "What cannot be",
}  # fmt: skip
_MISTAKEN: Final = (
    "A home remembers ids in a few bits each, so a new record may be taken for one that came: one recognition in 40 million,",
    "and one feedback in 160,000; of those that come later than a hundred others of the same device or source that they",
    "precede, one in 10,000.",
)
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
    lines = [_BEGIN, *_tiers(), *_oddities()]
    for topic, model in MODELS.items():
        comes_in = TOPICS[topic].comes_in
        lines += ["", f"## {topic}", "", f"What {'comes in' if comes_in else 'goes out'}: {TOPICS[topic].means}."]
        lines.append(f"Key: `{TOPICS[topic].key}`." if "(" not in TOPICS[topic].key else "It has no key.")
        if topic == "recognitions":
            lines += ["", *_PARTS]
        lines += ["", *_examples(topic)]
        parts: dict[str, Any] = {}
        for kind in [model] if isinstance(model, type) else get_args(get_args(model._type)[0]):
            schema = kind.model_json_schema(mode="validation" if comes_in else "serialization")
            parts |= schema.get("$defs", {})
            lines += _table(kind.__name__, schema)
        for name, schema in parts.items():
            lines += _table(name, schema)
    return "\n".join(lines) + "\n"


def _tiers() -> Iterator[str]:
    least = (*(f"{p:g}" for p in Policy().tiers.least), "tier 4")
    budgets = (*(f"{100 * budget:g} %" for budget in BUDGETS), f"{100 * BUDGETS[-1]:g} %")
    pin = f" and a signed [proof](decisions-api.md) of that person in the last {Policy().tiers.pin_minutes} minutes"
    also = {"purchase": ", two sensors agree", "protected": pin}
    yield from ("", "## What tiers promise", "", *_PROMISE, "")
    yield from ("| tier | name | asks for | error budget | good for |", "|---|---|---|---|---|")
    yield "| 0 | unknown | | | nothing personal |"
    for tier, ((name, good_for), probability, budget) in enumerate(zip(_TIERS, least, budgets, strict=True), 1):
        yield f"| {tier} | {name} | {probability}{also.get(name, '')} | {budget} | {good_for} |"


def _oddities() -> Iterator[str]:
    yield from ("", "## What becomes of what is odd", "")
    yield "Outcomes are counted (`kithkin_outcomes`, the summary of a replay); what is a dead letter stands in `dead-letters`"
    yield "with that reason. Numbers are those of the default policy. Each line is played in a home by a test."
    for sort, heading in _SORTS.items():
        yield from ("", f"**{heading}**", "", "| what is sent | outcomes | what that means |", "|---|---|---|")
        for oddity in ODDITIES:
            if oddity.sort == sort:
                yield f"| {cell(oddity.sent)} | {', then '.join(map(_outcomes, oddity.becomes))} | {cell(oddity.means)} |"
        if sort == "double":
            yield from ("", *_MISTAKEN)


def _outcomes(words: str) -> str:
    return " and ".join(
        f"dead letter `{word.removeprefix('dead letter ')}`" if word.startswith("dead letter") else f"`{word}`"
        for word in words.split(" + ")
    )


def _examples(topic: str) -> Iterator[str]:
    """The first in full, the others a line each."""
    for number, (name, value) in enumerate(EXAMPLES[topic].items()):
        told = _cut(value)
        yield from (f"{'For example, ' if not number else ''}{name}:", "", "```json")
        if isinstance(told, dict) and not number:
            fields = [f"  {json.dumps(field)}: {json.dumps(inner, ensure_ascii=False)}" for field, inner in told.items()]
            yield from ("{", ",\n".join(fields), "}")
        else:
            yield json.dumps(told, ensure_ascii=False)
        yield from ("```", "")


def _cut(value: Any) -> Any:
    """With long vectors cut short."""
    if isinstance(value, dict):
        return {
            field: f"{inner[:_SHOWN]}…" if field == "embedding" and isinstance(inner, str) else _cut(inner)
            for field, inner in value.items()
        }
    return [_cut(inner) for inner in value] if isinstance(value, list) else value


def _table(name: str, schema: dict[str, Any]) -> list[str]:
    """What is said of an object, and its fields."""
    required = set(schema.get("required", ()))
    rows = [
        f"| `{field}` | {'always' if field in required else 'may be absent'} | {_type(inner)} | {cell(inner['description'])} |"
        for field, inner in schema["properties"].items()
    ]
    told = flowing(schema.get("description", "").partition("\n\n")[0])
    return ["", f"**{name}**: {told}", "", "| field | present | type | means |", "|---|---|---|---|", *rows]


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
