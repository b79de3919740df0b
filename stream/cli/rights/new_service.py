"""`kithkin new-service`: what `kithkin api` needs, made at once."""

from pathlib import Path
from typing import Annotated

import typer

from ..faults import faults_explained

__all__ = ["new_service"]


def new_service(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Of its secrets and settings, for your user alone.")],
    policy: Annotated[
        Path | None, typer.Option("--policy", metavar="FILE", help="Where the policy is to lie, for workers too; else in DIR.")
    ] = None,
    home_url: Annotated[
        str, typer.Option("--home-url", metavar="URL", help="Where people reach their home's page.")
    ] = "http://127.0.0.1:8095",
) -> None:
    """Make what `kithkin api` needs: its secrets, service.toml, and a policy that lists its key and some actions.

    What is there stays as it is. A policy of your own needs the lines that this prints.
    """
    with faults_explained():
        from stream.contract.errors import ConfigError
        from stream.contract.settings import load_policy
        from stream.ops.service_folder import ServiceFolder
        from stream.runtime.service.settings import load_service

        service = ServiceFolder(folder, policy or folder / "policy.toml")
        try:
            service.make(home_url)
        except OSError as error:
            raise ConfigError("DIR", str(folder), f"where nothing can be made ({error.strerror})", "a folder of yours") from None
        load_service(service.settings_file)
        typer.echo(f"{service.settings_file} and {service.policy_file}")
        if not service.is_listed_in(load_policy(service.policy_file)):
            typer.echo(f"The policy does not list its key; add:\n{service.key_lines}")
