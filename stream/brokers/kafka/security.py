"""How connections to the brokers are secured, as each client wants it said.

Law: a password goes from its setting into a client's configuration and nowhere else. What the operator set wrongly is told
before anything is connected, by the setting's name and never by a secret's value.
"""

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from stream.contract.credentials import password_of, tls_files, wrong
from stream.contract.settings import KafkaWiring

__all__ = ["kafka_python_security", "librdkafka_security"]

_PROTOCOLS: Final = {"plaintext": "PLAINTEXT", "tls": "SSL", "sasl_plaintext": "SASL_PLAINTEXT", "sasl_tls": "SASL_SSL"}


def librdkafka_security(kafka: KafkaWiring) -> dict[str, Any]:
    """Settings of a confluent-kafka client. Raises ConfigError."""
    settings: dict[str, Any] = {"security.protocol": _PROTOCOLS[kafka.security]}
    if _is_encrypted(kafka):
        files = tls_files("kafka", kafka)
        keys = {"ca_file": "ssl.ca.location", "certificate_file": "ssl.certificate.location", "key_file": "ssl.key.location"}
        settings |= {keys[name]: str(path) for name, path in files.items()}
    if _has_username(kafka):
        settings |= {"sasl.mechanisms": kafka.mechanism, "sasl.username": _username(kafka), "sasl.password": _password(kafka)}
    return settings


def kafka_python_security(kafka: KafkaWiring) -> dict[str, Any]:
    """Settings of a kafka-python client. Raises ConfigError."""
    settings: dict[str, Any] = {"security_protocol": _PROTOCOLS[kafka.security]}
    if _is_encrypted(kafka):
        settings["ssl_context"] = _context(tls_files("kafka", kafka))
    if _has_username(kafka):
        settings |= {
            "sasl_mechanism": kafka.mechanism,
            "sasl_plain_username": _username(kafka),
            "sasl_plain_password": _password(kafka),
        }
    return settings


def _is_encrypted(kafka: KafkaWiring) -> bool:
    return kafka.security in ("tls", "sasl_tls")


def _has_username(kafka: KafkaWiring) -> bool:
    return kafka.security in ("sasl_plaintext", "sasl_tls")


def _context(files: Mapping[str, Path]) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=files.get("ca_file"))
    except ssl.SSLError as error:
        raise wrong("kafka", "ca_file", str(files["ca_file"]), f"PEM certificates ({error.reason or error})") from None
    if "certificate_file" in files:
        try:
            context.load_cert_chain(files["certificate_file"], files["key_file"], password=_no_passphrase)
        except (ssl.SSLError, ValueError) as error:
            right = f"a PEM certificate that fits key_file ({error})"
            raise wrong("kafka", "certificate_file", str(files["certificate_file"]), right) from None
    return context


def _no_passphrase() -> str:
    raise ValueError("the key has a passphrase")


def _username(kafka: KafkaWiring) -> str:
    if not kafka.username:
        raise wrong("kafka", "username", kafka.username, f"given, for kafka.security is {kafka.security!r}")
    return kafka.username


def _password(kafka: KafkaWiring) -> str:
    password = password_of("kafka", kafka)
    if password is None:
        raise wrong("kafka", "password_file", None, f"given (or kafka.password), for kafka.security is {kafka.security!r}")
    return password
