"""The store in a Redis that dies, stands still, is full, loses replies, or comes back with an older copy of itself."""

import logging
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from stream.brokers import MemoryBroker, MemoryLog
from stream.contract.policy import Policy
from stream.contract.ports import Claimed, Fenced, Offsets, StateStore, StoreError
from stream.home.step import step
from stream.ops.local_cluster.processes import until
from stream.ops.local_cluster.redis import Redis
from stream.runtime.worker.worker import Worker, WorkerLimits
from stream.stores import open_store
from stream.stores.redis.url import RedisUrl
from tests.stores.conformance_store import FIRST, START
from tests.support.histories import history
from tests.support.redis_forms import PATIENCE_S, asked, wiring
from tests.support.redis_proxy import Proxy
from tests.support.serial import check

OwnRedis = Callable[..., Redis]
NAMES = [f"h-{number}" for number in range(20)]
LASTING = {"appendfsync": "always"}


def _at(number: int) -> Offsets:
    return {"recognitions": number}


def _save(store: StateStore, epoch: int, number: int) -> None:
    """The batch that moves all homes from one number to the next."""
    store.save(0, epoch, _at(number), _at(number + 1), dict.fromkeys(NAMES, b"%d" % (number + 1) * 1000))


def _stands_at(store: StateStore) -> Claimed:
    """Where the states stand, which is where each of them must stand."""
    claimed = store.claim(0)
    number = claimed.offsets.get("recognitions", 0)
    assert set(store.load(0, NAMES).values()) == ({b"%d" % number * 1_000} if number else set())
    return claimed


def test_what_was_acknowledged_outlives_kill_9_and_a_batch_is_never_torn(own_redis: OwnRedis) -> None:
    server, wired = own_redis(settings=LASTING), wiring(timeout_s=2, retries_s=0)
    epochs = []
    acknowledged = 0
    for _ in range(6):
        with closing(open_store(server.url, wired)) as store:
            claimed = _stands_at(store)
            stands_at = claimed.offsets.get("recognitions", 0)
            assert stands_at in (acknowledged, acknowledged + 1)  # a batch that was written and whose reply was lost
            epochs.append(claimed.epoch)
            acknowledged, saved = stands_at, threading.Semaphore(0)
            with ThreadPoolExecutor(1) as pool:
                saving = pool.submit(_save_until_it_fails, store, claimed, saved)
                for _ in range(25):  # then in the middle of whatever it is doing
                    assert saved.acquire(timeout=PATIENCE_S)
                server.kill()
                acknowledged = saving.result(PATIENCE_S)
        server.restart()
    with closing(open_store(server.url, wired)) as store:
        with pytest.raises(Fenced):
            _save(store, epochs[-1] - 1, acknowledged)
        assert _stands_at(store).epoch > epochs[-1] > epochs[0]


def _save_until_it_fails(store: StateStore, claimed: Claimed, saved: threading.Semaphore) -> int:
    number = claimed.offsets.get("recognitions", 0)
    while True:
        try:
            _save(store, claimed.epoch, number)
        except StoreError:
            return number
        number += 1
        saved.release()


def test_a_save_is_asked_again_until_a_restarted_server_answers(own_redis: OwnRedis, caplog: pytest.LogCaptureFixture) -> None:
    server = own_redis(settings=LASTING)
    with closing(open_store(server.url, wiring(retries_s=PATIENCE_S))) as store, ThreadPoolExecutor(1) as pool:
        epoch = store.claim(0).epoch
        _save(store, epoch, 0)
        server.kill()
        saving = pool.submit(_save, store, epoch, 1)
        assert until(lambda: "asked again" in caplog.text, PATIENCE_S)
        server.restart()
        saving.result(PATIENCE_S)
        assert _stands_at(store) == (epoch + 1, _at(2))


def test_a_server_that_stands_still_is_given_up_and_asked_again(own_redis: OwnRedis, caplog: pytest.LogCaptureFixture) -> None:
    server = own_redis()
    with closing(open_store(server.url, wiring(timeout_s=0.2, retries_s=PATIENCE_S))) as store, ThreadPoolExecutor(1) as pool:
        epoch = store.claim(0).epoch
        server.pause()
        saving = pool.submit(_save, store, epoch, 0)
        assert until(lambda: "does not answer within redis.timeout_s; asked again" in caplog.text, PATIENCE_S)
        server.resume()
        saving.result(PATIENCE_S)
        assert _stands_at(store) == (epoch + 1, _at(1))


def test_a_server_that_never_goes_on_ends_the_save_in_time(own_redis: OwnRedis) -> None:
    server = own_redis()
    with closing(open_store(server.url, wiring(timeout_s=0.2, retries_s=0.5))) as store:
        epoch = store.claim(0).epoch
        server.pause()
        with pytest.raises(StoreError, match=r"does not answer within redis\.timeout_s"):
            _save(store, epoch, 0)
        server.resume()


@pytest.mark.parametrize("command", [b"EVALSHA", b"SADD", b"MGET", b"SSCAN", b"SMEMBERS"])
def test_a_lost_reply_is_asked_for_again(redis_url: str, command: bytes) -> None:
    (place,) = RedisUrl.parse(redis_url).hosts
    with Proxy(place[1]) as gate, closing(open_store(f"redis://127.0.0.1:{gate.port}/0", wiring())) as store:
        for number in range(2):
            gate.lose_reply_of(command)
            epoch = store.claim(0).epoch
            gate.lose_reply_of(command)
            _save(store, epoch, number)
            assert list(store.households(0)) == sorted(NAMES)
            assert list(store.partitions()) == [0]
            assert _stands_at(store).offsets == _at(number + 1)
        assert gate.lost >= 2


def test_an_address_that_leads_to_another_server_now_is_followed(own_redis: OwnRedis, caplog: pytest.LogCaptureFixture) -> None:
    master, replica = own_redis(), own_redis()
    asked(replica.port, "REPLICAOF", "127.0.0.1", master.port)
    with Proxy(replica.port) as gate, ExitStack() as ends:
        store = ends.enter_context(closing(open_store(f"redis://127.0.0.1:{gate.port}/0", wiring(retries_s=PATIENCE_S))))
        claiming = ends.enter_context(ThreadPoolExecutor(1)).submit(store.claim, 0)
        assert until(lambda: "is a replica" in caplog.text, PATIENCE_S)
        gate.target = master.port  # the connection to the replica stays open
        assert claiming.result(PATIENCE_S) == (1, {})


def test_of_savers_of_the_same_batch_one_wins_whole(redis_url: str) -> None:
    wired = wiring()
    with closing(open_store(redis_url, wired)) as store, ThreadPoolExecutor(4) as pool:
        epoch = store.claim(0).epoch
        for number in range(20):
            states = [dict.fromkeys(NAMES, b"%d" % saver * 1000) for saver in range(4)]
            saves = [pool.submit(store.save, 0, epoch, _at(number), _at(number + 1), one) for one in states]
            assert [save.result(PATIENCE_S) for save in saves] == [None] * 4
            assert store.load(0, NAMES) in states


def test_a_new_server_that_knows_no_script_is_told_it(own_redis: OwnRedis) -> None:
    server = own_redis()
    with closing(open_store(server.url, wiring())) as store:
        epoch = store.claim(0).epoch
        _save(store, epoch, 0)
        asked(server.port, "SCRIPT FLUSH")
        _save(store, epoch, 1)
        assert _stands_at(store).offsets == _at(2)


def test_a_full_server_refuses_a_save_whole_and_takes_it_when_there_is_room(own_redis: OwnRedis) -> None:
    server = own_redis(settings={"maxmemory": "32mb"})
    with closing(open_store(server.url, wiring(retries_s=0.2))) as store:
        epoch, number, refused = store.claim(0).epoch, 0, None
        while refused is None:
            states = {f"h-{number}-{home}": bytes(8_192) for home in range(200)}
            save: tuple[Any, ...] = (0, epoch, _at(number), _at(number + 1), states)
            try:
                store.save(*save)
                number += 1
            except StoreError as error:
                refused = str(error)
        assert "is full, so nothing of this was saved: raise its `maxmemory`" in refused
        assert number > 0
        assert store.load(0, list(states)) == {}
        assert len(list(store.households(0))) == number * 200
        asked(server.port, "CONFIG SET", "maxmemory", "256mb")
        store.save(*save)
        assert store.load(0, list(states)) == states
        assert store.claim(0).offsets == _at(number + 1)


# ---- a Redis rolled back


@pytest.mark.parametrize("seed", range(3))
def test_a_redis_rolled_back_to_an_older_copy_is_brought_to_where_the_outputs_stand(tmp_path: Path, seed: int) -> None:
    log, wired = MemoryLog(2), wiring()
    sent = list(history(seed, partitions=2, records=120))
    with Redis(tmp_path / "redis", LASTING) as server:
        _work(log, server.url, wired, sent[:60])
        server.stop()
        shutil.copytree(tmp_path / "redis", tmp_path / "older")
        server.restart()
        _work(log, server.url, wired, sent[60:])
        server.stop()
        shutil.rmtree(tmp_path / "redis")
        shutil.copytree(tmp_path / "older", tmp_path / "redis")
        server.restart()
        with closing(open_store(server.url, wired)) as store:
            assert store.claim(0).offsets != log.committed(0)
        assert _work(log, server.url, wired, []).counts.recoveries > 0
        with closing(open_store(server.url, wired)) as store:
            assert check(log, store, Policy(), step) == []


def _work(log: MemoryLog, url: str, wired: Any, records: list[Any]) -> Worker:
    """A worker recovers, takes those records in batches of ten, and leaves."""
    with closing(open_store(url, wired)) as store, closing(MemoryBroker(log)) as broker:
        worker = Worker(broker, store, Policy(), WorkerLimits(records_max=10, dead_letters_min=10**9))
        worker.run_once()
        for record in records:
            log.append(*record)
        while worker.run_once().records:
            pass
        return worker


def test_the_log_of_a_failing_redis_names_no_household(own_redis: OwnRedis, caplog: pytest.LogCaptureFixture) -> None:
    server = own_redis()
    with caplog.at_level(logging.WARNING), closing(open_store(server.url, wiring(retries_s=0.2))) as store:
        epoch = store.claim(0).epoch
        server.stop()
        with pytest.raises(StoreError) as told:
            store.save(0, epoch, START, FIRST, {"the-smiths": b"their-state"})
    assert not any(word in caplog.text + str(told.value) for word in ("the-smiths", "their-state"))
