"""Presence: who is usually met, the prior of every answer.

Law: learnt in whole share steps, so that giving an event another owner takes exactly the old one back.

Theory: Dirichlet-multinomial; the guest's share a Beta of its own, since who comes as a guest says nothing of who lives here.
"""

import math

import numpy as np

from learners.kernel import kernel
from learners.precision import SHARE_STEP

__all__ = ["belongs", "count_presence", "fade_presence", "log_prior"]


@kernel
def belongs(person, at):
    """Whether a person belonged to the home at a time (ms), or does now (0)."""
    left_at = person.memberships[person.memberships_used - 1].left_at
    return left_at == 0 or (at != 0 and at < left_at)


@kernel
def log_prior(home, at, policy, out):
    """Fill out[0] (guest) and out[1 + column] with log probabilities; minus infinity of who did not belong at that
    time (0: now).
    """
    mass, counted = 0.0, int(home.guest_presence)
    for p in range(home.people_used):
        if belongs(home.people[p], at):
            mass += policy.person_weight + int(home.people[p].presence) * SHARE_STEP
            counted += int(home.people[p].presence)
    if mass == 0.0:
        out[0] = 0.0
        for p in range(home.people_used):
            out[p + 1] = -np.inf
        return
    guest = policy.guest_share * policy.guest_weight + int(home.guest_presence) * SHARE_STEP
    share = guest / (policy.guest_weight + counted * SHARE_STEP)
    out[0] = math.log(share)
    part = (1.0 - share) / mass
    for p in range(home.people_used):
        if belongs(home.people[p], at):
            out[p + 1] = math.log(part * (policy.person_weight + int(home.people[p].presence) * SHARE_STEP))
        else:
            out[p + 1] = -np.inf


@kernel
def count_presence(home, place, steps):
    """Count share steps more (or, negative, fewer) of a place."""
    if place == 0:
        home.guest_presence = max(0, int(home.guest_presence) + steps)
    else:
        home.people[place - 1].presence = max(0, int(home.people[place - 1].presence) + steps)


@kernel
def fade_presence(home, policy):
    """Halve all counts when there are many: old presence fades."""
    total = int(home.guest_presence)
    for p in range(home.people_used):
        total += int(home.people[p].presence)
    if total * SHARE_STEP > policy.presence_events_max:
        home.guest_presence = int(home.guest_presence) // 2
        for p in range(home.people_used):
            home.people[p].presence = int(home.people[p].presence) // 2
