"""The command `python -m bench.decisions`: how fast `POST /v1/decisions` is, one process, a real Redis.

    python -m bench.decisions [--rate 500] [--seconds 20] [--homes 2000] [--connections 8] [--json FILE]

The service as `kithkin api` serves it (uvicorn), its homes in a Redis of its own, which are read and decoded anew for every
decision. Records of the audit are made, but go to no broker. First requests come at a rate, whether or not the last was
answered, and a latency counts from when a request was due; then each connection asks again at once. CPU time is the server's, of
one request of the latter: what else the machine does changes it least (Linux alone tells it).

Beside it, by the same server and client: `bare`, an ASGI application that reads the body by msgspec and answers at once, and
`read`, one that reads the same home from the same Redis besides, and does not decode it.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from argparse import Namespace
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from bench.quality.tools import SHARED, tool
from stream.brokers.partitioning import partition_of
from stream.contract.codec import decode
from stream.contract.policy import Action, Policy
from stream.contract.records import Record
from stream.contract.settings import Wiring
from stream.home.rights.decision import answers_of
from stream.home.state.at_rest import encode_home
from stream.home.state.household import Household
from stream.home.step import step
from stream.ops.local_cluster.processes import HOST, Server, free_ports, until
from stream.ops.local_cluster.redis import Redis
from stream.runtime.service.handles import Handles
from stream.stores import open_store

__all__ = ["main"]

CLIENT, CLIENT_SECRET, SECRET = "bench", "c" * 32, b"s" * 32
ACTION: Final = "mail.read"
POLICY: Final = Policy(actions={ACTION: Action(tier=2, max_age_s=86_400)})
PARTITIONS: Final = 12
ORIGINALS: Final = 8  # homes that the others are copies of
WARM: Final = 300  # requests that are not timed
P99_MS, SATURATED = 8.0, 2_000.0  # asked for
PATIENCE_S: Final = 60.0


# ---- homes


def fill(url: str, homes: int) -> list[tuple[str, str]]:
    """Save so many homes; the name of each, and an event that names a person who lets the client ask."""
    originals = [_grown(index) for index in range(ORIGINALS)]
    asked, states = [], {}
    for number in range(homes):
        home, event_id = originals[number % ORIGINALS]
        home.household_id = f"h-{number:06}"
        states[home.household_id] = encode_home(home)
        asked.append((home.household_id, event_id))
    store = open_store(url, Wiring(store=url))
    for partition in range(PARTITIONS):
        own = {name: state for name, state in states.items() if _partition(name) == partition}
        store.save(partition, store.claim(partition).epoch, {}, {"feedback": 1}, own)
    store.close()
    print(f"# {homes:,} homes of {np.mean([*map(len, states.values())]):,.0f} bytes", file=sys.stderr)
    return asked


def _partition(home: str) -> int:
    return partition_of(home.encode(), PARTITIONS)


def _grown(index: int) -> tuple[Household, str]:
    """A home of the tools' world of guests at its end, moved to now, whose members let the client ask."""
    world: Any = tool("world")
    args = Namespace(seed=0, enrol=None, phoneless=0.1)
    planned = world.Household(_corpus(), world.SCENARIOS["guests"], index, args).run("guests")
    items = sorted(planned.items, key=lambda item: item[0])
    home, by_ms = Household.new(planned.id), time.time_ns() // 1_000_000 - 60_000 - items[-1][0]
    for number, (_, at, topic, _, value) in enumerate(items):
        moved = value | {name: value[name] + by_ms for name in ("observed_at", "given_at") if name in value}
        step(home, decode(_record(topic, number, at + by_ms, planned.id, moved), POLICY), POLICY)
    now = items[-1][0] + by_ms
    for number, person in enumerate(home.members):
        step(home, decode(_record("consents", number, now, planned.id, {
            "v": 1, "consent_id": f"c-{number}", "household_id": planned.id, "person_id": person, "client_id": CLIENT,
            "kind": "grant", "scopes": ["person"], "actions": [ACTION], "given_at": now, "expires_at": None,
        }), POLICY), POLICY)  # fmt: skip
    return home, next(one.event_id for one in reversed([*answers_of(home).values()]) if one.person_id is not None)


def _corpus(found: list[Any] = []) -> Any:  # noqa: B006  # read once
    if not found:
        found.append(tool("world").Corpus(SHARED / "data", "an4"))
    return found[0]


def _record(topic: str, offset: int, at: int, key: str, value: Any) -> Record:
    return Record(topic, 0, offset, at, key.encode(), json.dumps(value).encode())


# ---- what is served


def serve(kind: str, url: str, port: int, folder: Path) -> None:
    """The service, or a yardstick, until it is ended."""
    import uvicorn

    store = open_store(url, Wiring(store=url))
    app = _service(store, folder) if kind == "service" else _yardstick(store if kind == "read" else None)
    uvicorn.run(app, host=HOST, port=port, log_level="warning", access_log=False)


def _service(store: Any, folder: Path) -> Any:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from stream.runtime.service.access import Tokens
    from stream.runtime.service.app import create_app
    from stream.runtime.service.assertions import Assertions
    from stream.runtime.service.decisions import Decisions, Signer
    from stream.runtime.service.events.outbox import Outbox
    from stream.runtime.service.homes import Homes
    from stream.runtime.service.page.gate import Gate
    from stream.runtime.service.page.home_page import HomePage
    from stream.runtime.service.page.sessions import Sessions
    from stream.runtime.service.page.told import Told
    from stream.runtime.service.settings import Client, Service
    from stream.runtime.service.verifier import Verifier

    client = Client(secret_sha256=sha256(CLIENT_SECRET.encode()).hexdigest(), per_minute=10**9)
    settings = Service(secret_file=folder / "s", proof_key_file=folder / "k", clients={CLIENT: client})
    signer, handles, homes = Signer("api-1", Ed25519PrivateKey.generate()), Handles(SECRET), Homes(store, POLICY)
    verifier, made = Verifier(folder / "verifier.db"), [0]

    def publish(record: Record) -> None:
        made[0] += len(record.value or b"")

    decisions = Decisions(homes, POLICY, handles, (verifier, signer), publish)
    gate = Gate(Sessions(folder / "sessions.db", 30), f"http://{HOST}")
    page = HomePage(homes, Told(POLICY, verifier, handles, [CLIENT]), gate, publish)
    tokens = Tokens(settings, SECRET, Assertions(folder / "assertions.db", settings))
    return create_app(decisions, tokens, Outbox(folder / "events.db", settings.issuer, signer), page)


class _Asked(msgspec.Struct):
    home: str
    action: str
    event_id: str


def _yardstick(store: Any) -> Any:
    handles, decoder = Handles(SECRET), msgspec.json.Decoder(_Asked)
    body = b'{"decision_id":"0123456789abcdefghijkl","outcome":"allow","reason":"sure","acr":"urn:kithkin:tier:4"}'
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        asked = decoder.decode((await receive())["body"])
        if store is not None:
            name = handles.home(CLIENT, asked.home) or ""
            assert store.read([(_partition(name), name)])[0], "every home that is asked for is there"
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


# ---- who asks


class _Connection:
    """One that is kept, over which one request is sent at a time."""

    def __init__(self, port: int, head: str) -> None:
        self._port, self._head = port, head

    async def open(self) -> "_Connection":
        self._reader, self._writer = await asyncio.open_connection(HOST, self._port)
        return self

    async def ask(self, body: bytes) -> bytes:
        self._writer.write(f"{self._head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        answer = await self._reader.readexactly(length)
        assert head.startswith(b"HTTP/1.1 200"), (head, answer)
        return answer

    def close(self) -> None:
        self._writer.close()


async def measure(server: tuple[int, int], bodies: list[bytes], token: str, args: Namespace) -> dict[str, float]:
    """Latencies at a rate, ms, and how many a second are answered when every connection asks at once; `server`: port and pid."""
    port, pid = server
    head = f"POST /v1/decisions HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n"
    idle: asyncio.Queue[_Connection] = asyncio.Queue()
    opened = [await _Connection(port, head).open() for _ in range(args.connections)]
    outcomes = {json.loads(await opened[0].ask(body))["outcome"] for body in bodies[:WARM]}
    assert outcomes == {"allow"}, outcomes
    for connection in opened:
        idle.put_nowait(connection)
    took: list[float] = []

    async def ask_one(due_s: float, body: bytes) -> None:
        connection = await idle.get()
        await connection.ask(body)
        took.append(1e3 * (time.perf_counter() - due_s))
        idle.put_nowait(connection)

    began_s, tasks = time.perf_counter(), []
    for number in range(int(args.rate * args.seconds)):
        due_s = began_s + number / args.rate
        await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
        tasks.append(asyncio.create_task(ask_one(due_s, bodies[number % len(bodies)])))
    await asyncio.gather(*tasks)
    answered, until_s, cpu_s = [0], time.perf_counter() + args.seconds, _cpu_s(pid)

    async def ask_on(connection: _Connection, first: int) -> None:
        while time.perf_counter() < until_s:
            first += 1
            await connection.ask(bodies[first % len(bodies)])
            answered[0] += 1

    await asyncio.gather(*(ask_on(connection, number * 97) for number, connection in enumerate(opened)))
    cpu_us = 1e6 * (_cpu_s(pid) - cpu_s) / answered[0]
    for connection in opened:
        connection.close()
    p50, p99, most = (float(np.percentile(took, share)) for share in (50, 99, 100))
    return {"p50_ms": p50, "p99_ms": p99, "max_ms": most, "saturated_per_s": answered[0] / args.seconds, "cpu_us": cpu_us}


def _cpu_s(pid: int) -> float:
    """What a process has taken of processors; 0 where nobody tells."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.is_file():
        return 0.0
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _token(port: int) -> str:
    from urllib.parse import urlencode
    from urllib.request import urlopen

    form = urlencode({"grant_type": "client_credentials", "client_id": CLIENT, "client_secret": CLIENT_SECRET}).encode()
    with urlopen(f"http://{HOST}:{port}/oauth/token", form, timeout=10) as answer:
        return str(json.load(answer)["access_token"])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.decisions", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rate", type=float, default=500, help="requests a second that latencies are measured at")
    parser.add_argument("--seconds", type=float, default=20, help="of each measurement")
    parser.add_argument("--homes", type=int, default=2_000, help="that requests are about, by turns")
    parser.add_argument("--connections", type=int, default=8, help="that are kept open")
    parser.add_argument("--kinds", nargs="+", choices=("bare", "read", "service"), default=("bare", "read", "service"))
    parser.add_argument("--json", type=Path, metavar="FILE", help="all figures, for machines")
    parser.add_argument("--serve", nargs=4, metavar=("KIND", "URL", "PORT", "DIR"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        kind, url, port, folder = args.serve
        return serve(kind, url, int(port), Path(folder))
    with tempfile.TemporaryDirectory() as scratch, Redis(Path(scratch) / "redis") as redis:
        asked, handles = fill(redis.url, args.homes), Handles(SECRET)
        bodies = [
            json.dumps({"home": handles.home_of(CLIENT, home), "action": ACTION, "event_id": event}).encode()
            for home, event in asked
        ]
        found = {kind: _measure_kind(kind, redis.url, bodies, Path(scratch), args) for kind in args.kinds}
    print(f"{'':8}{'p50':>9}{'p99':>9}{'most':>9}  at {args.rate:,.0f}/s{'saturated':>14}{'CPU':>11}")
    for kind, one in found.items():
        times = "".join(f"{one[name]:7.2f} ms"[:10].rjust(9) for name in ("p50_ms", "p99_ms", "max_ms"))
        print(f"{kind:8}{times}{'':12}{one['saturated_per_s']:10,.0f}/s{one['cpu_us']:8,.0f} µs")
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n")
    own = found.get("service")
    if own and (own["p99_ms"] > P99_MS or own["saturated_per_s"] < SATURATED):
        print(f"Asked for: p99 at most {P99_MS:g} ms, and {SATURATED:,.0f}/s.")


def _measure_kind(kind: str, url: str, bodies: list[bytes], scratch: Path, args: Namespace) -> dict[str, float]:
    (port,), folder = free_ports(1), scratch / kind
    folder.mkdir()
    words = [sys.executable, "-m", "bench.decisions", "--serve", kind, url, str(port), str(folder)]
    server = Server(words, scratch / f"{kind}.log")
    try:
        assert until(lambda: not server.running or _answers(port), PATIENCE_S), server.last_words
        assert server.running, server.last_words
        return asyncio.run(measure((port, server.pid), bodies, _token(port) if kind == "service" else "none", args))
    finally:
        server.stop(10)


def _answers(port: int) -> bool:
    import socket

    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


if __name__ == "__main__":
    main()
