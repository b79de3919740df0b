"""Whereabouts: whether one person is at home, as a Markov chain in continuous time.

Law: the numbers of a state add up to 1, and the share of them that is at home moves with time alone as
to + (p - to) 2^(-hours / half-life), whatever is believed of the phone: so it can be told as a function of time.

Theory: somebody is at home or away, and their phone is with them and on, or not to be heard (switched off, empty), or left at
home; each of both changes at its own pace. A phone that was heard a while ago and is silent now speaks for having left; one that
is silent while its owner is heard speaks for being off, and then says nothing for hours. That is a hidden Markov model of two by
three states (Rabiner 1989), whose forward pass is all that is needed.
"""

import math

from learners.kernel import kernel

__all__ = ["MODES", "ON", "STATES", "at_home", "pass_time", "see_phone", "settle_down", "weigh_home"]

MODES = 3  # of a phone: with its owner and on; not to be heard anywhere; left at home
ON, OFF, LEFT = range(MODES)
STATES = 2 * MODES  # away, then at home, by mode
LEAST = 1e-6  # of a state: nothing is impossible


@kernel
def settle_down(state, home_share, off, left):
    """What is believed of somebody of whom nothing is known. `off`, `left`: shares of the time that a phone is so."""
    for mode in range(MODES):
        share = off if mode == OFF else left if mode == LEFT else 1.0 - off - left
        state[mode], state[MODES + mode] = (1.0 - home_share) * share, home_share * share


@kernel
def at_home(state):
    """Probability of being at home."""
    return state[MODES + ON] + state[MODES + OFF] + state[MODES + LEFT]


@kernel
def pass_time(state, hours, home, phone):
    """Let hours pass. `home`: share of the time at home, and a half-life; `phone`: shares off and left, and their half-life."""
    stays, keeps = 2.0 ** (-hours / home[1]), 2.0 ** (-hours / phone[2])
    for mode in range(MODES):
        both = state[mode] + state[MODES + mode]
        state[MODES + mode] = both * home[0] + (state[MODES + mode] - both * home[0]) * stays
        state[mode] = both - state[MODES + mode]
    for first in range(0, STATES, MODES):
        total = state[first + ON] + state[first + OFF] + state[first + LEFT]
        for mode in range(MODES):
            share = phone[0] if mode == OFF else phone[1] if mode == LEFT else 1.0 - phone[0] - phone[1]
            state[first + mode] = total * share + (state[first + mode] - total * share) * keeps


@kernel
def see_phone(state, heard, rates, weight):
    """A device listened. `rates`: how often a phone is heard that is at home and on, and one that is not; `weight`: 0 to 1, less
    of what was listened to a moment before, or of a phone that may be somebody else's.
    """
    there = rates[0] if heard else 1.0 - rates[0]
    elsewhere = rates[1] if heard else 1.0 - rates[1]
    likely = math.exp(weight * math.log(there / elsewhere))
    state[LEFT] *= likely
    state[MODES + ON] *= likely
    state[MODES + LEFT] *= likely
    _normalise(state)


@kernel
def weigh_home(state, ratio):
    """Something was seen that is `ratio` times as likely when they are at home as when they are away."""
    for mode in range(MODES):
        state[MODES + mode] *= ratio
    _normalise(state)


@kernel
def _normalise(state):
    """Nothing is impossible, and all add up to 1."""
    total, left = 0.0, 0.0
    for place in range(STATES):
        total += state[place]
    for place in range(STATES):
        state[place] = max(state[place] / total, LEAST)
        left += state[place]
    for place in range(STATES):
        state[place] /= left
