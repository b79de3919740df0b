"""Options that several commands share, so that they are named and explained alike.

Law: an option means the same wherever it stands; a flag of None was not given, and the wiring file decides.
"""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["BrokerUrl", "Group", "PolicyFile", "Prefix", "StoreUrl", "WiringFile"]

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
StoreUrl = Annotated[
    str | None, typer.Option("--store", metavar="URL", help="Where states lie: redis://HOST:PORT/DB, or a FILE.db.")
]
Prefix = Annotated[str | None, typer.Option("--prefix", help='Stands before every topic\'s name, such as "prod.".')]
Group = Annotated[str | None, typer.Option("--group", help="The workers of one group share partitions and states.")]
