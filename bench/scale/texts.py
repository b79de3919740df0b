"""The words of the page about capacity."""

from typing import Final

__all__ = ["PAGE"]

PAGE: Final = """# Capacity

What one worker was measured to take, and what follows of it for a hundred million homes. This page is written by

```console
$ python -m bench.scale --homes {sizes} --docs docs/capacity.md
```

on {machine}; one core was used, kernels compiled. One u is one iteration of `x += i * i` in a plain
Python function ({u_ns:.0f} ns in the last row).

## One worker, measured

{table}
Every home is that of four people after 200 events of the synthetic town, its ledger full, under its own name; states
stand in a store in memory, events come from a list, and sixteen partitions are this worker's. *Live*: the home stood
decoded in memory when a batch needed it; *kept*: as the bytes it was saved as; *store*: it was asked for.
`resident_bytes_max` is the default, {resident_mib:.0f} MiB. *Worker* is the process without the store. *To the first
answer*: a process starts, with its kernels compiled before; then every partition is claimed and one record answered.
Neither depends on how many homes there are, for a home is loaded when a record of it comes.

In the last row every home is active, so that hardly one is in memory when it is needed, as in a fleet whose homes have
{a_day:.0f} records a day. There a record has {in_bytes:,.0f} bytes and leads to {out_bytes:,.0f} bytes of outputs;
{loaded:,.0f} bytes of state are loaded for it and {saved:,.0f} saved.

## A hundred million homes, calculated

Assumed: {a_day:.0f} records a home and day, {peak_share:.0f} times as many in the busiest hour; a state is loaded and saved
whole at every record ({state_bytes:,} bytes); {clients:.0f} µs a record for the clients of Kafka and Redis, beside the
{us_row:.0f} µs of the last row; cores at most {busy:.0%} busy; {key_bytes} bytes of Redis beside each state; shards of
32 GiB, of which {shard_gib:.0f} are filled; Kafka with three copies, kept for {days:.0f} days.

| what | how much |
|---|---:|
| records a second, mean / peak | {p.rate:,.0f} / {p.peak:,.0f} |
| worker processes of one core | {p.cores:,} ({of_core:,.0f} records/s each) |
| partitions of each topic | {p.partitions:,} ({of_partition:,.0f} homes each) |
| states in Redis | {memory_tb:.2f} TB |
| shards of Redis, without replicas | {p.shards:,} |
| between workers and Redis at the peak | {redis_gbit:.1f} Gbit/s ({of_shard:.0f} MB/s a shard) |
| through Kafka at the peak, once | {kafka_gbit:.1f} Gbit/s |
| kept by Kafka | {kafka_tb:.0f} TB |
| brokers, at {broker_mb:.0f} MB/s each | {p.brokers} |

All keys of a partition lie in one slot of a Redis Cluster, so there are at least eight partitions a shard, that none has
much more than another; and at least four a worker, that one that is lost is shared by several. The number of partitions
is the one thing here that cannot be changed later: it says where a home's records and its state are.

| US dollars a month | |
|---|---:|
{cost}
That is {a_home:.2f} dollars a month for a thousand homes. Prices are round assumptions: {prices[0]:.0f} for a shard of
32 GiB, {prices[1]:.0f} for a core, {prices[2]:.0f} for a broker, {prices[3]:.2f} for a GB of disk, {prices[4]:.2f} for a GB
between zones, which two thirds of the traffic pass.

## What breaks first

1. **The fleet stage.** It is one process that knows every subject of every home: {fleet[live_bytes]:,.0f} bytes each in
   memory, {fleet_gb:,.0f} GB at {fleet[subjects]} subjects a home. One decision looks at all of them, which takes
   {decision_s:,.0f} s of every six hours. The heartbeats of calm homes alone are {signals:,.0f} signals a second
   ({fleet_cores:.0%} of a core); it remembers {fleet[seen_max]:,} ids of signals, which is {fleet_seen_s:,.0f} s of them, and
   refuses what is older as perhaps seen. Two days of ids, as it is meant, are those of {fleet_homes:,.0f} homes. Beyond
   that it needs one process for each region, and a second stage for causes that regions share.
2. **Whole states at every record.** {saved:,.0f} bytes are saved for a record that brings {in_bytes:,.0f}, and as many loaded
   before: that is the traffic between zones, and what fills Redis's own log on disk. What changed of a record is a small
   part of it. Longer batches help homes with several records in one, and no others.
3. **Memory of Redis.** All states are in it, also those of homes that are silent for weeks. A store on disks would hold
   those for a tenth of the price; `StateStore` is a port.
4. **A release.** A start takes {start_s:.1f} s, and {answer_ms:.0f} ms to the first answer: one worker that is replaced is not
   noticed among {p.cores:,}, but if all start together, records of that time wait.

The memory of workers is bounded by `resident_bytes_max` and breaks nothing: homes that speak once an hour do not fit, and
are loaded each time.

Not measured here: Kafka and Redis themselves, their clients (see [performance](performance.md)), and transactions of
workers with more partitions than sixteen.
"""
