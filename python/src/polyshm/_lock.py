# SPDX-License-Identifier: Apache-2.0
"""Locks that tell when their owner died."""

from __future__ import annotations

import ctypes
import threading
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from typing import TYPE_CHECKING, Any, Callable, ClassVar, TypeVar

from . import _native
from ._errors import Death
from ._library import check, error, library, without_gil_release
from ._memory import SharedMemory, SharedObject
from ._waiting import FOREVER, acquire_nanoseconds, calls, wait

if TYPE_CHECKING:
    from ._condition import Condition

RepairHandler = Callable[[Death], object]
_CONDITIONS = 8  # for which the segment of a lock of its own has room

# These never wait, so other threads of Python need not get their turn meanwhile.
_try_acquire = without_gil_release("pshm_lock_try_acquire")
_release = without_gil_release("pshm_lock_release")
_depth = without_gil_release("pshm_lock_depth")

# A thread whose name is not known yet is refused by _try_acquire, and then tells it.
library.pshm_thread_require_names(1)


def tell_name() -> None:
    """Tell the name by which others shall know the calling thread."""
    library.pshm_thread_set_name(threading.current_thread().name.encode("utf-8", "replace"))


@dataclass(frozen=True)
class Owner:
    """Who holds a lock."""

    pid: int
    thread_id: int
    """As `threading.get_native_id()` tells it."""
    thread_name: str
    """When it first took a lock, or last waited for one; cut to 23 bytes of UTF-8."""
    since: datetime

    @classmethod
    def of(cls, holder: _native.pshm_holder) -> Owner | None:
        if holder.pid == 0:
            return None
        since = datetime.fromtimestamp(holder.since_ns / 1e9, timezone.utc)
        return cls(holder.pid, holder.tid, holder.thread_name.decode("utf-8", "replace"), since)


class RobustLock(SharedObject):
    """What the lock and the read-write lock have in common: to be abandoned, and repaired."""

    _info_type: ClassVar[Any]
    _inspect: ClassVar[Any]
    _repair_handler: RepairHandler | None = None

    def with_repair(self: _L, repair: RepairHandler | None) -> _L:
        """The same lock, by an object that repairs by itself; this one remains the one to close."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__, _repair_handler=repair, _owns=False)
        return other

    def repair(self, function: RepairHandler) -> bool:
        """Repair what an owner's death may have left half-done, if the lock is abandoned.

        Acquires the lock, waiting for others that repair it or hold it, calls `function` with the last
        `Death`, declares the lock good if that returns, and releases it. If it raises, or its process
        dies, the lock stays abandoned. What the dead owner stored is visible to it, as far as it went.
        Returns True if it ran, False if the lock is not abandoned. Closed.
        """
        return self._repair(function, FOREVER) == 0

    def _repair(self, function: RepairHandler, ns: int) -> int:
        """0 if it ran, PSHM_EGOOD if the lock is not abandoned, PSHM_ETIMEDOUT."""
        code = self._acquire_abandoned(ns)
        if code == 0:
            try:
                death = self.last_death
                assert death is not None
                function(death)
                self._mark_good()
            finally:
                self._release_repaired()
        elif code not in (_native.PSHM_EGOOD, _native.PSHM_ETIMEDOUT):
            raise error(code)
        return code

    def _acquire_abandoned(self, ns: int) -> int:
        raise NotImplementedError

    def _mark_good(self) -> None:
        raise NotImplementedError

    def _release_repaired(self) -> None:
        raise NotImplementedError

    def _acquire(self, ns: int, attempt: Callable[[int], int]) -> bool:
        """By an attempt that takes the nanoseconds it may wait and returns a code, with repairs if there is a
        handler; the time holds for a wait for another's repair as well."""
        end = time.monotonic_ns() + ns
        while True:
            code = attempt(ns)
            if code == 0:
                return True
            if code == _native.PSHM_ETIMEDOUT:
                return False
            if code != _native.PSHM_EOWNERDIED or self._repair_handler is None:
                raise error(code)
            ns = _left(ns, end)
            if self._repair(self._repair_handler, ns) == _native.PSHM_ETIMEDOUT:
                return False
            ns = _left(ns, end)

    def _info(self) -> Any:
        info = self._info_type()
        check(self._inspect(self._handle, ctypes.byref(info)))
        return info

    @property
    def abandoned(self) -> bool:
        """Whether an owner died, as somebody has been told, and nobody has repaired the lock. Closed."""
        return bool(self._info().abandoned)

    @property
    def last_death(self) -> Death | None:
        """The last owner that died, None if none has. Closed."""
        info = self._info()
        return Death.of(info.dead, info.deaths) if info.dead.pid != 0 else None

    def owner(self) -> Owner | None:
        """Who holds it, to write if it is a read-write lock; as of a moment ago. Closed."""
        info = self._info()
        return Owner.of(getattr(info, info._fields_[0][0]))  # holder or writer

    def locked(self) -> bool:
        """Whether it has an owner, as of a moment ago. Closed."""
        return self.owner() is not None

    def __reduce__(self) -> tuple[object, ...]:
        return *super().__reduce__(), {"_repair_handler": self._repair_handler}


def _left(ns: int, end: int) -> int:
    return max(0, end - time.monotonic_ns()) if ns > 0 else ns


_L = TypeVar("_L", bound=RobustLock)


class Lock(RobustLock, kind=_native.PSHM_LOCK):
    """A reentrant lock between the threads of any number of processes.

        lock = Lock(memory=memory, name="book")
        with lock:
            ...

    The lock belongs to the thread that took it: only that one can release it, and it can take it again
    any number of times. It is not fair.

    Owner death: if a thread, or its process, dies holding the lock, the next to take it gets `OwnerDied`,
    which says who died, and does not hold it. The lock is then abandoned, and everybody who tries to take
    it is told so, until somebody runs `repair`, or takes it by an object that was made with a function
    for that, which it travels with. Who finds another repairing waits for that as for the lock, within its
    time. A thread that ends without having released it counts as dead.

    Memory effects: what a thread did before it released the lock is visible to those that take it after
    that, in Python, Java and C. An attempt that fails has none.

    A signal handler that raises, as that of Ctrl-C, ends a wait of the main thread, which does not hold
    the lock then. Waiting releases the GIL.
    """

    _default_name = "lock"
    _info_type = _native.pshm_lock_info
    _inspect = library.pshm_lock_inspect
    _belongs = False  # to the array or value of its name

    def __init__(
        self,
        *,
        memory: SharedMemory | None = None,
        name: str | None = None,
        repair: RepairHandler | None = None,
    ) -> None:
        """The lock of that name in a segment, made if there is none; or one in a segment of its own, which has
        room for 8 conditions.

        TypeMismatch; MemoryFull; Unavailable; Closed; ValueError for a name that cannot be.
        """
        conditions = _CONDITIONS * library.pshm_object_bytes(_native.PSHM_CONDITION, 0, 0)
        self._place(memory, name, 0, 0, more=conditions)
        self._got(library.pshm_lock_open)
        self._bind(repair)

    @classmethod
    def _of(cls, memory: SharedMemory, name: str, handle: int) -> Lock:
        """The lock that belongs to an array or value."""
        self = object.__new__(cls)
        self.memory, self.name, self._handle = memory, name, handle
        self._owns, self._belongs = False, True
        self._bind(None)
        return self

    def _bind(self, repair: RepairHandler | None) -> None:
        self._repair_handler = repair
        handle = ctypes.c_void_p(self._handle)
        self._tries = calls(_try_acquire, handle)
        self._release = partial(_release, handle)

    # ---- to acquire and to release ----

    def acquire(self, blocking: bool = True, timeout: float | None = -1) -> bool:
        """Take the lock, waiting for at most `timeout` seconds; -1 and None have no end, other times below zero do
        not wait.

        Returns whether the caller holds it now. OwnerDied: it is abandoned, and the caller does not hold
        it; Closed; ValueError for NaN, or a time without `blocking`; OverflowError for one that is too large.
        """
        ns = FOREVER if timeout == -1 and blocking else acquire_nanoseconds(blocking, timeout)
        for code in self._tries:
            break
        return code == 0 or self._acquire_slowly(code, ns)

    def _acquire_slowly(self, code: int, ns: int) -> bool:
        if code == _native.PSHM_EBUSY and ns == 0:
            return False
        tell_name()
        return self._acquire(ns, self._await)

    def _await(self, ns: int) -> int:
        return wait(ns, library.pshm_lock_await, self._handle)

    def release(self) -> None:
        """Release it once; others get it when the caller has done so as often as it took it.

        RuntimeError if the calling thread does not hold it; Closed.
        """
        code = self._release()
        if code != 0:
            raise error(code)

    def __enter__(self) -> Lock:
        for code in self._tries:
            break
        if code != 0:
            self._acquire_slowly(code, FOREVER)
        return self

    def __exit__(self, *_: object) -> None:
        code = self._release()
        if code != 0:
            raise error(code)

    # ---- owner death ----

    def _acquire_abandoned(self, ns: int) -> int:
        tell_name()
        return wait(ns, library.pshm_lock_await_abandoned, self._handle)

    def _mark_good(self) -> None:
        check(library.pshm_lock_mark_good(self._handle))

    def _release_repaired(self) -> None:
        self.release()

    # ---- who holds it ----

    @property
    def depth(self) -> int:
        """How often the calling thread has to release it; 0 if it does not hold it."""
        return int(_depth(self._handle))

    @property
    def held_by_me(self) -> bool:
        """Whether the calling thread holds it."""
        return self.depth > 0

    def condition(self, name: str | None = None) -> Condition:
        """The condition of that name of this lock: `Condition(self, name)`."""
        from ._condition import Condition

        return Condition(self, name)

    def __reduce__(self) -> tuple[object, ...]:
        function, arguments, *state = super().__reduce__()
        return (_arrived_lock, (self.memory, self.name), *state) if self._belongs else (function, arguments, *state)


def _arrived_lock(memory: SharedMemory, name: str) -> Any:
    return memory[name].lock
