"""Brokers of records: where inputs come from and outputs go, atomically with the offsets.

Law: every broker passes `tests/conformance_broker.py`.
"""

from .faults import Crash, Fault, Faults
from .memory import MemoryBroker, MemoryLog

__all__ = ["Crash", "Fault", "Faults", "MemoryBroker", "MemoryLog"]
