"""A simulated neighbourhood's records, as calls of a `Household`."""

import base64
import json
from typing import Any

import numpy as np

from stream import Household, Identity
from stream.api.observation import Observation
from stream.contract.records import FEEDBACK, Record
from stream.offline.simulation.records import neighbourhood

__all__ = ["apply", "observed", "records_by_home"]


def records_by_home(homes: int, days: int, seed: int) -> dict[str, list[Record]]:
    """Those that can be read, in the order in which they come."""
    street = neighbourhood(homes=homes, days=days, seed=seed)
    found: dict[str, list[Record]] = {}
    for record in street.records:
        if record.position not in street.unreadable and record.key is not None:
            found.setdefault(record.key.decode(), []).append(record)
    return found


def observed(value: dict[str, Any], arrived_at: int) -> Observation:
    """What a record says, as a program has it."""
    seen: Any = {"event_id": value["event_id"], "device": value["device_id"], "at": value["observed_at"]}
    seen |= {"arrived_at": arrived_at, "attributes": value.get("device"), "activity": value.get("activity")}
    for modality, encoder, quality in (("voice", "encoder", "quality"), ("face", "face_encoder", "face_quality")):
        if part := value.get(modality):
            seen[modality] = np.frombuffer(base64.b64decode(part["embedding"]), "<f2").astype(np.float32)
            seen[encoder], seen[quality] = part["encoder"], part.get("quality")
    if "phones" in value:
        seen["phones"] = {phone["phone_id"]: phone.get("rssi_dbm") for phone in value["phones"]}
    return seen


def apply(home: Household, record: Record) -> list[Identity]:
    """The answers that a record leads to: its own, or those that a feedback revises; none where it is refused or came before."""
    value = json.loads(record.value or b"")
    if record.topic == "feedback":
        return [*home.tell(FEEDBACK.validate_python(value), arrived_at=record.timestamp).revised]
    try:
        return [home.recognise(**observed(value, record.timestamp))]
    except ValueError:
        return []
