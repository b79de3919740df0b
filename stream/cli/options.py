"""Options that several commands share, so that they are named and explained alike.

Law: an option means the same wherever it stands; a flag of None was not given, and the wiring file decides.
"""

from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "AsJson", "AsOf", "BrokerUrl", "DropModality", "FeedbackDelay", "FeedbackLoss", "Group", "Inject", "Mlflow", "OnCluster",
    "Origin", "PolicyFile", "Prefix", "Seed", "Since", "StoreUrl", "Until", "WiringFile",
]  # fmt: skip

PolicyFile = Annotated[
    Path | None, typer.Option("--policy", metavar="FILE", help="Settings that can change outputs (TOML); else the defaults.")
]
WiringFile = Annotated[
    Path | None,
    typer.Option("--wiring", metavar="FILE", help="Settings that change no output (TOML); KITHKIN_* and flags override it."),
]
BrokerUrl = Annotated[
    str | None, typer.Option("--broker", metavar="URL", help="confluent://HOST:PORT or kafka://HOST:PORT, several with commas.")
]
Origin = Annotated[
    Path | None,
    typer.Option("--from", metavar="STATE.db", help="Begin with a copy of these states; the file is never changed."),
]
StoreUrl = Annotated[
    str | None, typer.Option("--store", metavar="URL", help="Where states lie: redis://HOST:PORT/DB, or a FILE.db.")
]
Since = Annotated[
    str | None,
    typer.Option("--since", metavar="TIME", help='What came to a cluster since then: "2h" ago, "3d", or a date in UTC.'),
]
Until = Annotated[str, typer.Option("--until", metavar="TIME", help="With --since: what came before then; without: before now.")]
OnCluster = Annotated[
    str | None,
    typer.Option("--on", metavar="TCP://HOST:PORT", help="Apply partitions on the workers of this Dask scheduler instead."),
]
Mlflow = Annotated[
    str | None,
    typer.Option("--mlflow", metavar="URI", help="Keep it as a run there too: http://HOST:5000, or sqlite:///runs.db."),
]
AsOf = Annotated[str | None, typer.Option("--at", metavar="WHEN", help='As of then: "10m" ago, or a date in UTC; else now.')]
AsJson = Annotated[bool, typer.Option("--json", help="All of it as one JSON object, for machines.")]
Prefix = Annotated[str | None, typer.Option("--prefix", help='Stands before every topic\'s name, such as "prod.".')]
Group = Annotated[str | None, typer.Option("--group", help="The workers of one group share partitions and states.")]

# What if: of a log that is replayed.
FeedbackDelay = Annotated[
    str | None,
    typer.Option("--feedback-delay", metavar="DURATION", help='What if claims had arrived so much later: "90s", "6h", "2d".'),
]
FeedbackLoss = Annotated[
    float, typer.Option("--feedback-loss", metavar="SHARE", help="What if this share of claims had never arrived, 0 to 1.")
]
DropModality = Annotated[
    list[str] | None,
    typer.Option(
        "--drop-modality",
        metavar="NAME=SHARE",
        help='What if voice, face, phones or activity had been missing more often: "face=.5"; several times for several.',
    ),
]
Inject = Annotated[
    list[str] | None,
    typer.Option(
        "--inject",
        metavar="CHANGE@TIME",
        help='What if something had changed: "microphone:kitchen@2026-01-31", "camera@+14d" (after the first record), '
        '"phones@+14d" (two change hands); "microphone=3@+14d" is twice as strong. Several times for several.',
    ),
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="What a what-if draws: the same seed draws the same.")]
