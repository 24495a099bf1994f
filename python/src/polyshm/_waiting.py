# SPDX-License-Identifier: Apache-2.0
"""How threads of Python wait: without the GIL, and with signal handlers that run meanwhile.

A native wait of the main thread ends when a signal comes, and goes on for the rest of its time if the handler returns,
as PEP 475 says; what the handler raises ends the wait. Signals end no wait of another thread. How a signal ends it at
whatever moment it comes is said in `_signals`.

Why nothing is got and lost. A handler may raise just after a native call has taken a lock or a permit. So such a
call is made by an iterator: `for code in calls(...)` calls and stores the code in instructions between which no
handler runs, and there is none either when functions of Python that have called each other return, nor before the
body of a `with`; but there is after a call of anything else, such as a partial. What this leaves open: Python 3.9
and 3.10, where a handler may run in between, and a handler that raises when `__exit__` has been called but has not
yet released. Python's own locks in `multiprocessing` and `threading.Condition` leave the same open, in all versions.
"""

from __future__ import annotations

import ctypes
import math
import threading
import time
from functools import partial
from typing import Any, Callable, Iterator

from . import _native, _signals
from ._library import library

FOREVER = -1

_NO_CODE = -(2**31)


# ---- times ----


def nanoseconds(timeout: float | None) -> int:
    """A time in seconds; None has no end, and what is not above zero does not wait.

    ValueError for NaN; OverflowError for more than Python's own locks take.
    """
    if timeout is None:
        return FOREVER
    if timeout <= 0:
        return 0
    if math.isnan(timeout):
        raise ValueError(f"timeout={timeout} is no number of seconds; take one, or None for no end")
    if timeout > threading.TIMEOUT_MAX:
        raise OverflowError(f"timeout={timeout} is too large; take at most {threading.TIMEOUT_MAX}, or None for no end")
    return math.ceil(timeout * 1e9)


def acquire_nanoseconds(blocking: bool, timeout: float | None) -> int:
    """The same for the arguments of `acquire`, where -1 has no end, too."""
    if not blocking:
        if timeout is not None and timeout != -1:
            raise ValueError("can't specify a timeout for a non-blocking call")
        return 0
    return FOREVER if timeout == -1 else nanoseconds(timeout)


class Remaining:
    """What is left of a time."""

    def __init__(self, ns: int) -> None:
        self.ns = ctypes.c_int64(ns)
        self._end = time.monotonic_ns() + ns

    def update(self) -> None:
        if self.ns.value > 0:
            self.ns.value = max(0, self._end - time.monotonic_ns())


# ---- waits ----


def calls(function: Any, *arguments: Any) -> Iterator[int]:
    """The outcomes of a native function that is called again and again."""
    return iter(partial(function, *arguments), _NO_CODE)


def wait(ns: int, function: Any, *arguments: Any) -> int:
    """The outcome of a native function that blocks and whose last parameters are a time and an interrupt."""
    left = Remaining(ns)
    if ns == 0 or not _signals.in_main_thread():
        for code in calls(function, *arguments, left.ns, None):
            break
        return code
    noted = _signals.note()
    try:
        _signals.look()
        for code in calls(function, *arguments, left.ns, _signals.interrupt):
            if code != _native.PSHM_EINTERRUPTED:
                break
            _signals.look()
            left.update()
    except BaseException:
        if noted:
            next(_signals.forget)
        raise
    if noted:
        for _ in _signals.forget:
            break
    return code


def wait_in_steps(ns: int, prepared: _native.pshm_wait, action: Callable[[], object] | None = None) -> int:
    """The outcome of a wait that has been prepared, for objects that must not be told of signals whose handlers
    return. With a barrier's action, which runs if the caller is the last to arrive.
    """
    self = ctypes.byref(prepared)
    left: Remaining | None = None  # until it may have to sleep
    interrupt = None
    noted = False
    sequence = 0
    try:
        for code in calls(library.pshm_wait_poll, self):
            if code != _native.PSHM_EBUSY:
                break
            if left is None:
                left = Remaining(ns)
                if ns != 0 and _signals.in_main_thread():
                    interrupt = _signals.interrupt
                    noted = _signals.note()
                    _signals.look()
            else:
                slept = library.pshm_wait_sleep(self, sequence, left.ns, interrupt)
                if slept == _native.PSHM_EINTERRUPTED:
                    _signals.look()
                elif slept != 0:
                    code = library.pshm_wait_cancel(self, slept)
                    break
                left.update()
            sequence = library.pshm_wait_sequence(self)
        if noted:
            for _ in _signals.forget:
                break
            noted = False
        if action is not None and code == _native.PSHM_BARRIER_ACTION:
            action()
            code = library.pshm_barrier_trip(self)
    except BaseException:
        if noted:
            next(_signals.forget)
        library.pshm_wait_cancel(self, _native.PSHM_EINTERRUPTED)
        raise
    return code
