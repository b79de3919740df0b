"""The contract for other people's tools: a JSON Schema a topic, and an AsyncAPI 3 document of them all.

Law: both are functions of the models in `stream.contract.records`; every field has its meaning, and its unit where it has one.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from pydantic import TypeAdapter

from stream import __version__
from stream.contract.records import MODELS

from .examples import EXAMPLES

__all__ = ["ASYNCAPI_FILE", "TOPICS", "Topic", "asyncapi_of", "schema_of", "write_schemas"]

ASYNCAPI_FILE: Final = "asyncapi.json"
_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


class Topic(NamedTuple):
    """What a topic is for; `key`: what the records' key is; `comes_in`: it is written by who sends."""

    comes_in: bool
    key: str
    means: str


TOPICS: Final = {
    "recognitions": Topic(True, "household_id", "what the sensors of one device saw of one interaction"),
    "feedback": Topic(True, "household_id", "what a person, an app or an annotator says of people, phones and recognitions"),
    "consents": Topic(True, "household_id", "which client a person lets ask what about them"),
    "proofs": Topic(True, "household_id", "second factors that a verifier saw and signed"),
    "sightings": Topic(True, "household_id", "what happened at a home, by a sensor of it or somebody's phone"),
    "identities": Topic(False, "household_id", "who it was: one a recognition, and more when a later fact revises it"),
    "profiles": Topic(False, "household_id/person_id", "the refreshed profile of one person; null when erased or gone"),
    "labels": Topic(False, "household_id", "ground truth: recognitions that were labelled without asking anyone"),
    "presence": Topic(False, "household_id/person_id", "whether a person is at home, over time; null when erased or gone"),
    "drift-signals": Topic(False, "household_id", "evidence of change in one household, for the fleet stage"),
    "drift-alerts": Topic(False, "alert_id", "an alert's state: opened, updated, resolved, expired"),
    "drift-commands": Topic(True, "alert_id", "what an operator says of an alert"),
    "decisions": Topic(False, "household_id", "every answer of the decisions API, for an audit"),
    "journal": Topic(False, "(by partition)", "internal: the batches as they were really made"),
    "dead-letters": Topic(False, "as it came", "a record that could not be used, with its bytes and the reason"),
}


def schema_of(topic: str) -> dict[str, Any]:
    """JSON Schema (2020-12) of a topic's values: what must come in, or what does go out (where a default is always written)."""
    return {"$schema": _DIALECT, "title": topic, **_schema(topic, "#/$defs/{model}")}


def _schema(topic: str, place: str) -> dict[str, Any]:
    model = MODELS[topic]
    adapter: TypeAdapter[Any] = model if isinstance(model, TypeAdapter) else TypeAdapter(model)
    mode: Literal["validation", "serialization"] = "validation" if TOPICS[topic].comes_in else "serialization"
    return adapter.json_schema(mode=mode, ref_template=place)


def asyncapi_of() -> dict[str, Any]:
    """An AsyncAPI 3.0 document: a channel and a message for each topic, with examples; addresses without a prefix."""
    schemas: dict[str, Any] = {}
    for topic in TOPICS:
        schema = _schema(topic, f"#/components/schemas/{topic}-{{model}}")
        schemas |= {f"{topic}-{name}": part for name, part in schema.pop("$defs", {}).items()}
        if "discriminator" in schema:  # AsyncAPI has the field's name alone
            schema["discriminator"] = schema["discriminator"]["propertyName"]
        schemas[topic] = schema
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "kithkin",
            "version": __version__,
            "description": "Who is who in a household: recognitions and feedback come in; identities, profiles, labels "
            "and alerts go out. A prefix may stand before every address. Times are ms since the Unix epoch, UTC.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {topic: _channel(topic) for topic in TOPICS},
        "operations": dict(map(_operation, TOPICS)),
        "components": {"messages": {topic: _message(topic) for topic in TOPICS}, "schemas": schemas},
    }


def _channel(topic: str) -> dict[str, Any]:
    messages = {topic: {"$ref": f"#/components/messages/{topic}"}}
    return {"address": topic, "description": TOPICS[topic].means, "messages": messages}


def _operation(topic: str) -> tuple[str, dict[str, Any]]:
    """As the application sees it: it receives what comes in."""
    action = "receive" if TOPICS[topic].comes_in else "send"
    return f"{action}-{topic}", {
        "action": action,
        "channel": {"$ref": f"#/channels/{topic}"},
        "summary": TOPICS[topic].means,
        "messages": [{"$ref": f"#/channels/{topic}/messages/{topic}"}],
    }


def _message(topic: str) -> dict[str, Any]:
    key = {"type": "string", "description": f"the record's key: {TOPICS[topic].key}"}
    return {
        "name": topic,
        "summary": TOPICS[topic].means,
        "contentType": "application/json",
        "payload": {"$ref": f"#/components/schemas/{topic}"},
        "bindings": {"kafka": {"key": key}},
        "examples": [{"name": name, "payload": value} for name, value in EXAMPLES[topic].items() if value is not None],
    }


def write_schemas(folder: Path) -> list[Path]:
    """Write TOPIC.schema.json for each topic, and asyncapi.json, into a folder that is made if it is missing; their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    return [_write(folder / name, value) for name, value in _files()]


def _files() -> Iterator[tuple[str, dict[str, Any]]]:
    yield from ((f"{topic}.schema.json", schema_of(topic)) for topic in TOPICS)
    yield ASYNCAPI_FILE, asyncapi_of()


def _write(path: Path, value: dict[str, Any]) -> Path:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", "utf-8")
    return path
