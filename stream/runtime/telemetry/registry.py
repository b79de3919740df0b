"""What can be measured of a worker: every name in one place, and their form for Prometheus.

Law: METRICS names all there is, and nothing else is exposed. Numbers are kept as plain numbers and become metrics when they
are asked for, so that a worker pays nothing for what nobody reads.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

__all__ = ["FLEET_METRICS", "METRICS", "SLO_METRICS", "Histogram", "Metric", "Sample", "exposition"]


class Metric(NamedTuple):
    """One metric: how it behaves, what it means, and the names of its labels."""

    kind: Literal["counter", "gauge", "histogram"]
    means: str
    labels: tuple[str, ...] = ()


# Counters begin anew with each process, as Prometheus expects; their names end in `_total` on the wire.
METRICS: Final[Mapping[str, Metric]] = {
    # What was done. Rates come of these: rate(kithkin_events_total[1m]).
    "kithkin_batches": Metric("counter", "Batches published."),
    "kithkin_records": Metric("counter", "Input records whose effects are visible: events and dead letters."),
    "kithkin_events": Metric("counter", "Input records that could be used."),
    "kithkin_outputs": Metric("counter", "Records published, by topic.", ("topic",)),
    "kithkin_outcomes": Metric("counter", "What became of events: answered, duplicate, used, expired, …", ("outcome",)),
    "kithkin_dead_letters": Metric("counter", "Input records that could not be used.", ("reason",)),
    "kithkin_parts_left_out": Metric(
        "counter",
        "Parts of events that could not be read, by the field at fault. Alert on `encoder`: the policy lacks one.",
        ("reason",),
    ),
    # How far behind.
    "kithkin_lag": Metric("gauge", "Input records not yet done, of both topics, by assigned partition.", ("partition",)),
    "kithkin_assigned_partitions": Metric("gauge", "Partitions this worker owns; 0 when there are more workers than partitions."),
    # How long it takes.
    "kithkin_latency_seconds": Metric("histogram", "From an input record's timestamp to the commit of what came of it."),
    "kithkin_batch_seconds": Metric("histogram", "One batch, from its records to its saved states without the wait for records."),
    "kithkin_part_seconds": Metric(
        "histogram", "A batch's parts: poll (waiting included), load, step (all that is computed), publish, save.", ("part",)
    ),
    # Homes in memory.
    "kithkin_resident_homes": Metric("gauge", "Homes in memory."),
    "kithkin_resident_bytes": Metric("gauge", "What they weigh at rest; live they weigh a small multiple."),
    "kithkin_homes_new": Metric("counter", "Homes begun, because the store had no state of them."),
    "kithkin_homes_loaded": Metric("counter", "Homes decoded from the store."),
    # What went wrong, or could have.
    "kithkin_quarantined_households": Metric("gauge", "Households left out because the core failed on them. Alert above 0."),
    "kithkin_misplaced_homes": Metric(
        "gauge", "Homes seen whose records lie in another partition than Kafka's own partitioner gives their key. Alert above 0."
    ),
    "kithkin_rebalances": Metric("counter", "Changes of the assignment."),
    "kithkin_recoveries": Metric("counter", "Journalled batches applied again, because their states had not been saved."),
    "kithkin_takeover_seconds": Metric("histogram", "Taking over the partitions of a new assignment, recovery included."),
    "kithkin_restarts": Metric(
        "counter",
        "Starts anew by the supervisor, by how the process before ended: failed, fenced, stalled, killed, server away.",
        ("reason",),
    ),
    "kithkin_since_progress_seconds": Metric("gauge", "Time without a finished batch although there is lag; at stall_s it ends."),
    # What runs.
    "kithkin_worker_info": Metric("gauge", "Always 1.", ("slot", "version", "step_version", "policy_id")),
}

# Of the fleet stage. Its counts are part of its state, and go on over a restart.
FLEET_METRICS: Final[Mapping[str, Metric]] = {
    "kithkin_fleet_signals": Metric("counter", "Signals, by what became of them: taken, duplicate, late, …", ("outcome",)),
    "kithkin_fleet_decisions": Metric("counter", "Decisions made, one for each window of event time."),
    "kithkin_fleet_withheld": Metric("counter", "Alerts not opened, because their household had its share of the month."),
    "kithkin_fleet_lag": Metric("gauge", "Signals not fetched yet."),
    "kithkin_fleet_homes": Metric("gauge", "Homes that spoke within the policy's memory."),
    "kithkin_fleet_alerts_standing": Metric("gauge", "Alerts that are open.", ("severity",)),
    "kithkin_fleet_decided_at_seconds": Metric("gauge", "Event time of the latest decision, seconds since the Unix epoch."),
}

# Of who looks after objectives: `kithkin slo --listen`.
SLO_METRICS: Final[Mapping[str, Metric]] = {
    "kithkin_slo_left": Metric("gauge", "Share of an error budget that is left; below 0 it is overspent.", ("objective",)),
    "kithkin_slo_calls": Metric(
        "gauge", "1 while somebody is to be called because a budget burns too fast, by urgency.", ("objective", "severity")
    ),
    "kithkin_slo_looked_at_seconds": Metric("gauge", "When it was last found out, seconds since the Unix epoch."),
}

_BOUNDS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)


class Histogram:
    """How often values fell below each bound.

    >>> histogram = Histogram()
    >>> histogram.observe([0.004, 0.004, 9_999.0])
    >>> histogram.count, histogram.sum_s
    (3, 9999.008)
    """

    def __init__(self) -> None:
        self._counts = [0] * (len(_BOUNDS_S) + 1)  # one more, for what is above all bounds
        self.sum_s = 0.0

    @property
    def count(self) -> int:
        """Values observed."""
        return sum(self._counts)

    def observe(self, values_s: Iterable[float]) -> None:
        """Count values, in seconds."""
        for value in values_s:
            self._counts[bisect_left(_BOUNDS_S, value)] += 1
            self.sum_s += value

    def buckets(self) -> list[tuple[str, float]]:
        """Upper bounds, as text, with the values up to each."""
        return list(zip([*map(str, _BOUNDS_S), "+Inf"], accumulate(self._counts), strict=True))


class Sample(NamedTuple):
    """One value of a metric, with the values of its labels."""

    name: str
    value: float | Histogram
    labels: tuple[str, ...] = ()


class _Collector:
    """What the Prometheus client asks at each scrape."""

    def __init__(self, read: Callable[[], Iterable[Sample]], metrics: Mapping[str, Metric]) -> None:
        self._read, self._metrics = read, metrics

    def collect(self) -> Iterator[Any]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        kinds = {"counter": CounterMetricFamily, "gauge": GaugeMetricFamily, "histogram": HistogramMetricFamily}
        samples: dict[str, list[Sample]] = {name: [] for name in self._metrics}
        for sample in self._read():
            samples[sample.name].append(sample)
        for name, metric in self._metrics.items():
            family = kinds[metric.kind](name, metric.means, labels=metric.labels)
            for sample in samples[name]:
                _add(family, sample.labels, sample.value)
            yield family


def _add(family: Any, labels: Sequence[str], value: float | Histogram) -> None:
    if isinstance(value, Histogram):
        family.add_metric(labels, buckets=value.buckets(), sum_value=value.sum_s)
    else:
        family.add_metric(labels, value)


def exposition(read: Callable[[], Iterable[Sample]], metrics: Mapping[str, Metric] = METRICS) -> "CollectorRegistry":
    """A registry for the Prometheus client: what `read` gives of `metrics` at each scrape, and the process's CPU and memory."""
    from prometheus_client import CollectorRegistry, ProcessCollector

    registry = CollectorRegistry()
    registry.register(_Collector(read, metrics))
    ProcessCollector(registry=registry)
    return registry
