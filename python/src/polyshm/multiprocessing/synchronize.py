# SPDX-License-Identifier: Apache-2.0
"""`multiprocessing.synchronize` on shared memory of ours.

Each is the synchronizer of that name in `polyshm`, with the signatures of the standard module, and travels by
any queue. `ctx` is taken for the standard's sake; it makes no difference here.
"""

from __future__ import annotations

import multiprocessing as _standard
import os
import threading
import time
from typing import Any, Callable

from .. import _barrier, _condition, _lock, _native, _synchronizers
from .._library import check, error, library
from .._memory import SharedMemory
from .._waiting import nanoseconds
from . import _heap

__all__ = ["Barrier", "BoundedSemaphore", "Condition", "Event", "Lock", "RLock", "Semaphore"]


def _as(cls: Any, other: Any) -> Any:
    """The same object by another class."""
    self = object.__new__(cls)
    self.__dict__.update(other.__dict__)
    return self


def _arrived(cls: Any, memory: SharedMemory, name: str, belongs: bool = False) -> Any:
    found: Any = memory[name]
    return _as(cls, found.lock if belongs else found)


# ---- locks ----


class RLock(_lock.Lock):
    """A reentrant lock: `multiprocessing.RLock` that survives its owners.

    If its owner dies, a thread or a process, the next to take it gets `OwnerDied` until somebody has run
    `repair`; the standard's is locked for ever then.
    """

    _not_held: type[Exception] = AssertionError

    def __init__(self, *, ctx: Any = None) -> None:
        super().__init__(**_heap.place(_native.PSHM_LOCK))

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        """Take it, waiting for at most `timeout` seconds; None has no end. OwnerDied: it is not held."""
        for code in self._tries:
            break
        return code == 0 or self._acquire_slowly(code, nanoseconds(timeout) if block else 0)

    def release(self) -> None:
        """Release it once. AssertionError, or of a Lock ValueError, if the calling thread does not hold it."""
        code = self._release()
        if code != 0:
            why = error(code)
            raise self._not_held(str(why)) if code == _native.PSHM_ENOTOWNER else why

    def __exit__(self, *_: object) -> None:
        self.release()

    def _shown_owner(self) -> tuple[str, int | str]:
        """In the words of the standard module."""
        if self.depth > 0:
            process, thread = _standard.current_process().name, threading.current_thread().name
            return process if thread == "MainThread" else f"{process}|{thread}", self.depth
        owner = self.owner()
        if owner is None:
            return "None", 0
        return "SomeOtherThread" if owner.pid == os.getpid() else "SomeOtherProcess", "nonzero"

    def __repr__(self) -> str:
        owner, count = self._shown_owner()
        return f"<{self.__class__.__name__}({owner}, {count})>"

    def __reduce__(self) -> tuple[object, ...]:
        return _arrived, (self.__class__, self.memory, self.name, self._belongs), super().__reduce__()[2]


class Lock(RLock):
    """A lock that is not reentrant: `multiprocessing.Lock` that survives its owners, as an RLock does.

    Unlike the standard's it belongs to the thread that took it, as it could not tell of an owner's death
    otherwise: release by another thread or process is a ValueError, and a thread that would wait for itself
    without an end gets a RuntimeError. What one takes and another releases is a `Semaphore(1)`.
    """

    _not_held = ValueError

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        """Take it, waiting for at most `timeout` seconds; None has no end. OwnerDied: it is not held."""
        if self.depth == 0:
            return super().acquire(block, timeout)
        if block and timeout is None:
            raise RuntimeError(
                f"acquire: lock={self.handle}: the calling thread holds it already, and no other can release it; "
                "take an RLock, or a Semaphore(1), which any thread or process can release"
            )
        time.sleep(max(timeout, 0) if block and timeout else 0)
        return False

    def __enter__(self) -> Lock:
        if self.depth > 0:
            self.acquire()
        super().__enter__()
        return self

    def __repr__(self) -> str:
        return f"<{self.__class__.__name__}(owner={self._shown_owner()[0]})>"


# ---- semaphores ----


class Semaphore(_synchronizers.Semaphore):
    """A semaphore: `multiprocessing.Semaphore`, some of whose permits survive their holders.

    A permit that `acquire` took is gone, as in the standard module, until somebody releases one: any process
    may, so nobody can tell what a dead one would have released. A permit that `with` took is the process's
    that took it, and comes back if that dies.
    """

    _bounded = False

    def __init__(self, value: int = 1, *, ctx: Any = None) -> None:
        place = _heap.place(_native.PSHM_SEMAPHORE, 0, value)
        super().__init__(value, bounded=self._bounded, **place)

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:  # type: ignore[override]
        """Take a permit, waiting for at most `timeout` seconds; None has no end."""
        if not super().acquire(block, None if timeout is None or not block else max(timeout, 0)):
            return False
        # So far it is this process's, and comes back if that is killed. If another thread has released
        # meanwhile, it has given this one back, which is as if it were used up, and a new one there.
        code = library.pshm_semaphore_consume(self._handle, 1)
        if code != _native.PSHM_ENOTOWNER:
            check(code)
        return True

    def release(self) -> None:  # type: ignore[override]
        """Add a permit, or give one back that `with` took. ValueError if it is bounded, and there are all."""
        super().release()

    def get_value(self) -> int:
        """The permits that are there."""
        return max(self.available, 0)

    # What a queue of the standard library asks that has been made with a context of ours: a ProcessPoolExecutor's.

    @property
    def _semlock(self) -> Semaphore:
        return self

    def _get_value(self) -> int:
        return self.get_value()

    def _is_zero(self) -> bool:
        return self.get_value() == 0

    def __enter__(self) -> Semaphore:
        super().acquire()
        return self

    def __repr__(self) -> str:
        bound = f", maxvalue={self.permits}" if self.bounded else ""
        return f"<{self.__class__.__name__}(value={self.get_value()}{bound})>"

    def __reduce__(self) -> tuple[object, ...]:
        return _arrived, (self.__class__, self.memory, self.name)


class BoundedSemaphore(Semaphore):
    """A Semaphore that never has more permits than at first."""

    _bounded = True


# ---- what is waited for ----


class Condition(_condition.Condition):
    """A condition: `multiprocessing.Condition` that is not stuck when a process that waits dies.

    Its lock is an RLock, or a Lock, of this module or of `polyshm`; there is room for at least three
    conditions of one lock. RuntimeError from `wait` and `notify` if the caller does not hold it.
    """

    def __init__(self, lock: _lock.Lock | None = None, *, ctx: Any = None) -> None:
        if not isinstance(lock, (_lock.Lock, type(None))):
            raise TypeError(f"Condition: lock={lock!r} is none of ours; take polyshm.multiprocessing.Lock or RLock")
        super().__init__(lock or RLock())

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        """As that of the lock."""
        return self.lock.acquire(block, timeout)

    def __repr__(self) -> str:
        waiting = self.n_waiting if self.lock.depth > 0 else "unknown"
        return f"<{self.__class__.__name__}({self.lock}, {waiting})>"

    def __reduce__(self) -> tuple[object, ...]:
        return _arrived_condition, (self.__class__, self.lock, self.name)


def _arrived_condition(cls: Any, lock: _lock.Lock, name: str) -> Any:
    return _as(cls, _condition.Condition(lock, name))


class Event(_synchronizers.Event):
    """An event: `multiprocessing.Event` that a death cannot block."""

    def __init__(self, *, ctx: Any = None) -> None:
        super().__init__(**_heap.place(_native.PSHM_EVENT))

    def __repr__(self) -> str:
        return f"<{self.__class__.__qualname__} at {id(self):#x} {'set' if self.is_set() else 'unset'}>"

    def __reduce__(self) -> tuple[object, ...]:
        return _arrived, (self.__class__, self.memory, self.name)


class Barrier(_barrier.Barrier):
    """A barrier: `multiprocessing.Barrier` that breaks, instead of waiting for ever, when a process that has
    used it dies."""

    def __init__(
        self,
        parties: int,
        action: Callable[[], object] | None = None,
        timeout: float | None = None,
        *,
        ctx: Any = None,
    ) -> None:
        super().__init__(parties, action, timeout, **_heap.place(_native.PSHM_BARRIER, 0, parties))

    def wait(self, timeout: float | None = None) -> int:
        """Arrive, and wait until all have. Returns the index of arrival, 0 for the first. BrokenBarrier."""
        return self.parties - 1 - super().wait(timeout)

    def __reduce__(self) -> tuple[object, ...]:
        return _arrived, (self.__class__, self.memory, self.name), super().__reduce__()[2]
