"""The households left out because the core failed on them, as they stand beside the states of their partition.

Law: a recovery leaves out whom the first run left out, and nobody else. So a quarantine is saved with the states of the
batch that changed it, and holds for the batches journalled in the epoch it names: every assignment begins without one.
"""

import json
from dataclasses import dataclass, field
from typing import Final

__all__ = ["QUARANTINE", "Quarantine"]

QUARANTINE: Final = "!quarantine"  # its name in the store; no household id has a "!"


@dataclass(slots=True)
class Quarantine:
    """Who is left out during one assignment, and (for people to read) what failed and where."""

    epoch: int
    households: dict[str, str] = field(default_factory=dict)

    def encode(self) -> bytes:
        """Deterministic bytes.

        >>> Quarantine.decode(Quarantine(3, {"h-1": "KeyError at feedback[0]@7"}).encode()).households
        {'h-1': 'KeyError at feedback[0]@7'}
        """
        return json.dumps({"v": 1, "epoch": self.epoch, "households": self.households}, sort_keys=True).encode()

    @classmethod
    def decode(cls, raw: bytes) -> "Quarantine":
        """The quarantine of `encode`'s bytes."""
        stored = json.loads(raw)
        return cls(stored["epoch"], stored["households"])
