# SPDX-License-Identifier: Apache-2.0
import math

import pytest
from waits import SHORT, Blocked, ended, start

from polyshm import Closed, Event, Latch, SharedMemory, TypeMismatch


def test_should_wait_when_the_event_is_not_set():
    event = Event()
    assert not event.is_set()
    assert event.wait(0) is False
    assert event.wait(-1) is False
    assert event.wait(SHORT) is False
    threads = [Blocked(event.wait) for _ in range(3)]
    event.set()
    assert [thread.outcome() for thread in threads] == [True] * 3
    assert event.wait(0) is True and event.is_set()
    event.clear()
    assert event.wait(0) is False


@pytest.mark.parametrize("wait", [lambda t: Event().wait(t), lambda t: Latch(1).wait(t)])
def test_should_refuse_times_when_they_cannot_be(wait):
    with pytest.raises(ValueError):
        wait(math.nan)
    with pytest.raises(OverflowError):
        wait(math.inf)


def test_should_wake_processes_when_an_event_is_set():
    event, answer = Event(), Event()

    def reply():
        event.wait()
        answer.set()

    child = start(reply)
    event.set()
    assert answer.wait()
    assert ended(child) == 0


def test_should_end_waits_when_the_latch_is_zero():
    latch = Latch(4)
    assert latch.wait(SHORT) is False
    thread = Blocked(latch.wait)
    children = [start(latch.count_down) for _ in range(3)]
    assert [ended(child) for child in children] == [0] * 3
    assert latch.count == 1
    latch.count_down(7)
    assert thread.outcome() is True
    assert latch.count == 0 and latch.wait(0) is True


def test_should_refuse_counts_when_they_cannot_be():
    with pytest.raises(ValueError):
        Latch(-1)
    latch = Latch(1)
    for n in (0, -1, 2**64):
        with pytest.raises(ValueError):
            latch.count_down(n)
    assert latch.count == 1
    assert Latch(0).wait() is True


def test_should_refuse_when_the_latch_began_with_another_count():
    with SharedMemory.anonymous(1 << 12) as memory:
        Latch(2, memory=memory, name="latch").count_down()
        with pytest.raises(TypeMismatch):
            Latch(1, memory=memory, name="latch")
        assert memory["latch"].count == 1


@pytest.mark.parametrize("make", [Event, lambda **where: Latch(1, **where)])
def test_should_tell_when_closed_while_waiting(make):
    memory = SharedMemory.anonymous(1 << 12)
    waited = make(memory=memory, name="waited")
    thread = Blocked(waited.wait)
    memory.close()
    with pytest.raises(Closed):
        thread.outcome()
    with pytest.raises(Closed):
        waited.wait()
