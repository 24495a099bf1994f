# SPDX-License-Identifier: Apache-2.0
import math
import time

import pytest
from waits import LONG, SHORT, Blocked, start, until

from polyshm import Closed, Event, Semaphore, SharedMemory, TypeMismatch


def test_should_give_out_so_many_permits_as_there_are():
    semaphore = Semaphore(2)
    assert semaphore.acquire() and semaphore.acquire()
    assert not semaphore.acquire(False)
    assert not semaphore.acquire(timeout=0)
    assert not semaphore.acquire(timeout=-5)
    assert not semaphore.acquire(timeout=SHORT)
    assert (semaphore.available, semaphore.held) == (0, 2)
    thread = Blocked(semaphore.acquire)
    semaphore.release()
    assert thread.outcome() is True
    semaphore.release(2)
    assert semaphore.available == 2


def test_should_add_permits_when_unbounded():
    semaphore = Semaphore(0)
    semaphore.release(3)
    assert semaphore.available == 3
    assert semaphore.acquire(permits=2)
    assert not semaphore.acquire(False, permits=2)
    assert semaphore.drain() == 1
    semaphore.reduce(2)
    assert semaphore.available == -2
    assert semaphore.drain() == -2


def test_should_refuse_release_when_bounded():
    semaphore = Semaphore(1, bounded=True)
    with pytest.raises(ValueError):
        semaphore.release()
    with semaphore:
        assert semaphore.available == 0
    assert semaphore.available == 1
    with pytest.raises(ValueError):
        semaphore.release()


@pytest.mark.parametrize("permits", [-1, 2**63, 2**64])
def test_should_refuse_numbers_when_they_cannot_be(permits):
    with pytest.raises(ValueError, match=str(permits)):
        Semaphore(permits)
    semaphore = Semaphore(1)
    for call in (semaphore.release, semaphore.reduce, lambda n: semaphore.acquire(permits=n)):
        with pytest.raises(ValueError, match=str(permits)) if permits != -1 else pytest.raises(ValueError):
            call(permits)
    assert semaphore.available == 1


def test_should_refuse_arguments_when_they_are_of_another_kind():
    with pytest.raises(TypeError):
        Semaphore("1")
    semaphore = Semaphore(1)
    with pytest.raises(ValueError):
        semaphore.acquire(False, 1)
    with pytest.raises(ValueError):
        semaphore.acquire(timeout=math.nan)
    with pytest.raises(OverflowError):
        semaphore.acquire(timeout=math.inf)
    assert semaphore.available == 1


def test_should_give_permits_back_when_their_process_dies():
    semaphore = Semaphore(2)
    taken = Event()

    def take():
        semaphore.acquire(permits=2)
        taken.set()
        time.sleep(LONG)

    child = start(take)
    assert taken.wait()
    thread = Blocked(semaphore.acquire)
    child.kill()
    assert thread.outcome() is True
    assert semaphore.available == 1


def test_should_have_the_same_parameters_when_got_again():
    with SharedMemory.anonymous(1 << 14) as memory:
        Semaphore(2, memory=memory, name="semaphore")
        with pytest.raises(TypeMismatch):
            Semaphore(2, bounded=True, memory=memory, name="semaphore")
        with pytest.raises(TypeMismatch):
            Semaphore(3, memory=memory, name="semaphore")
        Semaphore(4, bounded=True, memory=memory, name="bounded")
        found = memory["bounded"]
        assert (found.permits, found.bounded) == (4, True)


def test_should_tell_when_closed_while_waiting():
    memory = SharedMemory.anonymous(1 << 14)
    semaphore = Semaphore(0, memory=memory, name="semaphore")
    thread = Blocked(semaphore.acquire)
    until(thread.is_alive)
    memory.close()
    with pytest.raises(Closed):
        thread.outcome()
    for call in (semaphore.acquire, semaphore.release, lambda: semaphore.available):
        with pytest.raises(Closed):
            call()
