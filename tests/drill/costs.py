"""What processes take of the machine, as the kernel counts it.

Law: it is read from outside, of any process, and reading costs it nothing.
"""

import os
from collections.abc import Iterable
from pathlib import Path

__all__ = ["busy_s", "cpu_s", "memory_mib_max"]

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


def cpu_s(pids: Iterable[int]) -> float:
    """Seconds of CPU, user and system together, that living processes have had."""
    return sum(_ticks(pid) for pid in pids) / _TICKS_A_SECOND


def busy_s() -> float:
    """Seconds of CPU that this machine has spent on anyone."""
    user, nice, system, _, _, *interrupts_and_stolen = map(int, Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + sum(interrupts_and_stolen)) / _TICKS_A_SECOND


def memory_mib_max(pids: Iterable[int]) -> float:
    """The most that any of these processes has ever had in memory (VmHWM)."""
    return max(_high_water_kib(pid) for pid in pids) / 1024


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def _high_water_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
