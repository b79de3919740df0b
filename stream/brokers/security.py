"""How connections to the brokers are secured, as each client wants it said.

Law: a password goes from its setting into a client's configuration and nowhere else. What the operator set wrongly is told
before anything is connected, by the setting's name and never by a secret's value.
"""

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from ..errors import ConfigError
from ..settings import KafkaWiring

__all__ = ["kafka_python_security", "librdkafka_security"]

_PROTOCOLS: Final = {"plaintext": "PLAINTEXT", "tls": "SSL", "sasl_plaintext": "SASL_PLAINTEXT", "sasl_tls": "SASL_SSL"}


def librdkafka_security(kafka: KafkaWiring) -> dict[str, Any]:
    """Settings of a confluent-kafka client. Raises ConfigError."""
    settings: dict[str, Any] = {"security.protocol": _PROTOCOLS[kafka.security]}
    if _encrypted(kafka):
        files = _files(kafka)
        keys = {"ca_file": "ssl.ca.location", "certificate_file": "ssl.certificate.location", "key_file": "ssl.key.location"}
        settings |= {keys[name]: str(path) for name, path in files.items()}
    if _named(kafka):
        settings |= {"sasl.mechanisms": kafka.mechanism, "sasl.username": _username(kafka), "sasl.password": _password(kafka)}
    return settings


def kafka_python_security(kafka: KafkaWiring) -> dict[str, Any]:
    """Settings of a kafka-python client. Raises ConfigError."""
    settings: dict[str, Any] = {"security_protocol": _PROTOCOLS[kafka.security]}
    if _encrypted(kafka):
        settings["ssl_context"] = _context(_files(kafka))
    if _named(kafka):
        settings |= {
            "sasl_mechanism": kafka.mechanism,
            "sasl_plain_username": _username(kafka),
            "sasl_plain_password": _password(kafka),
        }
    return settings


def _encrypted(kafka: KafkaWiring) -> bool:
    return kafka.security in ("tls", "sasl_tls")


def _named(kafka: KafkaWiring) -> bool:
    return kafka.security in ("sasl_plaintext", "sasl_tls")


def _context(files: Mapping[str, Path]) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=files.get("ca_file"))
    except ssl.SSLError as error:
        raise _wrong("ca_file", str(files["ca_file"]), f"PEM certificates ({error.reason or error})") from None
    if "certificate_file" in files:
        try:
            context.load_cert_chain(files["certificate_file"], files["key_file"], password=_no_passphrase)
        except (ssl.SSLError, ValueError) as error:
            right = f"a PEM certificate that fits key_file ({error})"
            raise _wrong("certificate_file", str(files["certificate_file"]), right) from None
    return context


def _no_passphrase() -> str:
    raise ValueError("the key has a passphrase")


def _files(kafka: KafkaWiring) -> dict[str, Path]:
    """The files of TLS that are set, each of which can be read."""
    names = ("ca_file", "certificate_file", "key_file")
    files = {name: path for name in names if (path := getattr(kafka, name)) is not None}
    for name, path in files.items():
        _read(name, path)
    if ("certificate_file" in files) != ("key_file" in files):
        raise _wrong("certificate_file", kafka.certificate_file, "given together with kafka.key_file, or neither")
    return files


def _username(kafka: KafkaWiring) -> str:
    if not kafka.username:
        raise _wrong("username", kafka.username, f"given, for kafka.security is {kafka.security!r}")
    return kafka.username


def _password(kafka: KafkaWiring) -> str:
    if kafka.password is not None:
        return kafka.password.get_secret_value()
    if kafka.password_file is None:
        raise _wrong("password_file", None, f"given (or kafka.password), for kafka.security is {kafka.security!r}")
    first, _, _ = _read("password_file", kafka.password_file).partition("\n")
    if not first:
        raise _wrong("password_file", str(kafka.password_file), "a file whose first line is the password; it is empty")
    return first.removesuffix("\r")


def _read(name: str, path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or "not text"
        raise _wrong(name, str(path), f"a text file that can be read ({why})") from None


def _wrong(name: str, value: object, right: str) -> ConfigError:
    return ConfigError(f"kafka.{name}", value, "the wiring", right)
