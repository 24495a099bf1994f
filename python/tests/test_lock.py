# SPDX-License-Identifier: Apache-2.0
import math
import os
import threading
import time

import pytest
from waits import LONG, SHORT, Blocked, ended, start, until

from polyshm import Closed, Event, Lock, LockHeld, OwnerDied, SharedMemory


def held_elsewhere(lock):
    """A thread that holds it until the event is set."""
    go = threading.Event()

    def hold():
        with lock:
            go.wait()

    thread = Blocked(hold)
    until(lock.locked)
    return thread, go


def test_should_exclude_others_when_held():
    lock = Lock()
    thread, go = held_elsewhere(lock)
    assert not lock.acquire(False)
    assert not lock.acquire(timeout=0)
    assert not lock.acquire(timeout=-2)
    assert not lock.acquire(timeout=SHORT)
    go.set()
    assert lock.acquire(timeout=None)
    lock.release()
    thread.outcome()


def test_should_count_depth_when_taken_again():
    lock = Lock()
    with lock, lock:
        assert lock.depth == 2
        assert lock.acquire(False)
        lock.release()
    assert lock.depth == 0 and not lock.held_by_me and not lock.locked()


def test_should_count_exactly_when_processes_contend():
    with SharedMemory.anonymous(1 << 14) as memory:
        lock = Lock(memory=memory, name="lock")
        path = os.memfd_create("count")
        os.write(path, b"0")

        def add():
            for _ in range(500):
                with lock:
                    count = int(os.pread(path, 20, 0))
                    os.pwrite(path, b"%d" % (count + 1), 0)

        children = [start(add) for _ in range(3)]
        assert [ended(child) for child in children] == [0, 0, 0]
        assert int(os.pread(path, 20, 0)) == 1500
        os.close(path)


def test_should_let_other_threads_run_when_one_blocks():
    lock = Lock()
    turns = []
    go = threading.Event()

    def work():
        for turn in range(1000):
            turns.append(turn)
        go.set()

    thread, release = held_elsewhere(lock)
    worker = Blocked(work)
    blocked = Blocked(lock.acquire)
    worker.outcome()
    assert go.is_set() and len(turns) == 1000
    release.set()
    assert blocked.outcome() is True
    with pytest.raises(OwnerDied):  # the thread that ended with it
        lock.acquire()
    thread.outcome()


@pytest.mark.parametrize(
    "blocking, timeout, error",
    [
        (False, 1, ValueError),
        (True, math.nan, ValueError),
        (True, math.inf, OverflowError),
        (True, 1e12, OverflowError),
    ],
)
def test_should_refuse_times_when_they_cannot_be(blocking, timeout, error):
    lock = Lock()
    with pytest.raises(error):
        lock.acquire(blocking, timeout)
    assert not lock.locked()


def test_should_refuse_release_when_not_held():
    lock = Lock()
    with pytest.raises(RuntimeError, match="unlock: segment=anonymous-.*, name=lock: .*does not hold"):
        lock.release()
    thread, go = held_elsewhere(lock)
    with pytest.raises(RuntimeError):
        lock.release()
    go.set()
    thread.outcome()


def test_should_tell_owner_when_held():
    lock = Lock()
    assert lock.owner() is None
    before = time.time()

    def hold():
        with lock:
            return lock.owner(), threading.get_native_id()

    thread = threading.Thread(target=lambda: got.append(hold()), name="a name")
    got = []
    thread.start()
    thread.join()
    owner, tid = got[0]
    assert (owner.pid, owner.thread_id, owner.thread_name) == (os.getpid(), tid, "a name")
    assert abs(owner.since.timestamp() - before) < 60


def test_should_tell_the_new_name_when_a_renamed_thread_has_waited():
    lock = Lock()
    me = threading.current_thread()
    name = me.name
    with lock:
        assert lock.owner().thread_name == name
    thread, go = held_elsewhere(lock)
    threading.Timer(SHORT, go.set).start()
    me.name = "renamed"
    try:
        with lock:
            assert lock.owner().thread_name == "renamed"
    finally:
        me.name = name
    thread.outcome()


# ---- owner death ----


def die_with(lock):
    lock.acquire()
    os.kill(os.getpid(), 9)


def test_should_tell_who_died_when_a_process_is_killed_with_the_lock():
    lock = Lock()
    child = start(die_with, lock)
    assert ended(child) == -9
    for _ in range(2):
        with pytest.raises(OwnerDied) as told:
            with lock:
                pass
        assert told.value.death.pid == child.pid
        assert told.value.death.thread_name == "MainThread"
        assert told.value.death.deaths == 1
        assert lock.depth == 0
    assert lock.abandoned and lock.last_death == told.value.death


def test_should_tell_when_killed_while_another_waits():
    lock = Lock()
    event = Event()

    def hold():
        with lock:
            event.set()
            time.sleep(LONG)

    child = start(hold)
    assert event.wait()
    blocked = Blocked(lock.acquire)
    time.sleep(SHORT)
    child.kill()
    with pytest.raises(OwnerDied) as told:
        blocked.outcome()
    assert told.value.death.pid == child.pid


def test_should_tell_who_died_when_a_thread_ends_with_the_lock():
    lock = Lock()
    thread = threading.Thread(target=lock.acquire, name="short-lived")
    thread.start()
    thread.join()
    with pytest.raises(OwnerDied) as told:
        lock.acquire()
    assert told.value.death.thread_name == "short-lived"
    assert told.value.death.thread_id == thread.native_id


def test_should_be_good_again_when_repaired():
    lock = Lock()
    ended(start(die_with, lock))
    deaths = []

    def repair(death):
        assert lock.depth == 1
        deaths.append(death)

    assert lock.repair(repair) is True
    assert lock.repair(repair) is False
    assert len(deaths) == 1 and deaths[0] == lock.last_death
    assert lock.depth == 0 and not lock.abandoned
    with lock:
        assert lock.repair(repair) is False
        assert lock.depth == 1


def test_should_stay_abandoned_when_the_repair_raises():
    lock = Lock()
    ended(start(die_with, lock))
    with pytest.raises(ZeroDivisionError):
        lock.repair(lambda death: 1 / 0)
    assert lock.abandoned and lock.depth == 0
    with pytest.raises(OwnerDied):
        lock.acquire()


def test_should_repair_by_itself_when_made_with_a_function():
    deaths = []
    lock = Lock(repair=deaths.append)
    for number, take in enumerate([lock.acquire, lock.__enter__, lambda: lock.acquire(False)], 1):
        ended(start(die_with, lock))
        assert take()
        assert lock.depth == 1
        lock.release()
        assert [death.deaths for death in deaths] == list(range(1, number + 1))
    plain = lock.with_repair(None)
    ended(start(die_with, lock))
    with pytest.raises(OwnerDied):
        plain.acquire()
    assert lock.acquire(timeout=1)
    lock.release()


# ---- fork and close ----


def test_should_not_be_the_childs_when_the_parent_holds_it():
    lock = Lock()

    def look():
        assert lock.depth == 0
        assert not lock.acquire(False)
        with pytest.raises(RuntimeError):
            lock.release()

    with lock:
        assert ended(start(look)) == 0
        assert lock.depth == 1


def test_should_refuse_close_when_held():
    with SharedMemory.anonymous(1 << 12) as memory:
        lock = Lock(memory=memory, name="lock")
        with lock:
            with pytest.raises(LockHeld):
                memory.close()
            assert lock.depth == 1


def test_should_tell_when_closed():
    memory = SharedMemory.anonymous(1 << 12)
    lock = Lock(memory=memory, name="lock")
    memory.close()
    for call in (lock.acquire, lock.__enter__, lock.release, lock.owner, lambda: lock.repair(print)):
        with pytest.raises(Closed):
            call()
    assert lock.depth == 0
