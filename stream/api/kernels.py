"""What a home is asked for beside its worker: profiles as it stands, and an answer from which nothing is learnt.

Law: the kernels are those of every answer and of every profile that is published.
"""

from typing import Any

from learners.kernel import array, entry_at_first_use
from stream.home.core.learn import add_row
from stream.home.core.posterior import ANSWER_TERMS, posterior
from stream.home.core.profile import add_profile
from stream.home.core.work import WORK
from stream.home.messages import EVENT, OUT, POLICY
from stream.home.state.layout import HOME

__all__ = ["infer", "take_profiles"]


@entry_at_first_use(array(HOME), array(EVENT), array(POLICY), array(WORK))
def infer(homes: Any, events: Any, policies: Any, works: Any) -> None:
    """Who made events[0], in works[0].posterior (guest first); homes[0] stays as it was, but for words and galleries."""
    home = homes[0]
    index = add_row(home, events[0], policies[0])
    posterior(home, index, ANSWER_TERMS, policies[0], works[0])
    home.rows_used -= 1
    home.next_row -= 1


@entry_at_first_use(array(HOME), array(POLICY), array(WORK), array(OUT))
def take_profiles(homes: Any, policies: Any, works: Any, outs: Any) -> None:
    """A profile of everybody in homes[0]; it counts as published, so this is done to a copy."""
    for column in range(homes[0].people_used):
        add_profile(homes[0], column, policies[0], works[0], outs[0])
