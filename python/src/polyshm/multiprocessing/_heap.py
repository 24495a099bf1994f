# SPDX-License-Identifier: Apache-2.0
"""Where the objects of this package live.

A segment costs a descriptor, and a moment at each fork and creation; a program may have thousands of
values. So small objects share one. It goes, like any other, when the last of them has been collected in the
last process.
"""

from __future__ import annotations

import itertools
import os
import threading
import weakref
from typing import Any

from .. import _native
from .._library import check, library
from .._memory import SharedMemory

_SHARED_BYTES = 57088  # with its header 64 KiB
_SMALL_BYTES = 8192


def _bytes(kind: int, type: int = 0, length: int = 0) -> int:
    return check(library.pshm_object_bytes(kind, type, length))


# The condition of a lock is in the lock's segment: room for as many as queue.Queue has on one lock.
_RESERVE = 3 * _bytes(_native.PSHM_CONDITION)

_numbers = itertools.count(1)


class _Current:
    """The segment that takes the next small object; not the parent's, which has given out its names."""

    def __init__(self) -> None:
        self.guard = threading.RLock()  # a signal handler may make one as well
        self.segment: Any = lambda: None


_current = _Current()
os.register_at_fork(after_in_child=_current.__init__)  # type: ignore[misc]


def place(kind: int, type: int = 0, length: int = 0) -> dict[str, Any]:
    """The keywords `memory` and `name` for a new object: MemoryFull."""
    bytes = _bytes(kind, type, length)
    if bytes > _SMALL_BYTES:
        return {"memory": SharedMemory.anonymous(bytes + _RESERVE), "name": "1"}
    with _current.guard:
        memory = _current.segment()
        if memory is None or memory.free_bytes < bytes + _RESERVE:
            memory = SharedMemory.anonymous(_SHARED_BYTES)
            _current.segment = weakref.ref(memory)
        return {"memory": memory, "name": str(next(_numbers))}
