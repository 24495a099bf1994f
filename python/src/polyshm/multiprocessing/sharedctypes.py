# SPDX-License-Identifier: Apache-2.0
"""`multiprocessing.sharedctypes` on shared memory of ours.

Every object is a shared value, or array, of the type of that width: c_int and c_uint are an int in Java,
c_char a byte, c_ushort a char. A Structure is an array of bytes. An array of length 0 has one element there.
"""

from __future__ import annotations

import ctypes
import weakref
from multiprocessing import sharedctypes
from typing import Any

from .. import _native
from .._array import Elements, SharedArray
from .._types import element_type
from .._value import SharedValue
from . import _heap
from .synchronize import RLock, _as

__all__ = ["Array", "RawArray", "RawValue", "Value", "copy", "synchronized"]

_standard: Any = sharedctypes

_OF_SIZE = {1: "b", 2: "h", 4: "i", 8: "q"}
_AS_IT_IS = ("?", "H", "f", "d")


class _Block:
    """What the standard module takes for its own piece of memory. It travels as a handle."""

    def __init__(self, elements: Elements) -> None:
        self.elements = elements

    def create_memoryview(self) -> memoryview:
        return self.elements._view.cast("B")

    def __reduce__(self) -> tuple[object, ...]:
        return _Block, (self.elements,)


def _elements_of(type_: Any) -> tuple[str, int]:
    """The typecode of what a ctypes type consists of, and how many of these."""
    if issubclass(type_, ctypes.Array):
        typecode, length = _elements_of(type_._type_)
        return typecode, length * type_._length_
    if issubclass(type_, ctypes._SimpleCData):
        size = ctypes.sizeof(type_)
        if type_._type_ in _AS_IT_IS:
            return type_._type_, 1
        if size in _OF_SIZE:
            return _OF_SIZE[size], 1
    return "b", ctypes.sizeof(type_)


def _new(type_: Any) -> Any:
    typecode, length = _elements_of(type_)
    element, length = element_type(typecode).type, max(length, 1)
    if issubclass(type_, ctypes._SimpleCData) and length == 1:
        block = _Block(SharedValue(typecode, **_heap.place(_native.PSHM_VALUE, element)))
    else:
        block = _Block(SharedArray(typecode, length, **_heap.place(_native.PSHM_ARRAY, element, length)))
    if issubclass(type_, ctypes.Array):
        return _standard.rebuild_ctype(type_._type_, block, type_._length_)
    return _standard.rebuild_ctype(type_, block, None)


def _type_of(typecode_or_type: Any) -> Any:
    return _standard.typecode_to_type.get(typecode_or_type, typecode_or_type)


def RawValue(typecode_or_type: Any, *args: Any) -> Any:
    """A ctypes object in shared memory, made with these arguments; it has no lock. MemoryFull."""
    obj = _new(_type_of(typecode_or_type))
    obj.__init__(*args)
    return obj


def RawArray(typecode_or_type: Any, size_or_initializer: Any) -> Any:
    """A ctypes array in shared memory: so many zeros, or these elements; it has no lock. MemoryFull."""
    type_ = _type_of(typecode_or_type)
    if isinstance(size_or_initializer, int):
        return _new(type_ * size_or_initializer)
    obj = _new(type_ * len(size_or_initializer))
    obj.__init__(*size_or_initializer)
    return obj


def Value(typecode_or_type: Any, *args: Any, lock: Any = True, ctx: Any = None) -> Any:
    """A RawValue whose accesses take a lock: `lock`, or with True the one that every shared value has."""
    return _locked(RawValue(typecode_or_type, *args), lock, ctx)


def Array(typecode_or_type: Any, size_or_initializer: Any, *, lock: Any = True, ctx: Any = None) -> Any:
    """A RawArray whose accesses take a lock: `lock`, or with True the one that every shared array has."""
    return _locked(RawArray(typecode_or_type, size_or_initializer), lock, ctx)


def _locked(obj: Any, lock: Any, ctx: Any) -> Any:
    if lock is False:
        return obj
    if lock in (True, None):
        lock = None
    elif not hasattr(lock, "acquire"):
        raise AttributeError(f"{lock!r} has no method 'acquire'")
    return synchronized(obj, lock, ctx)


def copy(obj: Any) -> Any:
    """A copy in shared memory of a ctypes object. MemoryFull."""
    made = _new(type(obj))
    ctypes.pointer(made)[0] = obj
    return made


# ---- with a lock ----


class _Shared:
    """What ours have beyond the standard's wrappers. A field of a Structure goes before it."""

    _obj: Any

    @property
    def handle(self) -> str:
        """What Java, C and `polyshm.attach` find the memory by; its lock is theirs, too, if none was given."""
        return str(self._obj._wrapper.elements.handle)


_classes: Any = weakref.WeakKeyDictionary()


def synchronized(obj: Any, lock: Any = None, ctx: Any = None) -> Any:
    """A wrapper for a ctypes object that takes the lock for every access: as in the standard module."""
    block = getattr(obj, "_wrapper", None)
    if not isinstance(block, _Block):
        return _standard.synchronized(obj, lock or RLock(), ctx)
    made = _standard.synchronized(obj, lock or _as(RLock, block.elements.lock), ctx)
    base = type(made)
    if base not in _classes:
        _classes[base] = type(base.__name__, (base, _Shared), {"__reduce__": _reduce, "__module__": __name__})
    made.__class__ = _classes[base]
    return made


def _reduce(self: Any) -> tuple[object, ...]:
    """Not by what is registered for its ctypes type, as that is for children that are being started only."""
    obj = self._obj
    array = isinstance(obj, ctypes.Array)
    return _arrived, (obj._type_ if array else type(obj), obj._wrapper, len(obj) if array else None, self._lock)


def _arrived(type_: Any, block: _Block, length: int | None, lock: Any) -> Any:
    return synchronized(_standard.rebuild_ctype(type_, block, length), lock)
