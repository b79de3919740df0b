"""`kithkin api`: decisions for applications, over HTTP."""

from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Annotated

import typer

from ..connection import policy_in_force, refuse_missing, service_in_force, wiring_in_force
from ..faults import faults_explained
from ..options import BrokerUrl, Group, PolicyFile, Prefix, StoreUrl, WiringFile
from .pin import ServiceFile

if TYPE_CHECKING:
    from collections.abc import Callable

    from stream.contract.records import Record
    from stream.contract.settings import Wiring
    from stream.runtime.service.events.outbox import Outbox
    from stream.runtime.service.settings import Service

__all__ = ["api"]

_LEAVE_S = 8  # for requests that are under way when the service ends; a poll takes five seconds


def api(
    listen: Annotated[str, typer.Option("--listen", metavar="HOST:PORT", help="Where to answer.")] = "127.0.0.1:8095",
    service: ServiceFile = None,
    policy: PolicyFile = None,
    wiring: WiringFile = None,
    broker: BrokerUrl = None,
    store: StoreUrl = None,
    prefix: Prefix = None,
    group: Group = None,
) -> None:
    """Answer applications that ask whether an action may be done, and take the PINs that raise an answer to tier 5.

    It reads what workers saved, and sends proofs and an audit of every decision. /docs tells its routes.

    It follows revised answers, and tells clients which of their decisions no longer hold.

    People of a home see it at /page/, and say there who it was; `kithkin home-link` lets them in.

    It holds secrets: put TLS before it, and let nobody but clients and homes reach it.
    """
    with faults_explained(), ExitStack() as ends:
        import uvicorn

        from stream.contract.settings import load_policy, store_of
        from stream.runtime.service.access import Tokens
        from stream.runtime.service.app import create_app
        from stream.runtime.service.assertions import Assertions
        from stream.runtime.service.decisions import Decisions, Signer
        from stream.runtime.service.events.outbox import Outbox
        from stream.runtime.service.handles import Handles
        from stream.runtime.service.homes import Homes
        from stream.runtime.service.page.gate import Gate
        from stream.runtime.service.page.home_page import HomePage
        from stream.runtime.service.page.sessions import Sessions
        from stream.runtime.service.page.told import Told
        from stream.runtime.service.settings import load_service, proof_key_of, refuse_other_key, secret_of
        from stream.runtime.service.verifier import Verifier
        from stream.stores import open_store

        host, port = _place(listen)
        settings, rules = load_service(service_in_force(service)), load_policy(policy_in_force(policy, wiring, store))
        wired = wiring_in_force(wiring, broker=broker, store=store, prefix=prefix, group=group)
        secret, signer = secret_of(settings), Signer(settings.kid, proof_key_of(settings))
        refuse_other_key(settings, signer.private, rules)
        homes = Homes(ends.enter_context(closing(open_store(store_of(wired), wired))), rules)
        verifier = ends.enter_context(closing(Verifier(settings.verifier)))
        outbox = ends.enter_context(closing(Outbox(settings.events, settings.issuer, signer)))
        tokens = Tokens(settings, secret, ends.enter_context(closing(Assertions(settings.assertions, settings))))
        publish = _publisher(wired, ends)
        decisions = Decisions(homes, rules, Handles(secret), (verifier, signer), publish)
        gate = Gate(ends.enter_context(closing(Sessions(settings.sessions, settings.session_idle_days))), settings.home_url)
        page = HomePage(homes, Told(rules, verifier, Handles(secret), sorted(settings.clients)), gate, publish)
        app = create_app(decisions, tokens, outbox, page)
        _tell_clients(settings, wired, outbox, ends)
        typer.echo(f"http://{host}:{port}/docs", err=True)
        uvicorn.run(app, host=host, port=port, log_level="warning", access_log=False, timeout_graceful_shutdown=_LEAVE_S)


def _place(listen: str) -> tuple[str, int]:
    from stream.contract.errors import ConfigError
    from stream.contract.settings import is_port

    host, _, port = listen.rpartition(":")
    if not host or not is_port(port):
        raise ConfigError("listen", listen, "--listen", "HOST:PORT, such as 127.0.0.1:8095; ports are 1 to 65535")
    return host, int(port)


def _publisher(wired: "Wiring", ends: ExitStack) -> "Callable[[Record], None]":
    """Sends to Kafka; what is not of the audit is there when it returns. Raises ConfigError and BrokerError."""
    from stream.brokers.kafka.topics import producer

    refuse_missing(wired, ["proofs", "consents", "decisions", "identities"])
    sender = ends.enter_context(producer(wired))

    def publish(record: "Record") -> None:
        sender.send(record)
        if record.topic != "decisions":
            sender.flush()

    return publish


def _tell_clients(settings: "Service", wired: "Wiring", outbox: "Outbox", ends: ExitStack) -> None:
    """Follow what is withdrawn, and push it to clients that have an address for it, each in a thread."""
    from threading import Event, Thread

    from stream.runtime.service.events.follow import follow
    from stream.runtime.service.events.push import Push

    stop = Event()
    works = [Thread(target=follow, args=(wired, outbox, settings.withdraw_days, stop), name="follow", daemon=True)]
    for client_id, client in settings.clients.items():
        if client.push_url is not None:
            push = Push(outbox, client_id, client.push_url, stop)
            works.append(Thread(target=push.run, name=f"push {client_id}", daemon=True))
    for work in works:
        work.start()
        ends.callback(work.join, _LEAVE_S)
    ends.callback(stop.set)
