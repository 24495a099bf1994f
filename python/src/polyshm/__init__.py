# SPDX-License-Identifier: Apache-2.0
"""Typed arrays, values, locks and synchronizers in memory that processes share, in Python, Java and C."""

from ._array import SharedArray
from ._barrier import Barrier, BarrierBreak
from ._condition import Condition
from ._errors import (
    AlreadyExists,
    BrokenBarrier,
    Busy,
    Closed,
    Death,
    LockHeld,
    MemoryFull,
    NotFound,
    OwnerDied,
    PermissionDenied,
    PolyshmError,
    TooManyParticipants,
    TypeMismatch,
    Unavailable,
    WrongLayout,
)
from ._lock import Lock, Owner
from ._memory import Lifetime, ObjectInfo, Participant, SharedMemory, attach
from ._read_write_lock import ReadWriteLock
from ._synchronizers import Event, Latch, Semaphore
from ._value import SharedValue

__all__ = [
    "AlreadyExists",
    "Barrier",
    "BarrierBreak",
    "BrokenBarrier",
    "Busy",
    "Closed",
    "Condition",
    "Death",
    "Event",
    "Latch",
    "Lifetime",
    "Lock",
    "LockHeld",
    "MemoryFull",
    "NotFound",
    "ObjectInfo",
    "Owner",
    "OwnerDied",
    "Participant",
    "PermissionDenied",
    "PolyshmError",
    "ReadWriteLock",
    "Semaphore",
    "SharedArray",
    "SharedMemory",
    "SharedValue",
    "TooManyParticipants",
    "TypeMismatch",
    "Unavailable",
    "WrongLayout",
    "attach",
]
