"""A hub proves who opened the door: python prove_by_event.py lock-1.key h-042 alice phone-alice e-17 127.0.0.1:9092 [PREFIX]"""

import json
import secrets
import sys
import time
from base64 import b64decode
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from kafka import KafkaProducer

from stream.contract.rights.signature import sign


def main(key: str, home: str, person: str, phone: str, event: str, brokers: str, prefix: str = "", *, at: int = 0) -> None:
    """To be called once lock and phone told the hub of the same opening, each over a link of which the hub knows whose it is."""
    name, private = secrets.token_hex(8), Ed25519PrivateKey.from_private_bytes(b64decode(Path(key).read_text()))
    of_home = {"v": 1, "household_id": home, "nonce": name}
    seen = of_home | {"kind": "door.unlock", "observed_at": (at := at or time.time_ns() // 1_000_000)}
    lock = seen | {"sighting_id": f"{name}-lock", "device_id": "front-door", "device_class": "home"}
    carried = seen | {"sighting_id": f"{name}-phone", "device_id": phone, "device_class": "personal"}
    proof = of_home | {"proof_id": name, "person_id": person, "event_id": event, "factor": "event", "given_at": at}
    with KafkaProducer(bootstrap_servers=brokers, acks="all") as producer:  # what is sent first is there first
        for topic, value in (("sightings", lock), ("sightings", carried), ("proofs", sign(proof | {"kid": "lock-1"}, private))):
            producer.send(f"{prefix}{topic}", json.dumps(value).encode(), home.encode(), timestamp_ms=at).get(10)


if __name__ == "__main__":
    main(*sys.argv[1:])
