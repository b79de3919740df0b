"""The evidence of a fleet put together: which attributes changed in many homes at once, and which homes changed by themselves.

Law: an innocent group is not named for what its homes share with a guilty one: once a cause is named, its homes count for no
other. Nor are they alerted singly for what the cause may explain. Of everything else `learners/drift/false_discovery.py` holds
the rate of false alerts.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from learners.drift.false_discovery import e_bh, log_e_value_of_group
from stream.contract.policy import Alerting

from .state import Subject

__all__ = ["OWN_KINDS", "Attribute", "Groups", "Shared", "alike", "groups_of", "pick_homes", "shared_causes", "weigh"]

OWN_KINDS: Final = frozenset({"phone", "feedback", "habit"})  # no device, firmware or encoder explains these
ALIKE: Final = 0.95  # of the homes of either: two attributes that cannot be told apart

Attribute = tuple[str, str]  # its name and its value
Homes = Mapping[str, Sequence[Subject]]
Groups = Mapping[Attribute, Mapping[str, float]]  # attribute -> household -> nats


class Shared(NamedTuple):
    """A group that changed together: nats for that, its homes with notable evidence (the greatest first), and its size."""

    attribute: Attribute
    log_e_value: float
    members: list[str]
    homes: int


def groups_of(homes: Homes) -> Groups:
    """By attribute, what each home that has it says: the mean of the e-values of what carries it."""
    found: dict[Attribute, dict[str, list[float]]] = {}
    for household, subjects in homes.items():
        for subject in subjects:
            if subject.kind not in OWN_KINDS:
                for attribute in subject.attributes.items():
                    found.setdefault(attribute, {}).setdefault(household, []).append(subject.log_e_value)
    return {a: {h: _log_sum(values) - math.log(len(values)) for h, values in found[a].items()} for a in sorted(found)}


def weigh(attribute: Attribute, groups: Groups, policy: Alerting) -> Shared:
    """One group, all its homes counted."""
    of_homes = groups.get(attribute, {})
    notable = math.log(policy.notable)
    members = sorted((h for h, nats in of_homes.items() if nats >= notable), key=lambda h: (-of_homes[h], h))
    log_e_value = log_e_value_of_group(list(of_homes.values()), policy.background_share, policy.dependent_homes)
    return Shared(attribute, log_e_value, members, len(of_homes))


def shared_causes(groups: Groups, standing: Iterable[Attribute], policy: Alerting) -> list[Shared]:
    """Groups that changed together, the surest first, beside those that are known already."""
    explained = {household for attribute in standing for household in groups.get(attribute, ())}
    tested = {a: of_homes for a, of_homes in groups.items() if len(of_homes) >= policy.group_homes_min}
    found: list[Shared] = []
    while True:
        left = {a: {h: nats for h, nats in of_homes.items() if h not in explained} for a, of_homes in tested.items()}
        left = {a: of_homes for a, of_homes in left.items() if len(of_homes) >= policy.group_homes_min}
        weights = [weigh(a, left, policy) for a in left]
        picked = e_bh([w.log_e_value for w in weights], policy.false_discovery_rate, len(tested))
        guilty = next((weights[i] for i in picked if len(weights[i].members) >= policy.group_members_min), None)
        if guilty is None:
            return found
        found.append(guilty)
        explained |= groups[guilty.attribute].keys()


def alike(attribute: Attribute, groups: Groups) -> list[str]:
    """Other attributes that the same homes have, so that the cause may as well be theirs."""
    ours = groups[attribute].keys()
    same = (a for a, theirs in groups.items() if len(ours & theirs.keys()) >= ALIKE * max(len(ours), len(theirs)))
    return [f"{name}={value}" for name, value in same if (name, value) != attribute]


def pick_homes(homes: Homes, free: Mapping[str, Sequence[Subject]], policy: Alerting) -> list[tuple[str, Subject]]:
    """Homes that changed by themselves and the subject that says so most; surest first.

    `free` are the subjects that are not dealt with or explained already. A home's evidence is the mean over all that it is
    watched for.
    """
    names = list(free)
    evidence = []
    for household in names:
        told = homes[household]
        streams = max(len(told), *(subject.streams or policy.subjects_per_home for subject in told))
        evidence.append(_log_sum([subject.log_e_value for subject in free[household]]) - math.log(streams))
    picked = [names[i] for i in e_bh(evidence, policy.false_discovery_rate, len(homes))]
    return [(household, max(free[household], key=lambda s: (s.log_e_value, s.signal_id))) for household in picked]


def _log_sum(values: Sequence[float]) -> float:
    """ln of the sum of exponentials, without overflow."""
    if len(values) == 1:  # as in most homes
        return values[0]
    greatest = max(values)
    return greatest + math.log(sum([math.exp(value - greatest) for value in values]))
