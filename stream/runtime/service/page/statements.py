"""What people say on the page, as the records that any app of theirs would send.

Law: it is valid as the contract has it before it leaves; what came of it the home says.
"""

import json
import secrets
from typing import Any

from stream.contract.records import FEEDBACK, Consent, Record

__all__ = ["consent_record", "feedback_record"]


def feedback_record(household: str, now_ms: int, kind: str, **fields: Any) -> tuple[str, Record]:
    """The id of a feedback of the app's, and its record. Raises ValidationError."""
    feedback_id = f"page-{secrets.token_urlsafe(12)}"
    value = {"v": 1, "feedback_id": feedback_id, "household_id": household, "given_at": now_ms, "source": "app", "kind": kind}
    FEEDBACK.validate_python(value | fields)
    return feedback_id, _record("feedback", value | fields, now_ms)


def consent_record(household: str, now_ms: int, **fields: Any) -> Record:
    """A grant, a revocation or a forbid. Raises ValidationError."""
    value = {"v": 1, "household_id": household, "given_at": now_ms, "expires_at": None} | fields
    Consent.model_validate(value)
    return _record("consents", value, now_ms)


def _record(topic: str, value: dict[str, Any], now_ms: int) -> Record:
    return Record(topic, 0, 0, now_ms, str(value["household_id"]).encode(), json.dumps(value).encode())
