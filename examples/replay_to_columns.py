"""Replays a log and gives its answers as columns, for any data frame: python replay_to_columns.py LOG OUT"""

import json
import sys
from pathlib import Path
from typing import Any

from stream import Identity, replay


def main(log: str, out: str) -> dict[str, list[Any]]:
    """`pandas.DataFrame(columns)`, `polars.DataFrame(columns)` and `pyarrow.table(columns)` all take them."""
    replay(log, out, fresh=True)
    columns: dict[str, list[Any]] = {name: [] for name in ("household_id", "at", "person_id", "probability", "tier", "revision")}
    for line in (Path(out) / "identities.jsonl").read_text("utf-8").splitlines():
        answer = Identity.model_validate(json.loads(line)["value"])
        likeliest = answer.person_id or answer.likeliest
        row = (answer.household_id, answer.observed_at, likeliest, answer.posterior[likeliest], answer.tier, answer.revision)
        for column, value in zip(columns.values(), row, strict=True):
            column.append(value)
    return columns


if __name__ == "__main__":
    for name, column in main(*sys.argv[1:]).items():
        print(f"{name:<14}{column[:5]} … {len(column):,}")
