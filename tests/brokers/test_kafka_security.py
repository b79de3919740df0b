"""How Kafka is reached: addresses, encryption, who we are; and that no secret is ever told."""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient, NewTopic, ScramMechanism, UserScramCredentialDeletion
from pydantic import SecretStr

from stream.brokers import open_broker
from stream.brokers.kafka.security import kafka_python_security, librdkafka_security
from stream.brokers.kafka.topics import address, producer, reader
from stream.contract.errors import ConfigError
from stream.contract.ports import Broker, BrokerError, Encoded, Transaction, on_both
from stream.contract.records import MODELS, Record
from stream.contract.settings import KafkaWiring, Wiring
from stream.ops.local_cluster.kafka import Kafka, Listeners
from stream.ops.local_cluster.processes import until
from tests.conftest import Certificates, to_be_had

SCHEMES = ("confluent", "kafka")
PASSWORD = "correct-horse"
ANSWER_S = 20


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Iterator[Kafka]:
    """A Kafka that wants a name and password, and another listener that wants a certificate."""
    listeners = Listeners(certificate=certificates.server, client_ca=certificates.ca, users={"ann": PASSWORD})
    with to_be_had(), Kafka(tmp_path_factory.mktemp("secured"), listeners=listeners) as kafka:
        admin = AdminClient({"log_level": 0, "bootstrap.servers": kafka.bootstrap})
        for made in admin.create_topics([NewTopic(topic, 1, 1) for topic in MODELS]).values():
            made.result(ANSWER_S)
        yield kafka


def wiring(kafka: Kafka, scheme: str, security: str, **more: Any) -> Wiring:
    """A group of its own, which reads from the beginning."""
    group = "-".join([scheme, security, str(more.get("mechanism", "none"))])
    address = f"{scheme}://{kafka.bootstrap_for(security)}"
    return Wiring(broker=address, group=group, kafka=KafkaWiring(security=security, retries_s=5, **more))  # type: ignore[arg-type]


def first(broker: Broker) -> Record:
    """The first record that comes."""
    records: list[Record] = []

    def came() -> bool:
        records.extend(broker.poll(10, 0.1).records)
        return bool(records)

    assert until(came, ANSWER_S), "no record came"
    return records[0]


def work(wired: Wiring) -> None:
    """All that is ever asked of Kafka: send, consume, publish, read the journal and inputs again."""
    value = wired.group.encode()
    with producer(wired) as sender:
        sender.send(Record("feedback", -1, -1, 1, b"h", value))
    with closing(open_broker(wired)) as broker:
        offset = first(broker).offset
        output = Encoded("identities", 0, 1, b"h", value)
        broker.publish(Transaction([output], [], {0: {"feedback": offset + 1}}))
        assert broker.committed(0) == on_both({"feedback": offset + 1})
        assert len(broker.fetch(0, {"feedback": offset}, {"feedback": offset + 1})) == 1
    assert value in [record.value for record in reader(wired, ["identities"])]


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
@pytest.mark.parametrize("security", ["sasl_plaintext", "sasl_tls"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_name_and_password_open_every_door(
    secured: Kafka, certificates: Certificates, scheme: str, security: str, mechanism: str
) -> None:
    work(wiring(secured, scheme, security, mechanism=mechanism, username="ann", password=PASSWORD, ca_file=certificates.ca))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_certificate_opens_the_door_that_asks_for_one(secured: Kafka, certificates: Certificates, scheme: str) -> None:
    ours = {"certificate_file": certificates.client, "key_file": certificates.client_key}
    work(wiring(secured, scheme, "tls", ca_file=certificates.ca, **ours))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_without_the_certificate_that_is_asked_for_nobody_enters(
    secured: Kafka, certificates: Certificates, scheme: str
) -> None:
    with pytest.raises(BrokerError):
        open_broker(wiring(secured, scheme, "tls", ca_file=certificates.ca))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_brokers_whose_signer_is_not_known_are_not_spoken_to(secured: Kafka, scheme: str) -> None:
    with pytest.raises(BrokerError):
        open_broker(wiring(secured, scheme, "sasl_tls", username="ann", password=PASSWORD))


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_no_secret_is_told_whether_it_is_right_or_wrong(
    secured: Kafka,
    scheme: str,
    mechanism: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    ours = wiring(secured, scheme, "sasl_plaintext", mechanism=mechanism, username="ann", password=PASSWORD)
    theirs = ours.model_copy(update={"kafka": ours.kafka.model_copy(update={"password": SecretStr("wrong-horse")})})
    with caplog.at_level(logging.DEBUG):
        open_broker(ours).close()
        with pytest.raises(BrokerError) as refused:
            open_broker(theirs)
    told = "\n".join([caplog.text, *capfd.readouterr(), repr(refused.value), repr(refused.value.__cause__), repr(ours)])
    assert "horse" not in told


@pytest.mark.parametrize(("scheme", "retries_s"), [("confluent", 60.0), ("kafka", 5.0)])
def test_who_is_refused_hears_why_and_of_confluent_kafka_at_once(secured: Kafka, scheme: str, retries_s: float) -> None:
    """kafka-python tries on until its time is up."""
    stranger = wiring(secured, scheme, "sasl_plaintext", mechanism="PLAIN", username="ann", password="wrong")
    with pytest.raises(BrokerError, match=r"(?i)authentication|refuse a name and password"):
        open_broker(stranger.model_copy(update={"kafka": stranger.kafka.model_copy(update={"retries_s": retries_s})}))


def test_who_is_let_in_no_more_hears_of_it_long_before_patience_ends(own_kafka: Callable[..., Kafka]) -> None:
    """Of confluent-kafka."""
    kafka = own_kafka(listeners=Listeners(users={"ann": PASSWORD}))
    admin = AdminClient({"log_level": 0, "bootstrap.servers": kafka.bootstrap})
    for made in admin.create_topics([NewTopic(topic, 1, 1) for topic in MODELS]).values():
        made.result(ANSWER_S)
    ours = wiring(kafka, "confluent", "sasl_plaintext", mechanism="SCRAM-SHA-512", username="ann", password=PASSWORD)
    patient = ours.model_copy(update={"kafka": ours.kafka.model_copy(update={"retries_s": 10.0 * ANSWER_S})})
    with closing(open_broker(patient)) as broker:
        assert until(lambda: bool(broker.poll(1, 0.1).assigned), ANSWER_S)
        gone = UserScramCredentialDeletion("ann", ScramMechanism.SCRAM_SHA_512)
        for done in admin.alter_user_scram_credentials([gone]).values():
            done.result(ANSWER_S)
        kafka.restart()  # those who are in would stay
        with pytest.raises(BrokerError, match="the brokers refuse us"):
            until(lambda: not broker.poll(1, 0.1), ANSWER_S)


# What cannot be, before anything is connected

Settings = Callable[[KafkaWiring], dict[str, Any]]
each_client = pytest.mark.parametrize("settings", [librdkafka_security, kafka_python_security])


@each_client
def test_a_password_is_the_first_line_of_its_file(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("p w\r\nnot this\n")
    kafka = KafkaWiring(security="sasl_plaintext", username="ann", password_file=tmp_path / "password")
    assert "p w" in settings(kafka).values()


def wrongs(tmp_path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """A key that is wrong, and settings in which it is."""
    empty, rubbish = tmp_path / "empty", tmp_path / "rubbish"
    empty.touch()
    rubbish.write_bytes(b"\xff\xfe")
    named = {"security": "sasl_plaintext", "username": "ann"}
    yield "kafka.username", {"security": "sasl_plaintext", "password": "p"}
    yield "kafka.password_file", named
    yield "kafka.password_file", {**named, "password_file": tmp_path / "missing"}
    yield "kafka.password_file", {**named, "password_file": empty}
    yield "kafka.ca_file", {"security": "tls", "ca_file": rubbish}
    yield "kafka.ca_file", {"security": "tls", "ca_file": tmp_path / "missing"}
    yield "kafka.certificate_file", {"security": "tls", "certificate_file": empty}


@each_client
def test_a_wrong_setting_is_named(settings: Settings, tmp_path: Path) -> None:
    for key, given in wrongs(tmp_path):
        with pytest.raises(ConfigError) as wrong:
            settings(KafkaWiring(**given))
        assert wrong.value.key == key


def test_a_certificate_that_is_none_is_named(certificates: Certificates, tmp_path: Path) -> None:
    (tmp_path / "none").write_text("no PEM")
    for key, given in {
        "kafka.ca_file": {"ca_file": tmp_path / "none"},
        "kafka.certificate_file": {"certificate_file": certificates.client, "key_file": certificates.ca},
    }.items():
        with pytest.raises(ConfigError) as wrong:
            kafka_python_security(KafkaWiring(security="tls", **given))
        assert wrong.value.key == key


@pytest.mark.parametrize(
    "url", ["", "kafka:", "kafka://", "kafka://host", "kafka://host:port", "kafka://a:1,", "redis://a:1", "kafka://a:1/b", "kafka://b/a:1",
            "kafka://a:0", "confluent://a:65536", "kafka://a:1,b:99999", "confluent://a:²"],
)  # fmt: skip
def test_an_address_of_another_form_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match=r"confluent://HOST:PORT"):
        open_broker(Wiring(broker=url))


def test_a_password_in_an_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigError, match=r"\[kafka\]") as wrong:
        address(Wiring(broker="kafka://ann:horse@host:9092"))
    assert "horse" not in str(wrong.value)


@pytest.mark.parametrize(("scheme", "library"), [("confluent", "confluent_kafka"), ("kafka", "kafka")])
def test_a_client_that_is_not_installed_is_told_how_to_get(
    scheme: str, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in [name for name in sys.modules if name.partition(".")[0] == library or name.startswith("stream.brokers.")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ConfigError, match=r"pip install '\.\[cluster\]'"):
        open_broker(Wiring(broker=f"{scheme}://127.0.0.1:1"))
