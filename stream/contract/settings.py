"""Settings: the policy, which can change outputs, and the wiring, which cannot.

Law: whatever is set wrongly ends the command before anything is touched, naming the key, the place that set it and what
would be right; an unknown key is an error. Environment variables and flags override the wiring only: what was decided
about people stands in one file, whose hash is on every output.
"""

import difflib
import json
import os
import re
import textwrap
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from inspect import isclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeVar, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from .errors import ConfigError

if TYPE_CHECKING:
    from .policy import Policy

Model = TypeVar("Model", bound=BaseModel)

__all__ = [
    "KafkaWiring", "RedisWiring", "TracingWiring", "Wiring", "is_port", "load_model", "load_policy", "load_wiring", "policy_of",
    "store_of", "toml_of",
]  # fmt: skip

_PREFIX: Final = "KITHKIN_"
_MAY_HOLD_SECRETS: Final = (("kafka",), ("redis",), ("listen_token",), ("webhook_secret",))
_COMMENT_WIDTH: Final = 118
_STORE: Final = "redis://127.0.0.1:6379/0"
_PORT_MAX: Final = 65_535
_PORT_DIGITS: Final = 5
_ALIKE: Final = 0.75  # how alike a name must be to be taken for a slip of the pen
# What Kubernetes and Docker put into the environment of who runs beside a service that is called kithkin, or kithkin-something.
_OF_SERVICES: Final = re.compile(r"(.+_)?(SERVICE_(HOST|PORT)(_\w+)?|PORT(_\d+_(TCP|UDP)(_\w+)?)?)")


def is_port(text: str) -> bool:
    """Whether a text is the number of a port.

    >>> is_port("9092"), is_port("65535"), is_port("0"), is_port("65536"), is_port("http")
    (True, True, False, False, False)
    """
    return text.isascii() and text.isdecimal() and len(text) <= _PORT_DIGITS and 0 < int(text) <= _PORT_MAX


def _place_to_listen(text: str | None) -> str | None:
    if text is not None and (text == "0" or is_port(text)):
        return f"127.0.0.1:{text}"  # who names no host does not open it to others
    host, _, port = (text or "here:0").rpartition(":")
    if not host or set(host) & set(" \t\n/") or not (port == "0" or is_port(port)):
        raise ValueError("HOST:PORT with a port from 1 to 65535, or 0 for a free one")
    return text


class KafkaWiring(BaseModel):
    """How the brokers are spoken to. A password stands in a file or in the environment, and never in a log line."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    security: Annotated[
        Literal["plaintext", "tls", "sasl_plaintext", "sasl_tls"],
        Field(description='"tls": encrypted; "sasl_…": with a name and password.'),
    ] = "plaintext"
    mechanism: Annotated[
        Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"], Field(description="How a password is proved, if there is one.")
    ] = "SCRAM-SHA-512"
    username: Annotated[str | None, Field(description="Name for SASL.")] = None
    password: Annotated[SecretStr | None, Field(description="Better in KITHKIN_KAFKA__PASSWORD, or in a file:")] = None
    password_file: Annotated[Path | None, Field(description="A file whose first line is the password.")] = None
    ca_file: Annotated[Path | None, Field(description="PEM of who signed the brokers' certificates; unset: the system's.")] = None
    certificate_file: Annotated[Path | None, Field(description="PEM of our own certificate, where brokers ask for one.")] = None
    key_file: Annotated[Path | None, Field(description="PEM of its key, without a passphrase.")] = None
    session_timeout_s: Annotated[
        float, Field(ge=1, le=1800, description="A worker that was silent for so long loses its partitions to the others.")
    ] = 15.0
    transaction_timeout_s: Annotated[
        float, Field(ge=1, le=900, description="A transaction left open by a dead worker blocks readers no longer than this.")
    ] = 30.0
    retries_s: Annotated[
        float, Field(ge=1, le=3600, description="Requests are tried again for so long; then the worker ends and recovers.")
    ] = 30.0


class RedisWiring(BaseModel):
    """How Redis is spoken to. A password stands in a file or in the environment, and never in a log line."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    username: Annotated[str | None, Field(description="Name for an ACL user; unset: Redis's default user.")] = None
    password: Annotated[SecretStr | None, Field(description="Better in KITHKIN_REDIS__PASSWORD, or in a file:")] = None
    password_file: Annotated[Path | None, Field(description="A file whose first line is the password.")] = None
    sentinel_password: Annotated[SecretStr | None, Field(description="Of the sentinels, where they ask for one.")] = None
    ca_file: Annotated[Path | None, Field(description="PEM of who signed its certificate; unset: the system's.")] = None
    certificate_file: Annotated[Path | None, Field(description="PEM of our own certificate, where Redis asks for one.")] = None
    key_file: Annotated[Path | None, Field(description="PEM of its key, without a passphrase.")] = None
    timeout_s: Annotated[float, Field(gt=0, le=600, description="One request may take so long; then it is tried again.")] = 10.0
    retries_s: Annotated[
        float, Field(ge=0, le=3600, description="Requests are tried again for so long; then the worker ends and recovers.")
    ] = 30.0


def _place_of_traces(url: str | None) -> str | None:
    if url is not None:
        parts = urlsplit(url)
        place = parts.netloc.rpartition("@")[2]
        port = re.search(r":([^:\]]*)$", place)
        if parts.scheme not in ("http", "https") or not parts.hostname or (port and not is_port(port[1])):
            raise ValueError("a URL such as http://127.0.0.1:4318/v1/traces; ports are 1 to 65535")
    return url


class TracingWiring(BaseModel):
    """Where traces of batches go, and of which batches (needs the extra "otel")."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    endpoint: Annotated[
        str | None,
        AfterValidator(_place_of_traces),
        Field(
            description="OTLP over HTTP, such as http://127.0.0.1:4318/v1/traces; what else an exporter needs stands in "
            "OTEL_EXPORTER_OTLP_… . Unset: nothing is traced."
        ),
    ] = None
    share: Annotated[
        float,
        Field(ge=0, le=1, description="Of batches that went well; those that failed, were slow or had dead letters are kept."),
    ] = 0.01
    slow_s: Annotated[
        float, Field(gt=0, le=3600, description="A batch is slow that takes longer from its records to its saved states.")
    ] = 1.0


class Wiring(BaseSettings):
    """Where records and states lie and how much is done at once. Nothing here can change what is said about anyone."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True)

    broker: Annotated[
        str,
        Field(
            description="Where records come from: confluent://HOST:PORT[,HOST:PORT…] (librdkafka, fastest) or kafka://… (pure "
            "Python). `replay` and `demo` bring their own."
        ),
    ] = "confluent://127.0.0.1:9092"
    prefix: Annotated[
        str, Field(pattern=r"^[A-Za-z0-9._-]{0,100}$", description='Stands before every topic\'s name, such as "prod.".')
    ] = ""
    group: Annotated[
        str,
        Field(pattern=r"^[A-Za-z0-9._-]{1,100}$", description="The workers of one group share the partitions and the states."),
    ] = "kithkin"
    slot: Annotated[
        str | None,
        Field(
            pattern=r"^[A-Za-z0-9._-]{1,100}$",
            description="The worker's name among its group, the same after a restart; unset: the host's name and a free number.",
        ),
    ] = None
    store: Annotated[
        str | None,
        Field(
            description="Where states lie: redis://HOST:PORT/DB (rediss:// with TLS; redis+sentinel://HOST:PORT,…/SERVICE/DB; "
            'redis+cluster://HOST:PORT,…), the path of a SQLite file ending in ".db", or "memory:". Unset: '
            "redis://127.0.0.1:6379/0 for a worker, memory for a replay."
        ),
    ] = None
    batch_records_max: Annotated[
        int,
        Field(
            gt=0,
            le=1_000_000,
            description="Records taken at once when many wait, which become visible together; when few wait, fewer are taken. "
            "More is faster, since a household is saved once a batch; fewer are done again after a crash.",
        ),
    ] = 4_000
    poll_timeout_s: Annotated[
        float, Field(gt=0, le=10, description="Longest wait for records; at low rates it sets the latency.")
    ] = 0.02
    resident_bytes_max: Annotated[
        int,
        Field(
            gt=0,
            description="Memory for homes, in bytes; the homes of one batch come on top (80 kB each). "
            "Households beyond it are loaded again when their next event comes.",
        ),
    ] = 256 * 2**20
    dead_letters_share_max: Annotated[
        float,
        Field(
            gt=0,
            le=1,
            description="A worker ends when of the latest 1,000 records of homes more than this share cannot be used, of more "
            "than this share of the homes; with 1 it never does. Records that name no home do not count.",
        ),
    ] = 0.5
    accept_new_topics: Annotated[
        bool,
        Field(
            description="Whether to go on when an input topic was deleted and made anew, or has other partitions: such topics "
            "are begun at their beginning. Else a worker ends with a sentence that says so."
        ),
    ] = False
    stall_s: Annotated[
        float, Field(ge=1, description="A worker that has records to read and finishes no batch for so long ends itself.")
    ] = 120.0
    listen: Annotated[
        str | None,
        AfterValidator(_place_to_listen),
        Field(
            description="HOST:PORT of /metrics, /healthz and /readyz; a PORT alone: on loopback; port 0: a free one; the n-th of "
            "several workers listens n ports higher. Unset: nowhere.",
        ),
    ] = None
    listen_token: Annotated[
        SecretStr | None,
        Field(
            description="What who asks the fleet stage for its alerts must send (Authorization: Bearer …); off loopback none are "
            "told without it. Better in KITHKIN_LISTEN_TOKEN."
        ),
    ] = None
    webhook_secret: Annotated[
        SecretStr | None,
        Field(
            description="Signs what `kithkin alerts --webhook` posts (HMAC-SHA256, as Standard Webhooks does). Better in "
            "KITHKIN_WEBHOOK_SECRET."
        ),
    ] = None
    kafka: KafkaWiring = KafkaWiring()
    redis: RedisWiring = RedisWiring()
    tracing: TracingWiring = TracingWiring()


def load_policy(path: Path | None) -> "Policy":
    """The policy of a TOML file; None: the defaults.

    Raises
    ------
    ConfigError
        The file cannot be read, is not TOML, has an unknown key (the nearest known one is named) or a value out of bounds.
    """
    return policy_of({} if path is None else _anchor(_read_toml("policy", path), path.parent), str(path))


def policy_of(tables: Mapping[str, Any], source: str) -> "Policy":
    """The policy with these settings, the others as by default. Raises ConfigError as `load_policy`, which names the source."""
    from .policy import Policy  # it brings the learners with it, which who only asks for the wiring need not load

    try:
        return Policy.model_validate(tables)
    except ValidationError as error:
        raise _explain(error, Policy, source) from None


def load_model(name: str, path: Path | None, model: type[Model]) -> Model:
    """Settings of another kind from a TOML file; None: the defaults. Raises ConfigError as `load_policy`."""
    try:
        return model() if path is None else model.model_validate(_read_toml(name, path))
    except ValidationError as error:
        raise _explain(error, model, str(path)) from None


def load_wiring(path: Path | None, **flags: Any) -> Wiring:
    """The wiring: flags before `KITHKIN_*` variables before the TOML file before the defaults. A flag of None was not given.

    Raises
    ------
    ConfigError
        As `load_policy`; or a variable is misspelt, as far as it can be told from those of others.
    """
    _refuse_misspelt_variables()
    filed = _read_toml("wiring", path) if path else {}
    given = {name: value for name, value in flags.items() if value is not None}

    class Layered(Wiring):
        @classmethod
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], *sources: Any, **named: PydanticBaseSettingsSource
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return named["init_settings"], named["env_settings"], InitSettingsSource(settings_cls, filed)

    try:
        return Layered(**given)
    except ValidationError as error:
        loc = [str(part) for part in error.errors()[0]["loc"]]
        variable = _PREFIX + "__".join(loc).upper()
        source = f"--{loc[0].replace('_', '-')}" if loc[0] in given else variable if variable in os.environ else str(path)
        raise _explain(error, Wiring, source) from None


def _refuse_misspelt_variables() -> None:
    """A variable that is almost one of ours would be passed over in silence, and what it was to set would be a default."""
    known = {name.upper(): field.annotation for name, field in Wiring.model_fields.items()}
    tables = {name: annotation for name, annotation in known.items() if isclass(annotation) and issubclass(annotation, BaseModel)}
    names = [*known, *(f"{table}__{name.upper()}" for table, model in tables.items() for name in model.model_fields)]
    for variable in sorted(os.environ):
        name = variable.upper().removeprefix(_PREFIX)
        table, inside, _ = name.partition("__")
        ours = name in names or (table in tables and inside)  # of a table the model says what is wrong
        if name == variable.upper() or ours or _OF_SERVICES.fullmatch(name):
            continue
        if near := difflib.get_close_matches(name, names, n=1, cutoff=_ALIKE):
            raise ConfigError(variable, "…", "the environment", f"{_PREFIX}{near[0]}, the nearest known name")


def store_of(wiring: Wiring) -> str:
    """Where the states of live workers lie. Raises ConfigError when they would end with their worker."""
    if wiring.store == "memory:":
        right = f'one that outlasts the workers: "{_STORE}", or a SQLite file ending in ".db" for one worker on one machine'
        raise ConfigError("store", wiring.store, "the wiring", right)
    return wiring.store or _STORE


def toml_of(model: BaseModel) -> str:
    """TOML of a model of settings with its descriptions as comments; read again, it gives an equal model.

    What is unset stands as a comment, for TOML has no word for it.
    """
    return "\n".join(_table(model, ())).lstrip("\n") + "\n"


def _anchor(policy: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The same with the files of packs found from where the policy lies."""
    from .packs import is_path

    encoders = policy.get("encoders")
    for encoder in encoders.values() if isinstance(encoders, dict) else ():
        pack = encoder.get("pack") if isinstance(encoder, dict) else None
        if isinstance(pack, str) and is_path(pack):
            encoder["pack"] = str((folder / pack).absolute())
    return policy


def _read_toml(key: str, path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(key, str(path), error.strerror or "unreadable", "a file that can be read") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(key, str(path), str(error), "a TOML file") from None


def _explain(error: ValidationError, model: type[BaseModel], source: str) -> ConfigError:
    """One fault of a validation, in words for who wrote the setting; an unknown key first, for others may come of it."""
    fault = min(error.errors(), key=lambda fault: fault["type"] != "extra_forbidden")
    path = tuple(map(str, fault["loc"]))
    if fault["type"] == "missing":
        return ConfigError(".".join(path), None, source, "given, for it has no default")
    if fault["type"] == "extra_forbidden":
        known = list(_model_at(model, path[:-1]).model_fields)
        near = difflib.get_close_matches(path[-1], known, n=1, cutoff=0.5)
        right = f"{'.'.join((*path[:-1], *near))}, the nearest known key" if near else f"one of {', '.join(known)}"
    else:
        right = fault["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    shown = "…" if path[:1] in _MAY_HOLD_SECRETS else fault["input"]  # an unknown key may be a mistyped password
    return ConfigError(".".join(path) or "the whole", shown, source, right)


def _model_at(model: type[BaseModel], path: Sequence[str]) -> type[BaseModel]:
    """The model that describes the table at a path; names that the user chose (of a dictionary) lead to what they hold."""
    for name in path:
        if name in model.model_fields:
            annotation = model.model_fields[name].annotation
            inner = [part for part in (annotation, *get_args(annotation)) if isclass(part) and issubclass(part, BaseModel)]
            model = inner[0] if inner else model
    return model


def _table(model: BaseModel, path: tuple[str, ...], commented: bool = True) -> Iterator[str]:
    """Lines of one model: its own values first, since TOML has no way back from a table."""
    tables: list[tuple[str, Any, str | None]] = []
    for name, field in type(model).model_fields.items():
        value, description = getattr(model, name), field.description if commented else None
        if _is_table(value):
            tables.append((name, value, description))
        else:
            yield from _comment(description)
            yield f"# {name} is unset" if value is None else f"{name} = {_literal(value)}"
    for name, value, description in tables:
        yield from _subtable(value, (*path, name), description, commented)


def _subtable(value: Any, path: tuple[str, ...], description: str | None, commented: bool) -> Iterator[str]:
    if isinstance(value, BaseModel):
        yield ""
        yield from _comment(description or (_first_line(value) if commented else None))
        yield f"[{'.'.join(map(_key, path))}]"
        yield from _table(value, path, commented)
        return
    if description:
        yield ""
        yield from _comment(description)
    for number, (name, inner) in enumerate(value.items()):  # alike, so the first tells what the others mean
        yield from _subtable(inner, (*path, name), None, commented and number == 0)


def _is_table(value: object) -> bool:
    """A model, or a dictionary of models. One of plain values is short enough for a line."""
    models = value.values() if isinstance(value, Mapping) and value else [value]
    return all(isinstance(model, BaseModel) for model in models)


def _comment(text: str | None) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(text or "", _COMMENT_WIDTH)]


def _first_line(model: BaseModel) -> str | None:
    return (type(model).__doc__ or "").strip().partition("\n")[0] or None


def _key(name: str) -> str:
    bare = name.isascii() and name.replace("-", "").replace("_", "").isalnum()
    return name if bare else json.dumps(name)


def _literal(value: object) -> str:
    """A TOML value; its strings are JSON's, its infinity and NaN are Python's."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case str():
            return json.dumps(value, ensure_ascii=False)
        case list() | tuple() | set() | frozenset():
            return f"[{', '.join(map(_literal, value))}]"
        case Mapping():
            return f"{{{', '.join(f'{_key(str(name))} = {_literal(inner)}' for name, inner in value.items())}}}"
        case _:
            raise TypeError(f"a setting of type {type(value).__name__} has no form in TOML")
