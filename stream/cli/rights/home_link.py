"""`kithkin home-link`: lets people of a home in to its page."""

import re
import time

import typer

from ..connection import service_in_force
from ..faults import faults_explained
from .pin import Household, ServiceFile

__all__ = ["home_link"]


def home_link(household: Household, service: ServiceFile = None) -> None:
    """Print a link to the page of a household, which works once and for a quarter of an hour.

    Who opens it sees what the home answered, says who it was, and takes consents back: give it to nobody else.

    The page is served by `kithkin api`, of the same service.toml; there, home_url is where people reach it.
    """
    with faults_explained():
        from stream.contract.errors import ConfigError
        from stream.contract.records import ID_PATTERN
        from stream.runtime.service.page.sessions import LINK_MINUTES, link_to
        from stream.runtime.service.settings import load_service

        if not re.fullmatch(ID_PATTERN, household):
            raise ConfigError("HOUSEHOLD", household, "which is no id", "1 to 64 of A to Z, a to z, 0 to 9, and . _ : -")
        typer.echo(link_to(load_service(service_in_force(service)), household, time.time_ns() // 1_000_000))
        typer.echo(f"It works once, within {LINK_MINUTES} minutes.", err=True)
