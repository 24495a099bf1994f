# SPDX-License-Identifier: Apache-2.0
"""A wait of the main thread ends for what a signal handler raises, and has taken nothing then."""

import contextlib
import itertools
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from processes import python
from waits import LONG, SHORT, Blocked, Interrupted, alarms, interrupted, start, until

from polyshm import Barrier, BrokenBarrier, Condition, Event, Latch, Lock, ReadWriteLock, Semaphore, _signals


class TimedOut(Interrupted, TimeoutError):
    """An error of the system's kind, as handlers of alarms raise it."""


class Holder:
    """A thread that has a lock until it is told to release it."""

    def __init__(self, lock):
        self.go = threading.Event()
        taken = threading.Event()

        def hold():
            with lock:
                taken.set()
                self.go.wait()

        self.thread = Blocked(hold)
        taken.wait()

    def release(self):
        self.go.set()
        self.thread.outcome()


def test_should_not_have_the_lock_when_interrupted():
    lock = Lock()
    holder = Holder(lock)
    for take in (lock.acquire, lambda: lock.acquire(timeout=LONG), lock.__enter__):
        with interrupted():
            take()
        assert lock.depth == 0
    holder.release()
    assert lock.acquire(False)
    lock.release()


def test_should_repair_nothing_when_interrupted():
    lock = Lock()
    thread = threading.Thread(target=lock.acquire)  # which ends with it
    thread.start()
    thread.join()
    repairing, go = threading.Event(), threading.Event()

    def repair(death):
        repairing.set()
        go.wait()

    other = Blocked(lock.repair, repair)
    repairing.wait()
    with interrupted():
        lock.repair(repair)
    assert lock.depth == 0 and lock.abandoned
    go.set()
    assert other.outcome() is True
    assert not lock.abandoned


def test_should_stay_abandoned_when_interrupted_in_the_repair():
    lock = Lock()
    thread = threading.Thread(target=lock.acquire)
    thread.start()
    thread.join()
    with interrupted():
        lock.repair(lambda death: time.sleep(LONG))
    assert lock.depth == 0 and lock.abandoned


@pytest.mark.parametrize("mode", ["read", "write"])
def test_should_not_have_the_share_when_interrupted(mode):
    lock = ReadWriteLock()
    holder = Holder(lock.write)
    share = getattr(lock, mode)
    with interrupted():
        share.acquire()
    assert share.depth == 0
    holder.release()
    reader = Holder(lock.read)
    if mode == "write":
        with interrupted():
            with share:
                pass
    other = Holder(lock.read)  # who is not behind a writer that has gone
    reader.release()
    other.release()
    assert lock.write.acquire(False)
    lock.write.release()


def test_should_have_no_permit_when_interrupted():
    semaphore = Semaphore(1)
    for take in (lambda: semaphore.acquire(permits=2), lambda: semaphore.acquire(timeout=LONG, permits=2)):
        with interrupted():
            take()
        assert (semaphore.available, semaphore.held) == (1, 0)
    with semaphore:
        with interrupted():
            with semaphore:
                pass
        assert (semaphore.available, semaphore.held) == (0, 1)


@pytest.mark.parametrize("make", [Event, lambda: Latch(1), lambda: Semaphore(0)])
def test_should_leave_a_wait_when_interrupted(make):
    waited = make()
    wait = getattr(waited, "wait", None) or waited.acquire
    with interrupted():
        wait()
    with interrupted():
        wait(timeout=LONG)


def test_should_hold_the_lock_when_a_condition_is_interrupted():
    condition = Condition()
    with condition:
        for timeout in (None, LONG):
            with interrupted():
                condition.wait(timeout)
            assert condition.lock.depth == 1
            assert condition.n_waiting == 0


def test_should_take_the_lock_again_when_interrupted_meanwhile():
    """The wait is over, but another holds the lock: only when that has released it may the exception leave."""
    condition = Condition()
    held = []

    def handler(*_):
        held.append(condition.lock.depth)
        raise Interrupted

    def keep():
        with condition:
            condition.notify()
            for _ in range(3):
                signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)
                time.sleep(SHORT)

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        with condition:
            thread = Blocked(keep)
            with pytest.raises(Interrupted):
                condition.wait()
                time.sleep(0)  # it was notified: the handler may run as soon as it has returned
            assert condition.lock.depth == 1
        assert held == [1]
        thread.outcome()
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_should_break_for_all_when_one_that_waits_is_interrupted():
    barrier = Barrier(3)
    thread = Blocked(barrier.wait)
    until(lambda: barrier.n_waiting == 1)
    with interrupted():
        barrier.wait()
    with pytest.raises(BrokenBarrier, match="interrupted"):
        thread.outcome()
    assert (barrier.last_break.cause, barrier.last_break.pid) == ("interrupt", os.getpid())


def test_should_break_for_all_when_the_action_is_interrupted():
    barrier = Barrier(2, action=lambda: time.sleep(LONG))
    thread = Blocked(barrier.wait)
    until(lambda: barrier.n_waiting == 1)
    with interrupted():
        barrier.wait()
    with pytest.raises(BrokenBarrier, match="action"):
        thread.outcome()


@pytest.mark.skipif(sys.version_info < (3, 11), reason="runs handlers between a call and its outcome")
@pytest.mark.parametrize(
    "make", [Lock, lambda: Semaphore(1), lambda: ReadWriteLock().read, lambda: ReadWriteLock().write]
)
def test_should_lose_nothing_wherever_it_is_interrupted(make):
    lock = make()
    over = threading.Event()
    interrupts = 0

    def handler(_, frame):
        while frame is not None and frame.f_code.co_name != "__enter__":
            frame = frame.f_back
        if frame is not None and not over.is_set():  # elsewhere this test, or a release, would be interrupted
            raise Interrupted

    def contend():
        while not over.is_set():
            with lock:
                pass

    before = signal.signal(signal.SIGALRM, handler)
    thread = Blocked(contend)
    signal.setitimer(signal.ITIMER_REAL, 0.0003, 0.0003)
    try:
        while interrupts < 300:
            try:
                with lock:
                    pass
            except Interrupted:
                interrupts += 1
    finally:
        over.set()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    thread.outcome()

    def take_and_give():
        if lock.acquire(False):
            lock.release()
            return True

    assert Blocked(take_and_give).outcome()  # a lock that has been lost would be this thread's


# ---- at any moment ----


@contextlib.contextmanager
def notified(waited):
    """Who waits is woken in vain, again and again."""
    over = threading.Event()

    def notify():
        while not over.is_set():
            waited.release()
            waited.acquire()

    thread = Blocked(notify)
    try:
        yield
    finally:
        over.set()
        thread.outcome()


def raise_interrupted(*_):
    raise TimedOut


noted = pytest.mark.skipif(sys.version_info < (3, 11), reason="does not note signals")


def end_by_one_signal(wait, rounds=400):
    """Each of many waits, at whatever moment that comes: if it goes unnoticed, the wait does not end."""
    before = signal.signal(signal.SIGALRM, raise_interrupted)
    delays = random.Random(5)
    try:
        for _ in range(rounds):
            with pytest.raises(Interrupted):
                signal.setitimer(signal.ITIMER_REAL, delays.uniform(1e-6, 2e-4))
                wait()
                time.sleep(LONG)  # it was woken, and the signal is still to come
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert signal.set_wakeup_fd(-1) == -1


@noted
def test_should_be_ended_by_one_signal_when_held():
    lock, shared = Lock(), ReadWriteLock()
    holders = Holder(lock), Holder(shared.write)
    for acquire in (lock.acquire, shared.read.acquire, shared.write.acquire):
        end_by_one_signal(acquire)
    for holder in holders:
        holder.release()


@noted
def test_should_be_ended_by_one_signal_when_nobody_comes():
    barrier, condition = Barrier(2), Condition()

    def arrive():
        try:
            barrier.wait()
        finally:
            barrier.reset()

    end_by_one_signal(Event().wait)
    end_by_one_signal(Latch(1).wait)
    end_by_one_signal(arrive)
    with condition:
        end_by_one_signal(condition.wait)
        assert condition.lock.depth == 1


@noted
def test_should_be_ended_by_one_signal_when_woken_in_vain():
    semaphore = Semaphore(0)
    with notified(semaphore):
        end_by_one_signal(lambda: semaphore.acquire(permits=2))


@noted
def test_should_be_ended_by_one_signal_when_it_is_the_first_wait():
    """As after a fork: what notes the signals is made, which a handler may interrupt."""
    event = Event()
    waits = itertools.count()

    def wait():
        if next(waits) % 2 == 0 and _signals._is_open():
            os.close(_signals._descriptor)
        event.wait()

    end_by_one_signal(wait, 10_000)


# ---- what Python tells of signals ----


@noted
def test_should_leave_the_wakeup_descriptor_to_others():
    """As asyncio has one: it gets each signal."""
    Event().wait(0.001)
    os.write(_signals._descriptor, b"1")  # a signal that came as that ended: not theirs
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    signal.set_wakeup_fd(theirs.fileno())
    try:
        assert Event().wait(0.001) is False
        with pytest.raises(BlockingIOError):
            ours.recv(1)
        with alarms() as handled:
            Event().wait(2 * SHORT)
        assert len(ours.recv(100)) >= len(handled) > 0
    finally:
        assert signal.set_wakeup_fd(-1) == theirs.fileno()
        ours.close()
        theirs.close()


@noted
def test_should_note_signals_when_all_files_have_been_closed(tmp_path):
    """As one does who becomes a daemon: others get the numbers of the descriptors."""
    program = """if True:
        import os, signal, sys
        from polyshm import Semaphore
        semaphore = Semaphore(0)
        signal.signal(signal.SIGALRM, lambda *_: 1 / 0)
        for _ in range(3):
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.01)
                semaphore.acquire()
            except ZeroDivisionError:
                print("ended")
            os.closerange(3, 1000)
            others = [os.open(sys.argv[1], os.O_RDWR | os.O_CREAT) for _ in range(30)]
        assert os.read(others[0], 1) == b""
    """
    assert python(program, str(tmp_path / "other")) == "ended\n" * 3


@noted
def test_should_wait_when_signals_cannot_be_noted_any_more(monkeypatch):
    """What was noted last stays in memory."""
    event = Event()
    event.wait(0.001)
    os.write(_signals._descriptor, b"1")
    os.close(_signals._descriptor)
    monkeypatch.delattr(os, "memfd_create")
    thread = Blocked(lambda: (time.sleep(SHORT), event.set()))
    assert event.wait() is True
    thread.outcome()
    with interrupted():
        Event().wait()


@noted
def test_should_wait_in_a_handler_that_ran_in_a_wait():
    inner, outer = Event(), Event()
    handled = []

    def handler(*_):
        handled.append(inner.wait(SHORT / 5))

    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, SHORT / 5)
        assert outer.wait(2 * SHORT) is False
        assert handled == [False]
        signal.signal(signal.SIGALRM, raise_interrupted)
        end_by_one_signal(outer.wait)
    finally:
        signal.signal(signal.SIGALRM, before)


# ---- handlers that return ----


def test_should_wait_on_when_the_handler_returns():
    lock, written = Lock(), ReadWriteLock()
    condition = Condition()
    holders = [Holder(lock), Holder(written.write)]
    with condition, alarms() as handled:
        for wait in (
            lambda: lock.acquire(timeout=2 * SHORT),
            lambda: written.read.acquire(timeout=2 * SHORT),
            lambda: written.write.acquire(timeout=2 * SHORT),
            lambda: Semaphore(0).acquire(timeout=2 * SHORT),
            lambda: Event().wait(2 * SHORT),
            lambda: Latch(1).wait(2 * SHORT),
            lambda: condition.wait(2 * SHORT),
        ):
            before = len(handled)
            begun = time.monotonic()
            assert wait() is False
            assert time.monotonic() - begun >= 2 * SHORT
            assert len(handled) > before
    for holder in holders:
        holder.release()


def test_should_get_what_it_waits_for_when_handlers_have_run():
    lock, written, semaphore, event, latch = Lock(), ReadWriteLock(), Semaphore(0), Event(), Latch(1)
    holders = [Holder(lock), Holder(written.write)]
    for wait, give in (
        (lock.acquire, holders[0].release),
        (written.read.acquire, holders[1].release),
        (semaphore.acquire, semaphore.release),
        (event.wait, event.set),
        (latch.wait, latch.count_down),
    ):
        with alarms() as handled:

            def give_when_handled():
                until(lambda: len(handled) > 1)
                give()

            thread = Blocked(give_when_handled)
            assert wait() is True
            thread.outcome()
    lock.release()
    written.read.release()


def test_should_not_break_when_the_handler_returns():
    barrier = Barrier(2)
    with alarms() as handled:

        def come():
            until(lambda: len(handled) > 1)
            return barrier.wait()

        thread = Blocked(come)
        assert barrier.wait() == 1
        assert thread.outcome() == 0


def test_should_lose_no_notification_when_handlers_run():
    condition = Condition()

    def notify():
        until(lambda: len(handled) > 1)
        with condition:
            condition.notify()

    with alarms() as handled, condition:
        thread = Blocked(notify)
        assert condition.wait() is True
        thread.outcome()


def test_should_use_a_lock_when_a_handler_does_and_the_main_thread_waits():
    """The handler runs between two native waits of the same thread."""
    event, semaphore, written = Event(), Semaphore(1), ReadWriteLock()
    handled = []

    def handler(*_):
        with semaphore, written.write:
            handled.append(Event().wait(0.001))

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, SHORT / 2, SHORT / 2)
    try:
        assert event.wait(3 * SHORT) is False
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert handled and not any(handled)


# ---- which thread ----


def test_should_end_no_wait_of_another_thread():
    event = Event()
    thread = Blocked(event.wait, LONG)
    with alarms() as handled:
        for _ in range(5):
            signal.pthread_kill(thread.ident, signal.SIGALRM)
            time.sleep(SHORT / 5)
    assert handled and thread.is_alive()
    event.set()
    assert thread.outcome() is True


def fork_and_wait(event, results):
    """In the child this thread is the main one, whichever it was."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            signal.signal(signal.SIGALRM, lambda *_: 1 / 0)
            signal.setitimer(signal.ITIMER_REAL, SHORT, SHORT)
            event.wait()
        except ZeroDivisionError:
            code = 7
        finally:
            os._exit(code)
    results.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


def test_should_be_interrupted_in_a_forked_child():
    results = []
    event = Event()
    fork_and_wait(event, results)
    Blocked(fork_and_wait, event, results).outcome()
    assert results == [7, 7]


def test_should_end_by_ctrl_c():
    program = """if True:
        from polyshm import Lock
        lock = Lock()
        import threading
        held, go = threading.Event(), threading.Event()
        def hold():
            with lock:
                held.set()
                go.wait()
        thread = threading.Thread(target=hold)
        thread.start()
        held.wait()
        try:
            print("held", flush=True)
            lock.acquire()
        except KeyboardInterrupt:
            print("interrupted", lock.depth, flush=True)
        go.set()
        thread.join()
    """
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout.readline() == "held\n"
        time.sleep(SHORT)
        while child.poll() is None:
            child.send_signal(signal.SIGINT)
            try:
                child.wait(1)
            except subprocess.TimeoutExpired:
                pass
        assert child.stdout.read() == "interrupted 0\n"
        assert child.returncode == 0
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
