# SPDX-License-Identifier: Apache-2.0
"""Barriers between processes."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Callable

from . import _native
from ._errors import BrokenBarrier
from ._library import check, library
from ._memory import SharedMemory, SharedObject, number
from ._waiting import nanoseconds, wait_in_steps


@dataclass(frozen=True)
class BarrierBreak:
    """What has broken a barrier."""

    cause: str
    """death, timeout, interrupt, abort, reset, close or action."""
    pid: int
    """The process that did it, or died."""


_CAUSES = {
    value: name[len("PSHM_BREAK_") :].lower() for name, value in vars(_native).items() if name.startswith("PSHM_BREAK_")
}


class Barrier(SharedObject, kind=_native.PSHM_BARRIER):
    """Where threads of any number of processes wait for each other: `threading.Barrier` between processes.

    If one that waits is timed out, or leaves because a signal handler raises, all others that wait or come
    get `BrokenBarrier` until `reset`. An action that raises breaks it as well. A process is a party from
    when it makes or finds the barrier until it closes the segment or ends in order: if it dies, the barrier
    breaks for all.

    Any thread may call anything at any time. What threads did before they arrived is visible to the action,
    and what that did to all that go on, in Python, Java and C. It travels with its action and timeout.
    """

    _default_name = "barrier"
    _shown = {"parties": "length"}

    def __init__(
        self,
        parties: int,
        action: Callable[[], object] | None = None,
        timeout: float | None = None,
        *,
        memory: SharedMemory | None = None,
        name: str | None = None,
    ) -> None:
        """The barrier of that name, made if there is none. `action` runs in the last thread to arrive by this
        object, before any goes on; `timeout` is for waits that are given none.

        TypeMismatch if it is for another number; ValueError if `parties` is below 1, or the name cannot be;
        MemoryFull; Unavailable; Closed.
        """
        self.parties = number("barrier", "parties", parties)
        """How many threads wait for each other."""
        self._action = action
        self._timeout = timeout
        self._place(memory, name, 0, self.parties)
        self._got(library.pshm_barrier_open, self.parties)

    def wait(self, timeout: float | None = None) -> int:
        """Arrive, and wait until all have. Returns the index of arrival: `parties` - 1 for the first, 0 for the
        last.

        BrokenBarrier if it is broken, breaks, or the time is over, which breaks it for all; Closed.
        """
        ns = nanoseconds(self._timeout if timeout is None else timeout)
        prepared = _native.pshm_wait()
        check(library.pshm_barrier_prepare(self._handle, self._action is not None, ctypes.byref(prepared)))
        code = wait_in_steps(ns, prepared, self._action)
        if code == _native.PSHM_ETIMEDOUT:
            raise BrokenBarrier(
                "PSHM_ETIMEDOUT",
                f"barrier: name={self.name}, parties={self.parties}, timeout_ns={ns}: not all have arrived in time, "
                "and it is broken; reset it",
            )
        return check(code)

    def abort(self) -> None:
        """Break the barrier for all that wait and that come; one that is broken stays as it is. Closed."""
        check(library.pshm_barrier_abort(self._handle))

    def reset(self) -> None:
        """Begin a new generation, broken or not; those that wait get BrokenBarrier. Closed."""
        check(library.pshm_barrier_reset(self._handle))

    def _info(self) -> _native.pshm_barrier_info:
        info = _native.pshm_barrier_info()
        check(library.pshm_barrier_inspect(self._handle, ctypes.byref(info)))
        return info

    @property
    def n_waiting(self) -> int:
        """How many threads have arrived and wait, of all processes; 0 if it is broken. Closed."""
        return int(self._info().waiting)

    @property
    def broken(self) -> bool:
        """Whether it is broken. Closed."""
        return bool(self._info().broken)

    @property
    def last_break(self) -> BarrierBreak | None:
        """What has broken it last, reset since or not; None if it never broke. Closed."""
        info = self._info()
        if info.cause == _native.PSHM_BREAK_NONE:
            return None
        return BarrierBreak(_CAUSES.get(info.cause, "abort"), info.pid)

    def __reduce__(self) -> tuple[object, ...]:
        return *super().__reduce__(), {"_action": self._action, "_timeout": self._timeout}
