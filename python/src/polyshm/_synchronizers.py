# SPDX-License-Identifier: Apache-2.0
"""Semaphores, events and latches between processes."""

from __future__ import annotations

import ctypes

from . import _native
from ._library import check, error, library
from ._memory import SharedMemory, SharedObject, number
from ._waiting import FOREVER, acquire_nanoseconds, calls, nanoseconds, wait


class Semaphore(SharedObject, kind=_native.PSHM_SEMAPHORE):
    """Permits that threads of any number of processes take and give back.

        with Semaphore(4, memory=memory, name="cores"):
            ...

    Process death: a permit is held by the process that acquired it. If that dies, or closes the segment,
    its permits come back. A release gives back what the process holds, and only beyond that adds permits,
    so that one process can release what another has acquired; that one still holds it then.

    Any thread may call anything at any time. It is not fair. What a thread did before it released is
    visible to those that acquire because of it, in Python, Java and C. Waiting releases the GIL; a signal
    handler that raises ends a wait of the main thread, which has taken nothing then.
    """

    _default_name = "semaphore"
    _shown = {"permits": "length", "bounded": "type"}

    def __init__(
        self,
        permits: int,
        *,
        bounded: bool = False,
        memory: SharedMemory | None = None,
        name: str | None = None,
    ) -> None:
        """The semaphore of that name, made with so many permits if there is none. `bounded`: there are never
        more.

        TypeMismatch if it exists with other parameters; ValueError if `permits` is below 0, or the name
        cannot be; MemoryFull; Unavailable; Closed.
        """
        self.permits = number("semaphore", "permits", permits)
        self.bounded = bool(bounded)
        self._place(memory, name, 0, self.permits)
        self._got(library.pshm_semaphore_open, self.permits, self.bounded)
        self._tries = calls(library.pshm_semaphore_try_acquire, ctypes.c_void_p(self._handle), 1)

    def acquire(self, blocking: bool = True, timeout: float | None = -1, *, permits: int = 1) -> bool:
        """Take permits, all at once, waiting for at most `timeout` seconds; -1 and None have no end.

        Returns whether it has. Another time below zero does not wait. ValueError if `permits` is below
        0, for NaN, or a time without `blocking`; OverflowError for a time that is too large; Closed.
        """
        ns = FOREVER if timeout == -1 and blocking else acquire_nanoseconds(blocking, timeout)
        if permits == 1:
            for code in self._tries:
                break
            if code == 0:
                return True
            if code == _native.PSHM_EBUSY and ns == 0:
                return False
        code = wait(ns, library.pshm_semaphore_acquire, self._handle, number("acquire", "permits", permits))
        if code not in (0, _native.PSHM_ETIMEDOUT):
            raise error(code)
        return code == 0

    def release(self, n: int = 1) -> None:
        """Give permits back: those that this process holds, and beyond these new ones.

        ValueError if there would be more than there can be, or `n` is below 0: nothing has changed then.
        Closed.
        """
        check(library.pshm_semaphore_release(self._handle, number("release", "n", n)))

    def drain(self) -> int:
        """Take all permits that are there. Returns how many; below zero if fewer than none were left by `reduce`,
        and these are made up for. Closed."""
        out = ctypes.c_int64()
        check(library.pshm_semaphore_drain(self._handle, ctypes.byref(out)))
        return out.value

    def reduce(self, n: int) -> None:
        """Take permits away for good, without waiting; below zero may be left. ValueError if `n` is below 0;
        Closed."""
        check(library.pshm_semaphore_reduce(self._handle, number("reduce", "n", n)))

    def _info(self) -> _native.pshm_semaphore_info:
        info = _native.pshm_semaphore_info()
        check(library.pshm_semaphore_inspect(self._handle, ctypes.byref(info)))
        return info

    @property
    def available(self) -> int:
        """The permits that are there, as of a moment ago. Closed."""
        return int(self._info().available)

    @property
    def held(self) -> int:
        """The permits that this process has acquired and not given back. Closed."""
        return int(self._info().held_here)

    def __enter__(self) -> Semaphore:
        for code in self._tries:
            break
        if code != 0:
            self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        check(library.pshm_semaphore_release(self._handle, 1))


class Event(SharedObject, kind=_native.PSHM_EVENT):
    """A flag that threads of any number of processes wait for: `threading.Event` between processes.

    Any thread may call anything at any time. What a thread did before it set the flag is visible to those
    that find it set, in Python, Java and C. A process that is killed within `set` has set it, and all that
    wait are told, or has not.
    """

    _default_name = "event"

    def __init__(self, *, memory: SharedMemory | None = None, name: str | None = None) -> None:
        """The event of that name, made, not set, if there is none.

        TypeMismatch; MemoryFull; Unavailable; Closed; ValueError for a name that cannot be.
        """
        self._place(memory, name, 0, 0)
        self._got(library.pshm_event_open)

    def set(self) -> None:
        """Set it, and end every wait for it, even if it is cleared at once. Closed."""
        check(library.pshm_event_set(self._handle))

    def clear(self) -> None:
        """Clear it: from now on threads wait until it is set again. Closed."""
        check(library.pshm_event_clear(self._handle))

    def is_set(self) -> bool:
        """Whether it is set. Closed."""
        return check(library.pshm_event_is_set(self._handle)) != 0

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set, or was set since the call began, for at most `timeout` seconds.

        Returns False if the time is over. Closed.
        """
        return _awaited(timeout, library.pshm_event_await, self._handle)


class Latch(SharedObject, kind=_native.PSHM_LATCH):
    """A count that threads of any number of processes wait for to be zero. It is never raised.

    Any thread may call anything at any time. What threads did before they counted down is visible to those
    that find it zero, in Python, Java and C. A process that dies before it has counted down does not count
    down.
    """

    _default_name = "latch"
    _shown = {"count": "length"}

    def __init__(self, count: int, *, memory: SharedMemory | None = None, name: str | None = None) -> None:
        """The latch of that name, made with that count if there is none.

        TypeMismatch if it began with another; ValueError if `count` is below 0, or the name cannot be;
        MemoryFull; Unavailable; Closed.
        """
        count = number("latch", "count", count)
        self._place(memory, name, 0, count)
        self._got(library.pshm_latch_open, count)

    def count_down(self, n: int = 1) -> None:
        """Count down, but not below zero. ValueError if `n` is below 1; Closed."""
        check(library.pshm_latch_count_down(self._handle, number("count_down", "n", n)))

    @property
    def count(self) -> int:
        """What is left. Closed."""
        out = ctypes.c_int64()
        check(library.pshm_latch_count(self._handle, ctypes.byref(out)))
        return out.value

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the count is zero, for at most `timeout` seconds.

        Returns False if the time is over. Closed.
        """
        return _awaited(timeout, library.pshm_latch_await, self._handle)


def _awaited(timeout: float | None, function: object, handle: int | None) -> bool:
    code = wait(nanoseconds(timeout), function, handle)
    if code not in (0, _native.PSHM_ETIMEDOUT):
        raise error(code)
    return code == 0
