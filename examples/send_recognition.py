"""Sends a recognition, as a device would: python send_recognition.py 127.0.0.1:9092 [PREFIX]"""

import base64
import json
import sys
import time

import numpy as np
from kafka import KafkaProducer


def main(brokers: str, prefix: str = "") -> None:
    """`prefix` stands before the topics' names, where the cluster has one."""
    voice = np.random.default_rng().standard_normal(256)  # what your encoder gave
    now_ms = time.time_ns() // 1_000_000
    embedding = base64.b64encode(voice.astype("<f2").tobytes()).decode()  # float16, little-endian
    recognition = {
        "v": 1, "event_id": f"e-{now_ms}", "household_id": "linden-1", "device_id": "kitchen", "observed_at": now_ms,
        "voice": {"encoder": "resemblyzer-0.1.4", "embedding": embedding, "quality": {"duration_s": 2.4}},
        "phones": [{"phone_id": "phone-ana", "rssi_dbm": -52.0}],
    }  # fmt: skip
    producer = KafkaProducer(bootstrap_servers=brokers, acks="all")  # its partitioner is Java's, as it must be
    producer.send(f"{prefix}recognitions", json.dumps(recognition).encode(), key=b"linden-1", timestamp_ms=now_ms)
    producer.flush()
    producer.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
