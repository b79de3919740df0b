"""`kithkin home-link`: lets people of a home in to its page."""

import re
import time
from contextlib import closing

import typer

from ..faults import faults_explained
from .pin import SERVICE, Household, ServiceFile

__all__ = ["home_link"]


def home_link(household: Household, service: ServiceFile = SERVICE) -> None:
    """Print a link to the page of a household, which works once and for a quarter of an hour.

    Who opens it sees what the home answered, says who it was, and takes consents back: give it to nobody else.

    The page is served by `kithkin api`, of the same service.toml; there, home_url is where people reach it.
    """
    with faults_explained():
        from stream.contract.errors import ConfigError
        from stream.contract.records import ID_PATTERN
        from stream.runtime.service.page.sessions import LINK_MINUTES, Sessions
        from stream.runtime.service.settings import load_service

        if not re.fullmatch(ID_PATTERN, household):
            raise ConfigError("HOUSEHOLD", household, "which is no id", "1 to 64 of A to Z, a to z, 0 to 9, and . _ : -")
        settings = load_service(service)
        with closing(Sessions(settings.sessions, settings.session_idle_days)) as sessions:
            token = sessions.link(household, time.time_ns() // 1_000_000)
        typer.echo(f"{settings.home_url.rstrip('/')}/page/#{token}")
        typer.echo(f"It works once, within {LINK_MINUTES} minutes.", err=True)
