# SPDX-License-Identifier: Apache-2.0
"""The standard module `multiprocessing`, with values, arrays and synchronizers of ours.

    from polyshm import multiprocessing

A program moves over by that line. Value, Array, RawValue, RawArray, Lock, RLock, Semaphore,
BoundedSemaphore, Condition, Event and Barrier have the signatures of the standard module, and its semantics
but for what each class says; their `handle` attaches them in Java and C. The contexts of `get_context` have
them as well. Everything else is the standard's own, and so are the locks in what Queue, Pool and Manager make.
"""

from __future__ import annotations

import functools
import importlib
import multiprocessing as _standard
from typing import Any

from . import sharedctypes, synchronize

# "as" tells a type checker that they are there to be taken.
from .sharedctypes import Array as Array
from .sharedctypes import RawArray as RawArray
from .sharedctypes import RawValue as RawValue
from .sharedctypes import Value as Value
from .synchronize import Barrier as Barrier
from .synchronize import BoundedSemaphore as BoundedSemaphore
from .synchronize import Condition as Condition
from .synchronize import Event as Event
from .synchronize import Lock as Lock
from .synchronize import RLock as RLock
from .synchronize import Semaphore as Semaphore

__all__ = list(_standard.__all__)


class _Context:
    """A context of the standard module, but with our classes. What it makes for itself has its own locks."""

    Value = staticmethod(Value)
    Array = staticmethod(Array)
    RawValue = staticmethod(RawValue)
    RawArray = staticmethod(RawArray)
    Lock = Lock
    RLock = RLock
    Semaphore = Semaphore
    BoundedSemaphore = BoundedSemaphore
    Condition = Condition
    Event = Event
    Barrier = Barrier

    def __init__(self, standard: Any) -> None:
        self._standard = standard

    def get_context(self, method: str | None = None) -> Any:
        """This one, or that of a start method. ValueError if there is none of that name."""
        return self if method is None else get_context(method)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._standard, name)

    def __reduce__(self) -> tuple[object, ...]:
        return get_context, (self._standard.get_start_method(),)


def get_context(method: str | None = None) -> Any:
    """The context of a start method, or the default one. ValueError if there is none of that name."""
    return _of(_standard.get_context(method))


@functools.lru_cache(None)
def _of(standard: Any) -> Any:
    """One for each, whose class has the name of the standard's."""
    return type(type(standard).__name__, (_Context,), {"__module__": __name__})(standard)


def __getattr__(name: str) -> Any:
    try:
        return getattr(_standard, name)
    except AttributeError:
        pass
    try:
        return importlib.import_module(f"multiprocessing.{name}")
    except ModuleNotFoundError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None


def __dir__() -> list[str]:
    return sorted({*globals(), *dir(_standard)})
