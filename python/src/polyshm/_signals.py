# SPDX-License-Identifier: Apache-2.0
"""Signals that come while the main thread waits are noticed at whatever moment they come.

Python runs the handlers of signals in its main thread, between two instructions. The system ends a native wait when
a signal comes, but not if it comes just before the thread falls asleep, or as it is woken. So the signal is noted in
memory, too, in a word that the wait looks at as it falls asleep (`pshm_interrupt_watch`): Python writes the number of
each signal to its wakeup descriptor at once (`signal.set_wakeup_fd`), and ours is a file in memory, which is mapped.

It is ours during a wait only, and only if nobody else has one: asyncio has, while its loop runs. Then, in Python 3.9
and 3.10, where a handler might keep us from giving it back, and where there are no such files, a signal in that very
moment is noticed with the next one, or at the end of the wait, as in Python's own locks. So is one that the system
gives to another thread, as another has just come to the main thread. A descriptor that a handler sets meanwhile is
lost with the end of the wait.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import signal
import sys
import threading
from functools import partial
from typing import Any

from . import _native
from ._library import library

_NONE = -1
_MARK_AT = 1 << 20  # past any number of signals: so far does nothing stand in the file
_MARK_BYTES = 16
_REFUSED: Any = object()

_interrupt = _native.pshm_interrupt()
interrupt = ctypes.byref(_interrupt)
"""With which the main thread waits."""

_main: int | None = None
_descriptor = _NONE
_mark = b""
_word = ctypes.c_uint32()
_opening = False
_run_handlers = ctypes.pythonapi.PyErr_CheckSignals  # raises what they raise

# That of the module mmap has a descriptor of its own, and would close whatever has its number when it goes.
_map = ctypes.CDLL(None).mmap
_map.restype = ctypes.c_void_p
_map.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_ssize_t]

# What an iterator does is done before a handler runs, and the instruction after it as well.
forget = iter(partial(signal.set_wakeup_fd, _NONE), None)
"""Its next item ends what `note` has begun."""
_others: list[int] = []
_give_back = map(partial(signal.set_wakeup_fd, warn_on_full_buffer=False), iter(_others.pop, None))


def in_main_thread() -> bool:
    """Whether the calling thread is the one that runs the handlers."""
    return threading.get_ident() == _main


def note() -> bool:
    """Have signals noted from now on. Whether they are, and `forget` has to follow."""
    if sys.version_info < (3, 11) or (not _is_open() and not _open()):
        return False
    _reset()
    other = _ask(signal.set_wakeup_fd, _descriptor, warn_on_full_buffer=False)
    if other is _REFUSED:  # as in a subinterpreter
        return False
    if other == _NONE:
        return True
    _others[:] = [other]
    try:
        for _ in _give_back:
            break
    except (OSError, ValueError):
        return True  # it is closed, and so nobody's
    if other != _descriptor and _word.value != 0:  # what came in between is the other's
        _ask(os.write, other, os.pread(_descriptor, os.lseek(_descriptor, 0, os.SEEK_CUR), 0))
    return False


def look() -> None:
    """Run the handlers of the signals that have come; those that come from now on will be noted."""
    _reset()
    _run_handlers()


def _reset() -> None:
    """The word is cleared first: what is noted after the second step changes it, what comes before that is handled."""
    _word.value = 0
    if _is_open():
        os.lseek(_descriptor, 0, os.SEEK_SET)


def _ask(function: Any, *arguments: Any, **options: Any) -> Any:
    """What it returns, or that it was refused: which is not taken for what a handler raises."""
    outcome: Any = iter(partial(function, *arguments, **options), _REFUSED)
    try:
        for result in outcome:
            return result
    except (OSError, ValueError):
        pass
    return _REFUSED


def _is_open() -> bool:
    """Whether the descriptor is that of our file still: who becomes a daemon closes all."""
    return _descriptor != _NONE and _ask(os.pread, _descriptor, _MARK_BYTES, _MARK_AT) == _mark


def _open() -> bool:
    """A handler may raise, or wait, in here."""
    global _descriptor, _mark, _opening, _word
    if _opening or not hasattr(os, "memfd_create"):
        return False
    _opening, _descriptor = True, _NONE
    try:
        descriptor = _ask(os.memfd_create, "polyshm-signals")
        if descriptor is _REFUSED:
            return False
        try:
            mark = os.urandom(_MARK_BYTES)
            word = _map_file(descriptor) if _ask(os.pwrite, descriptor, mark, _MARK_AT) == _MARK_BYTES else None
            os.set_blocking(descriptor, False)
            if word is not None:
                library.pshm_interrupt_watch(interrupt, ctypes.byref(word))
                _word, _mark, _descriptor = word, mark, descriptor
        finally:
            if _descriptor == _NONE:
                os.close(descriptor)
        return _descriptor != _NONE
    finally:
        _opening = False


def _map_file(descriptor: int) -> ctypes.c_uint32 | None:
    """Its first word, for good: somebody may be looking at it."""
    address = _map(None, mmap.PAGESIZE, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED, descriptor, 0)
    return None if address == ctypes.c_void_p(-1).value else ctypes.c_uint32.from_address(address)


def _begin() -> None:
    """One thread runs handlers, so there is one interrupt; after a fork it may be another thread."""
    global _main, _descriptor, _opening
    library.pshm_interrupt_init(interrupt)
    _main = threading.main_thread().ident
    _opening = False
    if _is_open():  # the parent's
        other = _ask(signal.set_wakeup_fd, _NONE)
        if other is not _REFUSED and other != _descriptor:
            _ask(signal.set_wakeup_fd, other)
        os.close(_descriptor)
    _descriptor = _NONE


_begin()
os.register_at_fork(after_in_child=_begin)
