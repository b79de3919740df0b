"""A serial run of journalled batches: one worker that nothing happens to, without a broker and without a store.

Law: it shares the core and the codec with the worker and nothing else. Its homes live on from batch to batch, while a drilled
worker's are decoded anew after every fault; so that both agree says also that a state's bytes hold all there is.
"""

from collections.abc import Sequence

from stream.contract.codec import decode, encode_output
from stream.contract.policy import Policy
from stream.contract.ports import Encoded
from stream.contract.records import InvalidRecord, Output, Record, dead_letter
from stream.home.state.at_rest import encode_home
from stream.home.state.household import Household
from stream.home.step import step

__all__ = ["Serial"]


class Serial:
    """One partition's homes, and what was said since it was last taken."""

    def __init__(self) -> None:
        self._policy = Policy()
        self._homes: dict[str, Household] = {}
        self._said: list[Encoded] = []

    def batch(self, records: Sequence[Record]) -> None:
        """Apply the records of one batch, in the order in which a worker does."""
        for record in sorted(records, key=lambda record: (record.timestamp, record.topic, record.offset)):
            try:
                event = decode(record, self._policy)
            except InvalidRecord as invalid:
                self._say(record, dead_letter(record, invalid.reason, invalid.detail))
                continue
            household = event.value.household_id
            if household not in self._homes:
                self._homes[household] = Household.new(household)
            self._say(record, *step(self._homes[household], event, self._policy).outputs)

    def take_outputs(self) -> list[Encoded]:
        """All outputs since this was last asked, in order."""
        said, self._said = self._said, []
        return said

    def states(self) -> dict[str, bytes]:
        """The states as they stand."""
        return {household: encode_home(home) for household, home in self._homes.items()}

    def _say(self, record: Record, *outputs: Output) -> None:
        self._said.extend(encode_output(output, record.partition, record.timestamp) for output in outputs)
