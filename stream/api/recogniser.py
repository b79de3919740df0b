"""A device that recognises on its own, by the profiles that kithkin published.

Law: it is the posterior of the worker's own core over a home that is built of the profiles; it never learns.

What a home knows and profiles do not tell is taken as the policy begins with: how often guests come and what they do, what a
device adds to a vector, how far a phone goes with its owner, by which channel a prototype was heard, who never enrolled. So it
answers a little otherwise than kithkin (docs/python.md counts how often), and is as new as the last profile.
"""

import math
from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Unpack

from .observation import Observation, moment_of, recognition_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from stream.contract.policy import Policy
    from stream.contract.records import Profile
    from stream.home.state.household import Household as Home

    Published = Profile | Mapping[str, Any] | bytes | str

__all__ = ["Recogniser"]

_DAY_MS: Final = 86_400_000
_DECIMALS: Final = 6
_ALIKE: Final = 1e-6  # temperatures of one pack


class Recogniser:
    """The people of one household, as their profiles tell them.

    Parameters
    ----------
    policy
        The one that profiles are made under, or another with the same encoders and packs; as kithkin comes.
    """

    def __init__(self, policy: "Policy | None" = None) -> None:
        from stream.contract.policy import Policy

        self._policy = policy or Policy()
        self._profiles: dict[str, Profile] = {}
        self._home: Home | None = None  # built when it is needed

    @classmethod
    def from_profile(cls, *profiles: "Published", policy: "Policy | None" = None) -> "Recogniser":
        """Of the profiles of a household's people, each as `update` takes it. Raises ValueError."""
        made = cls(policy)
        for profile in profiles:
            made.update(profile)
        return made

    @property
    def people(self) -> list[str]:
        """Whom it knows."""
        return [*self._profiles]

    def update(self, profile: "Published") -> None:
        """Take on a profile of somebody, new or refreshed; one that is older than what is known changes nothing.

        Parameters
        ----------
        profile
            A value of the topic `profiles`: as a `Profile`, as the dict of its JSON, or as the JSON itself.

        Raises
        ------
        ValueError
            It is no profile, of another household, or made with vectors that this policy does not know.
        """
        told = self._read(profile)
        known = next(iter(self._profiles.values()), told)
        if told.household_id != known.household_id:
            raise ValueError(f"that is a profile of {told.household_id}, and those before are of {known.household_id}")
        before = self._profiles.get(told.person_id)
        if before is None or told.revision >= before.revision:
            self._profiles[told.person_id], self._home = told, None

    def forget(self, person_id: str) -> None:
        """Keep nothing of a person, as a tombstone of their profile asks; of who is not known there is nothing to forget."""
        self._profiles.pop(person_id, None)
        self._home = None

    def recognise(self, **seen: Unpack[Observation]) -> dict[str, float]:
        """Probabilities of each person and of `guest`, which is anybody else; they add up to 1.

        Parameters
        ----------
        **seen
            What sensors saw, as for `Household.recognise`.

        Raises
        ------
        ValueError
            As `Household.recognise`; or it knows nobody yet.
        """
        import json

        import numpy as np

        from stream.contract.codec import decode
        from stream.contract.records import GUEST, InvalidRecord, Record
        from stream.home.core.work import WORK
        from stream.home.events import Run
        from stream.home.numbers import policy_numbers
        from stream.home.publish import Response
        from stream.home.state.household import Household as Home
        from stream.home.state.names import Words

        from .kernels import infer

        if not self._profiles:
            raise ValueError("nobody is known yet: give a profile first, with update")
        home = self._home = self._home or self._build_home()
        value = recognition_of(seen, self._policy) | {"event_id": "e", "household_id": home.household_id}
        at = moment_of(seen.get("arrived_at", value["observed_at"]))
        record = Record("recognitions", 0, 0, at, home.household_id.encode(), json.dumps(value).encode())
        try:
            event = decode(record, self._policy)
        except InvalidRecord as invalid:
            raise ValueError(invalid.detail) from None
        run, work = Run[Response](self._policy), np.zeros(1, WORK)
        run.add(Response(event, Home(home.household_id, home.slot, Words(home.words.listed))), 0)
        infer(home.slot, run.ready(home.slot), policy_numbers(self._policy), work)
        names = [*self._profiles, GUEST]
        shares = np.roll(work["posterior"][0, : len(names)], -1)
        return {name: round(float(share), _DECIMALS) for name, share in zip(names, shares, strict=True)}

    # ---- the home that profiles tell of

    def _read(self, told: "Published") -> "Profile":
        from stream.contract.records import Profile

        if isinstance(told, bytes | str):
            profile = Profile.model_validate_json(told)
        else:
            profile = told if isinstance(told, Profile) else Profile.model_validate(dict(told))
        known = {name: encoder for name, encoder in profile.encoders.items() if name in self._policy.encoders}
        if profile.encoders and not known:
            listed = f"{', '.join(map(repr, profile.encoders))}, which the policy does not list"
            raise ValueError(f"the profile is of {listed}: give the policy that it was made under")
        for name, encoder in known.items():
            theirs, ours = encoder.calibration.get("temperature"), self._policy.projection(name).temperature
            if theirs is not None and abs(theirs - ours) > _ALIKE:
                made = f"the profile was made with another pack of {name!r} (policy {profile.policy_id})"
                raise ValueError(f"{made}: give the policy that it was made under")
        return profile

    def _build_home(self) -> "Home":
        """A home in which nothing has happened yet, but in which everybody is known."""
        from stream.contract.records import Join, Phone
        from stream.home.state.household import Household as Home
        from stream.home.statements import state

        home = Home.new(next(iter(self._profiles.values())).household_id)
        for number, profile in enumerate(self._profiles.values()):
            told: Any = {"v": 1, "household_id": home.household_id, "given_at": profile.updated_at, "source": "app"}
            join = Join(**told, kind="join", feedback_id=f"j-{number}", person_id=profile.person_id)
            state(home, join, self._policy, profile.updated_at)
            for each, phone in enumerate(profile.phones):
                owns = Phone(**told, kind="phone", feedback_id=f"p-{number}-{each}", phone_id=phone, person_id=profile.person_id)
                state(home, owns, self._policy, profile.updated_at)
        record = home.record
        galleries = self._galleries(home)
        for column, profile in enumerate(self._profiles.values()):
            person = record["people"][column]
            person["enrolments_used"] = 1  # what a profile tells of somebody is theirs
            self._calibrate(person["live"], profile)
            self._place_habits(home, person, profile)
            self._place_tails(person, profile, galleries)
        self._count_presence(record)
        return home

    def _galleries(self, home: "Home") -> dict[str, int]:
        """Room for vectors of each encoder that a profile tells of, by its name."""
        from stream.home.state.layout import ENCODERS_MAX

        told = {name for profile in self._profiles.values() for name in profile.encoders}
        listed = [name for name in self._policy.encoders if name in told][:ENCODERS_MAX]
        numbers = {name: number for number, name in enumerate(self._policy.encoders)}
        for index, name in enumerate(listed):
            gallery = home.record["galleries"][index]
            gallery["fingerprint"], gallery["number"] = self._policy.projection(name).fingerprint, numbers[name]
            gallery["name"] = home.words.learn(name)
        home.record["galleries_used"] = len(listed)
        return {name: index for index, name in enumerate(listed)}

    def _calibrate(self, live: Any, profile: "Profile") -> None:
        """How far the ratios hold for this person."""
        for name, encoder in profile.encoders.items():
            if name in self._policy.encoders and encoder.calibration.get("learnt", 0):
                modality = ("voice", "face").index(self._policy.encoders[name].modality)
                live["weights"][modality], live["known"][modality] = encoder.calibration["weight"], 1
                live["offset"], live["learnt"] = encoder.calibration["offset"], int(encoder.calibration["learnt"])

    def _place_habits(self, home: "Home", person: Any, profile: "Profile") -> None:
        """Counts of hours and activities: the shares that are told, of as many events as are."""
        from learners.recognition.habits import ACTIVITIES, HOURS

        listed, counts, events = home.record["activities"], person["habits"], profile.health.events
        for hour, share in profile.habits.get("hour", {}).items():
            counts[int(hour)] = share * events
        for activity, share in profile.habits.get("activity", {}).items():
            word = home.words.learn(activity)
            free = [slot for slot in range(ACTIVITIES) if listed[slot] in (0, word)]
            if free:
                listed[free[0]], counts[HOURS + free[0]] = word, share * events
        counts[HOURS + ACTIVITIES] = counts[:HOURS].sum()
        counts[HOURS + ACTIVITIES + 1] = counts[HOURS : HOURS + ACTIVITIES].sum()

    def _place_tails(self, person: Any, profile: "Profile", galleries: dict[str, int]) -> None:
        """The person's prototypes of an encoder, as one place for what was heard: their mean, which counts as many as they do."""
        from learners.precision import MEAN_STEP, MEAN_STEPS_MAX
        from stream.home.state.layout import TAILS_MAX

        found: dict[str, list[tuple[float, float, Any]]] = defaultdict(list)
        for name, encoder in profile.encoders.items():
            for prototype in encoder.prototypes if name in galleries else ():
                at_ms = (prototype.since + max(profile.updated_at, prototype.since)) / 2  # between the first and the last of them
                found[name].append((prototype.weight, at_ms / _DAY_MS, self._project(name, prototype.embedding)))
        for name, prototypes in [*found.items()][:TAILS_MAX]:
            mass = sum(weight for weight, _, _ in prototypes)
            if mass <= 0 or not math.isfinite(mass):
                continue
            tail = person["tails"][int(person["tails_used"])]
            person["tails_used"] += 1
            mean = sum(weight * vector for weight, _, vector in prototypes) / mass
            tail["vector"][: len(mean)] = (mean / MEAN_STEP).round().clip(-MEAN_STEPS_MAX, MEAN_STEPS_MAX)
            tail["mass"], tail["encoder"] = 1 / (1 / mass + self._move(name)), galleries[name]
            tail["day"] = sum(weight * day for weight, day, _ in prototypes) / mass
            tail["since"] = min(day for _, day, _ in prototypes)

    def _move(self, encoder: str) -> float:
        """Variance of a person's move between two channels, of the pack's mean: by which a prototype was heard is not told.

        So many prototypes tell no more of somebody than that leaves open; without it a device is too sure of whom it knows long.
        """
        shift = self._policy.projection(encoder).channels.shift
        pairs = len(shift) * (len(shift) - 1)
        return float(shift.sum()) / pairs if pairs else 0.0

    def _project(self, encoder: str, embedding: str) -> "npt.NDArray[np.float64]":
        """Where a prototype lies: it was published without what its channel adds."""
        import base64

        import numpy as np

        projection = self._policy.projection(encoder)
        vector = np.frombuffer(base64.b64decode(embedding), "<f2").astype(np.float64)
        if vector.shape != (projection.length,):
            raise ValueError(f"a prototype of {encoder!r} has {len(vector)} numbers, not {projection.length}")
        if projection.metric == "cosine":
            vector = vector / np.linalg.norm(vector)
        found: npt.NDArray[np.float64] = projection.matrix @ (vector - projection.mean)
        return found

    def _count_presence(self, record: Any) -> None:
        """Who is met how often, as their events tell; guests as the policy has it."""
        from learners.precision import SHARE_ONE

        priors, events = self._policy.priors, [profile.health.events for profile in self._profiles.values()]
        scale = SHARE_ONE * min(1.0, priors.presence_events_max / max(sum(events), 1.0))
        for column, own in enumerate(events):
            record["people"][column]["presence"] = round(own * scale)
        record["guest_presence"] = round(sum(events) * scale * priors.guest_share)
