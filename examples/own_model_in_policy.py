"""A River classifier in the policy, which learns from what people say who is at which device: python own_model_in_policy.py"""

from stream import Household, Policy, feedback
from stream.contract.policy import OwnModel

OWN = OwnModel(classifier="river.naive_bayes.BernoulliNB", features=("device",), prior_weight=1.0)
AT_MS, HOUR_MS = 1_763_690_000_000, 3_600_000


def main(policy: Policy) -> float:
    """How likely it is Ana who turns on the light at her desk, after six days."""
    home = Household("linden-1", policy)
    for person in ("ana", "ben"):
        home.tell(feedback.Join(person_id=person), at=AT_MS)
    for number in range(1, 13):
        device, person = (("desk", "ana"), ("bench", "ben"))[number % 2]
        at = AT_MS + number * 12 * HOUR_MS
        answer = home.recognise(device=device, activity="light.on", at=at)
        home.tell(feedback.Correct(event_id=answer.event_id, person_id=person), at=at + 60_000)
    answer = home.recognise(device="desk", activity="light.on", at=AT_MS + 170 * HOUR_MS)
    print(home.explain(answer.event_id))
    return answer.posterior["ana"]


if __name__ == "__main__":
    print(f"{main(Policy()):.0%} without, {main(Policy(own_model=OWN)):.0%} with a model")
