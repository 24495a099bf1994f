# SPDX-License-Identifier: Apache-2.0
"""The C library: found, loaded, and its codes turned into exceptions. Nothing else loads it."""

from __future__ import annotations

import ctypes
import os
import threading
from pathlib import Path
from typing import Any

from . import _errors, _native


def _load() -> ctypes.CDLL:
    """The library that the wheel carries, unless the environment names another."""
    path = os.environ.get("POLYSHM_LIBRARY") or str(Path(__file__).with_name("libpolyshm.so"))
    try:
        loaded = ctypes.CDLL(path)
        _native.bind(loaded)
    except (OSError, AttributeError) as error:
        raise ImportError(
            f"polyshm: the native library cannot be used: path={path}: {error}; "
            "install the wheel for this platform, or name a libpolyshm.so of this version in POLYSHM_LIBRARY"
        ) from error
    return loaded


library = _load()
_exiting = False


def without_gil_release(name: str) -> Any:
    """A function of one object that never waits. It is faster, as no other thread of Python gets its turn."""
    return ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p)((name, library))


def check(code: int) -> int:
    """The code if it says success, otherwise its exception."""
    if code < 0:
        raise error(code)
    return code


def begin_exit() -> None:
    """Segments are being closed because the process ends."""
    global _exiting
    _exiting = True


def error(code: int) -> Exception:
    """What the code means, with the detail of the calling thread's last failed call."""
    if code == _native.PSHM_ECLOSED and _exiting and threading.current_thread().daemon:
        threading.Event().wait()  # Python, too, lets daemon threads go no further then, and tells nobody
    detail = library.pshm_error_detail() or library.pshm_error_text(code)
    name = library.pshm_error_name(code).decode()
    message = detail.decode("utf-8", "replace")
    if code == _native.PSHM_EOWNERDIED:
        told = _native.pshm_lock_info()
        library.pshm_lock_told(ctypes.byref(told))
        return _errors.OwnerDied(name, message, _errors.Death.of(told.dead, told.deaths))
    return _errors.exception(code, name, message)
