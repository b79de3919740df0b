"""slo.toml: what is promised, over how long, and which events are good.

Law: an objective is a share of events that are good; the rest is its error budget.
"""

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, field_validator

__all__ = ["BOUNDS_S", "Objective", "Objectives"]

BOUNDS_S: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)  # of them kithkin_latency_seconds has buckets


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Objective(_Table):
    """A share of events, over so many days."""

    objective: Annotated[float, Field(gt=0, lt=1, description="share of events that are good")]
    window_days: Annotated[int, Field(ge=1, le=90, description="over how long")] = 28


class Freshness(Objective):
    """Good: a record whose answer can be read in time. From the broker's time of the record to that of the answer."""

    objective: Annotated[float, Field(gt=0, lt=1, description="share of records answered in time")] = 0.99
    seconds: Annotated[float, Field(description="what is in time; one of .1 .25 .5 1 2.5 5 10 30 60")] = 5.0

    @field_validator("seconds")
    @classmethod
    def _is_counted(cls, seconds: float) -> float:
        if seconds not in BOUNDS_S:
            raise ValueError(f"one of {', '.join(f'{bound:g}' for bound in BOUNDS_S)}, which a worker counts")
        return seconds


class Objectives(_Table):
    """What is promised. Tiers: of answers that name somebody so surely and of which it became known who it was, those right."""

    freshness: Freshness = Freshness()
    losslessness: Objective = Field(Objective(objective=0.9999), description="recognitions that have an answer or a dead letter")
    personal: Objective = Field(Objective(objective=0.95), description="tier 2 and above")
    private: Objective = Field(Objective(objective=0.99), description="tier 3 and above")
    purchase: Objective = Field(Objective(objective=0.999), description="tier 4 and above")
    calibration: Objective = Field(
        Objective(objective=0.97), description="1 less how far what was said (90 %) is from what came true, over tenths"
    )
    quiet: Objective = Field(
        Objective(objective=0.998),
        description="days of homes on which no alert of them opened: .998 are 5 or 6 in 100 homes a month",
    )
