"""`kithkin identities`: the answers, as they come.

Law: only what was committed is shown, as it was published; what it prints to a pipe is plain text.
"""

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ..connection import refuse_missing, wiring_in_force
from ..faults import faults_explained
from ..interruption import until_interrupted
from ..options import BrokerUrl, Prefix, WiringFile

if TYPE_CHECKING:
    from rich.text import Text

    from stream.contract.records import Identity, Record
    from stream.contract.settings import Wiring

__all__ = ["identities", "line_of", "moment_ms"]

_TIERS: Final = (  # its name in the contract, and how it looks
    ("unknown", "dim"),
    ("present", "dim"),
    ("personal", "cyan"),
    ("private", "green"),
    ("purchase", "bold green"),
    ("protected", "bold magenta"),
)
_UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def identities(
    follow: Annotated[bool, typer.Option("--follow", "-f", help="What comes from now on, until Ctrl-C.")] = False,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="WHEN", help='Published since then: "90s", "10m", "3d" ago, or a date in UTC.'),
    ] = None,
    household: Annotated[str | None, typer.Option("--household", metavar="H", help="Of this household only.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Whole records, one a line, as a log file has them.")] = False,
    wiring: WiringFile = None,
    broker: BrokerUrl = None,
    prefix: Prefix = None,
) -> None:
    """Show who it was: one line for each answer, with how sure it is, its tier and by what it was known.

    A name with a question mark is the likeliest, where the evidence does not suffice to name anyone.

    Without --wiring, --broker or KITHKIN_BROKER: of the cluster of a running "kithkin up", else of 127.0.0.1:9092.
    """
    with faults_explained():
        from rich.console import Console

        from stream.brokers.log_files import encode_line
        from stream.contract.errors import first_line
        from stream.contract.ports import Encoded
        from stream.contract.records import Identity

        begin_ms = None if since is None else moment_ms(since, time.time())
        wired = wiring_in_force(wiring, broker=broker, prefix=prefix)
        refuse_missing(wired, ["identities"])
        console = Console(highlight=False)
        if follow and begin_ms is None and console.is_terminal:
            typer.echo("Waiting for answers from now on; --since 10m begins earlier. Ctrl-C ends it.", err=True)
        for record in _read_published(wired, follow, begin_ms):
            if household is not None and (record.key or b"").decode(errors="replace") != household:
                continue
            if as_json:
                encoded = Encoded(record.topic, record.partition, record.timestamp, record.key, record.value)
                typer.echo(encode_line(encoded, record.offset), nl=False)
            else:
                try:
                    identity = Identity.model_validate_json(record.value or b"")
                except ValueError as error:  # another's record, or a newer kithkin's: it must not hide those after it
                    why = first_line(error)
                    typer.echo(f"{record.position} is no answer that can be read, and is passed over: {why}", err=True)
                else:
                    console.print(line_of(identity), soft_wrap=True)


def _read_published(wiring: "Wiring", follow: bool, begin_ms: int | None) -> "Iterator[Record]":
    """From that time, or all that there is; and, following, what comes from then or now on, until Ctrl-C."""
    from stream.brokers.kafka.topics import reader

    if not follow:
        yield from reader(wiring, ["identities"], "beginning" if begin_ms is None else begin_ms)
        return
    with until_interrupted() as stop:
        yield from reader(wiring, ["identities"], "end" if begin_ms is None else begin_ms, stop)


def line_of(identity: "Identity") -> "Text":
    """One answer in one line."""
    from rich.text import Text

    name, style = _TIERS[identity.tier]
    who = identity.person_id or f"{identity.likeliest}?"
    sure = identity.posterior[identity.person_id or identity.likeliest]
    line = Text(f"{_clock(identity.observed_at)}  {identity.household_id:<12}  ")
    line.append(f"{who:<10}  {sure:>4.0%}  {identity.tier} {name:<9}", style)
    line.append(f"  {', '.join(identity.modalities)}{'  (revised)' if identity.revision else ''}", "dim")
    return line


def _clock(at_ms: int) -> str:
    """UTC to the second; a time that no calendar has stands as its number."""
    try:
        return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S}"
    except (OverflowError, ValueError, OSError):
        return f"{at_ms:>19}"


def moment_ms(told: str, now_s: float, option: str = "since") -> int:
    """A time, ms since the Unix epoch, from so long before now or from an ISO date, which is UTC unless it says otherwise.

    Raises ConfigError.

    >>> moment_ms("2h", now_s=7_200.5), moment_ms("1970-01-02", now_s=0)
    (500, 86400000)
    """
    from stream.contract.errors import ConfigError

    ago = re.fullmatch(r"(\d{1,6})([smhd])", told)
    if ago:
        return round((now_s - int(ago[1]) * _UNITS_S[ago[2]]) * 1000)
    try:
        moment = datetime.fromisoformat(told)
    except ValueError:
        right = '"90s", "10m", "2h", "3d", or a time such as "2026-01-31T18:00"'
        raise ConfigError(option, told, f"--{option}", right) from None
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
