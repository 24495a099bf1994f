# SPDX-License-Identifier: Apache-2.0
"""Several threads want a lock that repairs by itself, and another repairs it."""

import os
import threading

import pytest
from waits import LONG, SHORT, Blocked, ended, start

from polyshm import Lock, ReadWriteLock, _native


class ToldFirst:
    """Holds up those that are told of the death until somebody repairs."""

    def __init__(self, lock, attempt):
        self.repairing = threading.Event()
        self.told = threading.Semaphore(0)
        original = getattr(lock, attempt)

        def held_up(*arguments):
            code = original(*arguments)
            if code == _native.PSHM_EOWNERDIED:
                self.told.release()
                self.repairing.wait(LONG)
            return code

        setattr(lock, attempt, held_up)


@pytest.mark.parametrize("kind", ["lock", "read", "write"])
def test_should_wait_no_longer_for_a_repair_than_for_the_lock(kind):
    repairs = []
    lock = Lock(repair=repairs.append) if kind == "lock" else ReadWriteLock(repair=repairs.append)
    wanted = lock if kind == "lock" else getattr(lock, kind)
    first = ToldFirst(lock, "_await" if kind == "lock" else "_attempt")

    def die():
        (lock if kind == "lock" else lock.write).acquire()
        os.kill(os.getpid(), 9)

    def have():
        with wanted:
            return True

    assert ended(start(die)) == -9
    limits = ({"timeout": SHORT}, {"timeout": 1}, {"blocking": False})
    impatient = [Blocked(wanted.acquire, **limit) for limit in limits]
    patient = [Blocked(have), Blocked(have)]
    for _ in impatient + patient:
        assert first.told.acquire(timeout=LONG)
    outcomes = []

    def repair(death):
        first.repairing.set()
        outcomes.extend(waiter.outcome() for waiter in impatient)

    assert lock.repair(repair)
    assert outcomes == [False] * len(impatient)
    assert [waiter.outcome() for waiter in patient] == [True] * len(patient)
    assert repairs == [] and not lock.abandoned
