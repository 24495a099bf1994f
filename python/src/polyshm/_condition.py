# SPDX-License-Identifier: Apache-2.0
"""Conditions between processes."""

from __future__ import annotations

import ctypes
import time
import uuid
from typing import Any, Callable, TypeVar

from . import _native
from ._errors import NotFound, TypeMismatch
from ._library import check, error, library
from ._lock import Lock
from ._memory import SharedMemory, SharedObject, _encode
from ._waiting import nanoseconds, wait

_T = TypeVar("_T")


class Condition(SharedObject, kind=_native.PSHM_CONDITION):
    """What threads of any number of processes that hold a lock wait for, until another one notifies them.

        with condition:
            condition.wait_for(lambda: count.value > 0)

    It is `threading.Condition` between processes: `with`, `acquire` and `release` are those of its lock.
    A wait releases the lock, however often it was taken, and has it again when it returns or raises. A
    signal handler that raises ends it when the lock is held again.

    Process death: a thread that dies while it waits, or before it has the lock again, swallows no
    notification. If one dies holding the lock, those that wait get `OwnerDied` and hold the lock, which is
    abandoned: `with` releases it and leaves it so, `lock.repair` in place makes it good. If the lock has a
    function for repairs, that runs before the wait returns. After `Closed` the lock is not held.
    """

    lock: Lock

    def __init__(self, lock: Lock | None = None, name: str | None = None) -> None:
        """The condition of that name, in the lock's segment, made if there is none; without a name a new one;
        without a lock one of a lock of its own.

        TypeMismatch if it is of another lock; MemoryFull; Closed; ValueError for a name that cannot be.
        """
        self._owns = lock is None
        self.lock = lock or Lock()
        self.memory = self.lock.memory
        self.name = f"condition-{uuid.uuid4()}" if name is None else name
        out = ctypes.c_void_p()
        check(library.pshm_condition_open(self.lock._handle, _encode(self.name), ctypes.byref(out)))
        self._handle = out.value

    def acquire(self, blocking: bool = True, timeout: float | None = -1) -> bool:
        """As that of the lock."""
        return self.lock.acquire(blocking, timeout)

    def release(self) -> None:
        """As that of the lock."""
        self.lock.release()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for a notification, for at most `timeout` seconds. Returns False if the time is over.

        RuntimeError if the caller does not hold the lock; OwnerDied: it holds it, and it is abandoned;
        Closed: it does not hold it.
        """
        return self._wait(nanoseconds(timeout))

    def _wait(self, ns: int) -> bool:
        end = time.monotonic_ns() + ns
        code = wait(ns, library.pshm_condition_wait, self._handle)
        if code == _native.PSHM_EOWNERDIED and self.lock._repair_handler is not None:
            self.lock.repair(self.lock._repair_handler)
            code = _native.PSHM_ETIMEDOUT if ns >= 0 and time.monotonic_ns() >= end else 0
        if code not in (0, _native.PSHM_ETIMEDOUT):
            raise error(code)
        return code == 0

    def wait_for(self, predicate: Callable[[], _T], timeout: float | None = None) -> _T:
        """Wait until `predicate()` is true, for at most `timeout` seconds. Returns what it returned last.

        It is called holding the lock, first at once. Raises as `wait`.
        """
        ns = nanoseconds(timeout)
        end = time.monotonic_ns() + ns
        result = predicate()
        while not result and ns != 0:
            self._wait(ns)
            if ns > 0:
                ns = max(0, end - time.monotonic_ns())
            result = predicate()
        return result

    def notify(self, n: int = 1) -> int:
        """End the waits of at most `n` threads. Returns how many. RuntimeError if the caller does not hold the
        lock; ValueError if `n` is below 0; Closed."""
        if n < 0:
            raise ValueError(f"notify: n={n} is negative; take 0 or more, or notify_all")
        return check(library.pshm_condition_signal(self._handle, min(n, 2**31 - 1)))

    def notify_all(self) -> int:
        """End all waits. Returns how many. RuntimeError if the caller does not hold the lock; Closed."""
        return check(library.pshm_condition_signal(self._handle, -1))

    @property
    def n_waiting(self) -> int:
        """How many threads wait and have not been notified. RuntimeError if the caller does not hold the
        lock; Closed."""
        return check(library.pshm_condition_waiting(self._handle))

    def __enter__(self) -> Condition:
        self.lock.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.lock.release()

    @classmethod
    def _found(cls, memory: SharedMemory, info: _native.pshm_object_info) -> SharedObject:
        """The directory does not tell of which lock it is, but the library refuses all others."""
        for each in memory._each(library.pshm_segment_next_object, _native.pshm_object_info):
            if each.kind in (_native.PSHM_LOCK, _native.PSHM_ARRAY, _native.PSHM_VALUE):
                found: Any = cls._classes[each.kind]._found(memory, each)
                try:
                    return cls(found if isinstance(found, Lock) else found.lock, info.name.decode())
                except TypeMismatch:
                    pass
        raise NotFound("PSHM_ENOENT", f"condition: name={info.name.decode()}: its lock is not in the segment")

    def __reduce__(self) -> tuple[object, ...]:
        return _arrived_condition, (self.lock, self.name, self._owns)


def _arrived_condition(lock: Lock, name: str, owns: bool) -> Condition:
    condition = Condition(lock, name)
    condition._owns = owns
    return condition
