# SPDX-License-Identifier: Apache-2.0
"""Read-write locks between processes.

The segment knows how many threads of a process read, and a number for the one that writes. Which threads these
are, and how often each has taken the lock, stands here, so that only a thread's first acquire and its last
release of a lock are native calls.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import threading

from . import _native
from ._library import check, error, library
from ._lock import RepairHandler, RobustLock, tell_name
from ._memory import SharedMemory
from ._waiting import FOREVER, acquire_nanoseconds, calls, wait_in_steps

_READ = _native.PSHM_READ
_WRITE = _native.PSHM_WRITE
_MODES = {_READ: "read", _WRITE: "write"}
_numbers = itertools.count(1)


class _Thread(threading.local):
    """What one thread has."""

    def __init__(self) -> None:
        # Not the id alone, which the next thread may get when this one has ended with the lock.
        self.number = next(_numbers) << 32 | threading.get_native_id()
        self.holds: dict[int, list[int]] = {}  # by the native lock, and then by mode
        tell_name()


_this = _Thread()


def _forget() -> None:
    """A forked child has nothing of what its parent's threads have."""
    global _this
    _this = _Thread()


os.register_at_fork(after_in_child=_forget)


class ReadWriteLock(RobustLock, kind=_native.PSHM_RWLOCK):
    """A reentrant lock that many threads, of any number of processes, may have at a time to read, or one to write.

        with lock.read:
            ...
        with lock.write:
            ...

    Who writes may read as well, and so go over to reading: acquire `read`, then release `write`. Who reads
    cannot go over to writing. Readers that come when a writer waits stay behind it, but for those that read
    already.

    Process death: if a process dies its readers give the lock back. If one of its threads was writing, the
    lock is abandoned, and everybody who wants to take it gets `OwnerDied` and does not have it, until
    somebody runs `repair`, or takes it by an object that was made with a function for that. Who finds
    another repairing waits for that as for the lock, within its time. A thread that ends without having
    released it keeps it until its process ends.

    It is reentrant for one object, and those that are copies of it by pickle: by two openings of its segment
    a thread waits for itself.

    Memory effects: what a writer did before it released the lock is visible to those that take it after
    that, and what readers did to the next writer, in Python, Java and C.
    """

    _default_name = "read-write-lock"
    _info_type = _native.pshm_rwlock_info
    _inspect = library.pshm_rwlock_inspect

    def __init__(
        self,
        *,
        memory: SharedMemory | None = None,
        name: str | None = None,
        repair: RepairHandler | None = None,
    ) -> None:
        """The lock of that name in a segment, made if there is none.

        TypeMismatch; MemoryFull; Unavailable; Closed; ValueError for a name that cannot be.
        """
        self._place(memory, name, 0, 0)
        self._got(library.pshm_rwlock_open)
        self._repair_handler = repair

    @property
    def read(self) -> Share:
        """To take it to read."""
        return Share(self, _READ)

    @property
    def write(self) -> Share:
        """To take it to write."""
        return Share(self, _WRITE)

    @property
    def readers(self) -> int:
        """How many threads of all processes read; each counts once. Closed."""
        return int(self._info().readers)

    # ---- to acquire and to release ----

    def _held(self) -> list[int]:
        return _this.holds.get(self._handle) or [0, 0, 0]

    def _take(self, mode: int, ns: int) -> bool:
        held = self._held()
        if held[mode] == 0:
            if mode == _WRITE and held[_READ] != 0:
                if ns != FOREVER:
                    return False
                raise RuntimeError(f"acquire: {self._tell(mode)} reads, and would wait for itself; release that first")
            if not self._acquire(ns, lambda left: self._attempt(mode, left)):
                return False
        held[mode] += 1
        _this.holds[self._handle] = held
        return True

    def _attempt(self, mode: int, ns: int) -> int:
        prepared = _native.pshm_wait()
        check(library.pshm_rwlock_prepare(self._handle, mode, _this.number, ctypes.byref(prepared)))
        return wait_in_steps(ns, prepared)

    def _give_back(self, mode: int) -> None:
        held = self._held()
        if held[mode] == 0:
            self._info()  # or it is closed
            raise RuntimeError(f"release: {self._tell(mode)} does not have it; only a thread that has can do this")
        if held[mode] == 1:
            for code in calls(library.pshm_rwlock_release, self._handle, mode, _this.number):
                break
            if code != 0:
                raise error(code)
        held[mode] -= 1
        if not any(held):
            del _this.holds[self._handle]

    def _tell(self, mode: int) -> str:
        return f"read-write lock={self.name}, mode={_MODES[mode]}: thread={threading.current_thread().name}"

    # ---- owner death ----

    def _acquire_abandoned(self, ns: int) -> int:
        held = self._held()
        if any(held):
            if not self.abandoned:
                return _native.PSHM_EGOOD
            self._take(_WRITE, FOREVER)
            return 0
        code = self._attempt(_native.PSHM_REPAIR, ns)
        if code == 0:
            held[_WRITE] += 1
            _this.holds[self._handle] = held
        return code

    def _mark_good(self) -> None:
        check(library.pshm_rwlock_mark_good(self._handle, _this.number))

    def _release_repaired(self) -> None:
        self._give_back(_WRITE)


class Share:
    """A read-write lock to read, or to write, with the methods of a lock. It travels with that lock."""

    def __init__(self, lock: ReadWriteLock, mode: int) -> None:
        self._lock = lock
        self._mode = mode

    def acquire(self, blocking: bool = True, timeout: float | None = -1) -> bool:
        """Take it, waiting for at most `timeout` seconds; -1 and None have no end, other times below zero do not
        wait.

        Returns whether the caller has it now; at once False if it reads and wants to write. OwnerDied: a
        writer died, and the caller does not have it; RuntimeError if it reads and wants to write, without a
        time; Closed; ValueError for NaN, or a time without `blocking`; OverflowError for one that is too large.
        """
        return self._lock._take(self._mode, acquire_nanoseconds(blocking, timeout))

    def release(self) -> None:
        """Give it back once. RuntimeError if the calling thread does not have it; Closed."""
        self._lock._give_back(self._mode)

    def __enter__(self) -> Share:
        self._lock._take(self._mode, FOREVER)
        return self

    def __exit__(self, *_: object) -> None:
        self._lock._give_back(self._mode)

    @property
    def depth(self) -> int:
        """How often the calling thread has to release it; 0 if it does not have it."""
        return self._lock._held()[self._mode]

    @property
    def held_by_me(self) -> bool:
        """Whether the calling thread has it."""
        return self.depth > 0

    def __repr__(self) -> str:
        return f"{self._lock!r}.{_MODES[self._mode]}"
