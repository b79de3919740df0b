"""How one recognition flows: which modules it enters, in order, from its bytes to its outputs.

    python -m tests.support.flow

tells it, module by module; `tests/test_house.py` holds how many there may be. What is compiled is entered once, at its entry.
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from stream.brokers.memory import MemoryBroker, MemoryLog
from stream.runtime.worker.worker import Worker
from stream.stores.memory import MemoryStore
from tests.support.worlds import POLICY, Shape, world

__all__ = ["Flow", "flow_of_a_recognition", "recorded"]

ROOT = Path(__file__).parent.parent.parent
OURS = tuple(str(ROOT / package) + "/" for package in ("stream", "learners"))
FAULTS = str(ROOT / "stream" / "brokers" / "faults.py")  # which only tests have strike


class Flow(NamedTuple):
    """Modules in the order in which calls entered them; a return to the caller's is no entry."""

    entered: Sequence[str]
    functions: int  # told apart
    changes: int  # times that the next line is of another module than the last: calls and returns

    @property
    def modules(self) -> list[str]:
        """Each once, in the order met."""
        return list(dict.fromkeys(self.entered))


def recorded(work: Callable[[], Any]) -> Flow:
    """What of ours is entered while `work` is done."""
    entered: list[str] = []
    functions: set[Any] = set()
    stack: list[str] = []
    changes = 0

    def module_of(code: Any) -> str:
        name = code.co_filename
        if not name.startswith(OURS) or name == FAULTS:
            return ""
        return ".".join(Path(name).relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")

    def watch(frame: Any, what: str, _: Any) -> None:
        nonlocal changes
        if what == "call":
            own = module_of(frame.f_code)
            before = next((name for name in reversed(stack) if name), "")
            stack.append(own)
            if own:
                functions.add(frame.f_code)
                if own != before:
                    entered.append(own)
                    changes += bool(before)
        elif what == "return" and stack:
            own = stack.pop()
            below = next((name for name in reversed(stack) if name), "")
            changes += bool(own and below and own != below)

    sys.setprofile(watch)
    try:
        work()
    finally:
        sys.setprofile(None)
    return Flow(entered, len(functions), changes)


def flow_of_a_recognition() -> Flow:
    """Of one recognition of a home of three people that was worked on before: polled, answered, published and saved."""
    records = list(world(0, Shape(homes=1, people=3, records=60)))
    latest = max(number for number, record in enumerate(records) if record.topic == "recognitions")
    log = MemoryLog()
    worker = Worker(MemoryBroker(log), MemoryStore(), POLICY)
    for record in records[:latest]:
        log.append(record.topic, 0, record.timestamp, record.key, record.value)
    while worker.counts.records < latest:
        worker.run_once()
    one = records[latest]
    log.append(one.topic, 0, one.timestamp, one.key, one.value)
    return recorded(worker.run_once)


if __name__ == "__main__":
    found = flow_of_a_recognition()
    print("\n".join(found.entered))
    print(f"{len(found.modules)} modules, {len(found.entered)} entries, {found.changes} changes, {found.functions} functions")
