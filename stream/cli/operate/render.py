"""`kithkin ops render`: dashboards, rules and manifests of this version.

Law: what it writes is a function of this version and its flags; it asks no cluster.
"""

from pathlib import Path
from typing import Annotated

import typer

from ..faults import faults_explained

__all__ = ["ops"]

ops = typer.Typer(
    help="What a platform needs to run and watch kithkin.",
    epilog="Examples:\n\n  [cyan]kithkin ops render --out deploy[/]   then read deploy/README.md",
    no_args_is_help=True,
)


@ops.callback()
def _group() -> None:
    """Keep `render` a command of its own."""


@ops.command(
    epilog="Examples:\n\n"
    "  [cyan]kithkin ops render --out deploy[/]\n\n"
    "  [cyan]kithkin ops render --out deploy --runbooks https://wiki.example/kithkin/[/]   where your pages are",
)
def render(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where to write; what else is there stays.")],
    runbooks: Annotated[
        str, typer.Option("--runbooks", metavar="URL", help="Stands before the name of each alert's page.")
    ] = "docs/runbooks/",
    slo_file: Annotated[
        Path | None, typer.Option("--slo", metavar="FILE", help="Objectives (TOML) to alert on; else the defaults.")
    ] = None,
) -> None:
    """Write Grafana dashboards, Prometheus rules, an example of Alertmanager, Kubernetes manifests and systemd units.

    The same version writes the same bytes.
    """
    with faults_explained():
        from stream.contract.errors import ConfigError
        from stream.contract.settings import load_model
        from stream.ops.deployment.rendering import render as write
        from stream.ops.objectives.settings import Objectives

        objectives = load_model("slo", slo_file, Objectives)
        try:
            written = write(out, runbooks, objectives)
        except OSError as error:
            raise ConfigError("out", str(out), error.strerror or str(error), "a folder that can be written to") from None
        typer.echo(f"{len(written)} files in {out}; {out / 'README.md'} tells what each is for.")
