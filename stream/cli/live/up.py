"""`kithkin up`: a cluster on this machine, from packages alone.

Law: everything it started ends with it, however it ends; what was learnt and published stays for the next start.
"""

import math
import time
from collections.abc import Callable
from contextlib import closing, nullcontext
from functools import partial
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ..connection import client_logs_silenced
from ..faults import faults_explained
from ..interruption import until_interrupted
from ..options import PolicyFile

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live

    from stream.contract.ports import StateStore
    from stream.ops.local_cluster.local import LocalCluster
    from stream.ops.local_cluster.place import Place
    from stream.ops.status import Status

__all__ = ["up"]

_EVERY_S: Final = 1.0

Port = Annotated[int | None, typer.Option(min=1, max=65535, help="Port on 127.0.0.1; else a free one.")]


def up(
    folder: Annotated[
        Path | None, typer.Option("--dir", metavar="DIR", help="Its data; else a folder of your user's data, which it names.")
    ] = None,
    partitions: Annotated[
        int | None, typer.Option(min=1, max=256, help="Of every topic; 4 if DIR is new. It stays as it was made.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes that recognise.")] = 1,
    kafka_port: Port = None,
    redis_port: Port = None,
    api_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port of the API on 127.0.0.1; else a free one, which stays.")
    ] = None,
    policy: PolicyFile = None,
    api: Annotated[bool, typer.Option("--api/--no-api", help="Whether the API and the pages of homes run beside.")] = True,
) -> None:
    """Run a whole cluster here without Docker: real Kafka, a Redis, the topics, a worker, and the API with the pages of homes.

    It needs the extra "local" of this package. The first start fetches Kafka, 43 MB, which takes half a minute.

    Ctrl-C ends all of it. What was learnt and published stays in DIR, and the next start goes on from there.

    While it runs, the commands that look at a cluster, feed it or raise alerts find it by themselves; one with --dir by --wiring
    DIR/wiring.toml. Other programs need its passwords: DIR/kafka.password, for the user kithkin, and DIR/redis.password.

    The API needs the extra "service". Its secrets are made at the first start (DIR/service), and a policy that lists its key
    (DIR/policy.toml), which holds unless --policy names another; one of your own must list that key.

    Once there is a home, a link to its page is printed, which works once and for a quarter of an hour.
    """
    with faults_explained():
        from rich.console import Console

        from stream.ops.local_cluster.local import Wish, run_cluster
        from stream.ops.local_cluster.place import Place, default_folder

        _refuse_wrong(Place(folder or default_folder()), policy, api)
        console = Console(highlight=False)
        ports = kafka_port, redis_port
        wish = Wish(folder or default_folder(), partitions, workers, ports, policy, api, api_port)
        with console.status("Starting") if console.is_terminal else nullcontext() as spinner:
            tell: Callable[[str], None] = spinner.update if spinner else console.print
            with run_cluster(wish, tell) as cluster:
                if spinner:
                    spinner.stop()
                with until_interrupted() as stop:
                    _watch(cluster, stop, console)
                if spinner:
                    spinner.start()
        console.print(f"All of it has ended. What was learnt and published is in {cluster.place.folder}", soft_wrap=True)


def _refuse_wrong(place: "Place", policy: Path | None, api: bool) -> None:
    """Say what is wrong with settings before anything starts. Raises ConfigError."""
    from stream.contract.settings import load_policy

    load_policy(policy or (place.policy_file if place.policy_file.is_file() else None))
    if api and place.service.settings_file.is_file():
        from stream.runtime.service.settings import load_service

        load_service(place.service.settings_file)


def _watch(cluster: "LocalCluster", stop: Callable[[], bool], console: "Console") -> None:
    """Say how to use it, then how it goes, until it is to stop. Raises ClusterError when a part of it has ended."""
    from rich.live import Live

    from stream.ops.local_cluster.processes import ClusterError, until

    console.print(_how_to_use(cluster), soft_wrap=True)
    with Live("", console=console, auto_refresh=False, transient=True) if console.is_terminal else nullcontext() as view:
        over, tell = Event(), partial(console.print, soft_wrap=True)
        Thread(target=_look, args=(cluster, view, over, tell), daemon=True).start()  # brokers that hang delay no Ctrl-C
        until(lambda: stop() or cluster.lost is not None, math.inf)
        over.set()
    if not stop():
        raise ClusterError(str(cluster.lost))


def _look(cluster: "LocalCluster", view: "Live | None", over: Event, tell: Callable[[str], None]) -> None:
    """Say when all partitions and the API are there, and a link once there is a home; on a terminal, show how it goes."""
    from confluent_kafka import KafkaException

    from stream.contract.settings import store_of
    from stream.ops.status import look, observe
    from stream.stores import open_store
    from stream.stores.redis.heartbeats import open_heartbeats

    client_logs_silenced()
    url = store_of(cluster.wiring)
    states, heartbeats = open_store(url, cluster.wiring), open_heartbeats(url, cluster.wiring)
    assert heartbeats is not None, "a store in Redis has heartbeats"
    with closing(states), closing(heartbeats), observe(cluster.wiring) as observer:
        ready, linked = False, cluster.api is None
        events_before_home = 0  # a home may be there from an earlier start; else there is none before something came
        while not over.wait(_EVERY_S) and (view is not None or not ready or not linked):
            try:
                status = look(cluster.wiring, observer, heartbeats)
                if not ready and len(status.owners) == cluster.partitions and (cluster.api is None or cluster.api.answers):
                    ready = True
                    tell("[green]Ready[/]: what comes is answered now.")
                if ready and not linked and _count_events(status) >= events_before_home:
                    events_before_home = 1
                    if link := _link(cluster, states):
                        linked = True
                        tell(link)
                told = _in_a_line(status)
            except KafkaException:  # a busy broker is no reason to end; one that has ended is seen elsewhere
                told = "[yellow]Kafka does not answer just now…[/]"
            if view is not None and not over.is_set():
                view.update(told, refresh=True)


def _count_events(status: "Status") -> int:
    """How many the workers have done since they started."""
    return sum(note["events"] for note in status.workers.values())


def _link(cluster: "LocalCluster", states: "StateStore") -> str | None:
    """A link to the page of the first home; None: there is none yet."""
    from stream.contract.ports import StoreError
    from stream.runtime.service.page.sessions import link_to
    from stream.runtime.service.settings import load_service

    try:
        home = min((home for partition in states.partitions() for home in states.households(partition)), default=None)
    except StoreError:  # as a broker that is busy
        return None
    if home is None:
        return None
    settings = load_service(cluster.place.service.settings_file)
    url = link_to(settings, home, time.time_ns() // 1_000_000)
    return f"The page of {home}, by a link that works once, within a quarter of an hour:\n  [cyan]{url}[/]"


def _how_to_use(cluster: "LocalCluster") -> str:
    from stream.ops.local_cluster.place import default_folder

    elsewhere = "" if cluster.place.folder == default_folder() else f" --wiring {cluster.place.wiring_file}"
    return (
        f"\n[bold]A cluster runs here[/], of {cluster.partitions} partitions. Ctrl-C ends it.\n"
        f"  Kafka   {cluster.kafka.bootstrap}\n"
        f"  Redis   {cluster.redis.url}\n"
        f"  API     {_api_told(cluster)}\n"
        f"  data    {cluster.place.folder}\n"
        "          and there, for other programs than ours, kafka.password (of the user kithkin) and redis.password\n\n"
        "In another terminal:\n"
        f"  [cyan]kithkin identities --follow{elsewhere}[/]\n"
        "and in a third, a simulated neighbourhood, or your own log:\n"
        f"  [cyan]kithkin feed --simulate 12 --rate 50{elsewhere}[/]\n"
        f"  [cyan]kithkin feed recorded.jsonl.gz{elsewhere}[/]\n"
        'What changed in the homes (it needs the extra "fleet"):\n'
        f"  [cyan]kithkin fleet{elsewhere}[/]\n"
        f"  [cyan]kithkin alerts --follow{elsewhere}[/]\n"
        "What came and was answered, as a log, to try another policy on (then: kithkin compare --help):\n"
        f"  [cyan]kithkin record --from 1h --out now.jsonl.zst{elsewhere}[/]\n"
        f"{_home_told(cluster)}"
        "How the worker is:\n"
        f"  [cyan]kithkin status{elsewhere}[/]\n"
    )


def _api_told(cluster: "LocalCluster") -> str:
    from rich.markup import escape

    if cluster.api is not None:
        return f"http://127.0.0.1:{cluster.api.port}/docs; pages of homes at /page/"
    return f"[yellow]left out[/]: {escape(cluster.without_api)}" if cluster.without_api else "left out"


def _home_told(cluster: "LocalCluster") -> str:
    from stream.ops.local_cluster.place import default_folder

    if cluster.api is None:
        return ""
    elsewhere = "" if cluster.place.folder == default_folder() else f" --service {cluster.place.service.settings_file}"
    return f"A link to the page of a home, for its people:\n  [cyan]kithkin home-link HOUSEHOLD{elsewhere}[/]\n"


def _in_a_line(status: "Status") -> str:
    notes = status.workers.values()
    if not notes:
        return "The worker is starting…"
    events, rate = _count_events(status), sum(note["events_per_s"] for note in notes)
    parts = [f"{len(notes)} worker{'s' * (len(notes) > 1)}", f"[bold]{events:,}[/] events", f"{rate:,.0f}/s"]
    lag, quarantined = sum(status.lag.values()), sum(note["quarantined"] for note in notes)
    parts.append(f"[yellow]{lag:,} waiting[/]" if lag else "none waiting")
    return " · ".join([*parts, f"[red]{quarantined} households in quarantine[/]"] if quarantined else parts)
