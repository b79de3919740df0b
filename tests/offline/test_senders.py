"""What who sends is given: schemas with a meaning for every field, an AsyncAPI document, and examples that the worker reads."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import jsonschema
import pytest
from typer.testing import CliRunner

from stream.cli import app
from stream.contract.codec import decode
from stream.contract.policy import Policy
from stream.contract.records import INPUT_TOPICS, MODELS, OUTPUT_TOPICS, Command, FeedbackKind, Recognition, Record
from stream.offline.senders.examples import EXAMPLES
from stream.offline.senders.schemas import ASYNCAPI_FILE, TOPICS, asyncapi_of, schema_of

ALL = [(topic, name) for topic, examples in EXAMPLES.items() for name, value in examples.items() if value is not None]
UNITS = (
    "ms since", "0 to 1", "add up to 1", "dBm", "nats", "bytes", "from 0", "version", "standard deviations", "worth",
    "one higher", "0 to 5", "records", "how many", "a later claim is higher", "units as their names say", "next offset",
    "numbers by which",
)  # fmt: skip


def printed(*arguments: str | Path) -> str:
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert result.exit_code == 0, result.output
    return result.output


def fields(schema: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every field of a schema, by name."""
    if isinstance(schema, dict):
        yield from schema.get("properties", {}).items()
        schema = list(schema.values())
    if isinstance(schema, list):
        for inner in schema:
            yield from fields(inner)


def is_number(field: dict[str, Any]) -> bool:
    kinds = json.dumps(field)
    return '"type": "number"' in kinds or '"type": "integer"' in kinds


def test_the_topics_are_those_of_the_contract() -> None:
    assert list(TOPICS) == list(MODELS)
    assert set(TOPICS) == set(EXAMPLES)
    assert {topic for topic in TOPICS if TOPICS[topic].comes_in} == {*INPUT_TOPICS, "drift-commands"}
    assert {topic for topic in TOPICS if not TOPICS[topic].comes_in} == {*OUTPUT_TOPICS, "journal", "decisions"}


@pytest.mark.parametrize("topic", TOPICS)
def test_every_field_has_its_meaning_and_every_number_its_unit(topic: str) -> None:
    told = list(fields(schema_of(topic)))
    assert [name for name, field in told if not field.get("description")] == []
    assert [name for name, field in told if is_number(field) and not any(unit in field["description"] for unit in UNITS)] == []


@pytest.mark.parametrize("topic", TOPICS)
def test_the_schemas_are_schemas(topic: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema_of(topic))


@pytest.mark.parametrize(("topic", "name"), ALL)
def test_an_example_is_as_its_schema_says(topic: str, name: str) -> None:
    jsonschema.Draft202012Validator(schema_of(topic)).validate(EXAMPLES[topic][name])


@pytest.mark.parametrize(("topic", "name"), [(topic, name) for topic, name in ALL if topic in INPUT_TOPICS and topic != "proofs"])
def test_an_example_that_goes_in_is_read_whole(topic: str, name: str) -> None:
    value = EXAMPLES[topic][name] or {}
    event = decode(Record(topic, 0, 0, -1, value["household_id"].encode(), json.dumps(value).encode()), Policy())
    assert event.left_out == ()
    model = Recognition if topic == "recognitions" else type(event.value)
    assert set(value) <= set(model.model_fields), "nothing in it is passed over"


@pytest.mark.parametrize(("topic", "name"), [(topic, name) for topic, name in ALL if not TOPICS[topic].comes_in])
def test_an_example_that_goes_out_is_as_its_model_writes_it(topic: str, name: str) -> None:
    value = EXAMPLES[topic][name]
    unsaid = {"acts_for": None} if topic == "identities" else {}  # stands there only where a session was named
    assert json.loads(MODELS[topic].model_validate(value).model_dump_json()) == unsaid | value


def test_the_program_that_the_page_shows_makes_a_record_that_is_read_whole(root: Path) -> None:
    page = (root / "docs" / "records.md").read_text("utf-8")
    (program,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    made: dict[str, Any] = {}
    exec(program, made)
    event = decode(Record("recognitions", 0, 0, made["value"]["observed_at"], made["key"], made["raw"]), Policy())
    assert (event.left_out, event.value.household_id) == ((), "h-042")


def test_there_is_an_example_of_every_kind() -> None:
    assert {value["kind"] for value in EXAMPLES["feedback"].values() if value} == set(get_args(FeedbackKind))
    kinds = get_args(Command.model_fields["kind"].annotation)
    assert {value["kind"] for value in EXAMPLES["drift-commands"].values() if value} == set(kinds)


def test_schemas_are_written_one_a_topic_with_the_asyncapi_document(tmp_path: Path) -> None:
    assert f"{len(TOPICS) + 1} files in" in printed("schema", "--out", tmp_path / "schemas")
    written = {path.name: json.loads(path.read_text("utf-8")) for path in (tmp_path / "schemas").iterdir()}
    assert written == {f"{topic}.schema.json": schema_of(topic) for topic in TOPICS} | {ASYNCAPI_FILE: asyncapi_of()}


def test_examples_are_printed_one_a_line() -> None:
    lines = printed("schema", "feedback", "--example").splitlines()
    assert [json.loads(line) for line in lines] == list(EXAMPLES["feedback"].values())


def test_the_asyncapi_document_is_one() -> None:
    asyncapi3 = pytest.importorskip("asyncapi3", reason="The package asyncapi3, which checks the document, is not installed.")
    document = asyncapi_of()
    assert asyncapi3.AsyncAPI3.model_validate(document)
    del document["operations"]["receive-feedback"]["channel"]
    with pytest.raises(ValueError, match="channel"):
        asyncapi3.AsyncAPI3.model_validate(document)


def references(part: Any) -> Iterator[str]:
    """Every `$ref` in it."""
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        part = list(part.values())
    if isinstance(part, list):
        for inner in part:
            yield from references(inner)


def at(document: Any, reference: str) -> Any:
    """What a `$ref` points to; raises KeyError."""
    for name in reference.removeprefix("#/").split("/"):
        document = document[name]
    return document


def test_whatever_the_asyncapi_document_points_to_is_there() -> None:
    document = asyncapi_of()
    found = list(references(document))
    assert len(found) > 3 * len(TOPICS)
    assert all(at(document, reference) for reference in found)
    for operation in document["operations"].values():
        own = at(document, operation["channel"]["$ref"])["messages"]
        assert [message["$ref"].rpartition("/")[2] in own for message in operation["messages"]] == [True]
    for message in document["components"]["messages"].values():
        schema = {**at(document, message["payload"]["$ref"]), "components": document["components"]}
        assert message["examples"]
        for example in message["examples"]:
            jsonschema.Draft202012Validator(schema).validate(example["payload"])
