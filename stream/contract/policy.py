"""The policy: every number that can change an output. Its hash is stamped on outputs as `policy_id`.

Law: two runs with the same log and the same policy_id give the same bytes.
"""

import hashlib
from functools import cached_property
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from learners.recognition.projection import Metric, Projection

from .own.classifiers import Classifier, build, find_class, refuse_unfit
from .packs import arrays_of, load_pack
from .records import FACTORS, Factor, Source
from .rights.signature import public_key_of

__all__ = ["SOURCES", "Action", "Alerting", "Drift", "Encoder", "Feature", "OwnModel", "Policy"]

SOURCES: tuple[Source, ...] = ("voice", "app", "pin", "annotator")  # by rank: a later one outranks the earlier
Share = Annotated[float, Field(gt=0, lt=1)]
Minority = Annotated[float, Field(gt=0, lt=0.5)]
Positive = Annotated[float, Field(gt=0)]
Feature = Literal["hour", "weekday", "activity", "device", "channels", "phones"]
Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,64}$")]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    # Settings that are each at most the next one: every number may be right by itself, and two of them make no sense together.
    in_order: ClassVar[tuple[tuple[str, ...], ...]] = ()

    @model_validator(mode="after")
    def _make_sense_together(self) -> Self:
        for names in self.in_order:
            for lower, higher in pairwise(names):
                if getattr(self, lower) > getattr(self, higher):
                    told = f"{lower} is {getattr(self, lower)}, and {higher} is {getattr(self, higher)}"
                    raise ValueError(f"such that {' ≤ '.join(names)}: {told}")
        return self


class Encoder(_Table):
    """A vector space: vectors of different encoders are never compared."""

    modality: Literal["voice", "face"] = Field(description="the part of a recognition that it stands in")
    length: Annotated[int, Field(ge=2, le=1024)] = Field(description="how many numbers a vector has")
    metric: Metric = Field(description="cosine: only the direction counts; euclidean: the length too")
    pack: str = Field(
        "", description="a pack of the package by its name, or a FILE.npz beside the policy; empty: none, works unfitted"
    )
    within: Positive = Field(
        0.05, description="without a pack: standard deviation of one number between recordings of one person"
    )
    quality_min: dict[str, float] = Field({}, description="a vector whose quality is lower is left out (quality name = least)")

    def projection(self) -> Projection:
        """The map that the pack holds, or one of an encoder that nothing is known of."""
        if not self.pack:
            return Projection.generic(self.metric, self.length, self.within)
        projection = load_pack(self.pack, self.metric)
        if projection.length != self.length:
            raise ValueError(f"the pack {self.pack} is of vectors of {projection.length} numbers, not {self.length}")
        return projection


class Limits(_Table):
    """Everything that grows has a limit."""

    in_order = (("late_days", "gap_days"), ("departed_days", "ledger_days"))

    rows_per_person: Annotated[int, Field(ge=4, le=8)] = Field(
        7, description="kept events per member; 2 to 4 members' worth a home"
    )
    ledger_days: Annotated[int, Field(ge=1, le=3650)] = Field(
        60, description="events older than this are folded, feedback on them is expired"
    )
    waiting_max: Annotated[int, Field(ge=1, le=32)] = Field(32, description="early feedback that waits for its event, per home")
    waiting_days: Annotated[int, Field(ge=1, le=30)] = Field(7, description="how long it waits, in stream time")
    late_days: Annotated[int, Field(ge=1, le=3650)] = Field(
        30, description="a recognition older than this against its home's time is refused"
    )
    gap_days: Annotated[int, Field(ge=30, le=36500)] = Field(
        730, description="a record newer than this against its home's time is refused until another agrees"
    )
    ahead_hours: Annotated[int, Field(ge=1, le=720)] = Field(
        24, description="a record ahead of its own broker timestamp by more is refused"
    )
    members_max: Annotated[int, Field(ge=1, le=16)] = Field(16, description="people of one home")
    phones_max: Annotated[int, Field(ge=1, le=32)] = Field(32, description="registered phones of one home")
    departed_days: Annotated[int, Field(ge=0, le=365)] = Field(
        7, description="how long, since it was told, claims about who left still count for the past"
    )


class Phones(_Table):
    """How phones are heard in general, and how soon a phone loses trust."""

    in_order = (("heard_without", "heard_with_owner"),)

    heard_with_owner: Share = Field(0.87, description="share of the owner's events at which their phone is heard")
    heard_without: Share = Field(0.5, description="the same when somebody else speaks")
    slope_per_db: Positive = Field(0.054, description="nats per dB of signal; from `python bench/fit_phones.py`")
    rssi_even_dbm: float = Field(-71.9, description="the signal that says nothing; from the same")
    signal_llr_max: Positive = Field(1.5, description="nats that the signal's strength may give")
    trust: Share = Field(0.9, description="how surely a registered phone goes with its owner, at first")
    learning_rate: Annotated[float, Field(ge=0, le=1)] = Field(
        0.3, description="weight of one event in a phone's trust; events of a visit are alike"
    )


class Learning(_Table):
    """How fast people change, and how far a model may go."""

    in_order = (("forgetting_per_day", "forgetting_most"),)

    forgetting_per_day: Annotated[float, Field(ge=0)] = Field(0.05, description="noise variance that a kept vector gains a day")
    forgetting_most: Annotated[float, Field(ge=0)] = Field(4.0, description="and at most")
    tail_mass_max: Positive = Field(16.0, description="recordings' worth of the folded past of a person, at most")
    unanchored_temper: Share = Field(0.4, description="what evidence of a person who never enrolled is multiplied by")
    unnamed_llr_min: Positive = Field(3.0, description="nats from which two guests' events are taken to be of one unnamed person")
    new_guest_weight: Positive = Field(8.0, description="events' worth of guests being new, against one of those who were here")
    rebuild_growth: Annotated[float, Field(gt=1)] = Field(
        1.15, description="with people not enrolled, all is weighed anew at every so-many-fold count of events"
    )
    habits_half_life_days: Positive = Field(30.0, description="in how many days a habit counts half")


class Priors(_Table):
    """What is assumed of a home before it is known."""

    guest_share: Share = Field(0.2, description="share of events that are guests'")
    guest_weight: Positive = Field(40.0, description="events' worth of that assumption")
    person_weight: Positive = Field(30.0, description="events' worth of everybody being met as often")
    presence_events_max: Positive = Field(400.0, description="beyond so many events the older count half")
    honesty: dict[Source, Share] = Field(
        {"app": 0.9, "voice": 0.8, "pin": 0.95, "annotator": 0.98}, description="how often a source's claims are right, at first"
    )
    honesty_weight: Positive = Field(20.0, description="claims' worth of that assumption")


class Claims(_Table):
    """How far what people say is heeded, guided enrolment apart."""

    in_order = (("echo_nats", "nats_enrolled", "nats_max"),)

    nats_enrolled: Positive = Field(2.0, description="log odds that one claim may add where it names who enrolled, at most")
    nats_max: Positive = Field(5.0, description="the same where it names who did not: sensors know them from claims alone")
    echo_nats: Annotated[float, Field(ge=0)] = Field(0.5, description="the same where it only repeats the answer")
    daily_nats: dict[Source, Positive] = Field(
        {"voice": 12.0, "app": 24.0, "pin": 24.0, "annotator": 200.0},
        description="log odds that all claims of a source may add within a day; they move at most a quarter as many events",
    )
    suspicious_from: Annotated[float, Field(gt=1)] = Field(
        50.0, description="evidence at which a run of claims that contradict the sensors is held out; by chance once in so many"
    )


class Tiers(_Table):
    """The least probability of a tier (tier 1: that it is anybody of the home), and how far a home's own experience moves it."""

    in_order = (("present", "personal", "private", "purchase"),)

    present: Share = Field(0.9, description="tier 1: it is anybody of the home")
    personal: Share = Field(0.93, description="tier 2: it is this member")
    private: Share = Field(0.995, description="tier 3")
    purchase: Share = Field(0.9995, description="tier 4, where two sensors agree")
    budget_share: Share = Field(0.4, description="share of a tier's error budget that a home aims at; the rest is a margin")
    learning_rate: Annotated[float, Field(ge=0, le=4)] = Field(
        1.0, description="nats by which one event answered wrongly makes a home stricter; 0: thresholds stay as they are"
    )
    lower_nats: Annotated[float, Field(ge=0, le=1)] = Field(
        0.25, description="log odds by which a home without errors may ask for less, at most"
    )
    higher_nats: Annotated[float, Field(ge=0, le=4)] = Field(
        1.5, description="log odds by which a home with errors may ask for more, at most"
    )
    pin_minutes: Annotated[int, Field(ge=1, le=60)] = Field(5, description="tier 5: a proof of that person at most so long ago")

    @property
    def least(self) -> tuple[float, float, float, float]:
        """The least probabilities of tiers 1 to 4."""
        return self.present, self.personal, self.private, self.purchase


class Publishing(_Table):
    """When something is said again."""

    in_order = (("label_withdrawn_below", "label_min"),)

    revision_change_min: Share = Field(0.1, description="an answer is revised when a probability moved by at least this")
    label_min: Share = Field(0.98, description="least probability of an automatic label")
    label_withdrawn_below: Share = Field(0.8, description="a label is taken back when its probability falls below this")
    label_llr_min: Positive = Field(0.5, description="nats that each of two modalities must give to a label")
    profile_events: Annotated[int, Field(ge=1)] = Field(
        16, description="a profile is refreshed after so many of the person's events"
    )


class Presence(_Table):
    """Who is at home: whether it is published, and what is assumed of people and their phones."""

    in_order = (("away_from", "present_from"), ("phone_heard_away", "phone_heard_home"))

    publish: bool = Field(False, description="presence is published; workers then need its topic")
    home_share: Share = Field(0.7, description="share of the time that somebody is at home: where a probability goes with time")
    half_life_hours: Positive = Field(
        2.0, description="in how many hours half of what was known is no longer so; longer when they usually do nothing"
    )
    phone_heard_home: Share = Field(0.9, description="how often a phone is heard that is at home and on, until it is learnt")
    phone_heard_away: Share = Field(0.02, description="the same of one that is neither")
    phone_off_share: Minority = Field(0.1, description="share of the time that a phone is off, or not to be heard")
    phone_left_share: Minority = Field(0.03, description="and that it lies at home, wherever its owner is")
    phone_half_life_hours: Positive = Field(12.0, description="in how many hours half of what was known of that is gone")
    silence: Annotated[float, Field(ge=0, le=1)] = Field(
        0.8, description="how far somebody's doing nothing speaks for being away; 1: as if what they do were spread evenly"
    )
    present_from: Share = Field(0.9, description="somebody is taken to be at home from this probability on")
    away_from: Share = Field(0.05, description="and to be away from this one down")
    change_min: Share = Field(0.05, description="it is published when a probability is not as foretold by at least this")


class Drift(_Table):
    """How a home notices that something changed, and what it does about it."""

    adapting: bool = Field(True, description="a confirmed change begins anew with what changed; else it is only told")
    attribution: Literal["others", "own"] = Field(
        "others", description="who says whose a voice or a face was: everything else of the event, or its whole answer"
    )
    sure: Share = Field(0.9, description="how surely, at least")
    visit_minutes: Annotated[int, Field(ge=1, le=1440)] = Field(30, description="a longer break begins another visit to a device")
    false_alarm_events: Annotated[int, Field(ge=1000)] = Field(
        73_000, description="a home in which nothing changes alarms once in so many events: ten years of 20 a day"
    )
    decide_after_events: Annotated[int, Field(ge=1, le=1000)] = Field(
        20, description="so many events after an alarm its cause is decided on, and something done"
    )


class Alerting(_Table):
    """When evidence of drift in homes becomes an alert, and how often at most."""

    in_order = (("group_members_min", "group_homes_min"), ("dependent_homes", "group_homes_min"))

    false_discovery_rate: Share = Field(0.1, description="expected share of false alerts among those of one decision")
    decision_hours: Annotated[int, Field(ge=1, le=24)] = Field(6, description="event time between two decisions")
    grace_minutes: Annotated[int, Field(ge=0, le=1440)] = Field(
        60, description="a decision waits so much longer, in event time, for signals that come late"
    )
    memory_days: Annotated[int, Field(ge=2, le=365)] = Field(14, description="evidence that is not renewed counts so long")
    subjects_per_home: Annotated[int, Field(ge=1, le=256)] = Field(
        8, description="things watched in a home whose signals do not tell their number"
    )
    notable: Annotated[float, Field(gt=1)] = Field(5.0, description="e-value from which a home is a member of a shared cause")
    background_share: Share = Field(0.02, description="share of homes in which something changes for reasons of their own")
    dependent_homes: Annotated[int, Field(ge=1)] = Field(5, description="homes of a group that may hear the same noise")
    group_homes_min: Annotated[int, Field(ge=2)] = Field(10, description="fewer homes with one attribute are no group")
    group_members_min: Annotated[int, Field(ge=2)] = Field(5, description="a shared cause has at least so many notable homes")
    household_alerts_max: Annotated[int, Field(ge=1)] = Field(4, description="alerts opened for one household in 30 days at most")
    cooldown_days: Annotated[int, Field(ge=0, le=365)] = Field(3, description="a closed alert does not open again for so long")
    update_hours: Annotated[int, Field(ge=1, le=720)] = Field(24, description="an open alert is updated no more often")
    members_listed: Annotated[int, Field(ge=1, le=1000)] = Field(50, description="homes named in an alert; all are counted")


class Action(_Table):
    """What an application asks for: the least tier, and how old an answer may be."""

    tier: Annotated[int, Field(ge=1, le=5)] = Field(description="the least tier of an answer that allows it")
    max_age_s: Annotated[int, Field(ge=1, le=86_400)] = Field(
        300, description="an answer allows it for so long after its recognition"
    )
    second_factor: bool = Field(
        False, description="below tier 5: a second factor within 24 hours too, since when the person was never away for 4"
    )


class ProofKey(_Table):
    """A verifier's public key, by which its proofs are checked."""

    in_order = (("not_before", "not_after"),)

    public_key: str = Field(description="base64 of the 32 bytes of an Ed25519 public key")
    not_before: Annotated[int, Field(ge=0)] = Field(0, description="ms since the Unix epoch: proofs given before are not its own")
    not_after: Annotated[int, Field(ge=0)] = Field(4_102_444_800_000, description="nor those given from then on")
    factors: Annotated[tuple[Factor, ...], Field(min_length=1)] = Field(
        FACTORS, description="what it may prove; others of its proofs are of no effect, as `other_factor`"
    )

    @field_validator("public_key")
    @classmethod
    def _is_a_key(cls, text: str) -> str:
        public_key_of(text)
        return text

    @field_validator("factors")
    @classmethod
    def _in_one_order(cls, factors: tuple[Factor, ...]) -> tuple[Factor, ...]:
        return tuple(factor for factor in FACTORS if factor in factors)


class Proofs(_Table):
    """Who may prove that a second factor was given."""

    keys: dict[Word, ProofKey] = Field({}, description="verifiers' public keys by the `kid` of their proofs: a table each")


class OwnModel(_Table):
    """A River classifier that learns in each home, from claims, whose an event is; what it says is a term of the answer."""

    classifier: str = Field(description="its import path, such as river.linear_model.LogisticRegression")
    standardised: bool = Field(False, description="River's StandardScaler stands before it")
    parameters: dict[str, Any] = Field(
        {},
        validate_default=True,
        description="what it is made with; a table with a `class` (an import path) is an object of that class, made of the rest",
    )
    features: Annotated[tuple[Feature, ...], Field(min_length=1)] = Field(
        ("hour", "activity", "device"), description="what it learns from"
    )
    llr_max: Annotated[float, Field(gt=0, le=4)] = Field(2.0, description="nats that it may say for or against somebody")
    prior_weight: Positive = Field(3.0, description="how firmly it is held to say nothing until it foretells claims")

    @field_validator("classifier")
    @classmethod
    def _is_found(cls, path: str) -> str:
        find_class(path)
        return path

    @field_validator("parameters")
    @classmethod
    def _is_fit(cls, parameters: dict[str, Any], told: ValidationInfo) -> dict[str, Any]:
        if "classifier" in told.data and "standardised" in told.data:
            refuse_unfit(told.data["classifier"], parameters, told.data["standardised"])
        return parameters

    def build(self) -> Classifier:
        """A model that has learnt nothing."""
        return build(self.classifier, self.parameters, self.standardised)


_ENCODERS = {
    "resemblyzer-0.1.4": Encoder(modality="voice", length=256, metric="cosine", pack="resemblyzer-0.1.4"),
    "dlib-resnet-v1": Encoder(
        modality="face", length=128, metric="euclidean", pack="dlib-resnet-v1", quality_min={"detection_score": -5.0}
    ),
}


class Policy(_Table):
    """All that can change an output; `configs/policy.toml` shows every key with its default."""

    encoders: dict[str, Encoder] = Field(_ENCODERS, description="the vector spaces that are understood; others are dead letters")
    limits: Limits = Limits()
    phones: Phones = Phones()
    learning: Learning = Learning()
    priors: Priors = Priors()
    claims: Claims = Claims()
    tiers: Tiers = Tiers()
    publishing: Publishing = Publishing()
    presence: Presence = Presence()
    drift: Drift = Drift()
    alerting: Alerting = Alerting()
    proofs: Proofs = Proofs()
    own_model: OwnModel | None = Field(
        None, description="a table: a River classifier of your own, by its import path, that learns in each home from claims"
    )
    actions: dict[Word, Action] = Field(
        {}, description="what applications may ask for, by dotted name; of others every decision is no: a table each"
    )

    @cached_property
    def policy_id(self) -> str:
        """16 hex digits that name this policy, its packs included; actions change decisions, and no output of a home."""
        # A pack is its numbers, wherever it lies; what is not used (keys, presence, a model) leaves the policy as it was before,
        # and so does a key that may prove everything.
        used = {"proofs": bool(self.proofs.keys), "presence": self.presence.publish, "own_model": self.own_model is not None}
        keys = {kid: {"factors": True} for kid, key in self.proofs.keys.items() if key.factors == FACTORS}
        unused: dict[str, Any] = {"proofs": {"keys": keys}} | {name: True for name, is_used in used.items() if not is_used}
        told = self.model_dump_json(exclude={"encoders": {"__all__": {"pack"}}, "actions": True, **unused})
        digest = hashlib.blake2b(told.encode(), digest_size=8)
        for name in sorted(self.encoders):
            for array in arrays_of(self.projection(name)).values():
                digest.update(array.tobytes())
        return digest.hexdigest()

    @cached_property
    def _projections(self) -> dict[str, Projection]:
        return {name: encoder.projection() for name, encoder in self.encoders.items()}

    @model_validator(mode="after")
    def _packs_fit(self) -> Self:
        for name in self.encoders:
            self.projection(name)  # what is wrong with a pack is told before anything is touched
        return self

    def projection(self, encoder: str) -> Projection:
        """The map of an encoder that the policy lists."""
        return self._projections[encoder]

    @cached_property
    def vector_lengths(self) -> dict[str, tuple[str, int]]:
        """By encoder: the modality it stands in, and how many numbers a vector has."""
        return {name: (encoder.modality, encoder.length) for name, encoder in self.encoders.items()}
