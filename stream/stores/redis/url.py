"""The forms of a Redis URL, and how it is told to people: never with what is secret in it.

Law: a URL that is shown, in whatever error, log line or repr, went through `without_secrets`.
"""

import re
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import unquote

from stream.contract.errors import ConfigError
from stream.contract.settings import is_port

__all__ = ["REDIS_FORMS", "RedisUrl", "is_redis", "without_secrets"]

REDIS_FORMS: Final = (
    "redis://[NAME:PASSWORD@]HOST[:PORT][/DB], redis+sentinel://HOST[:PORT],…/SERVICE[/DB] or redis+cluster://HOST[:PORT],… "
    "(with TLS: rediss://, rediss+sentinel://, rediss+cluster://), with ports from 1 to 65535"
)
_SCHEME: Final = re.compile(r"redis(s?)(?:\+(sentinel|cluster))?")
_HOST: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\s:\[\]/?#,]+))(?::(\d{1,5}))?")
_USERINFO: Final = re.compile(r"^(?P<shown>(?:\w[\w+]*://(?:[^:@/]*:)?)?).*(?P<end>@)", re.DOTALL)  # what stays, and what goes
_QUERIED: Final = re.compile(r"^(?P<shown>(?:\w[\w+]*://)?).*(?P<end>)", re.DOTALL)  # ours have none: it may be anything
_PATHS: Final = {  # what may follow the hosts: a service (of sentinels), a database (a cluster has only 0)
    "single": re.compile(r"(?P<service>)(?P<database>\d{0,9})"),
    "sentinel": re.compile(r"(?P<service>[A-Za-z0-9._-]+)(?:/(?P<database>\d{0,9}))?"),
    "cluster": re.compile(r"(?P<service>)(?P<database>0?)"),
}
_PORTS: Final = {"single": 6379, "sentinel": 26379, "cluster": 6379}

Form = Literal["single", "sentinel", "cluster"]


@dataclass(frozen=True, slots=True)
class RedisUrl:
    """Where a Redis is found: one server, the sentinels that know the master of a service, or nodes of a cluster."""

    form: Form
    tls: bool
    hosts: tuple[tuple[str, int], ...]
    service: str
    database: int
    username: str | None
    password: str | None = field(repr=False)

    @classmethod
    def parse(cls, url: str) -> "RedisUrl":
        """The parts of a URL; a name or password with a reserved character in it is written with `%`.

        Raises
        ------
        ConfigError
            It has none of the forms.

        >>> RedisUrl.parse("redis+sentinel://one,two:26380/homes/3").hosts
        (('one', 26379), ('two', 26380))
        """
        scheme, _, rest = url.partition("://")
        secrets, _, place = rest.rpartition("@")
        hosts, _, path = place.partition("/")
        form, tls = _form(scheme)
        found = [_HOST.fullmatch(host) for host in hosts.split(",")]
        sound = all(match and is_port(match[3] or "1") for match in found)
        after = _PATHS[form].fullmatch(path) if form else None
        if not form or not after or not sound or (form == "single" and len(found) > 1):
            raise ConfigError("store", without_secrets(url), "the store to open", REDIS_FORMS)
        places = tuple((match[1] or match[2], int(match[3] or _PORTS[form])) for match in found if match)
        name, _, password = secrets.partition(":")
        service, database = after["service"], int(after["database"] or 0)
        return cls(form, tls, places, service, database, unquote(name) or None, unquote(password) or None)


def is_redis(url: str) -> bool:
    """Whether a URL means Redis, be it well formed or not."""
    return _form(url.partition("://")[0])[0] is not None


def without_secrets(url: str) -> str:
    """A URL as people may see it. Whatever could be a password is gone, also where a URL is no URL.

    >>> without_secrets("rediss://alice:p@ss/word@redis:6380/2")
    'rediss://alice:***@redis:6380/2'
    >>> without_secrets("redis://redis/0?password=secret")
    'redis://***'
    """
    hidden = _QUERIED if "?" in url or "#" in url else _USERINFO
    return hidden.sub(r"\g<shown>***\g<end>", url)


def _form(scheme: str) -> tuple[Form | None, bool]:
    match = _SCHEME.fullmatch(scheme)
    forms: dict[str | None, Form] = {None: "single", "sentinel": "sentinel", "cluster": "cluster"}
    return (forms[match[2]], bool(match[1])) if match else (None, False)
