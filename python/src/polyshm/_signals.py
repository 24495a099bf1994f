# SPDX-License-Identifier: Apache-2.0
"""Signals that come while the main thread waits: none goes unnoticed.

Python runs the handlers of signals in its main thread, between two instructions. The system ends a native wait when
a signal comes, but not if it comes just before the thread falls asleep, or as it is woken. So the signal is noted in
memory, too, in a word that the wait looks at as it falls asleep (`pshm_interrupt_watch`): Python writes the number of
each signal to its wakeup descriptor at once (`signal.set_wakeup_fd`), and ours is a file in memory, which is mapped.

It is ours during a wait only, and only if nobody else has one: asyncio has, while its loop runs. Then, and where
there are no such files, a signal in that very moment is noticed with the next one, or at the end of the wait, as in
Python's own locks.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import signal
import threading
from functools import partial

from . import _native
from ._library import library

_NONE = -1
_MARK = 16  # bytes that tell our file from another, where the word is not

_interrupt = _native.pshm_interrupt()
interrupt = ctypes.byref(_interrupt)
"""With which the main thread waits."""

_main: int | None = None
_descriptor = _NONE
_mark = b""
_word = ctypes.c_uint32()
_run_handlers = ctypes.pythonapi.PyErr_CheckSignals  # raises what they raise

# That of the module mmap has a descriptor of its own, and would close whatever has its number when it goes.
_map = ctypes.CDLL(None).mmap
_map.restype = ctypes.c_void_p
_map.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_ssize_t]

forget = iter(partial(signal.set_wakeup_fd, _NONE), None)
"""Its next item ends what `note` has begun; no handler runs between this and the next instruction."""


def in_main_thread() -> bool:
    """Whether the calling thread is the one that runs the handlers."""
    return threading.get_ident() == _main


def note() -> bool:
    """Have signals noted from now on. Whether they are, and `forget` has to follow."""
    if not _is_open() and not _open():
        return False
    _reset()
    for other in iter(partial(signal.set_wakeup_fd, _descriptor, warn_on_full_buffer=False), None):
        break
    if other == _NONE:
        return True
    signal.set_wakeup_fd(other)
    if other != _descriptor and _word.value != 0:  # what came in between is the other's
        os.write(other, os.pread(_descriptor, os.lseek(_descriptor, 0, os.SEEK_CUR), 0))
    return False


def look() -> None:
    """Run the handlers of the signals that have come; those that come from now on will be noted."""
    _reset()
    _run_handlers()


def _reset() -> None:
    if _is_open():
        os.lseek(_descriptor, 0, os.SEEK_SET)
    _word.value = 0


def _is_open() -> bool:
    """Whether the descriptor is that of our file still: who becomes a daemon closes all."""
    try:
        return _descriptor != _NONE and os.pread(_descriptor, _MARK, _MARK) == _mark
    except OSError:
        return False


def _open() -> bool:
    """A handler may raise anywhere in here: then nothing is open."""
    global _descriptor, _mark, _word
    try:
        descriptor = os.memfd_create("polyshm-signals")
    except (AttributeError, OSError):
        return False
    try:
        os.set_blocking(descriptor, False)
        os.ftruncate(descriptor, mmap.PAGESIZE)
        _mark = os.urandom(_MARK)
        os.pwrite(descriptor, _mark, _MARK)
        address = _map(None, mmap.PAGESIZE, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED, descriptor, 0)
        if address == ctypes.c_void_p(-1).value:
            raise OSError("mmap")
        _word = ctypes.c_uint32.from_address(address)  # for good: somebody may be looking at it
        library.pshm_interrupt_watch(interrupt, ctypes.byref(_word))
    except BaseException as error:
        os.close(descriptor)
        if not isinstance(error, OSError):
            raise
        return False
    _descriptor = descriptor
    return True


def _begin() -> None:
    """One thread runs handlers, so there is one interrupt; after a fork it may be another thread."""
    global _main, _descriptor
    library.pshm_interrupt_init(interrupt)
    _main = threading.main_thread().ident
    if _is_open():  # the parent's
        other = signal.set_wakeup_fd(_NONE)
        if other != _descriptor:
            signal.set_wakeup_fd(other)
        os.close(_descriptor)
    _descriptor = _NONE


_begin()
os.register_at_fork(after_in_child=_begin)
