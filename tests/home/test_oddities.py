"""The table of docs/records.md: each line of what becomes of late, early, double and contradictory records, played in a home."""

import re

import pytest

from stream.home.messages import OUTCOMES
from tests.support.flow import ROOT
from tests.support.oddities import ODDITIES, Oddity
from tests.support.worlds import Story


@pytest.mark.parametrize("oddity", ODDITIES, ids=lambda oddity: oddity.sent)
def test_what_becomes_of_it_is_as_the_page_says(oddity: Oddity) -> None:
    told, means_so = oddity.play(Story())
    assert tuple(told) == oddity.becomes
    assert means_so, oddity.means


def test_the_page_has_every_outcome() -> None:
    told = " ".join(words for oddity in ODDITIES for words in oddity.becomes)
    of_proofs = ("stale", "nonce", "other_person", "no_sighting", "other_factor")
    assert [word for word in OUTCOMES if word not in told.split() and word not in of_proofs] == []
    assert {*of_proofs} <= {*re.findall(r"`(\w+)`", (ROOT / "docs" / "decisions-api.md").read_text("utf-8"))}
