"""Sightings: what happened at a home, as somebody reports it who is no person and recognises nobody.

Law: nothing here is signed, so nothing of it proves anything; what it is worth, two reports are worth together.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ..fields.scalars import Id, Name, Time, Version

__all__ = ["Sighting"]


class Sighting(BaseModel):
    """Something that happened at the home, as a sensor of the home or a personal device reports it."""

    model_config = ConfigDict(extra="ignore")

    v: Version = Field(description="version of this form of record")
    sighting_id: Id = Field(description="names this report, once in its household; the same id again is a duplicate")
    household_id: Id = Field(description="whose home it is; also the record's key")
    device_id: Name = Field(description="who reports it; of a personal device the phone_id that feedback registered")
    device_class: Literal["home", "personal"] = Field(description="home: a sensor of the home's own; personal: somebody's device")
    kind: Name = Field(description="what happened, a dotted name such as door.unlock: two reports of the same have the same")
    nonce: Id | None = Field(None, description="what both devices know of that one happening; it counts once; null: none")
    observed_at: Time = Field(description="when it happened, ms since the Unix epoch, UTC")

    @property
    def at(self) -> int:
        """Event time, ms."""
        return self.observed_at

    @property
    def sender(self) -> str:
        """Whose clock that is."""
        return f"sightings/{self.device_id}"
