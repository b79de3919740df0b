"""The page about capacity: what was measured, and what follows of it for a hundred million homes, as Markdown.

Law: every figure is measured or stands among the assumptions, which the page tells; the rest is arithmetic.
"""

import math
from typing import Any, Final, NamedTuple

from . import texts

__all__ = ["Plan", "page", "planned", "table"]

Figures = dict[str, Any]

HOMES: Final = 100_000_000
EVENTS_A_DAY: Final = 20.0  # records of a home: what is asked of its devices, and what is said of it
PEAK: Final = 3.0  # the busiest hour beside the mean
BUSY_MAX: Final = 0.6  # of a core at the peak: the rest catches up after a failure
CLIENTS_US: Final = 60.0  # CPU of the clients of Kafka and Redis, an event
SHARD_BYTES: Final = 24 * 2**30  # of 32 GiB: the rest is for saving to disk and for copies on write
KEY_BYTES: Final = 250  # what Redis needs beside a state: its key, its entry and its name in the partition's set
KAFKA_DAYS: Final = 7.0  # that input and outputs are kept
BROKER_BYTES_S: Final = 100e6  # in and out, that one broker takes with ease
PRICE_SHARD, PRICE_CORE, PRICE_BROKER = 150.0, 30.0, 300.0  # US dollars a month: 32 GiB of memory; one core; a broker
PRICE_DISK_GB, PRICE_NETWORK_GB = 0.08, 0.02  # a month; between zones, both ends
MONTH_S: Final = 30 * 86_400
WEEK_S: Final = 7 * 86_400


class Plan(NamedTuple):
    """What a number of homes needs."""

    rate: float  # events a second, mean
    peak: float
    us: float  # CPU of an event, clients included
    cores: int
    shards: int  # without replicas
    memory: float  # bytes of all states in Redis
    partitions: int
    to_redis: float  # bytes a second at the peak
    from_redis: float
    through_kafka: float  # in and out, once
    kafka: float  # bytes kept, three copies
    brokers: int
    prices: dict[str, float]  # US dollars a month


def planned(figures: Figures, homes: int = HOMES) -> Plan:
    """The plan for so many homes, from the row in which nobody was there lately."""
    row = figures["sizes"][-1]
    rate = homes * EVENTS_A_DAY / 86_400
    peak, us = PEAK * rate, row["us"] + CLIENTS_US
    cores = math.ceil(peak * us / 1e6 / BUSY_MAX)
    memory = homes * (row["state_bytes"] + KEY_BYTES)
    shards = math.ceil(memory / SHARD_BYTES)
    messages = row["in_bytes"] + row["out_bytes"]
    kafka = 3 * rate * messages * 86_400 * KAFKA_DAYS
    brokers = max(3, math.ceil(3 * peak * messages / BROKER_BYTES_S))
    to_redis, from_redis = peak * row["state_bytes"], peak * row["state_bytes"]
    moved = rate * (2 * row["state_bytes"] + 3 * messages) * MONTH_S / 1e9
    prices = {
        "Redis, with a replica each": 2 * shards * PRICE_SHARD, "workers": cores * PRICE_CORE,
        "Kafka, brokers": brokers * PRICE_BROKER, "Kafka, disks": kafka / 1e9 * PRICE_DISK_GB,
        "traffic between zones": moved * PRICE_NETWORK_GB * 2 / 3,
    }  # fmt: skip
    partitions = 1 << math.ceil(math.log2(max(4 * cores, 8 * shards)))
    return Plan(rate, peak, us, cores, shards, memory, partitions, to_redis, from_redis, peak * messages, kafka, brokers, prices)


def table(figures: Figures) -> str:
    """What was measured, a row for each size."""
    heads = (
        "homes", "active", "µs a record", "u a record", "bytes a home", "live / kept / store", "worker, MB", "with store, MB",
        "to the first answer",
    )  # fmt: skip
    lines = ["| " + " | ".join(heads) + " |", "|" + "---:|" * len(heads)]
    for row in figures["sizes"]:
        store = 1 - row["live"] - row["kept"]
        answer = f"{figures['start_s']:.1f} s + {row['answer_ms']:.1f} ms"
        cells = (
            f"{row['homes']:,}", f"{row['active']:,}", f"{row['us']:.0f}", f"{1e3 * row['us'] / row['u_ns']:,.0f}",
            f"{row['state_bytes']:,}", f"{row['live']:.0%} / {row['kept']:.0%} / {store:.0%}",
            f"{row['worker_rss'] / 1e6:,.0f}", f"{row['rss'] / 1e6:,.0f}", answer,
        )  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def page(figures: Figures) -> str:
    """The whole page."""
    plan, row, fleet = planned(figures), figures["sizes"][-1], figures["fleet"]
    sizes = [one["homes"] for one in figures["sizes"][:-1]]
    a_week = HOMES * fleet["subjects"] / WEEK_S
    fleet_bytes = HOMES * fleet["subjects"] * fleet["live_bytes"]
    cost = "".join(f"| {what} | {price:,.0f} |\n" for what, price in plan.prices.items())
    cost += f"| **in all** | **{sum(plan.prices.values()):,.0f}** |\n"
    return texts.PAGE.format(
        table=table(figures), sizes=" ".join(map(str, sizes)), machine=figures["machine"], u_ns=row["u_ns"],
        in_bytes=row["in_bytes"], out_bytes=row["out_bytes"], state_bytes=row["state_bytes"], saved=row["saved_bytes"],
        loaded=row["loaded_bytes"], us_row=row["us"], clients=CLIENTS_US, a_day=EVENTS_A_DAY, peak_share=PEAK, busy=BUSY_MAX,
        shard_gib=SHARD_BYTES / 2**30, key_bytes=KEY_BYTES, days=KAFKA_DAYS, broker_mb=BROKER_BYTES_S / 1e6,
        p=plan, memory_tb=plan.memory / 1e12, kafka_tb=plan.kafka / 1e12, redis_gbit=8 * (plan.to_redis + plan.from_redis) / 1e9,
        of_shard=(plan.to_redis + plan.from_redis) / plan.shards / 1e6, of_core=plan.peak / plan.cores,
        of_partition=HOMES / plan.partitions, kafka_gbit=8 * plan.through_kafka / 1e9, cost=cost,
        a_home=1e3 * sum(plan.prices.values()) / HOMES,
        prices=(PRICE_SHARD, PRICE_CORE, PRICE_BROKER, PRICE_DISK_GB, PRICE_NETWORK_GB), fleet=fleet, signals=a_week,
        fleet_gb=fleet_bytes / 1e9, fleet_cores=a_week * fleet["signal_us"] / 1e6,
        fleet_seen_s=fleet["seen_max"] / a_week, decision_s=HOMES * fleet["subjects"] * fleet["decision_us"] / 1e6,
        fleet_homes=fleet["seen_max"] / (2 * fleet["subjects"] / 7), answer_ms=max(one["answer_ms"] for one in figures["sizes"]),
        start_s=figures["start_s"], resident_mib=row["resident_max"] / 2**20,
    )  # fmt: skip
