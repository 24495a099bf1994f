# SPDX-License-Identifier: Apache-2.0
"""Typed arrays, values, locks and synchronizers in memory that processes share, in Python, Java and C."""

from ._array import SharedArray
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
from ._memory import Lifetime, ObjectInfo, Participant, SharedMemory, attach
from ._value import SharedValue

__all__ = [
    "AlreadyExists",
    "BrokenBarrier",
    "Busy",
    "Closed",
    "Death",
    "Lifetime",
    "LockHeld",
    "MemoryFull",
    "NotFound",
    "ObjectInfo",
    "OwnerDied",
    "Participant",
    "PermissionDenied",
    "PolyshmError",
    "SharedArray",
    "SharedMemory",
    "SharedValue",
    "TooManyParticipants",
    "TypeMismatch",
    "Unavailable",
    "WrongLayout",
    "attach",
]
