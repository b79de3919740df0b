"""What a person sees of a replay that ended: what it came to.

Law: nothing is shown that was not counted, and what happened never is not shown.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, Final

from rich.table import Table

from stream.contract.errors import ConfigError
from stream.contract.settings import toml_of
from stream.home.messages import OUTCOMES
from stream.offline.replay.manifest import MANIFEST
from stream.offline.replay.replay import Replay, Summary
from stream.offline.replay.report import figures_of_replay, replay_report
from stream.offline.runs.difference import Difference

from .difference import difference_json
from .tracking import Tracked, numbers_of, settings_of

__all__ = ["summary_json", "summary_run", "summary_table", "describe_unanswered"]

Row = tuple[str, str]

_MEANINGS: Final = {
    "answered": "recognitions answered",
    "used": "feedback used",
    "contradictory": "feedback contradicting another",
    "early": "feedback before its event, or a sighting before the other",
    "duplicate": "duplicates, nothing done",
    "expired": "feedback too late",
    "unknown_person": "feedback on an unknown person",
    "unknown_event": "feedback on an event that never came",
    "rejected": "feedback that cannot be done",
    "unknown_device": "sightings by no member's phone",
    "no_sighting": "proofs of what was not sighted",
    "other_factor": "proofs of a factor that their key may not prove",
    "refused": "too old or too far ahead",
}  # an outcome that is not here is shown by its own word


def summary_table(summary: Summary) -> Table:
    """Everything counted, in groups; a group in which nothing happened is left out."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(justify="right", style="bold", no_wrap=True)
    table.add_column()
    for heading, rows in _groups(summary):
        if rows:
            table.add_row("", "")
            table.add_row("", f"[bold cyan]{heading}[/]")
            for number, meaning in rows:
                table.add_row(number, meaning)
    return table


def summary_json(summary: Summary, difference: Difference | None) -> dict[str, Any]:
    """All that was counted, for machines; and, where identities were expected, how they differ."""
    counts, weight = summary.counts, summary.weight
    told: dict[str, Any] = {
        "finished": summary.finished,
        "records": counts.records,
        "records_before": summary.records_before,
        "recognitions": counts.recognitions,
        "outcomes": dict(counts.outcomes),
        "left_out": dict(counts.left_out),
        "dead_letters": dict(counts.dead_letters),
        "outputs": dict(counts.outputs),
        "states": {"households": weight.households, "people": weight.people, "bytes": weight.state_bytes},
        "seconds": round(summary.seconds, 3),
    }
    return told if difference is None else told | {"expected": difference_json(difference)}


def summary_run(task: Replay, summary: Summary) -> Tracked:
    """The run for MLflow: policy, what was counted, how good it was by what people said, manifest and report."""
    figures = numbers_of(summary_json(summary, None))
    files = [task.out / MANIFEST]
    with suppress(ConfigError):  # of standard input, which is gone, there is neither
        figures |= numbers_of({"feedback": figures_of_replay(task.out)})
        files.append(replay_report(task.out, task.out / "report.html"))
    texts = {"policy.toml": toml_of(task.policy)}
    return Tracked(task.out.name, settings_of(task.policy), figures, {"kithkin.command": "replay"}, texts, files)


def describe_unanswered(task: Replay, summary: Summary) -> str:
    """That none of its recognitions was answered, neither by this command nor by one before; empty: that is not so."""
    counts = summary.counts
    if not counts.recognitions or (task.out / "identities.jsonl").stat().st_size:
        return ""
    logs = " ".join(task.logs)
    return f"None of {counts.recognitions:,} recognitions was answered. What is wrong with each: kithkin check {logs}"


def _groups(summary: Summary) -> Iterator[tuple[str, list[Row]]]:
    counts, weight = summary.counts, summary.weight
    yield "Read", _count_rows([("records now", counts.records), ("records by the command before", summary.records_before)])
    yield "Happened", _count_rows((_MEANINGS.get(word, word), counts.outcomes[word]) for word in OUTCOMES)
    yield "Parts left out, by the field at fault", _count_rows(counts.left_out.most_common())
    yield "Dead letters, by reason", _count_rows(counts.dead_letters.most_common())
    yield "Written", _count_rows(counts.outputs.most_common())
    yield "States", _count_rows([("households", weight.households), ("people", weight.people)]) + _weights(summary)
    if counts.records:
        yield "Speed", [(f"{counts.records / summary.seconds:,.0f}", f"events/s, in {summary.seconds:,.1f} s")]


def _count_rows(rows: Iterable[tuple[str, int]]) -> list[Row]:
    return [(f"{number:,}", meaning) for meaning, number in rows if number]


def _weights(summary: Summary) -> list[Row]:
    weight = summary.weight
    return [(f"{weight.state_bytes / weight.people:,.0f}", "bytes a person at rest")] if weight.people else []
