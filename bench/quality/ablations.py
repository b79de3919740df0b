"""What each part of the recogniser is worth: it is switched off by a value of the policy, and the worlds are judged again.

Law: a part is judged on people that no pack was fitted on, against the whole recogniser on the same homes.
"""

from typing import Any, Final

from .bootstrap import differences
from .measures import believed, of_tier, recognised
from .results import pooled
from .trials import Answers

__all__ = ["PARTS", "SCENARIOS", "ablated"]

# Part -> the lines of TOML that switch it off. A new part of the recogniser gets its line here.
PARTS: Final[dict[str, tuple[str, ...]]] = {
    "fitted packs": ('encoders."resemblyzer-0.1.4".pack = ""', 'encoders.dlib-resnet-v1.pack = ""'),
    "forgetting": ("learning.forgetting_per_day = 0.0",),
    "the folded past": ("learning.tail_mass_max = 0.001",),
    "strength of a phone's signal": ("phones.signal_llr_max = 0.001",),
    "learning whether a phone goes with its owner": ("phones.learning_rate = 0.0",),
    "phones": ("phones.heard_with_owner = 0.5", "phones.heard_without = 0.5", "phones.signal_llr_max = 0.001"),
    "how often each is met": ("priors.person_weight = 1e9",),
    "how many guests come": ("priors.guest_weight = 1e9",),
    "honesty of claims": ("priors.honesty_weight = 1e9",),
    "bounds on claims": ("claims.nats_enrolled = 50.0", "claims.nats_max = 50.0", "claims.echo_nats = 50.0",
                         "claims.daily_nats = {voice = 1e6, app = 1e6, pin = 1e6, annotator = 1e6}"),
    "holding suspicious claims out": ("claims.suspicious_from = 1e300",),
    "guests who return": ("learning.new_guest_weight = 1e9",),
    "unnamed people": ("learning.unnamed_llr_min = 1e9",),
    "habits": ("learning.habits_half_life_days = 0.001",),
    "beginning anew after a change": ("drift.adapting = false",),
    "thresholds that a home learns": ("tiers.learning_rate = 0.0",),
    "tempering of who never enrolled": ("learning.unanchored_temper = 0.999",),
    "weighing all anew": ("learning.rebuild_growth = 1e9",),
}  # fmt: skip
SCENARIOS: Final = ("ageing", "micswap", "missing", "poison", "false_feedback", "guests", "newcomer", "cold")


def ablated(whole: list[Answers], without: list[Answers], draws: int) -> dict[str, Any]:
    """What the part is worth in a scenario: figures with it less those without it, on the same homes."""
    ours, less = pooled(whole)["ours"], pooled(without)["ours"]
    return differences(ours, less, lambda c: recognised(c) | believed(c) | of_tier(c, 2), draws)
