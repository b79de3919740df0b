"""What became of alerts: every state that the topic still has, and alerts that ended, the latest first.

Law: what is told of an alert is what was published of it. Of who was erased nothing is told of the time before, though the
topic may still have it. The topic is compacted, so of older alerts the last state alone may be left.
"""

import logging
from bisect import insort
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from threading import Event, Lock, Thread
from typing import Any, Final, NamedTuple

from stream.contract.errors import first_line
from stream.contract.records import Alert
from stream.contract.settings import Wiring
from stream.fleet.texts import FORGOTTEN

from .subscribe import subscribe

__all__ = ["Archive", "Entry"]

_LOG = logging.getLogger(__name__)
_CLOSED: Final = ("resolved", "expired")
_ALERTS_MAX: Final = 20_000  # three months of a fleet that has 200 alerts a day; some 2 kB each
_STATES_MAX: Final = 100  # of one alert; at most one update a day, and what operators say
_AGAIN_S: Final = 30.0


class Entry(NamedTuple):
    """A state of an alert in short: when (event time, ms), and what was new. The first one's `says` is its summary."""

    revision: int
    at: int
    state: str
    severity: str
    says: str


class Archive:
    """All alerts, as far as they are known; written in one thread, read in another."""

    def __init__(self) -> None:
        self._latest: OrderedDict[str, Alert] = OrderedDict()  # who was quiet for longest first
        self._history: dict[str, list[Entry]] = {}
        self._lock = Lock()

    def note(self, alert: Alert) -> None:
        """A state of an alert, in the order of each."""
        entry = Entry(alert.revision, alert.updated_at, alert.state, alert.severity, alert.change or alert.summary)
        with self._lock:
            history = self._history.setdefault(alert.alert_id, [])
            if entry.says == FORGOTTEN:
                history[:] = [before._replace(says="") for before in history]
            insort(history, entry)
            del history[:-_STATES_MAX]
            self._latest[alert.alert_id] = alert
            self._latest.move_to_end(alert.alert_id)
            if len(self._latest) > _ALERTS_MAX:
                del self._history[self._latest.popitem(last=False)[0]]

    def alert(self, alert_id: str) -> Alert | None:
        """Its latest state."""
        with self._lock:
            return self._latest.get(alert_id)

    def history(self, alert_id: str) -> list[dict[str, Any]]:
        """Its states, the oldest first; empty: it is not known."""
        with self._lock:
            return [entry._asdict() for entry in self._history.get(alert_id, ())]

    def find_closed(self, after: str, count: int) -> tuple[list[Alert], str | None]:
        """Alerts that ended, the latest first.

        Parameters
        ----------
        after
            The id of the last one that was seen; empty, or of one that is not known: from the latest on.
        count
            At most so many.

        Returns
        -------
        alerts
            The next ones.
        last
            What to go on after; None: there are no more.
        """
        with self._lock:
            ended = [alert for alert in self._latest.values() if alert.state in _CLOSED]
        ended.sort(key=lambda alert: (-alert.updated_at, alert.alert_id))
        begin = next((number for number, alert in enumerate(ended, 1) if alert.alert_id == after), 0)
        page = ended[begin : begin + count]
        return page, page[-1].alert_id if page and begin + count < len(ended) else None

    @contextmanager
    def follow(self, wiring: Wiring) -> Iterator[None]:
        """Read the topic from its beginning and go on with what comes, in a thread of its own; after an error it begins anew."""
        over = Event()

        def work() -> None:
            while not over.is_set():
                try:
                    with closing(subscribe(wiring, stop=over.is_set)) as alerts:
                        for alert in alerts:
                            if (known := self.alert(alert.alert_id)) is None or alert.revision > known.revision:
                                self.note(alert)
                except (RuntimeError, ValueError) as error:
                    _LOG.warning("the history of alerts cannot be read: %s; again in %.0f s", first_line(error), _AGAIN_S)
                over.wait(_AGAIN_S)

        thread = Thread(target=work, name="archive", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join(2)
