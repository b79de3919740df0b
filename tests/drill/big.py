"""What is big: a day of backlog, homes that join at once, a record of 900 KB.

Law: memory stays under its limit, the lag falls from the first minute on, and everything is answered as ever.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Final

from stream.offline.simulation.behaviour import BEGIN_MS
from stream.ops.local_cluster.processes import until
from tests.support.histories import Sent

from .costs import memory_mib_max
from .site import CREW, Scene, Site, opened

__all__ = ["big"]

_RESIDENT_BYTES: Final = 4 * 2**20
_LIMIT_MIB: Final = 512.0
_PATIENCE_S: Final = 240.0
_RUBBISH_BYTES: Final = 900_000  # is refused and lies in the dead letters
_LARGE_BYTES: Final = 120_000  # is read: fields that are not known are ignored


def big(scene: Scene, homes: int, backlog: int) -> tuple[list[str], list[str]]:
    """Lines to be printed, and complaints."""
    more = {"resident_bytes_max": _RESIDENT_BYTES, "batch_records_max": 1_000}
    with opened(replace(scene, gated=False, more=more)) as site:
        for sent in (*_large(), *_joining(homes)):
            site.feeder.send(sent)
        site.feeder.fill(backlog)
        began_s = time.monotonic()
        for slot in CREW:
            site.crew.hire(slot)
        lags = _drained_by_steps(site)
        took_s = time.monotonic() - began_s
        memory_mib = memory_mib_max(site.crew.pids)
        complaints = site.checker.check() + site.crew.complaints
    if any(later >= earlier for earlier, later in pairwise(lags)) or lags[-1]:
        complaints.append(f"the lag did not fall steadily: {lags}")
    if memory_mib > _LIMIT_MIB:
        complaints.append(f"a worker had {memory_mib:.0f} MiB in memory, the limit is {_LIMIT_MIB:.0f}")
    lines = [
        f"{site.feeder.sent:,} records, of them {homes:,} homes that join at once and one of {_RUBBISH_BYTES:,} bytes: "
        f"done in {took_s:.0f} s; lag by the way: {', '.join(f'{lag:,}' for lag in lags)}",
        f"most in memory of a worker: {memory_mib:.0f} MiB, with {_RESIDENT_BYTES / 2**20:.0f} MiB of states resident at most",
    ]
    return lines, complaints


def _drained_by_steps(site: Site) -> list[int]:
    """The lag at the beginning, and whenever a quarter of it is done."""
    all_of_it = site.progress.lag
    lags = [all_of_it]
    for left in (3, 2, 1, 0):
        until(lambda left=left: site.progress.lag <= all_of_it * left // 4, _PATIENCE_S)
        lags.append(site.progress.lag)
    return lags


def _joining(homes: int) -> Iterator[Sent]:
    """What as many homes say when they begin, all at the same time."""
    for topic, number in ((topic, number) for topic in ("feedback", "recognitions") for number in range(homes)):
        home = f"new-{number}"
        if topic == "feedback":
            told = {"feedback_id": "f-1", "given_at": BEGIN_MS, "source": "app", "kind": "join", "person_id": "alice"}
        else:
            told = {"event_id": "e-1", "observed_at": BEGIN_MS, "device_id": "kitchen", "activity": "music.play"}
        yield Sent(topic, 0, BEGIN_MS, home.encode(), json.dumps({"v": 1, "household_id": home, **told}).encode())


def _large() -> Iterator[Sent]:
    """A record that is too large to be read, and one that is large."""
    seen = {"v": 1, "household_id": "large", "device_id": "hall", "observed_at": BEGIN_MS, "activity": "music.play"}
    for event_id, size in (("e-too-large", _RUBBISH_BYTES), ("e-large", _LARGE_BYTES)):
        value = json.dumps({**seen, "event_id": event_id, "more": "x" * size}).encode()
        yield Sent("recognitions", 0, BEGIN_MS, b"large", value)
