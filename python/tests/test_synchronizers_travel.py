# SPDX-License-Identifier: Apache-2.0
"""Locks and synchronizers travel as handles, and end with their process."""

import operator
import pickle
import time

import processes
import pytest
from waits import LONG, Blocked, until

from polyshm import (
    Barrier,
    Condition,
    Event,
    Latch,
    Lock,
    NotFound,
    OwnerDied,
    ReadWriteLock,
    Semaphore,
    SharedArray,
    SharedMemory,
    SharedValue,
    attach,
)

MAKERS = [Lock, Condition, lambda: Semaphore(2), Event, lambda: Latch(3), lambda: Barrier(1), ReadWriteLock]


def repaired(death):
    """A function that can be pickled."""


def answer(lock, condition, semaphore, event, latch, barrier, written):
    with condition:
        condition.notify()
    with lock, semaphore, written.read:
        pass
    with written.write:
        event.set()
        semaphore.release()
    latch.count_down()
    barrier.wait()


def test_should_arrive_in_another_process(context):
    with SharedMemory.anonymous(1 << 20) as memory:
        lock = Lock(memory=memory, name="lock")
        condition = lock.condition("condition")
        semaphore = Semaphore(1, memory=memory, name="semaphore")
        event = Event(memory=memory, name="event")
        latch = Latch(1, memory=memory, name="latch")
        barrier = Barrier(2, memory=memory, name="barrier")
        written = ReadWriteLock(memory=memory, name="written")
        child = processes.process(context, answer, lock, condition, semaphore, event, latch, barrier, written)
        with condition:
            child.start()
            assert condition.wait()
        assert barrier.wait() in (0, 1)
        assert event.is_set() and latch.count == 0 and semaphore.available == 2
        child.join()
        assert child.exitcode == 0


def hold(lock, ready):
    with lock:
        ready.set()
        time.sleep(LONG)


@pytest.mark.parametrize("make", [Lock, lambda: SharedArray("i", 3).lock, lambda: SharedValue("d").lock])
def test_should_tell_of_the_death_of_a_process_that_it_has_come_to(context, make):
    lock = make()
    ready = Event()
    child = processes.process(context, hold, lock, ready)
    child.start()
    assert ready.wait()
    assert lock.owner().pid == child.pid and not lock.acquire(False)
    child.kill()
    with pytest.raises(OwnerDied) as told:
        lock.acquire()
    assert told.value.death.pid == child.pid


@pytest.mark.parametrize("make", MAKERS)
def test_should_be_the_same_when_pickled_here(make):
    one = make()
    other = pickle.loads(pickle.dumps(one))
    assert type(other) is type(one) and other.memory is one.memory and other._handle == one._handle
    assert repr(other) == repr(one)


@pytest.mark.parametrize("make", MAKERS)
def test_should_be_found_by_its_handle(make):
    one = make()
    with attach(one.handle) as other:
        assert type(other) is type(one) and other.name == one.name


def test_should_be_found_by_its_name():
    with SharedMemory.anonymous(1 << 20) as memory:
        SharedArray("i", 3, memory=memory, name="array")
        Lock(memory=memory, name="other")
        lock = Lock(memory=memory, name="lock")
        for made in (
            lock,
            Condition(lock, "condition"),
            Condition(memory["array"].lock, "of-the-array"),
            Semaphore(2, memory=memory, name="semaphore"),
            Event(memory=memory, name="event"),
            Latch(3, memory=memory, name="latch"),
            Barrier(4, memory=memory, name="barrier"),
            ReadWriteLock(memory=memory, name="written"),
        ):
            assert repr(memory[made.name]) == repr(made)
            assert memory[made.name]._handle == made._handle
        assert memory["of-the-array"].lock.name == "array"
        with pytest.raises(NotFound):
            memory["none"]


def travelled(one):
    return pickle.loads(pickle.dumps(one))


def test_should_take_its_functions_along():
    lock, array, written = Lock(repair=repaired), SharedArray("i", 3), ReadWriteLock(repair=repaired)
    condition, barrier = Condition(lock), Barrier(1, action=operator.neg, timeout=5)
    assert travelled(lock)._repair_handler is repaired
    assert travelled(condition).lock._repair_handler is repaired
    assert travelled(written.write)._lock._repair_handler is repaired
    other = travelled(array.lock.with_repair(repaired))
    assert other._repair_handler is repaired and other._handle == array.lock._handle
    other = travelled(barrier)
    assert other._action is operator.neg and other._timeout == 5


# ---- the end of a process ----


@pytest.mark.parametrize("holds", ["lock, written.write", "other"])
@pytest.mark.parametrize(
    "wait",
    [
        "with lock: time.sleep(60)",
        "with written.read: time.sleep(60)",
        "with written.write: time.sleep(60)",
        "condition.acquire(); condition.wait()",
        "semaphore.acquire()",
        "event.wait()",
        "latch.wait()",
        "barrier.wait()",
        "while True: event.set()",
        "while True: condition.acquire(); condition.release()",
    ],
)
def test_should_end_in_silence_when_daemon_threads_are_at_work(python, wait, holds):
    program = f"""
import sys, threading, time
from polyshm import *
condition, event, lock, other, written = Condition(), Event(), Lock(), Lock(), ReadWriteLock()
semaphore, latch, barrier = Semaphore(0), Latch(1), Barrier(7)
begun = threading.Event()
def wait():
    begun.set()
    {wait}
with {holds}:
    for _ in range(3):
        threading.Thread(target=wait, daemon=True).start()
    begun.wait()
    time.sleep(0.05)
    sys.exit()
"""
    assert python(program) == ""


def test_should_be_told_when_a_process_ends_with_its_lock(python):
    lock = Lock()
    python("import sys, polyshm; lock = polyshm.attach(sys.argv[1]); lock.acquire()", lock.handle)
    with pytest.raises(OwnerDied):
        lock.acquire()


def test_should_leave_the_barrier_when_a_process_ends(python):
    barrier = Barrier(2)
    thread = Blocked(barrier.wait)
    until(lambda: barrier.n_waiting == 1)
    python("import sys, polyshm; polyshm.attach(sys.argv[1]).n_waiting", barrier.handle)
    assert not barrier.broken
    assert {barrier.wait(), thread.outcome()} == {0, 1}
