"""What strikes a drill, one thing after the other, while the load flows.

Law: a fault leaves the site as it was but for its workers, who recover by themselves; it raises FaultMissed when it could not
strike, so that a drill never counts what did not happen.
"""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from redis import Redis

from stream.ops.local_cluster.processes import until

from .points import POINTS, Order
from .site import CREW, SESSION_S, Site

__all__ = ["COORDINATOR_LOST", "FAULTS", "Fault", "FaultMissed"]

_PATIENCE_S: Final = 30.0
_EXTRA: Final = "w9"
_LONG_S: Final = 2 * SESSION_S  # who is cut off for so long has been replaced


class FaultMissed(RuntimeError):
    """The fault did not strike: what was waited for."""


Fault = Callable[[Site], None]


def _ordered(site: Site, order: Order) -> int:
    """Give an order and wait until it is carried out; by which process."""
    site.orders.give(order)
    if not until(lambda: site.orders.taken() is not None, _PATIENCE_S):
        site.orders.withdraw()
        raise FaultMissed(f"nobody passed {order.point!r} {order.passage} times in {_PATIENCE_S:.0f} s")
    pid = site.orders.taken()
    assert pid is not None
    return pid


def _at(point: str) -> Fault:
    def kill(site: Site) -> None:
        _ordered(site, Order(point, site.chance.randint(1, 3)))

    return kill


def _kill_in_recovery(site: Site) -> None:
    """A worker dies before its save, and so does whoever recovers for it."""
    _ordered(site, Order("after-transaction"))
    _ordered(site, Order("in-recovery"))


def _kill_in_revoke(site: Site) -> None:
    """One worker more comes, and one dies of the rebalance; then the one goes."""
    site.orders.give(Order("in-revoke"))
    site.crew.hire(_EXTRA)
    try:
        if not until(lambda: site.orders.taken() is not None, _PATIENCE_S):
            raise FaultMissed("nobody's partitions were revoked")
    finally:
        site.orders.withdraw()
        site.crew.dismiss(_EXTRA)


def _kill(site: Site) -> None:
    """kill -9 at any moment."""
    time.sleep(site.chance.uniform(0.1, 0.6))
    site.crew.members[site.chance.choice(CREW)].send(signal.SIGKILL)


def _kill_flurry(site: Site) -> None:
    """kill -9, four times, so soon one after the other that some die while they join or recover."""
    for _ in range(4):
        time.sleep(site.chance.uniform(0.2, 0.9))
        with site.crew.paused():
            living = [member for member in site.crew.members.values() if member.process.exitcode is None]
            site.chance.choice(living).send(signal.SIGKILL)


def _stop_at(point: str) -> Fault:
    def stop(site: Site) -> None:
        pid = _ordered(site, Order(point, site.chance.randint(1, 3), "stop"))
        _outlasted(site, pid)

    return stop


def _zombie(site: Site) -> None:
    """SIGSTOP at any moment, past the session's time-out, and back."""
    member = site.crew.members[site.chance.choice(CREW)]
    member.send(signal.SIGSTOP)
    _outlasted(site, member.pid)


def _outlasted(site: Site, pid: int) -> None:
    """The others do what there is, and then the zombie goes on."""
    try:
        if not site.caught_up(_PATIENCE_S):
            raise FaultMissed("the others did not do what there was while one stood still")
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def _zombie_replaced(site: Site) -> None:
    """A zombie's slot is given to a new worker, with the same transactional id; then the zombie goes on."""
    slot = site.chance.choice(CREW)
    zombie = site.crew.members[slot]
    zombie.send(signal.SIGSTOP)
    site.crew.hire(slot)
    _outlasted(site, zombie.pid)
    until(lambda: zombie.process.exitcode is not None or site.progress.lag == 0, _PATIENCE_S)
    zombie.send(signal.SIGTERM)


def _redis_killed(site: Site) -> None:
    """kill -9 of Redis, which comes back at once."""
    site.redis.kill()
    site.redis.restart()


def _redis_away(site: Site) -> None:
    """Redis is away for longer than workers are patient."""
    site.redis.kill()
    time.sleep(2 * site.wiring.redis.retries_s)
    site.redis.restart()


def _redis_rolled_back(site: Site) -> None:
    """Redis comes back with the files of some batches ago."""
    copy = site.redis_copy()
    before = sum(site.progress.done.values())
    if not until(lambda: sum(site.progress.done.values()) > before + 500, _PATIENCE_S):
        raise FaultMissed("nothing was done that could be lost")
    site.redis_put_back(copy)


def _redis_rolled_back_and_kill(site: Site) -> None:
    """The same, and a worker dies amid the journal that it replays."""
    _redis_rolled_back(site)
    _ordered(site, Order("in-recovery", 3))


def _redis_full(site: Site) -> None:
    """Redis has no memory left for a while."""
    with Redis(port=site.redis.port) as redis:
        redis.config_set("maxmemory", "1mb")
        time.sleep(_LONG_S)
        redis.config_set("maxmemory", "0")


def _redis_on_a_slow_disk(site: Site) -> None:
    """Redis writes through, and stands still for 300 ms again and again."""
    with Redis(port=site.redis.port) as redis:
        redis.config_set("appendfsync", "always")
        for _ in range(8):
            redis.execute_command("DEBUG", "SLEEP", "0.3")
            time.sleep(0.1)
        redis.config_set("appendfsync", "everysec")


def _broker_restarted(site: Site) -> None:
    """The broker is stopped in order, and started."""
    site.kafka.restart()


def _broker_killed(site: Site) -> None:
    """kill -9 of the broker."""
    site.kafka.kill()
    site.kafka.restart()


def _broker_on_a_slow_disk(site: Site) -> None:
    """The broker stands still for 400 ms, again and again."""
    for _ in range(6):
        site.kafka.pause()
        time.sleep(0.4)
        site.kafka.resume()
        time.sleep(0.2)


def _network_slow(site: Site) -> None:
    """Whatever passes takes 30 ms longer."""
    with site.kafka_gate.slowed(0.03), site.redis_gate.slowed(0.03):
        time.sleep(_LONG_S)


def _network_stalls(site: Site) -> None:
    """Nothing passes between workers and broker for longer than a session."""
    with site.kafka_gate.stalled():
        time.sleep(_LONG_S)


def _network_stalls_in_part(site: Site) -> None:
    """Nothing passes on about half of the connections to the broker."""
    with site.kafka_gate.stalled(0.5):
        time.sleep(_LONG_S)


def _network_to_redis_stalls(site: Site) -> None:
    """Nothing passes between workers and Redis for longer than a request may take."""
    with site.redis_gate.stalled():
        time.sleep(_LONG_S)


def _more_workers(site: Site) -> None:
    """There are more workers than partitions for a while."""
    extras = [f"w{number + 2}" for number in range(site.scene.partitions)]
    for slot in extras:
        site.crew.hire(slot)
    site.caught_up(_PATIENCE_S)
    for slot in extras:
        site.crew.dismiss(slot)


def _one_worker(site: Site) -> None:
    """One worker has to do it alone for a while."""
    slot = site.chance.choice(CREW)
    site.crew.dismiss(slot)
    site.caught_up(_PATIENCE_S)
    site.crew.hire(slot)


def _no_worker(site: Site) -> None:
    """Nobody works for a while."""
    for slot in CREW:
        site.crew.dismiss(slot)
    time.sleep(_LONG_S)
    for slot in CREW:
        site.crew.hire(slot)


def _coordinator_lost(site: Site) -> None:
    """kill -9 of the node that coordinates the group; it comes back when the others have taken over. Takes three nodes."""
    node = site.evidence.coordinator()
    site.kafka.kill(node)
    try:
        if not site.caught_up():
            raise FaultMissed("nobody took over from the coordinator")
    finally:
        site.kafka.restart(node)


COORDINATOR_LOST: Final = "coordinator-lost"
FAULTS: Final[dict[str, Fault]] = {
    **{f"kill@{point}": _at(point) for point in POINTS if point not in ("in-recovery", "in-revoke")},
    "kill@in-recovery": _kill_in_recovery,
    "kill@in-revoke": _kill_in_revoke,
    "kill": _kill,
    "kill-flurry": _kill_flurry,
    **{f"stop@{point}": _stop_at(point) for point in ("before-transaction", "before-commit", "after-transaction")},
    "zombie": _zombie,
    "zombie-replaced": _zombie_replaced,
    "redis-killed": _redis_killed,
    "redis-away": _redis_away,
    "redis-rolled-back": _redis_rolled_back,
    "redis-rolled-back+kill": _redis_rolled_back_and_kill,
    "redis-full": _redis_full,
    "redis-slow-disk": _redis_on_a_slow_disk,
    "broker-restarted": _broker_restarted,
    "broker-killed": _broker_killed,
    "broker-slow-disk": _broker_on_a_slow_disk,
    "network-slow": _network_slow,
    "network-stalls": _network_stalls,
    "network-stalls-in-part": _network_stalls_in_part,
    "network-to-redis-stalls": _network_to_redis_stalls,
    "more-workers": _more_workers,
    "one-worker": _one_worker,
    "no-worker": _no_worker,
    COORDINATOR_LOST: _coordinator_lost,
}
