"""Start-up checks: what has to hold before a worker may take the first record.

Law: a check changes nothing and consumes nothing, is answered in bounded time, and says in one sentence what is and what would
be right. Who looks (`kithkin doctor`) and who starts (`kithkin worker`) ask for the same.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from stream.contract.errors import ConfigError
from stream.contract.ports import BrokerError
from stream.contract.settings import Wiring, load_policy, store_of
from stream.stores.redis.url import is_redis, without_secrets

from .agreement import agreement_checks
from .check import Check, State, judge
from .here import here_checks
from .kafka import kafka_checks
from .topics import topic_checks

__all__ = ["Check", "NotReady", "State", "refuse_failed", "run_checks", "topic_checks"]


def run_checks(wiring: Wiring, policy: Path | None = None, presence: bool = False) -> list[Check]:
    """All checks, those of this machine first. One that could not be made stands there as failed.

    Parameters
    ----------
    wiring
        Of live workers.
    policy
        Its file; None: the defaults.
    presence
        The policy has it published, which needs its topic.

    Raises
    ------
    ConfigError
        The wiring cannot be, so that nothing could be asked.
    """
    return list(_checks(wiring, store_of(wiring), policy, presence))


def refuse_failed(checks: Sequence[Check]) -> None:
    """Do nothing when none has failed.

    Raises
    ------
    BrokerError
        What failed may pass by itself: a server is away, or starts.
    NotReady
        The operator has to set something right.
    """
    failed = [check for check in checks if check.state == "failed"]
    if not failed:
        return
    if all(check.passes for check in failed):
        raise BrokerError("; ".join(f"{check.name}: {check.found}" for check in failed))
    raise NotReady(failed)


class NotReady(ConfigError):
    """Start-up checks failed, and will fail again until the operator has set something right."""

    def __init__(self, failed: Sequence[Check]) -> None:
        super().__init__(failed[0].name, failed[0].found, "start-up check", failed[0].right)
        self.args = ("; ".join(f"{check.name}: {check.found}. It should be {check.right}" for check in failed),)


def _checks(wiring: Wiring, store: str, policy: Path | None, presence: bool) -> Iterator[Check]:
    yield from here_checks(wiring, store, policy)
    brokers = kafka_checks(wiring)
    yield from brokers
    topics = topic_checks(wiring, presence or _publishes_presence(policy)) if _stands(brokers[:1]) else []
    yield from topics
    states = list(_store_checks(store, wiring))
    yield from states
    if topics and _stands(topics) and _stands(states):
        yield from agreement_checks(wiring, store)


def _publishes_presence(policy: Path | None) -> bool:
    with suppress(ConfigError):  # another check has said so
        return load_policy(policy).presence.publish
    return False


def _stands(checks: Sequence[Check]) -> bool:
    return all(check.state != "failed" for check in checks)


def _store_checks(store: str, wiring: Wiring) -> Iterator[Check]:
    if is_redis(store):
        with suppress(ModuleNotFoundError):  # the check of its client has said so
            from .redis import redis_checks

            yield from redis_checks(store, wiring)
    else:
        right = "Redis for more than one worker: a file is this machine's alone"
        yield judge("store", without_secrets(store), warning=right)
