# SPDX-License-Identifier: Apache-2.0
"""What every test has: a watchdog, and an end that leaves nothing behind, even if it is killed."""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import itertools
import multiprocessing
import multiprocessing.forkserver
import multiprocessing.resource_tracker
import os
import signal
import time
from pathlib import Path

import processes
import pytest

from polyshm import SharedMemory

WATCHDOG_SECONDS = 120
_numbers = itertools.count()


def pytest_configure(config):
    """A process that sees this one end, however it does, with all that it has forked, and then cleans up."""
    mine = f"polyshm.pytest-{os.getpid()}-*"
    end, config.open_as_long_as_it_lives = os.pipe()
    config.cleaner = os.fork()
    if config.cleaner == 0:
        os.close(config.open_as_long_as_it_lives)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        os.read(end, 1)
        for path in Path("/dev/shm").glob(mine):
            path.unlink()
        SharedMemory.reap()
        os._exit(0)
    os.close(end)
    processes.lasting.add(config.cleaner)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a script starts what it runs in the background
        signal.signal(signal.SIGINT, signal.default_int_handler)  # what tests interrupt inherits that


def pytest_unconfigure(config):
    os.close(config.open_as_long_as_it_lives)
    os.waitpid(config.cleaner, 0)


def segments() -> set[Path]:
    return set(Path("/dev/shm").glob("polyshm*"))


def stop_children() -> None:
    for child in multiprocessing.active_children():
        child.kill()
        child.join()
    for helper in (multiprocessing.forkserver._forkserver, multiprocessing.resource_tracker._resource_tracker):
        helper._stop()  # waits for its children
    for pid in children() - processes.lasting:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def children() -> set[int]:
    found = []
    for each in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread that has ended
            found += each.read_text().split()
    return set(map(int, found))


@pytest.fixture(autouse=True)
def nothing_left():
    before = segments()
    faulthandler.dump_traceback_later(WATCHDOG_SECONDS, exit=True)
    yield
    stop_children()
    end = time.monotonic() + 10
    while segments() - before and time.monotonic() < end:
        gc.collect()  # what the test's frames refer to
        SharedMemory.reap()  # what killed children had
        time.sleep(0.01)  # what a thread, or a child that ends, is about to close
    faulthandler.cancel_dump_traceback_later()
    left = segments() - before
    for path in left:
        path.unlink(missing_ok=True)
    assert not left


@pytest.fixture
def name():
    """A segment's name that nobody else uses; what has it goes after the test."""
    name = f"pytest-{os.getpid()}-{next(_numbers)}"
    yield name
    Path("/dev/shm", f"polyshm.{name}").unlink(missing_ok=True)


@pytest.fixture
def memory():
    with SharedMemory.anonymous(1 << 20) as memory:
        yield memory


@pytest.fixture(params=("fork", "spawn", "forkserver"))
def context(request):
    """Each way in which multiprocessing starts a process."""
    return multiprocessing.get_context(request.param)


@pytest.fixture
def python():
    """Runs a program in a new Python and returns what it prints."""
    return processes.python
