"""An example record of every kind, for people to copy: they tell one short story of one home.

Law: what goes in is read by the worker without a fault, what goes out is as its model writes it.
"""

from base64 import b64encode
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

__all__ = ["EXAMPLES", "embedding_of"]

_HOME: Final = "h-042"
_AT: Final = 1_763_690_000_123
_POLICY: Final = "f1a3c5e79b2d4680"
_DEVICE: Final = {"model": "show-8", "firmware": "2.1.0", "room": "kitchen"}


def embedding_of(vector: Any) -> str:
    """Numbers (n,) as they stand in a record.

    >>> embedding_of([1.0, -0.5])
    'ADwAuA=='
    """
    return b64encode(np.asarray(vector, "<f2").tobytes()).decode()


def _vector(length: int) -> str:
    """Some vector of length 1."""
    numbers = np.sin(np.arange(1, length + 1) * 1.7)
    return embedding_of(numbers / np.sqrt(numbers @ numbers))


def _recognition(number: int, **parts: Any) -> dict[str, Any]:
    head = {"v": 1, "event_id": f"e-{number:06d}", "household_id": _HOME, "device_id": "kitchen"}
    return {**head, "observed_at": _AT + 60_000 * (number - 17), **parts}


def _feedback(number: int, kind: str, **fields: Any) -> dict[str, Any]:
    head = {"v": 1, "feedback_id": f"f-{number:06d}", "household_id": _HOME, "given_at": _AT + 9_000 + 1_000 * number}
    return {**head, "source": "app", "kind": kind, **fields}


def _cause(topic: str, offset: int) -> dict[str, Any]:
    return {"topic": topic, "partition": 3, "offset": offset}


_VOICE: Final = {"encoder": "resemblyzer-0.1.4", "embedding": _vector(256), "quality": {"duration_s": 2.4}}
_FACE: Final = {"encoder": "dlib-resnet-v1", "embedding": _vector(128), "quality": {"detection_score": 1.2}}
_PHONES: Final = [{"phone_id": "ph-1", "rssi_dbm": -61.0}, {"phone_id": "ph-2"}]
_LABEL: Final = {
    "v": 1, "event_id": "e-000017", "household_id": _HOME, "person_id": "alice", "probability": 0.983,
    "evidence": ["phone", "voice-cluster"], "revision": 0, "cause": _cause("recognitions", 812), "withdrawn": False,
    "unnamed_id": None,
}  # fmt: skip
_IDENTITY: Final = {
    "v": 1, "event_id": "e-000017", "household_id": _HOME, "observed_at": _AT, "revision": 0,
    "posterior": {"guest": 0.02, "alice": 0.95, "bob": 0.03}, "person_id": "alice", "tier": 2,
    "modalities": ["voice", "phone"], "policy_id": _POLICY, "cause": _cause("recognitions", 812),
}  # fmt: skip
_ALERT: Final = {
    "v": 1, "alert_id": "a-5d0c31", "household_id": _HOME, "state": "opened", "cause_kind": "device", "opened_at": _AT,
    "updated_at": _AT, "severity": "medium",
    "summary": "Everybody comes across differently on the kitchen device of h-042.",
    "suggested_action": "Check the kitchen device: its microphone and camera.", "members": [_HOME],
    "evidence": {"log_e_value": 14.2}, "revision": 0, "person_id": None, "device_id": "kitchen",
    "attributes": {"model": "show-8"}, "acknowledged_by": None, "change": None, "silenced_until": None,
}  # fmt: skip

_CONSENT: Final[dict[str, Any]] = {
    "v": 1, "consent_id": "c-000001", "household_id": _HOME, "person_id": "alice", "client_id": "pharmacy", "kind": "grant",
    "scopes": ["person"], "actions": ["pharmacy.refill"], "given_at": _AT, "expires_at": None,
}  # fmt: skip
_SIGHTING: Final[dict[str, Any]] = {
    "v": 1, "sighting_id": "s-000001", "household_id": _HOME, "device_id": "front-door", "device_class": "home",
    "kind": "door.unlock", "nonce": "u7Rk2c", "observed_at": _AT - 30_000,
}  # fmt: skip
_DECIDED: Final[dict[str, Any]] = {
    "v": 1, "decision_id": "d-000001", "household_id": _HOME, "client_id": "pharmacy", "action": "pharmacy.refill",
    "event_id": "e-000017", "revision": 1, "required": 5, "had": 5, "outcome": "allow", "sub": "0a4kTz", "at": _AT + 30_000,
    "withdrawn_at": None, "cause": None,
}  # fmt: skip
EXAMPLES: Final[Mapping[str, Mapping[str, dict[str, Any] | None]]] = {  # by topic and name; None: a tombstone
    "recognitions": {
        "everything": _recognition(17, voice=_VOICE, face=_FACE, phones=_PHONES, activity="music.play", device=_DEVICE),
        "a voice alone": _recognition(18, voice={key: _VOICE[key] for key in ("encoder", "embedding")}),
        "a face alone": _recognition(19, face=_FACE),
        "phones and an activity": _recognition(20, phones=_PHONES, activity="light.on"),
        "a scan that heard no phone": _recognition(21, phones=[]),
    },
    "feedback": {
        "join": _feedback(1, "join", person_id="alice"),
        "leave": _feedback(2, "leave", person_id="bob"),
        "phone": _feedback(3, "phone", phone_id="ph-1", person_id="alice"),
        "a phone of nobody": _feedback(4, "phone", phone_id="ph-1", person_id=None),
        "enrol": _feedback(5, "enrol", person_id="alice", event_ids=["e-000017", "e-000018", "e-000019"]),
        "confirm": _feedback(6, "confirm", event_id="e-000017"),
        "reject": _feedback(7, "reject", event_id="e-000017", person_id="bob"),
        "correct": _feedback(8, "correct", event_id="e-000017", person_id="alice"),
        "correct to a guest": _feedback(9, "correct", event_id="e-000018", person_id="guest"),
        "retract": _feedback(10, "retract", retracts="f-000008"),
        "erase a person": _feedback(11, "erase", person_id="bob"),
        "erase the household": _feedback(12, "erase", person_id=None),
    },
    "consents": {
        "grant": _CONSENT,
        "revoke": {**_CONSENT, "kind": "revoke", "given_at": _AT + 86_400_000},
        "forbid": {
            **_CONSENT, "consent_id": "c-000002", "person_id": "bob", "client_id": None, "kind": "forbid", "scopes": [],
            "actions": ["door.unlock"], "tier": 4,
        },
    },
    "proofs": {
        "a PIN": {
            "v": 1, "proof_id": "p-000001", "household_id": _HOME, "person_id": "alice", "factor": "pin", "event_id": "e-000017",
            "given_at": _AT + 20_000, "nonce": "1pYQ0mE6fX2t", "kid": "api-1", "signature": b64encode(bytes(64)).decode(),
        },
    },
    "sightings": {
        "by a sensor of the home": _SIGHTING,
        "by somebody's phone": {
            **_SIGHTING, "sighting_id": "s-000002", "device_id": "ph-1", "device_class": "personal", "observed_at": _AT - 27_600,
        },
    },
    "identities": {
        "named": _IDENTITY,
        "revised after a feedback": {
            **_IDENTITY, "revision": 1, "posterior": {"guest": 0.01, "alice": 0.97, "bob": 0.02}, "cause": _cause("feedback", 40),
        },
        "nobody named": {
            **_IDENTITY, "event_id": "e-000018", "posterior": {"guest": 0.71, "alice": 0.2, "bob": 0.09}, "person_id": None,
            "tier": 0, "modalities": ["voice"], "cause": _cause("recognitions", 813),
        },
    },
    "profiles": {
        "profile": {
            "v": 1, "household_id": _HOME, "person_id": "alice", "revision": 4, "updated_at": _AT,
            "encoders": {
                "resemblyzer-0.1.4": {
                    "prototypes": [{"embedding": _vector(256), "weight": 6.5, "device_id": "kitchen", "since": _AT - 86_400_000}],
                    "calibration": {"weight": 0.94, "offset": -0.1, "learnt": 31.0, "temperature": 1.0},
                }
            },
            "habits": {"activity": {"music.play": 0.62}, "hour": {"6": 0.55}}, "phones": ["ph-1"],
            "health": {"events": 41.5, "last_seen_at": _AT, "drift": 0.21, "trust": 0.9, "enrolment": []},
            "policy_id": _POLICY, "cause": _cause("recognitions", 812),
        },
        "left or erased": None,
    },
    "labels": {
        "label": _LABEL,
        "taken back": {**_LABEL, "revision": 1, "probability": 0.41, "cause": _cause("feedback", 41), "withdrawn": True},
        "a guest who returned": {**_LABEL, "event_id": "e-000018", "person_id": "guest", "unnamed_id": "e-000003"},
    },
    "presence": {
        "at home": {
            "v": 1, "household_id": _HOME, "person_id": "alice", "home": 0.93, "present": True, "rooms": {"kitchen": 0.6},
            "since": _AT, "decay": {"to": 0.7, "half_life_s": 7200}, "evidence": ["voice", "phone"], "revision": 12,
            "cause": _cause("recognitions", 812),
        },
        "left or erased": None,
    },
    "drift-signals": {
        "signal": {
            "v": 1, "signal_id": "s-000007", "household_id": _HOME, "person_id": None, "device_id": "kitchen",
            "encoder": "resemblyzer-0.1.4", "attributes": {"model": "show-8"}, "kind": "device", "log_e_value": 14.2,
            "observed_at": _AT, "cause": _cause("recognitions", 812), "streams": 9, "evidence": {"device": 0.93, "person": 0.07},
            "adapted": "device",
        },
    },
    "drift-alerts": {
        "opened": _ALERT,
        "resolved": {
            **_ALERT, "state": "resolved", "updated_at": _AT + 86_400_000, "revision": 1, "acknowledged_by": "ops",
            "change": "Ended: ops resolved it.",
        },
    },
    "drift-commands": {
        kind: {"v": 1, "command_id": f"c-{n}", "alert_id": "a-5d0c31", "kind": kind, "given_at": _AT, "by": "ops"}
        for n, kind in enumerate(("acknowledge", "resolve", "silence"))
    },
    "decisions": {
        "allowed": _DECIDED,
        "withdrawn": {**_DECIDED, "withdrawn_at": _AT + 60_000, "cause": _cause("feedback", 43)},
    },
    "journal": {
        "batch": {
            "v": 1, "partition": 3, "offsets_from": {"recognitions": 800, "feedback": 39},
            "offsets_to": {"recognitions": 813, "feedback": 41}, "count": 15, "epoch": 2, "step_version": 9, "policy_id": _POLICY,
        },
    },
    "dead-letters": {
        "fields are missing": {
            "v": 1, "topic": "feedback", "partition": 3, "offset": 41, "timestamp": _AT, "key_base64": "aC0wNDI=",
            "value_base64": b64encode(b'{"v":1}').decode(), "value_bytes": 7, "reason": "field",
            "detail": "the record: Unable to extract tag using discriminator 'kind'",
        },
    },
}  # fmt: skip
