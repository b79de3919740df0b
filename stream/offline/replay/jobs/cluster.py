"""A replay on a Dask cluster: one actor a partition has its homes.

Law: the bytes are those of one process. This process reads the logs and writes the outputs; workers see no file of it, and have
nothing but homes in memory, as jobs do (`job`): records go there, answers and states come back. A worker that is lost ends the
replay; what was committed is safe.

Of the same bytes nobody can be sure unless a worker has the same code on the same kind of processor, so that is asked first.
"""

import logging
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from stream.contract.codec import household_of_key
from stream.contract.errors import ConfigError, how_to_install
from stream.contract.ports import Offsets
from stream.runtime.worker.applying import Part, Residency, Results
from stream.runtime.worker.home_cache import Origin, states_at

from ..manifest import Made, describe_program
from .homes import JobHomes
from .messages import Applied, AppliedPart, PartOfJob, Setup
from .pool import Begun, BegunPart, together
from .processes import JobLost

__all__ = ["Cluster", "ClusterPool", "connect"]

_PATIENCE_S: Final = 10
_LOOKED_S: Final = 1.0
_LISTED_MAX: Final = 3  # workers in a sentence


class Cluster:
    """Workers that may take part; `connected` makes it.

    Parameters
    ----------
    client
        Of Dask; whoever made it closes it.
    workers
        Their addresses, at least one.
    """

    def __init__(self, client: Any, workers: Sequence[str]) -> None:
        self.client, self.workers = client, workers

    def pool(self, store: Origin, setup: Setup) -> "ClusterPool":
        """What applies batches there."""
        return ClusterPool(self, store, setup)


@contextmanager
def connect(address: str) -> Iterator[Cluster]:
    """The cluster of a scheduler, until the end of the block.

    Raises
    ------
    ConfigError
        Dask is not installed; no scheduler answers there; it has no workers; or they are not as this process is.
    """
    try:
        from distributed import Client
    except ImportError:
        raise ConfigError("on", address, "a Dask cluster, for which Dask is missing here", how_to_install("dask")) from None
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what it has to say is said by us
    try:
        client = Client(address, timeout=_PATIENCE_S)
    except (OSError, ValueError) as error:  # also of a scheme that there is not
        why = f"where no Dask scheduler answers ({type(error).__name__})"
        raise ConfigError("on", address, why, 'the address that "dask scheduler" says, such as tcp://scheduler:8786') from None
    try:
        workers = sorted(client.scheduler_info(n_workers=-1)["workers"])
        if not workers:
            raise ConfigError("on", address, "a scheduler without workers", f'one with them: "dask worker {address}"')
        _refuse_others(client, address)
        yield Cluster(client, workers)
    finally:
        client.close()


def _refuse_others(client: Any, address: str) -> None:
    """Before anything is replayed: whoever would take part is made as this process is."""
    here = describe_program()
    try:
        found = client.run(describe_program, on_error="return")
    except Exception as error:
        raise ConfigError("on", address, f"whose workers do not answer ({type(error).__name__})", "workers that do") from None
    told = {worker: why for worker, made in sorted(found.items()) if (why := _unlike(made, here))}
    if told:
        named = "; ".join(f"{worker} has {why}" for worker, why in list(told.items())[:_LISTED_MAX])
        more = f"; and {len(told) - _LISTED_MAX} more" if len(told) > _LISTED_MAX else ""
        right = "workers with the kithkin of this machine, on processors of its kind; else answers may differ"
        raise ConfigError("on", address, f"where {named}{more}", right)


def _unlike(made: Any, here: Made) -> str:
    """What of a worker is not as here; empty: nothing."""
    if not isinstance(made, Made):
        return f"no kithkin of this version ({type(made).__name__}: {made})"
    for program, version in here.versions.items():
        if made.versions.get(program) != version:
            return f"{program} {made.versions.get(program)} and not {version}"
    if made.code != here.code:
        return "other code of the same version"
    return "" if made.processor == here.processor else f"another processor ({made.processor.name})"


class ClusterPool:
    """Applies batches by one actor a partition; an `Applier`.

    An actor is asked for one batch at a time, so that their order is sure.

    Raises
    ------
    JobLost
        From all that waits: a worker has ended.
    """

    ahead: Final = 2  # the next batch is applied while one is published

    def __init__(self, cluster: Cluster, store: Origin, setup: Setup) -> None:
        self._cluster, self._store = cluster, store
        self._setup = cluster.client.scatter(setup, broadcast=True, hash=False)
        self._lanes: dict[int, _Lane] = {}
        self._begun: deque[Begun] = deque()

    @property
    def begun(self) -> int:
        return len(self._begun)

    @property
    def residency(self) -> Residency:
        return Residency(*map(sum, zip(Residency(), *(lane.residency for lane in self._lanes.values()), strict=True)))

    def begin(self, parts: Sequence[Part]) -> None:
        begun = Begun()
        for owned, records in parts:
            begun.parts.append(BegunPart(owned, records, [0] * len(records)))
            lane = self._lanes.get(owned.partition) or self._begin_lane(owned.partition)
            new = {household_of_key(record.key) for record in records} - lane.known
            lane.known |= new
            states = states_at(self._store, owned.partition, sorted(new), owned.offsets) if new else {}
            left_out = owned.quarantine
            lane.ask(PartOfJob(owned.partition, left_out.epoch, dict(left_out.households), list(records)), states)
        self._begun.append(begun)

    def results(self) -> Results:
        begun = self._begun[0]
        for part in begun.parts:
            place = 0, part.owned.partition
            if place not in begun.applied:
                begun.applied[place] = self._lanes[part.owned.partition].answer()
        return {part.owned.partition: together(part, begun) for part in begun.parts}

    def note_saved(self) -> None:
        self._begun.popleft()

    def clear(self) -> None:
        assert not self._begun, "a log that is replayed has one reader: nothing is taken from it while batches are begun"
        for lane in self._lanes.values():
            lane.clear()

    def _begin_lane(self, partition: int) -> "_Lane":
        """An actor on the worker whose turn it is."""
        client, workers = self._cluster.client, self._cluster.workers
        worker = workers[len(self._lanes) % len(workers)]
        actor = client.submit(HomesOfPartition, self._setup, actor=True, workers=[worker], pure=False)
        self._lanes[partition] = _Lane(actor)
        return self._lanes[partition]


class _Lane:
    """One actor, from here. `future` is Dask's of the actor."""

    def __init__(self, future: Any) -> None:
        self.known: set[str] = set()  # households whose states it has, or that have none
        self.residency = Residency()
        self._future, self._asked = future, None
        self._actor = _answer(future)
        self._waiting: deque[tuple[PartOfJob, dict[str, bytes]]] = deque()

    def ask(self, part: PartOfJob, states: dict[str, bytes]) -> None:
        """Have it apply a part, after those before."""
        self._waiting.append((part, states))
        self._send()

    def answer(self) -> AppliedPart:
        """What became of the oldest part."""
        applied: Applied = self._wait(self._asked)
        self._asked = None
        self._send()
        self.residency = applied.residency
        return applied.parts[0]

    def clear(self) -> None:
        """Forget its homes, and what they were known by."""
        self.known.clear()
        self._wait(self._actor.clear())

    def _wait(self, asked: Any) -> Any:
        """An answer. Dask never gives that of an actor that is lost, so now and then it is looked whether it is."""
        while True:
            try:
                return _answer(asked, _LOOKED_S)
            except TimeoutError:
                if self._future.status != "finished":
                    _answer(self._future)

    def _send(self) -> None:
        if self._asked is None and self._waiting:
            self._asked = self._actor.apply(*self._waiting.popleft())


def _answer(future: Any, timeout_s: float | None = None) -> Any:
    """What was asked for. Raises JobLost, and TimeoutError."""
    try:
        return future.result(timeout_s)
    except TimeoutError:
        raise
    except Exception as error:  # of Dask's many, each with its own
        raise JobLost(
            f"a worker of this replay ended or failed ({type(error).__name__}: {error}); what was committed is safe: give the "
            "same command again"
        ) from None


# ---- on the workers


class HomesOfPartition:
    """Homes of one partition, and their states at rest, from which they are loaded again when memory is short: an actor."""

    def __init__(self, setup: Setup) -> None:
        self._states: dict[str, bytes] = {}
        self._homes = JobHomes(setup, self)

    def apply(self, part: PartOfJob, states: dict[str, bytes]) -> Applied:
        """What becomes of a part; `states` are those of households that come for the first time."""
        self._states |= states
        applied = self._homes.apply([part])
        self._states |= applied.parts[0].states
        return applied

    def clear(self) -> None:
        """Forget all homes."""
        self._homes.clear()
        self._states.clear()

    def load(self, partition: int, households: Sequence[str]) -> dict[str, bytes]:
        """As of a store."""
        return {household: self._states[household] for household in households if household in self._states}

    def offsets(self, partition: int) -> Offsets:
        """None are known here: the replay has looked where the states stand."""
        return {}
