"""`kithkin schema`: what records look like, for people's tools and by example.

Law: what it prints is what the worker reads by.
"""

import difflib
import json
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from ..faults import faults_explained

__all__ = ["schema"]

_LOG: Final = "log"

def schema(
    record: Annotated[
        str | None, typer.Argument(metavar="[RECORD]", help="A topic, such as recognitions, or log; else all topics.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Write one TOPIC.schema.json a topic and asyncapi.json there instead."),
    ] = None,
    example: Annotated[bool, typer.Option("--example", help="Print example records instead: one JSON value a line.")] = False,
) -> None:
    """Print the JSON Schema of the records that cross the border, with a meaning and a unit for every field.

    log is a line of a log file.

    With --out: a file for each topic, and all of them as one AsyncAPI 3 document.

    With --example: records to copy. What goes in can be piped into "kithkin check -".
    """
    with faults_explained():
        from stream.brokers.log_lines import LINE_SCHEMA
        from stream.contract.errors import ConfigError
        from stream.offline.senders.examples import EXAMPLES
        from stream.offline.senders.schemas import TOPICS, schema_of, write_schemas

        known = [*TOPICS] if example else [*TOPICS, _LOG]
        if record is not None and record not in known:
            near = difflib.get_close_matches(record, known, n=1)
            raise ConfigError("RECORD", record, "the record to show", near[0] if near else f"one of {', '.join(known)}")
        if out is not None:
            if record is not None or example:
                raise ConfigError("out", str(out), "with a RECORD or --example", "given alone: it writes all topics")
            try:
                written = write_schemas(out)
            except OSError as error:
                raise ConfigError("out", str(out), error.strerror or "not writable", "a directory to write to") from None
            typer.echo(f"{len(written)} files in {out}: {len(written) - 1} schemas and {written[-1].name}")
        elif example:
            for topic in [record] if record else TOPICS:
                for value in EXAMPLES[topic].values():
                    typer.echo(json.dumps(value))
        else:
            shown: dict[str, Any] = {topic: schema_of(topic) for topic in TOPICS}
            if record is not None:
                shown = LINE_SCHEMA if record == _LOG else schema_of(record)
            typer.echo(json.dumps(shown, indent=2, ensure_ascii=False))
