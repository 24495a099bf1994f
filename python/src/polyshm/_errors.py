# SPDX-License-Identifier: Apache-2.0
"""The exceptions: one family, each a kind of what Python itself raises in such a case."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime, timezone

from . import _native


@dataclass(frozen=True)
class Death:
    """A thread or process that died holding a lock."""

    pid: int
    thread_id: int
    thread_name: str
    held_since: datetime
    deaths: int
    """How many holders of the lock have died, this one included."""

    @classmethod
    def of(cls, dead: _native.pshm_holder, deaths: int) -> Death:
        since = datetime.fromtimestamp(dead.since_ns / 1e9, timezone.utc)
        return cls(dead.pid, dead.tid, dead.thread_name.decode("utf-8", "replace"), since, deaths)


class PolyshmError(Exception):
    """What goes wrong in shared memory. The message tells the operation, the values and the remedy."""

    error_name: str
    """The name of the code in polyshm.h, such as PSHM_EFULL."""

    def __init__(self, error_name: str, message: str) -> None:
        super().__init__(message)
        self.error_name = error_name

    def __str__(self) -> str:
        return str(self.args[0])

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.error_name, str(self))


class AlreadyExists(PolyshmError, FileExistsError):
    """There is a segment of that name."""


class NotFound(PolyshmError, FileNotFoundError):
    """There is no segment, or no object, of that name."""


class PermissionDenied(PolyshmError, PermissionError):
    """The segment is another user's, or its permissions do not allow it."""


class MemoryFull(PolyshmError, MemoryError):
    """The host's shared memory, or the segment, has no room for it."""


class WrongLayout(PolyshmError):
    """It is no segment, or one of another layout version, libc, architecture or PID namespace."""


class TypeMismatch(PolyshmError, TypeError):
    """The object exists with another kind, element type, length or parameter."""


class Busy(PolyshmError):
    """A process is at work on the segment and lives."""


class Closed(PolyshmError, ValueError):
    """The segment is closed."""


class LockHeld(PolyshmError):
    """This process holds a lock of the segment that it wants to close."""


class TooManyParticipants(PolyshmError):
    """As many processes as can be have the segment open."""


class Unavailable(PolyshmError):
    """The system has no usable shared memory."""


class BrokenBarrier(PolyshmError, threading.BrokenBarrierError):
    """The barrier is broken; the message says by whom."""


class OwnerDied(PolyshmError):
    """Whoever held the lock died. The caller does not hold it; `repair` makes it good again."""

    death: Death

    def __init__(self, error_name: str, message: str, death: Death) -> None:
        super().__init__(error_name, message)
        self.death = death

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.error_name, str(self), self.death)


_BUILT_IN: dict[int, type[Exception]] = {
    _native.PSHM_EINVAL: ValueError,
    _native.PSHM_ENAME: ValueError,
    _native.PSHM_EOVERFLOW: ValueError,
    _native.PSHM_ENOTOWNER: RuntimeError,
}

_FAMILY: dict[int, type[PolyshmError]] = {
    _native.PSHM_EEXIST: AlreadyExists,
    _native.PSHM_ENOENT: NotFound,
    _native.PSHM_EACCES: PermissionDenied,
    _native.PSHM_EFULL: MemoryFull,
    _native.PSHM_ENOSPACE: MemoryFull,
    _native.PSHM_ELAYOUT: WrongLayout,
    _native.PSHM_ETYPE: TypeMismatch,
    _native.PSHM_EBUSY: Busy,
    _native.PSHM_ECLOSED: Closed,
    _native.PSHM_EHELD: LockHeld,
    _native.PSHM_EPARTICIPANTS: TooManyParticipants,
    _native.PSHM_EUNAVAILABLE: Unavailable,
    _native.PSHM_EBROKEN: BrokenBarrier,
}


def exception(code: int, name: str, message: str) -> Exception:
    """What a caller would handle has a class of its own; what a later library may add gets the root."""
    if code in _BUILT_IN:
        return _BUILT_IN[code](message)
    return _FAMILY.get(code, PolyshmError)(name, message)
