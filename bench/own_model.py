"""The command `python -m bench.own_model`: whether a model of the policy's own helps, in simulated homes, and what it costs.

    python -m bench.own_model [--homes 24] [--days 28] [--seed 11] [--classifier PATH] [--features device,activity] [--json FILE]

Homes are those of the demo; in half of the events nothing was heard or seen, so that habits, phones and the model have to
tell. The model is tried where it can know something that kithkin does not count (each has a device of their own, and is at it
in four of five events), and where it cannot (devices as in the demo); with few and with many claims, beside those of the
demo. Answers are compared event by event, first answers alone, of the second half of each home's time; µs are of a core, over
all records.
"""

import argparse
import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from stream.contract.codec import decode_batch
from stream.contract.policy import OwnModel, Policy
from stream.contract.records import Event, Record
from stream.contract.units import MINUTE_MS
from stream.home.state.household import Household
from stream.home.step import step_batch, warm
from stream.offline.simulation.records import Neighbourhood, neighbourhood

__all__ = ["CASES", "Case", "Measured", "main", "measure", "records_of"]

BATCH: Final = 500
BARE: Final = 0.5  # of events: no voice and no face came
OWN_DEVICE: Final = 0.8  # of somebody's events
LEAST: Final = 1e-6
SURE: Final = 1.96


class Case(NamedTuple):
    """What homes are like: each has a device of their own; and how many events somebody says whose they were."""

    devices: bool
    claimed: float


CASES: Final = tuple(Case(devices, claimed) for devices in (True, False) for claimed in (0.05, 0.2))


class Measured(NamedTuple):
    """Of one policy: by event (household, event_id), the probability of who it was and whether they came first; µs an event."""

    answers: dict[tuple[str, str], tuple[float, bool]]
    us_per_event: float


def records_of(street: Neighbourhood, case: Case, seed: int) -> list[Record]:
    """The records of a neighbourhood as the case has them, each claim a minute after its event."""
    rng, made = np.random.default_rng(seed), list[Record]()
    for record in street.records:
        value = _value(record)
        truth = street.truths.get((value.get("household_id", ""), value.get("event_id", "")))
        if record.topic != "recognitions" or truth is None or value.get("activity") == "setup.enrol":
            made.append(record)
            continue
        bare, moved, claimed = rng.random(3) < (BARE, OWN_DEVICE, case.claimed)
        if bare:
            value = {name: part for name, part in value.items() if name not in ("voice", "face")}
        if case.devices and moved:
            value["device_id"] = f"of-{truth.who}"
        made.append(replace(record, value=json.dumps(value).encode()))
        if claimed:
            at = record.timestamp + MINUTE_MS
            told = {"v": 1, "feedback_id": f"b-{value['event_id']}", "household_id": value["household_id"], "given_at": at,
                    "source": "app", "kind": "correct", "event_id": value["event_id"], "person_id": truth.person_id}  # fmt: skip
            made.append(Record("feedback", record.partition, 0, at, record.key, json.dumps(told).encode()))
    made.sort(key=lambda record: record.timestamp)
    return [replace(record, offset=n) for n, record in enumerate(made)]


def _value(record: Record) -> dict[str, Any]:
    try:
        value = json.loads(record.value or b"{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def measure(street: Neighbourhood, records: Sequence[Record], policy: Policy) -> Measured:
    """Every first answer of the second half, and what a record took."""
    homes: dict[str, Household] = {}
    begin, end = records[0].timestamp, records[-1].timestamp
    found: dict[tuple[str, str], tuple[float, bool]] = {}
    warm(policy)
    count, took_s = 0, 0.0
    for first in range(0, len(records), BATCH):
        events = [event for event in decode_batch(records[first : first + BATCH], policy) if isinstance(event, Event)]
        for event in events:
            homes.setdefault(event.value.household_id, Household.new(event.value.household_id))
        since = time.process_time()
        done = step_batch(homes, events, policy)
        count, took_s = count + len(events), took_s + time.process_time() - since
        assert not done.failures, done.failures
        for answer in done.responses:
            for output in answer.outputs if answer is not None else ():
                if output.topic == "identities" and output.value:
                    told = json.loads(output.value)
                    truth = street.truths.get((told["household_id"], told["event_id"]))
                    if told["revision"] == 0 and truth is not None and told["observed_at"] > (begin + end) / 2:
                        posterior = told["posterior"]
                        right = max(posterior, key=posterior.__getitem__) == truth.person_id
                        found[told["household_id"], told["event_id"]] = posterior.get(truth.person_id, 0.0), right
    return Measured(found, 1e6 * took_s / count)


def _compare(without: Measured, own: Measured) -> dict[str, float]:
    """Of the same events: shares right, surprises (nats), their difference and its margin by homes, and what it costs."""
    both = sorted(without.answers.keys() & own.answers.keys())
    right = [[float(one.answers[key][1]) for key in both] for one in (without, own)]
    nats = [np.array([-math.log(max(one.answers[key][0], LEAST)) for key in both]) for one in (without, own)]
    names = np.array([name for name, _ in both])
    by_home = np.array([(nats[1] - nats[0])[names == name].sum() for name in dict.fromkeys(names.tolist())])
    margin = SURE * math.sqrt(len(by_home) * by_home.var(ddof=1)) / len(both)
    return {
        "events": len(both), "right": float(np.mean(right[0])), "right_own": float(np.mean(right[1])),
        "nats": float(nats[0].mean()), "nats_own": float(nats[1].mean()), "margin": margin,
        "us": without.us_per_event, "us_own": own.us_per_event,
    }  # fmt: skip


def _results(given: argparse.Namespace) -> Iterator[tuple[Case, dict[str, float]]]:
    own = OwnModel(
        classifier=given.classifier, parameters=json.loads(given.parameters), features=given.features.split(","),
        llr_max=given.llr_max, prior_weight=given.prior_weight,
    )  # fmt: skip
    street = neighbourhood(homes=given.homes, days=given.days, seed=given.seed)
    for case in CASES:
        records = records_of(street, case, given.seed)
        yield case, _compare(*(measure(street, records, policy) for policy in (Policy(), Policy(own_model=own))))


def main(words: Sequence[str] | None = None) -> None:
    """Print a line for each case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("homes", 24), ("days", 28), ("seed", 11)):
        parser.add_argument(f"--{name}", type=int, default=default)
    for name, number in (("llr-max", 2.0), ("prior-weight", 3.0)):
        parser.add_argument(f"--{name}", type=float, default=number)
    parser.add_argument("--classifier", default="river.naive_bayes.BernoulliNB")
    parser.add_argument("--parameters", default="{}", help="as JSON")
    parser.add_argument("--features", default="device")
    parser.add_argument("--json", type=Path)
    given, told = parser.parse_args(words), []
    for case, found in _results(given):
        told.append(case._asdict() | found)
        where = "a device each" if case.devices else "as simulated "
        print(
            f"{where}  claimed {case.claimed:4.0%}  {found['events']:6,.0f} events  right {found['right']:.1%} -> "
            f"{found['right_own']:.1%}  surprise {found['nats']:.3f} -> {found['nats_own']:.3f} "
            f"({found['nats_own'] - found['nats']:+.3f} ± {found['margin']:.3f})  {found['us']:.0f} -> {found['us_own']:.0f} µs",
            flush=True,
        )
    if given.json:
        given.json.write_text(json.dumps(told, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
