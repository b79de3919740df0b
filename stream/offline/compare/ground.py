"""On what policies are compared.

Law: it is the same for all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stream.contract.settings import Wiring

from ..what_if.what_if import WhatIf

__all__ = ["Ground"]


@dataclass(frozen=True, slots=True)
class Ground:
    """What all policies have in common: logs, wiring, states to begin with, and what is otherwise than it was."""

    logs: Sequence[str]
    wiring: Wiring
    origin: Path | None
    what_if: WhatIf
