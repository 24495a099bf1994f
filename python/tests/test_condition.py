# SPDX-License-Identifier: Apache-2.0
import os
import threading
import time

import pytest
from waits import LONG, SHORT, Blocked, ended, start, until

from polyshm import Closed, Condition, Lock, OwnerDied, SharedMemory, TypeMismatch


def waiting(condition, number):
    """Whether so many wait."""
    with condition:
        return condition.n_waiting == number


def wait(condition, timeout=None):
    with condition:
        return condition.wait(timeout)


def test_should_end_so_many_waits_when_notified():
    condition = Condition()
    threads = [Blocked(wait, condition) for _ in range(6)]
    until(lambda: waiting(condition, 6))
    with condition:
        assert condition.notify(0) == 0
        assert condition.notify() == 1
        assert condition.notify(2) == 2
    until(lambda: sum(not thread.is_alive() for thread in threads) == 3)
    assert waiting(condition, 3)
    with condition:
        assert condition.notify(10) == 3
        assert condition.notify_all() == 0
    assert [thread.outcome() for thread in threads] == [True] * 6


def test_should_wake_processes_when_all_are_notified():
    condition = Condition()
    children = [start(wait, condition) for _ in range(3)]
    until(lambda: waiting(condition, 3))
    with condition:
        assert condition.notify_all() == 3
    assert [ended(child) for child in children] == [0] * 3


def test_should_return_false_when_the_time_is_over():
    condition = Condition()
    with condition:
        assert condition.wait(SHORT) is False
        assert condition.wait(0) is False
        assert condition.wait(-1) is False
        assert condition.lock.depth == 1


def test_should_release_all_holds_when_waiting():
    condition = Condition()

    def wait_deep():
        with condition, condition:
            condition.wait()
            return condition.lock.depth

    thread = Blocked(wait_deep)
    until(lambda: waiting(condition, 1))
    with condition:
        condition.notify()
    assert thread.outcome() == 2


def test_should_wait_for_a_predicate_when_it_changes():
    condition = Condition()
    value = [0]

    def consume(timeout=None):
        with condition:
            return condition.wait_for(lambda: value[0] >= 3 and "three", timeout)

    thread = Blocked(consume)
    for _ in range(3):
        with condition:
            value[0] += 1
            condition.notify()
        time.sleep(SHORT / 5)
    assert thread.outcome() == "three"
    value[0] = 0
    assert consume(SHORT) is False
    assert consume(0) is False
    value[0] = 5
    assert consume(0) == "three"


def test_should_refuse_when_the_lock_is_not_held():
    condition = Condition()
    for call in (condition.wait, condition.notify, condition.notify_all, lambda: condition.n_waiting):
        with pytest.raises(RuntimeError, match="does not hold"):
            call()
    with condition, pytest.raises(ValueError):
        condition.notify(-1)


def test_should_be_one_condition_when_named():
    with SharedMemory.anonymous(1 << 16) as memory:
        lock = Lock(memory=memory, name="lock")
        other = Lock(memory=memory, name="other")
        condition = lock.condition("condition")
        thread = Blocked(wait, memory["condition"])
        until(lambda: waiting(condition, 1))
        with condition:
            condition.notify()
        assert thread.outcome()
        with pytest.raises(TypeMismatch):
            Condition(other, "condition")
        assert lock.condition().name != lock.condition().name


def test_should_hold_the_abandoned_lock_when_an_owner_dies():
    condition = Condition()
    lock = condition.lock

    def wait_and_repair():
        with condition:
            with pytest.raises(OwnerDied) as told:
                condition.wait()
            assert lock.depth == 1
            assert lock.repair(lambda death: None)
            return told.value.death.pid

    thread = Blocked(wait_and_repair)
    until(lambda: waiting(condition, 1))

    def die():
        with lock:
            os.kill(os.getpid(), 9)

    child = start(die)
    assert ended(child) == -9
    assert thread.outcome() == child.pid
    with lock:
        pass


def test_should_stay_abandoned_when_the_wait_is_told_and_releases():
    condition = Condition()
    thread = Blocked(wait, condition)
    until(lambda: waiting(condition, 1))

    def die():
        with condition:
            os.kill(os.getpid(), 9)

    ended(start(die))
    with pytest.raises(OwnerDied):
        thread.outcome()
    with pytest.raises(OwnerDied):
        condition.acquire()
    assert condition.lock.repair(lambda death: None)


def test_should_repair_before_it_returns_when_there_is_a_function():
    deaths = []
    condition = Condition(Lock(repair=deaths.append))
    thread = Blocked(wait, condition)
    until(lambda: waiting(condition, 1))

    def die():
        with condition:
            os.kill(os.getpid(), 9)

    ended(start(die))
    assert thread.outcome() is True
    assert len(deaths) == 1 and not condition.lock.abandoned


def test_should_lose_no_notification_when_a_waiter_is_killed():
    condition = Condition()
    child = start(wait, condition)
    until(lambda: waiting(condition, 1))
    thread = Blocked(wait, condition)
    until(lambda: waiting(condition, 2))
    child.kill()
    child.join()
    with condition:
        condition.notify()
    assert thread.outcome() is True


def test_should_tell_when_closed_while_waiting():
    memory = SharedMemory.anonymous(1 << 16)
    condition = Lock(memory=memory, name="lock").condition("condition")
    thread = Blocked(wait, condition)
    until(lambda: waiting(condition, 1))
    memory.close()
    with pytest.raises(Closed):
        thread.outcome()
    with pytest.raises(Closed):
        condition.notify()


def test_should_let_other_threads_run_when_one_waits():
    condition = Condition()
    thread = Blocked(wait, condition, LONG)
    until(lambda: waiting(condition, 1))
    assert threading.active_count() > 1  # and this one runs
    with condition:
        condition.notify()
    assert thread.outcome()


def test_should_refuse_a_name_when_it_is_empty():
    with Lock() as lock, pytest.raises(ValueError, match='name=""'):
        Condition(lock, "")
