# SPDX-License-Identifier: Apache-2.0
import math
import os
import threading
import time

import pytest
from waits import LONG, SHORT, Blocked, ended, start, until

from polyshm import Closed, LockHeld, OwnerDied, ReadWriteLock, SharedMemory


def hold(share, until_set):
    with share:
        until_set.wait()


def is_free(share):
    """Whether another thread gets it at once."""

    def attempt():
        if share.acquire(False):
            share.release()
            return True

    return Blocked(attempt).outcome() is True


def test_should_admit_readers_but_no_writer_when_read():
    lock = ReadWriteLock()
    go = threading.Event()
    readers = [Blocked(hold, lock.read, go) for _ in range(2)]
    until(lambda: lock.readers == 2)
    assert lock.read.acquire(False)
    lock.read.release()
    assert not lock.write.acquire(False)
    assert not lock.write.acquire(timeout=SHORT)
    assert not lock.locked()
    go.set()
    for reader in readers:
        reader.outcome()
    with lock.write:
        assert lock.readers == 0


def test_should_admit_nobody_when_written():
    lock = ReadWriteLock()
    go = threading.Event()
    writer = Blocked(hold, lock.write, go)
    until(lock.locked)
    owner = lock.owner()
    assert (owner.pid, owner.thread_id, owner.thread_name) == (os.getpid(), writer.native_id, writer.name)
    for share in (lock.read, lock.write):
        assert not share.acquire(False)
        assert not share.acquire(timeout=SHORT)
        with pytest.raises(ValueError):
            share.acquire(False, 1)
        with pytest.raises(ValueError):
            share.acquire(timeout=math.nan)
    go.set()
    writer.outcome()
    assert lock.write.acquire()
    lock.write.release()


def test_should_be_reentrant_also_when_a_writer_waits():
    lock = ReadWriteLock()
    go = threading.Event()
    with lock.read:
        writer = Blocked(hold, lock.write, go)
        until(lambda: not is_free(lock.read))  # it waits
        with lock.read:
            assert (lock.read.depth, lock.readers) == (2, 1)
    until(lock.locked)
    go.set()
    writer.outcome()


def test_should_read_when_it_writes_and_go_over():
    lock = ReadWriteLock()
    lock.write.acquire()
    lock.write.acquire()
    lock.read.acquire()
    assert (lock.write.depth, lock.read.depth) == (2, 1)
    lock.write.release()
    lock.write.release()
    assert lock.read.held_by_me and not lock.write.held_by_me
    assert is_free(lock.read) and not is_free(lock.write)
    lock.read.release()


def test_should_refuse_to_write_when_it_reads():
    lock = ReadWriteLock()
    with lock.read:
        with pytest.raises(RuntimeError, match="wait for itself"):
            lock.write.acquire()
        assert not lock.write.acquire(False)
        assert not lock.write.acquire(timeout=LONG)


def test_should_refuse_release_when_not_held():
    lock = ReadWriteLock()
    for share in (lock.read, lock.write):
        with pytest.raises(RuntimeError, match="does not have it"):
            share.release()
    go = threading.Event()
    reader = Blocked(hold, lock.read, go)
    until(lambda: lock.readers == 1)
    with pytest.raises(RuntimeError):
        lock.read.release()
    go.set()
    reader.outcome()


def test_should_be_one_lock_when_got_twice():
    with SharedMemory.anonymous(1 << 14) as memory:
        lock = ReadWriteLock(memory=memory, name="lock")
        with lock.read:
            assert memory["lock"].read.depth == 1
            with pytest.raises(LockHeld):
                memory.close()


def test_should_tell_who_died_when_a_writer_is_killed():
    lock = ReadWriteLock()

    def die():
        with lock.write:
            os.kill(os.getpid(), 9)

    child = start(die)
    assert ended(child) == -9
    for share in (lock.read, lock.write):
        with pytest.raises(OwnerDied) as told:
            share.acquire()
        assert (told.value.death.pid, told.value.death.thread_name) == (child.pid, "MainThread")
        assert share.depth == 0
    assert lock.abandoned
    with pytest.raises(ZeroDivisionError):
        lock.repair(lambda death: 1 / 0)
    assert lock.abandoned and lock.write.depth == 0
    assert lock.repair(lambda death: None) is True
    assert lock.repair(lambda death: None) is False
    with lock.read:
        assert lock.repair(print) is False
    repairing = lock.with_repair(lambda death: None)
    ended(start(die))
    with repairing.read:
        assert lock.readers == 1 and not lock.abandoned
    assert lock.last_death.deaths == 2


def test_should_go_on_when_a_reader_is_killed():
    lock = ReadWriteLock()

    def read():
        with lock.read:
            time.sleep(LONG)

    child = start(read)
    until(lambda: lock.readers == 1)
    go = threading.Event()
    writer = Blocked(hold, lock.write, go)
    child.kill()
    until(lock.locked)
    go.set()
    writer.outcome()


def test_should_have_nothing_in_the_child_when_the_parent_has():
    lock = ReadWriteLock()

    def look():
        assert lock.write.depth == lock.read.depth == 0
        assert not lock.read.acquire(False)
        with pytest.raises(RuntimeError):
            lock.write.release()

    with lock.write, lock.read:
        assert ended(start(look)) == 0
        assert lock.write.depth == 1


def test_should_tell_when_closed_while_waiting():
    memory = SharedMemory.anonymous(1 << 14)
    lock = ReadWriteLock(memory=memory, name="lock")
    other = SharedMemory.open(memory.name)
    with other["lock"].write:
        threads = [Blocked(share.acquire) for share in (lock.read, lock.write)]
        time.sleep(SHORT)
        memory.close()
        for thread in threads:
            with pytest.raises(Closed):
                thread.outcome()
    for share in (lock.read, lock.write):
        with pytest.raises(Closed):
            share.acquire()
        with pytest.raises(Closed):
            share.release()
    other.close()
