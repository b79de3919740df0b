"""The command line: `kithkin`.

Law: what an operator did wrong is one clear message and exit code 2; what failed is 1; an interruption is 130; a traceback
is a defect of ours. Nothing heavy is imported before a command needs it, so that `--help` answers at once.
"""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from stream import __version__

from .connection import note_begin
from .faults import EXIT_DIFFERENT, EXIT_INTERRUPTED, EXIT_NOTHING, faults_explained
from .interruption import until_interrupted
from .live.alerts import alerts
from .live.dead_letters import dead_letters
from .live.doctor import doctor
from .live.feed import feed
from .live.fleet import fleet
from .live.identities import identities
from .live.status import status
from .live.topics import topics
from .live.up import up
from .live.worker import worker
from .logs.record import record
from .logs.sample import sample
from .logs.sources import logs_of
from .offline.check import check
from .offline.compare import compare
from .offline.diff import diff
from .offline.fit import fit
from .offline.inspect import inspect
from .offline.report import report
from .offline.schema import schema
from .offline.tune import tune
from .offline.why import why
from .operate.answer import ack, resolve, show, silence
from .operate.render import ops
from .operate.slo import slo
from .operate.trace import trace
from .options import (
    BrokerUrl,
    DropModality,
    FeedbackDelay,
    FeedbackLoss,
    Inject,
    Mlflow,
    OnCluster,
    Origin,
    PolicyFile,
    Seed,
    Since,
    Until,
    WiringFile,
)
from .rights.api import api
from .rights.consent import consent
from .rights.decide import decide
from .rights.home_link import home_link
from .rights.new_service import new_service
from .rights.pin import pin
from .rights.presence import presence
from .tracking import Tracker

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from stream.offline.replay.jobs.cluster import Cluster
    from stream.offline.replay.jobs.processes import JobProcesses
    from stream.offline.replay.replay import Replay, Summary

__all__ = ["app", "main"]

app = typer.Typer(
    name="kithkin",
    help="Learns, continuously and from real life, who is who in a household.",
    epilog="Start here:\n\n"
    "  [cyan]kithkin demo[/]   a simulated neighbourhood, live, and a report to look at\n\n"
    "  [cyan]kithkin replay recorded.jsonl.gz --out run[/]   the same worker on your own records\n\n"
    "Each command tells more: [cyan]kithkin replay --help[/]",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command(
    epilog="Examples:\n\n"
    "  [cyan]kithkin worker[/]   as configs/wiring.toml stands for the defaults: Kafka and Redis on this machine\n\n"
    "  [cyan]kithkin worker --wiring wiring.toml --workers 2[/]   two processes under one supervisor\n\n"
    "  [cyan]kithkin worker --broker confluent://kafka:9092 --store redis://redis:6379/0 --no-restart[/]   in a container",
)(worker)
app.command(
    epilog="Examples:\n\n"
    "  [cyan]kithkin fleet --listen 127.0.0.1:8090[/]   then look at /alerts there\n\n"
    "  [cyan]kithkin fleet --broker confluent://kafka:9092 --store redis://redis:6379/0 --no-restart[/]   in a container",
)(fleet)
app.command(
    epilog="Examples:\n\n"
    "  [cyan]kithkin status[/]   once\n\n"
    "  [cyan]kithkin status --follow[/]   live, until Ctrl-C\n\n"
    "  [cyan]kithkin status --json | jq .lag[/]   records left to do",
)(status)
app.command(
    epilog="Examples:\n\n"
    "  [cyan]kithkin inspect h-042[/]   of the workers' Redis\n\n"
    "  [cyan]kithkin inspect h-042 --store run.db --person alice[/]   of a replay, and one person only\n\n"
    "  [cyan]kithkin inspect h-042 --json | jq .ledger[0][/]   the latest event, for machines",
)(inspect)
app.command(
    epilog="Examples:\n\n"
    "  [cyan]kithkin report run --open[/]   of `kithkin replay monday.jsonl.gz --out run`\n\n"
    "  [cyan]kithkin report run --household h-042 --out h-042.html[/]",
)(report)
app.command(
    epilog="Examples:\n\n"
    "  [cyan]kithkin compare today.toml stricter.toml monday.jsonl.gz[/]   by what people said\n\n"
    "  [cyan]kithkin compare today.toml stricter.toml try/log.jsonl --truth try/truth.jsonl --shares[/]   of 'kithkin sample'\n\n"
    "  [cyan]kithkin compare a.toml b.toml c.toml year.jsonl --json | jq -r '.comparisons[].sentence'[/]\n\n"
    "  [cyan]kithkin compare a.toml b.toml year.jsonl --feedback-loss .9 --drop-modality face=.5[/]   what if",
)(compare)
app.command(
    epilog="Examples:\n\n"
    "  [cyan]kithkin tune space.toml try/log.jsonl --truth try/truth.jsonl --out tuned.toml[/]   of 'kithkin sample'\n\n"
    "  [cyan]kithkin tune space.toml year.jsonl.gz --policy live.toml --trials 200[/]   can be stopped, and goes on\n\n"
    "  [cyan]kithkin tune space.toml year.jsonl.gz --figure tier3_covered --json | jq .confirmed[/]",
)(tune)
app.command(
    epilog="Examples:\n\n"
    "  [cyan]kithkin diff before after[/]   of two replays of one log; exit code 0: the same, 1: different, 3: not comparable\n\n"
    "  [cyan]kithkin diff before after --explain[/]   which change it was\n\n"
    "  [cyan]kithkin diff before after --explain --logs monday.jsonl.gz[/]   where the log lies elsewhere now\n\n"
    "  [cyan]kithkin diff before after --json | jq .topics.identities[/]",
)(diff)
app.command(
    epilog="Examples:\n\n"
    "  [cyan]kithkin sample try[/]   then: kithkin replay try/log.jsonl --out try/answers\n\n"
    "  [cyan]kithkin sample large --homes 50 --days 60 --seed 7[/]",
)(sample)
app.command(
    epilog="Examples:\n\n"
    "  [cyan]kithkin record --from 2h --out now.jsonl.zst[/]   then: kithkin replay now.jsonl.zst --out answers\n\n"
    "  [cyan]kithkin record --from 2026-01-31 --to 2026-02-01 --outputs --out day.jsonl.gz[/]\n\n"
    "  [cyan]kithkin record --from 7d --household h-042 --pseudonymise key --out h.jsonl[/]   key: openssl rand -hex 32 > key",
)(record)
app.command(
    epilog="Examples:\n\n"
    "  [cyan]kithkin up[/]   then, in other terminals, what it tells\n\n"
    "  [cyan]kithkin up --dir playground --workers 2 --kafka-port 9092[/]",
)(up)
app.command(
    epilog="Examples:\n\n"
    "  [cyan]kithkin feed monday.jsonl.gz --rate 500[/]\n\n"
    "  [cyan]kithkin feed monday.jsonl.gz --speed 60[/]   a recorded hour a minute\n\n"
    "  [cyan]kithkin feed --simulate 12 --days 7[/]   without any log",
)(feed)
app.command(
    epilog="Examples:\n\n"
    "  [cyan]kithkin identities --follow[/]   as they come\n\n"
    "  [cyan]kithkin identities --since 10m --household h-042[/]\n\n"
    "  [cyan]kithkin identities --json | jq .value.person_id[/]",
)(identities)
app.command(
    epilog="Examples:\n\n"
    "  [cyan]kithkin doctor[/]   a table; exit code 1 when something is wrong\n\n"
    "  [cyan]kithkin doctor --wiring wiring.toml --json[/]",
)(doctor)
app.command(
    epilog="Examples:\n\n"
    "  [cyan]kithkin fit recordings.npz --encoder ecapa-2 --metric cosine --out ecapa-2.npz[/]\n\n"
    "  [cyan]kithkin fit recordings.npz --encoder ecapa-2 --metric cosine --without ada,ben[/]   as if these were not there\n\n"
    "  [cyan]kithkin fit --log monday.jsonl.gz tuesday.jsonl.gz --encoder ecapa-2 --metric cosine[/]   without any recordings\n\n"
    "  [cyan]kithkin fit learners/packs/dlib-resnet-v1.toml --data ../shared/data[/]   a pack of the package, from its recipe",
)(fit)
app.command(
    epilog="Examples:\n\n"
    "  [cyan]kithkin schema recognitions[/]   what a device must send\n\n"
    "  [cyan]kithkin schema feedback --example[/]   a record of every kind, to copy\n\n"
    "  [cyan]kithkin schema log[/]   a line of a log file\n\n"
    "  [cyan]kithkin schema --out schemas[/]   a JSON Schema for each topic, and asyncapi.json",
)(schema)
app.command(
    epilog="Examples:\n\n"
    "  [cyan]kithkin check records.jsonl[/]   what your program wrote, or a log\n\n"
    "  [cyan]kithkin schema recognitions --example | kithkin check -[/]   records that are right\n\n"
    "  [cyan]kithkin check monday.jsonl.gz --json | jq -r .detail[/]   for machines",
)(check)
app.command(
    epilog="Examples:\n\n"
    "  [cyan]kithkin why e-000017 run[/]   of `kithkin replay monday.jsonl.gz --out run`\n\n"
    "  [cyan]kithkin why e-000017 monday.jsonl.gz --if drop=phone,tiers.private=.99[/]\n\n"
    "  [cyan]kithkin why e-000017 run --for person[/]   with nothing of other people in it\n\n"
    "  [cyan]kithkin why e-000017 run --for engineer --json | jq .explanation.terms[/]",
)(why)
app.command(
    epilog="Examples:\n\n"
    "  [cyan]kithkin trace e-000017 --household h-042[/]   of a running cluster\n\n"
    "  [cyan]kithkin trace e-000017 --since 2h --json | jq .[0].batch.policy_id[/]",
)(trace)
app.command(
    epilog="Examples:\n\n"
    "  [cyan]kithkin decide h-042 e-000017 pharmacy.refill --policy policy.toml[/]   by the answer in the workers' Redis\n\n"
    "  [cyan]kithkin decide h-042 e-000017 playlist.play --store run.db --at '2026-01-31 18:05'[/]   of a replay, as of then",
)(decide)
app.command(
    epilog="Examples:\n\n"
    "  [cyan]kithkin presence h-042[/]   by what workers saved\n\n"
    "  [cyan]kithkin presence h-042 --store run.db --at '2026-01-31 18:05'[/]   of a replay, as of then",
)(presence)
app.command(
    epilog="Examples:\n\n"
    "  [cyan]kithkin api --service service.toml --policy policy.toml[/]   beside `kithkin up`\n\n"
    "  [cyan]kithkin api --listen 0.0.0.0:8095 --wiring wiring.toml --policy policy.toml[/]   behind TLS, in a cluster",
)(api)
app.command(
    "new-service",
    epilog="Examples:\n\n"
    "  [cyan]kithkin new-service service[/]   then: kithkin api --service service/service.toml --policy service/policy.toml",
)(new_service)
app.command(
    "home-link",
    epilog="Examples:\n\n  [cyan]kithkin home-link h-042 --service service.toml[/]   to be opened in a browser",
)(home_link)
app.add_typer(pin, name="pin")
app.add_typer(consent, name="consent")
app.command(
    epilog="Examples:\n\n"
    "  [cyan]kithkin slo[/]   exit code 1: a budget is overspent\n\n"
    "  [cyan]kithkin slo --since 6h --slo slo.toml --json[/]",
)(slo)
app.add_typer(topics, name="topics")
app.add_typer(dead_letters, name="dead-letters")
app.add_typer(ops, name="ops")
app.add_typer(alerts, name="alerts")
alerts.command(epilog="Example:\n\n  [cyan]kithkin alerts show a-5d34[/]   the beginning of an id is enough")(show)
alerts.command(epilog="Example:\n\n  [cyan]kithkin alerts ack a-5d34 --by maria[/]")(ack)
alerts.command(epilog="Example:\n\n  [cyan]kithkin alerts resolve a-5d34[/]")(resolve)
alerts.command(epilog="Example:\n\n  [cyan]kithkin alerts silence a-5d34 --for 3d[/]")(silence)


def main() -> None:
    """Run the command line of this process."""
    note_begin()
    app()


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"kithkin {__version__}")
        raise typer.Exit


@app.callback()
def kithkin(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Learns, continuously and from real life, who is who in a household."""
    os.umask(0o077)  # whatever a command or what it starts makes is of people's homes, and for its user alone


@app.command(
    "replay",
    epilog="Examples:\n\n"
    "  [cyan]kithkin replay monday.jsonl.gz tuesday.jsonl.gz --out run[/]\n\n"
    "  [cyan]kithkin replay year.jsonl --out run --store run.db[/]   can be interrupted, and goes on\n\n"
    "  [cyan]kithkin replay today.jsonl --out today --from run.db[/]   starts from what was learnt\n\n"
    "  [cyan]kithkin replay year.jsonl --out run --jobs 0[/]   on all cores\n\n"
    "  [cyan]kithkin replay year.jsonl --out run --on tcp://scheduler:8786[/]   on a Dask cluster\n\n"
    "  [cyan]zcat *.gz | kithkin replay - --out stricter --policy stricter.toml[/]\n\n"
    "  [cyan]kithkin replay day.jsonl.gz --out again --expect run/identities.jsonl[/]   exit code 1: they differ\n\n"
    "  [cyan]kithkin replay day.jsonl.gz --out run --json | jq .outputs[/]\n\n"
    "  [cyan]kithkin replay --since 2h --out now[/]   what came to the cluster; --broker or --wiring says to which\n\n"
    "  [cyan]kithkin replay s3://logs/monday.jsonl.gz --out run[/]   also https://, gs://, …\n\n"
    "  [cyan]kithkin replay day.jsonl.gz --out run --parquet[/]   for a warehouse, or pandas\n\n"
    "  [cyan]kithkin replay year.jsonl --out blind --drop-modality face=.5 --inject microphone:kitchen@+14d[/]   what if",
)
def replay_command(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where to write one JSON Lines file per output topic.")],
    logs: Annotated[
        list[str] | None,
        typer.Argument(metavar="[LOG...]", help="Log files of any form (docs/logs.md), or their addresses; -: standard input."),
    ] = None,
    since: Since = None,
    until: Until = "0s",
    broker: BrokerUrl = None,
    policy: PolicyFile = None,
    store: Annotated[
        str | None,
        typer.Option("--store", metavar="FILE.db", help="Keep the states in this file, so that an interrupted replay can go on."),
    ] = None,
    origin: Origin = None,
    wiring: WiringFile = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin anew over an earlier replay into the same directory.")] = False,
    jobs: Annotated[
        int,
        typer.Option("--jobs", "-j", min=0, max=256, metavar="N", help="Processes that share the homes; 0: one for each core."),
    ] = 1,
    on: OnCluster = None,
    feedback_delay: FeedbackDelay = None,
    feedback_loss: FeedbackLoss = 0.0,
    drop_modality: DropModality = None,
    inject: Inject = None,
    seed: Seed = 0,
    expect: Annotated[
        Path | None,
        typer.Option("--expect", metavar="IDENTITIES.jsonl", help="Compare identities with these, by home, event, revision."),
    ] = None,
    parquet: Annotated[bool, typer.Option("--parquet", help="Write the outputs as Parquet too (docs/frames.md).")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The summary as one JSON object, for machines.")] = False,
    mlflow: Mlflow = None,
) -> None:
    """Run recorded logs through the worker that runs live.

    Lines of one file apply in the order they stand in, or that a recording's journal tells; several files, such as parts of one
    log, are merged by their timestamps. Topics may stand there with the prefix that the wiring says. Of a log that is cut, all
    that is whole before is answered.

    The same logs and policy give the same outputs, so a change of the policy shows its own effect.

    With --store, a replay that was interrupted, or even killed, goes on when the command is given again.

    Whatever --jobs and --on are, the files are the same; they may be others when a replay goes on.

    Logs at addresses (https://, s3://, gs://, …), and with --since what came to a cluster, are brought into DIR/logs first.

    With a what-if (--feedback-delay, --feedback-loss, --drop-modality, --inject) records are changed first, the same every time.

    Beside the outputs stands manifest.json: what they were made of. "kithkin diff" compares two runs.

    With --mlflow the policy, the manifest, what was counted and the report are kept as a run there.

    Exit code 3: there were recognitions, and none was answered; it says why.

    With --expect, exit code 1: it answers otherwise than was expected; 3: what was expected is of another log.
    """
    with faults_explained(), _spread(jobs, on) as processes:  # which load the core while this process does
        from stream.contract.settings import load_policy, load_wiring
        from stream.offline.replay.replay import Replay
        from stream.offline.what_if.what_if import parse_what_if

        what_if = parse_what_if(feedback_delay, feedback_loss, drop_modality or (), inject or (), seed)
        wanted = _Wanted(expect, Tracker(mlflow) if mlflow else None, as_json, parquet)
        wired = load_wiring(wiring, store=store)
        found = logs_of(logs or [], out, (since, until, broker, wiring), fresh)
        task = Replay(found, out, load_policy(policy), wired, origin, fresh, what_if)
        _replay(task, processes, wanted)


def _spread(jobs: int, on: str | None) -> "AbstractContextManager[JobProcesses | Cluster | None]":
    """What applies batches: a cluster, processes, or this one."""
    if on is None:
        from stream.offline.replay.jobs.processes import spread_over

        return spread_over(jobs)
    from stream.contract.errors import ConfigError
    from stream.offline.replay.jobs.cluster import connect

    if jobs != 1:
        raise ConfigError("jobs", jobs, "processes here, while --on names a cluster", "one of the two")
    return connect(on)


@app.command(
    epilog="Examples:\n\n"
    "  [cyan]kithkin demo[/]\n\n"
    "  [cyan]kithkin demo --homes 3 --days 60 --seed 7 --open[/]   three homes for two months, then open the report",
)
def demo(
    homes: Annotated[int, typer.Option(min=1, max=99, help="Households to simulate.")] = 12,
    days: Annotated[int, typer.Option(min=1, max=3650, help="Simulated days.")] = 42,
    seed: Annotated[int, typer.Option(min=0, help="Another seed is another neighbourhood; the same seed is the same.")] = 0,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The report: one HTML file.")] = Path("kithkin-demo.html"),
    live: Annotated[bool, typer.Option(help="Show it live, if this is a terminal.")] = True,
    open_report: Annotated[bool, typer.Option("--open/--no-open", help="Open the report in the browser.")] = False,
) -> None:
    """Watch a simulated neighbourhood being learnt, and read the report.

    Children grow, guests come, phones are left behind and feedback is sometimes wrong.

    Everything runs through the worker that runs live; nothing is needed but this program.
    """
    with faults_explained():
        from stream.offline.demo.demo import Demo
        from stream.offline.demo.demo import demo as run_demo

        run_demo(Demo(homes, days, seed, out, live, open_report))


@app.command(
    epilog="Examples:\n\n"
    "  [cyan]kithkin policy > policy.toml[/]   a copy to change\n\n"
    "  [cyan]kithkin policy --policy policy.toml[/]   check it, and see what holds",
)
def policy(policy: PolicyFile = None) -> None:
    """Print the policy that holds, as TOML with every setting explained.

    The policy is all that can change an output. Its policy_id stands on every identity and profile made under it.
    """
    with faults_explained():
        from stream.contract.settings import load_policy, toml_of

        effective = load_policy(policy)
        typer.echo(f"# policy_id {effective.policy_id}\n\n{toml_of(effective)}", nl=False)


class _Wanted(NamedTuple):
    """What is to come of a replay beside its files."""

    expect: Path | None
    tracker: Tracker | None
    as_json: bool
    parquet: bool


def _replay(task: "Replay", jobs: "JobProcesses | Cluster | None", wanted: _Wanted) -> None:
    from rich.console import Console

    from stream.offline.replay.replay import replay
    from stream.offline.runs.frames import refuse_without_arrow, write_parquet
    from stream.ops.encoders import explain_unlisted

    from .difference import compare_expected, refuse_unexpectable
    from .progress import show_progress
    from .summary import describe_unanswered, summary_json, summary_run, summary_table

    expect, tracker, as_json, parquet = wanted
    if expect is not None:
        refuse_unexpectable(expect, task.out)
    if parquet:
        refuse_without_arrow()
    with until_interrupted() as stop, show_progress(Console(stderr=True), "events") as watch:
        summary = replay(task, stop, lambda sofar: watch(*sofar), jobs)
    if parquet and summary.finished:
        write_parquet(task.out)
    if not as_json:
        Console(highlight=False).print(summary_table(summary))
    difference = compare_expected(expect, task.out, as_json) if expect and summary.finished else None
    if as_json:
        typer.echo(json.dumps(summary_json(summary, difference), ensure_ascii=False))
    if not summary.finished:
        typer.echo(_how_to_go_on(task, summary), err=True)
        raise typer.Exit(EXIT_INTERRUPTED)
    if tracker:
        tracker.keep([summary_run(task, summary)])
    if explained := explain_unlisted(summary.counts.unlisted, summary.counts.recognitions, task.policy):
        typer.echo(f"\n{explained}", err=True)
    if told := describe_unanswered(task, summary):
        typer.echo(f"\n{told}", err=True)
        raise typer.Exit(EXIT_NOTHING)
    if difference is not None and difference.differs:
        raise typer.Exit(EXIT_DIFFERENT)


def _how_to_go_on(task: "Replay", summary: "Summary") -> str:
    done = summary.records_before + summary.counts.records
    told = f"\nInterrupted after {done:,} events; what stands in {task.out} is whole lines. Give the same command again "
    if task.lasting:
        return told + ("without --fresh to go on from there." if task.fresh else "to go on from there.")
    return told + "to begin anew: the states were in memory. With --store FILE.db a replay goes on where it stood."


if __name__ == "__main__":
    main()
