# SPDX-License-Identifier: Apache-2.0
"""What the tests of locks and synchronizers share: children, signals, threads that block."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import threading
import time

import processes
import pytest

SHORT = 0.05  # a time that is to end
LONG = 60  # one that a test does not reach


def start(function, *arguments, method="fork"):
    """A child process that has been started."""
    child = processes.process(multiprocessing.get_context(method), function, *arguments)
    child.start()
    return child


def ended(child):
    """Its exit code, when it has ended."""
    child.join(LONG)
    return child.exitcode


class Blocked(threading.Thread):
    """A thread that calls something which blocks; `outcome` is what came of it."""

    def __init__(self, function, *arguments, **options):
        super().__init__(daemon=True)
        self.call = lambda: function(*arguments, **options)
        self.returned = self.raised = None
        self.start()

    def run(self):
        try:
            self.returned = self.call()
        except Exception as error:
            self.raised = error

    def outcome(self):
        self.join(LONG)
        assert not self.is_alive()
        if self.raised is not None:
            raise self.raised
        return self.returned


def until(condition):
    """Wait for what another thread or process does."""
    end = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


class Interrupted(Exception):
    """What a signal handler raises."""


@contextlib.contextmanager
def interrupted():
    """The block is ended by a signal handler that raises; others come until it is."""
    over = threading.Event()
    main = threading.main_thread().ident

    def handler(*_):
        if not over.is_set():
            over.set()
            raise Interrupted

    def send():
        while not over.wait(2 * SHORT):
            signal.pthread_kill(main, signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, handler)
    sender = threading.Thread(target=send)
    sender.start()
    try:
        with pytest.raises(Interrupted):
            yield
    finally:
        over.set()
        sender.join()
        signal.signal(signal.SIGUSR1, before)


@contextlib.contextmanager
def alarms():
    """Signals whose handler returns; yields how many it was, as a list."""
    handled = []
    before = signal.signal(signal.SIGALRM, lambda *_: handled.append(1))
    signal.setitimer(signal.ITIMER_REAL, SHORT / 5, SHORT / 5)
    try:
        yield handled
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
