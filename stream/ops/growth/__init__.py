"""Another number of partitions for a live system: its homes, and what they have yet to read, move to topics of another prefix.

Law: whoever stops it, wherever, and gives the command again, goes on; no home, record or profile is lost, and none comes twice.
"""

from stream.stores.moves import Growth

from .growth import Step, follow, grow
from .plan import Plan, look

__all__ = ["Growth", "Plan", "Step", "follow", "grow", "look"]
