# SPDX-License-Identifier: Apache-2.0
"""How threads of Python wait: without the GIL, and with signal handlers that run meanwhile.

Python runs the handlers of signals in its main thread, between two instructions. A native wait of that thread
ends when a signal comes, and goes on for the rest of its time if the handler returns, as PEP 475 says; what the
handler raises ends the wait. Signals end no wait of another thread.

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
import os
import threading
import time
from functools import partial
from typing import Any, Callable, Iterator

from . import _native
from ._library import library

FOREVER = -1

_NO_CODE = -(2**31)
_interrupt = _native.pshm_interrupt()
_interrupt_reference = ctypes.byref(_interrupt)
_main: int | None = None
_run_signal_handlers = ctypes.pythonapi.PyErr_CheckSignals  # raises what they raise


def _begin() -> None:
    """One thread has signals handled, so there is one interrupt; after a fork it may be another thread."""
    global _main
    library.pshm_interrupt_init(_interrupt_reference)
    _main = threading.main_thread().ident


_begin()
os.register_at_fork(after_in_child=_begin)


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


def _interrupt_here() -> Any:
    return _interrupt_reference if threading.get_ident() == _main else None


def wait(ns: int, function: Any, *arguments: Any) -> int:
    """The outcome of a native function that blocks and whose last parameters are a time and an interrupt.

    A signal that comes between Python's last look and the sleep, or together with a wake-up in vain, is noticed
    with the next signal or the end of the wait.
    """
    left = Remaining(ns)
    for code in calls(function, *arguments, left.ns, _interrupt_here()):
        if code != _native.PSHM_EINTERRUPTED:
            break
        _run_signal_handlers()
        left.update()
    return code


def wait_in_steps(ns: int, prepared: _native.pshm_wait, action: Callable[[], object] | None = None) -> int:
    """The outcome of a wait that has been prepared, for objects that must not be told of signals whose handlers
    return. With a barrier's action, which runs if the caller is the last to arrive.
    """
    self = ctypes.byref(prepared)
    left: Remaining | None = None  # until it may have to sleep
    sequence = 0
    try:
        for code in calls(library.pshm_wait_poll, self):
            if code != _native.PSHM_EBUSY:
                break
            if left is None:
                left, interrupt = Remaining(ns), _interrupt_here()
            else:
                slept = library.pshm_wait_sleep(self, sequence, left.ns, interrupt)
                if slept == _native.PSHM_EINTERRUPTED:
                    _run_signal_handlers()
                elif slept != 0:
                    code = library.pshm_wait_cancel(self, slept)
                    break
                left.update()
            sequence = library.pshm_wait_sequence(self)
        if action is not None and code == _native.PSHM_BARRIER_ACTION:
            action()
            code = library.pshm_barrier_trip(self)
    except BaseException:
        library.pshm_wait_cancel(self, _native.PSHM_EINTERRUPTED)
        raise
    return code
