# SPDX-License-Identifier: Apache-2.0
import threading

import pytest
from waits import LONG, SHORT, Blocked, ended, start, until

from polyshm import Barrier, BrokenBarrier, Closed, SharedMemory, TypeMismatch


def test_should_return_each_index_once_when_all_arrive():
    barrier = Barrier(5)
    threads = [Blocked(barrier.wait) for _ in range(4)]
    assert sorted([barrier.wait(), *(thread.outcome() for thread in threads)]) == [0, 1, 2, 3, 4]
    assert barrier.n_waiting == 0 and not barrier.broken


def test_should_tell_how_many_wait():
    barrier = Barrier(3)
    threads = [Blocked(barrier.wait) for _ in range(2)]
    until(lambda: barrier.n_waiting == 2)
    assert barrier.wait() == 0
    assert sorted(thread.outcome() for thread in threads) == [1, 2]


def test_should_pass_a_thousand_times():
    barrier = Barrier(3)

    def pass_on():
        for _ in range(1000):
            barrier.wait()

    child = start(pass_on)
    thread = Blocked(pass_on)
    pass_on()
    thread.outcome()
    assert ended(child) == 0


def test_should_run_the_action_once_in_the_last():
    ran = []
    barrier = Barrier(3, action=lambda: ran.append(threading.get_ident()))
    threads = [Blocked(barrier.wait) for _ in range(2)]
    until(lambda: barrier.n_waiting == 2)
    assert barrier.wait() == 0
    assert ran == [threading.get_ident()]
    assert sorted(thread.outcome() for thread in threads) == [1, 2]


def test_should_break_when_the_action_raises():
    barrier = Barrier(2, action=lambda: 1 / 0)
    thread = Blocked(barrier.wait)
    until(lambda: barrier.n_waiting == 1)
    with pytest.raises(ZeroDivisionError):
        barrier.wait()
    with pytest.raises(threading.BrokenBarrierError, match="action"):
        thread.outcome()
    assert barrier.broken and barrier.last_break.cause == "action"


def test_should_break_when_aborted():
    barrier = Barrier(3)
    threads = [Blocked(barrier.wait) for _ in range(2)]
    until(lambda: barrier.n_waiting == 2)
    barrier.abort()
    for thread in threads:
        with pytest.raises(BrokenBarrier):
            thread.outcome()
    with pytest.raises(BrokenBarrier):
        barrier.wait()
    assert barrier.broken and barrier.last_break.cause == "abort"


def test_should_begin_anew_when_reset():
    barrier = Barrier(2)
    thread = Blocked(barrier.wait)
    until(lambda: barrier.n_waiting == 1)
    barrier.reset()
    with pytest.raises(BrokenBarrier):
        thread.outcome()
    assert not barrier.broken
    thread = Blocked(barrier.wait)
    assert {barrier.wait(), thread.outcome()} == {0, 1}


def test_should_begin_anew_when_aborted_and_reset():
    barrier = Barrier(2)
    thread = Blocked(barrier.wait)
    until(lambda: barrier.n_waiting == 1)
    barrier.abort()
    with pytest.raises(BrokenBarrier):
        thread.outcome()
    barrier.reset()
    assert not barrier.broken
    thread = Blocked(barrier.wait)
    assert {barrier.wait(), thread.outcome()} == {0, 1}


@pytest.mark.parametrize("timeout", [SHORT, 0, -1])
def test_should_break_for_all_when_the_time_of_one_is_over(timeout):
    barrier = Barrier(3)
    thread = Blocked(barrier.wait)
    until(lambda: barrier.n_waiting == 1)
    with pytest.raises(threading.BrokenBarrierError, match="in time"):
        barrier.wait(timeout)
    with pytest.raises(BrokenBarrier, match="timed out"):
        thread.outcome()
    assert barrier.broken and barrier.last_break.cause == "timeout"


def test_should_use_the_default_time_when_none_is_given():
    barrier = Barrier(2, timeout=SHORT)
    with pytest.raises(BrokenBarrier):
        barrier.wait()
    barrier.reset()
    thread = Blocked(barrier.wait, LONG)
    assert {barrier.wait(LONG), thread.outcome()} == {0, 1}


def test_should_go_on_at_once_when_alone():
    barrier = Barrier(1)
    assert [barrier.wait(), barrier.wait(0)] == [0, 0]


def test_should_break_when_a_party_dies():
    barrier = Barrier(3)
    child = start(barrier.wait)
    until(lambda: barrier.n_waiting == 1)
    thread = Blocked(barrier.wait)
    until(lambda: barrier.n_waiting == 2)
    child.kill()
    with pytest.raises(BrokenBarrier, match=f"pid={child.pid} died"):
        thread.outcome()
    assert (barrier.last_break.cause, barrier.last_break.pid) == ("death", child.pid)


def test_should_refuse_parties_when_they_cannot_be():
    for parties in (0, -1, 2**64):
        with pytest.raises(ValueError):
            Barrier(parties)
    with SharedMemory.anonymous(1 << 14) as memory:
        assert Barrier(2, memory=memory, name="barrier").parties == 2
        with pytest.raises(TypeMismatch):
            Barrier(3, memory=memory, name="barrier")
        assert memory["barrier"].parties == 2


def test_should_tell_when_closed_while_waiting():
    memory = SharedMemory.anonymous(1 << 14)
    barrier = Barrier(2, memory=memory, name="barrier")
    thread = Blocked(barrier.wait)
    until(lambda: barrier.n_waiting == 1)
    memory.close()
    with pytest.raises(Closed):
        thread.outcome()
    with pytest.raises(Closed):
        barrier.wait()
