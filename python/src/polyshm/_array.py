# SPDX-License-Identifier: Apache-2.0
"""Shared arrays, and what a shared value has in common with them: it is an array of one element."""

from __future__ import annotations

import ctypes
import operator
import sys
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Iterator

from . import _native
from ._errors import Closed
from ._library import check, library
from ._memory import SharedMemory, SharedObject, number
from ._types import BY_TYPE, ElementType, element_type

if TYPE_CHECKING:
    from ._lock import Lock


class Elements(SharedObject):
    """Elements of one type."""

    _data: ClassVar[Any]
    _lock: ClassVar[Any]
    _own_lock: Lock | None = None

    def _init(self, element: ElementType, length: int) -> None:
        """To be called when it has its handle."""
        self._type = element
        self._address = self._data(self._handle)
        size = element.bytes * length
        exporter: Any = (ctypes.c_ubyte * size).from_address(self._address)
        # A view, numpy's too, refers to what exports it, and that to the segment, which stays mapped.
        exporter.memory = self.memory
        self._view = memoryview(exporter).cast("B").cast(element.typecode)

    @property
    def typecode(self) -> str:
        """Of the modules `array` and `struct`; a Java char is H."""
        return self._type.typecode

    @property
    def itemsize(self) -> int:
        """Bytes of an element."""
        return self._type.bytes

    @property
    def lock(self) -> Lock:
        """The lock that belongs to it, always the same object. Nothing here takes it: `with shared.lock: ...`"""
        if self._own_lock is None:
            from ._lock import Lock

            self._own_lock = Lock._of(self.memory, self.name, self._lock(self._handle))
        return self._own_lock

    @property
    def _elements(self) -> memoryview:
        """Those of one that is open: every use begins here, or with the same question."""
        if self.memory._closed:
            raise self._is_closed()
        return self._view

    def _is_closed(self) -> Closed:
        return Closed("PSHM_ECLOSED", f"{self!r} is closed; open its segment again to use it")

    def _store(self, index: Any, value: Any) -> None:
        if self.memory._closed:
            raise self._is_closed()
        try:
            self._view[index] = value
        except (TypeError, ValueError):
            self._type.packed([value])  # tells why, if it is the value
            raise

    def _atomic(self, function: Any, index: Any, *operands: Any) -> tuple[int, Any]:
        """The function's code and what it leaves in its last operand."""
        try:
            position = range(len(self._elements))[operator.index(index)]
        except IndexError:
            raise self._no_index(index) from None
        cells = [self._type.cell(each) for each in operands]
        code = function(
            self._address + position * self._view.itemsize, self._type.type, *[ctypes.byref(each) for each in cells]
        )
        return check(code), cells[-1].value

    def _no_index(self, index: Any) -> IndexError:
        return IndexError(f"{self!r}: index={index}; take {-len(self._view)} to {len(self._view) - 1}")


class SharedArray(Elements, kind=_native.PSHM_ARRAY):
    """An array of fixed length, of one of Java's primitive types, that processes share.

        with SharedArray("i", 4) as result:
            child = multiprocessing.Process(target=compute, args=(result,))
            child.start()
            child.join()
            print(result[0])

    With a length it is all zero, with values it holds these; both in a segment of its own, which `close`
    closes. With `memory` and `name` it is the array of that name there, created with all elements zero if
    there is none. `typecode` is one of the module `array` (? b h H i q f d), the name of a numpy dtype, or a
    dtype.

    It is a sequence, and a buffer: `view()`, `numpy()` and what takes a buffer, such as `memoryview`, have the
    same memory without a copy, and stay valid after a close. Of these `view()` has a format in which every
    Python can index. Any thread may do anything at any time. An element is read and written whole; what one
    process stored is visible to another after a lock or an atomic access. It travels to other processes as a
    handle, and so a copy, by the module `copy` or by pickle, is the same memory.

    TypeMismatch if the name has another kind, typecode or length; MemoryFull; Closed; TypeError for a
    typecode that is none; ValueError for a name or length that cannot be.
    """

    _default_name = "array"
    _data = library.pshm_array_data
    _lock = library.pshm_array_lock

    def __new__(
        cls, typecode: Any, length_or_values: Any, *, memory: SharedMemory | None = None, name: str | None = None
    ) -> SharedArray:
        """An object that is an array of ctypes as well: before Python 3.12 nothing else can be a buffer."""
        made = object.__new__(cls)
        made._make(typecode, length_or_values, memory, name)
        base: Any = cls
        self: SharedArray = _buffer_type(base, made._type, len(made)).from_address(made._address)
        self.__dict__.update(made.__dict__)
        return self

    def __init__(self, *_: Any, **__: Any) -> None:
        """Nothing is left to do."""

    def __hash__(self) -> int:
        return id(self)  # those of ctypes have none

    def _make(self, typecode: Any, length_or_values: Any, memory: SharedMemory | None, name: str | None) -> None:
        element = element_type(typecode)
        values = None
        try:
            length = number("array", "length", length_or_values)
        except TypeError:
            values = element.packed(length_or_values)
            length = len(values)
            if memory is not None:
                raise TypeError(
                    f"SharedArray: name={name!r}: with a name in a segment it takes a length, as it may exist; "
                    f"take {length}, and store the values"
                ) from None
        self._place(memory, name, element.type, length)
        self._got(library.pshm_array_open, element.type, length)
        self._init(element, length)
        if values is not None:
            self._view[:] = values

    @classmethod
    def _found(cls, memory: SharedMemory, info: _native.pshm_object_info) -> SharedArray:
        return cls(BY_TYPE[info.type].typecode, info.length, memory=memory, name=info.name.decode())

    # ---- a sequence ----

    def __len__(self) -> int:
        return len(self._view)

    def __getitem__(self, index: Any) -> Any:
        """An element, or a list of those of a slice. IndexError; Closed."""
        if self.memory._closed:
            raise self._is_closed()
        try:
            found = self._view[index]
        except IndexError:
            raise self._no_index(index) from None
        return found.tolist() if isinstance(found, memoryview) else found

    def __setitem__(self, index: Any, value: Any) -> None:
        """Set an element, or those of a slice to as many values of an iterable or a buffer.

        IndexError; ValueError for more or fewer values; TypeError and OverflowError as from the module
        `array`; Closed. Nothing has changed then.
        """
        if isinstance(index, slice):
            self._store_slice(index, value)
            return
        try:
            self._store(index, value)
        except IndexError:
            raise self._no_index(index) from None

    def _store_slice(self, where: slice, values: Any) -> None:
        elements = self._elements[where]
        values = self._type.packed(values)
        if len(values) != len(elements):
            raise ValueError(
                f"{self!r}: {len(values)} values for the {len(elements)} elements of {where}; "
                "give as many, as its length is fixed"
            )
        if elements:
            elements[:] = values

    def __iter__(self) -> Iterator[Any]:
        return iter(self._elements)

    def __contains__(self, value: object) -> bool:
        return value in self._elements

    def tolist(self) -> list[Any]:
        """All elements. Closed."""
        return self._elements.tolist()

    def fill(self, value: Any) -> None:
        """Set every element. TypeError; OverflowError; Closed."""
        one = self._type.packed([value]).tobytes()
        size = self._elements.nbytes
        library.pshm_fill(self._address, size, int.from_bytes(one * (8 // len(one)), sys.byteorder))

    # ---- atomically ----

    # Sequentially consistent, also with Java's volatile and atomic accesses and C's <stdatomic.h>. Each of
    # them raises IndexError; TypeError and OverflowError for a value; Closed.

    def get_volatile(self, index: int) -> Any:
        """The element."""
        return self._atomic(library.pshm_atomic_load, index, 0)[1]

    def set_volatile(self, index: int, value: Any) -> None:
        """Set the element."""
        self._atomic(library.pshm_atomic_store, index, value)

    def get_and_set(self, index: int, value: Any) -> Any:
        """Set the element, and return the one before."""
        return self._atomic(library.pshm_atomic_exchange, index, value, 0)[1]

    def compare_and_set(self, index: int, expected: Any, value: Any) -> bool:
        """Set the element if it is `expected`, by its bits, and tell whether it was."""
        return self._atomic(library.pshm_atomic_compare_exchange, index, expected, value)[0] == 1

    def get_and_add(self, index: int, delta: Any) -> Any:
        """Add to the element, which wraps around, and return the one before. ValueError for booleans."""
        return self._atomic(library.pshm_atomic_fetch_add, index, delta, 0)[1]

    # ---- a buffer ----

    def view(self) -> memoryview:
        """The memory itself, typed. Closed, but a view stays valid after a close."""
        return self._elements[:]

    def __buffer__(self, flags: int) -> memoryview:
        """The buffer that it is from Python 3.12 on. Closed."""
        return self.view()

    def numpy(self) -> Any:
        """A numpy array of the same memory, which stays valid after a close. Closed."""
        import numpy

        return numpy.frombuffer(self.view(), self._type.numpy)

    @property
    def __array_interface__(self) -> dict[str, Any]:
        return self.numpy().__array_interface__  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        return f"SharedArray({self.typecode!r}, {len(self)}, name={self.name!r}, segment={self.memory.name!r})"


@lru_cache(maxsize=64)
def _buffer_type(base: Any, element: ElementType, length: int) -> Any:
    array = element.ctype * length
    return type(array)(base.__name__, (base, array), {"__module__": base.__module__})
