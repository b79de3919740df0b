"""Of every kind of planted change some are named; `python -m bench.backtests.explain` plants fifty."""

from pathlib import Path

from bench.backtests.explain import KINDS, Planter, explained, tallied
from stream.offline.simulation.records import neighbourhood


def test_planted_changes_of_every_kind_are_named_by_few_replays(tmp_path: Path) -> None:
    records = [record for record in neighbourhood(homes=2, days=2, seed=3).records if record.key]
    tallies = tallied([explained(planted) for planted in Planter(tmp_path, records, seed=1).plant(8)])
    assert tallies.keys() == KINDS.keys()
    assert [why for tally in tallies.values() for why in tally.missed] == []
    assert sum(tally.named for tally in tallies.values()) == 8
