"""What homes take of a machine's memory, as the kernel counts it, against what `resident_bytes_max` promises."""

import json
import subprocess
import sys

import pytest

from stream.home.state.layout import HOME

MIB = 2**20
HOMES = 10_000
COMPOSE_BYTES = 1024 * MIB  # of a worker in docker-compose.yml

_WORK = """
import json, sys
from stream.brokers import MemoryBroker, MemoryLog
from stream.runtime.worker.worker import Worker, WorkerLimits
from stream.stores import SqliteStore
from tests.support.one_worker import POLICY, see


def rss():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmRSS")) * 1024


limit, homes, batch, path = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
log = MemoryLog()
limits = WorkerLimits(resident_bytes_max=limit)
worker = Worker(MemoryBroker(log), SqliteStore(path, "NORMAL"), POLICY, limits)
worker.run_once()
see(log, "e-0", household="warm")
worker.run_once()
before, peak = rss(), 0
for start in range(0, homes, batch):
    for home in range(start, start + batch):
        see(log, "e-1", household=f"h-{home}")
    worker.run_once()
    for outputs in log._outputs.values():
        outputs.clear()
    peak = max(peak, rss())
print(json.dumps([before, peak, worker.counts.resident_bytes, worker.counts.resident_homes]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="The kernel of Linux tells here what a process takes.")
@pytest.mark.parametrize(("limit", "batch"), [(64 * MIB, 250), (256 * MIB, 1_000)], ids=["small", "as set"])
def test_ten_thousand_homes_take_what_was_allowed_and_the_homes_of_a_batch(limit: int, batch: int, tmp_path: object) -> None:
    words = [sys.executable, "-c", _WORK, str(limit), str(HOMES), str(batch), f"{tmp_path}/run.db"]
    told = subprocess.run(words, check=True, capture_output=True).stdout
    before, peak, resident, homes = json.loads(told)
    log = HOMES * 1_500  # the records themselves, which here lie in memory
    assert resident <= limit
    assert homes > 500
    assert peak - before <= 1.2 * limit + batch * HOME.itemsize + log
    assert peak <= 0.75 * COMPOSE_BYTES
