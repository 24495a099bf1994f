# SPDX-License-Identifier: Apache-2.0
"""Shared values."""

from __future__ import annotations

from typing import Any

from . import _native
from ._array import Elements
from ._library import library
from ._memory import SharedMemory
from ._types import BY_TYPE, element_type


class SharedValue(Elements, kind=_native.PSHM_VALUE):
    """A single cell, of one of Java's primitive types, that processes share.

        with SharedValue("i", 0) as total:
            ...
            with total.lock:
                total.value += 42

    In a segment of its own, which `close` closes, and with that value; or, with `memory` and `name`, the one
    of that name there, created with zero if there is none. For the rest it is as a SharedArray.
    """

    _default_name = "value"
    _data = library.pshm_value_data
    _lock = library.pshm_value_lock

    def __init__(
        self, typecode: Any, value: Any = None, *, memory: SharedMemory | None = None, name: str | None = None
    ) -> None:
        element = element_type(typecode)
        if value is not None:
            element.packed([value])  # before anything is made
            if memory is not None:
                raise TypeError(
                    f"SharedValue: name={name!r}: with a name in a segment it takes no value, as it may exist; "
                    f"store {value!r} when it is there"
                )
        self._place(memory, name, element.type, 1)
        self._got(library.pshm_value_open, element.type)
        self._init(element, 1)
        if value is not None:
            self.value = value

    @classmethod
    def _found(cls, memory: SharedMemory, info: _native.pshm_object_info) -> SharedValue:
        return cls(BY_TYPE[info.type].typecode, memory=memory, name=info.name.decode())

    @property
    def value(self) -> Any:
        """The value. Closed; setting it TypeError and OverflowError as from the module `array`."""
        if self.memory._closed:
            raise self._is_closed()
        return self._view[0]

    @value.setter
    def value(self, value: Any) -> None:
        self._store(0, value)

    # ---- atomically: as for a SharedArray ----

    def get_volatile(self) -> Any:
        """The value."""
        return self._atomic(library.pshm_atomic_load, 0, 0)[1]

    def set_volatile(self, value: Any) -> None:
        """Set the value."""
        self._atomic(library.pshm_atomic_store, 0, value)

    def get_and_set(self, value: Any) -> Any:
        """Set the value, and return the one before."""
        return self._atomic(library.pshm_atomic_exchange, 0, value, 0)[1]

    def compare_and_set(self, expected: Any, value: Any) -> bool:
        """Set the value if it is `expected`, by its bits, and tell whether it was."""
        return self._atomic(library.pshm_atomic_compare_exchange, 0, expected, value)[0] == 1

    def get_and_add(self, delta: Any) -> Any:
        """Add to the value, which wraps around, and return the one before. ValueError for booleans."""
        return self._atomic(library.pshm_atomic_fetch_add, 0, delta, 0)[1]

    def __repr__(self) -> str:
        return f"SharedValue({self.typecode!r}, name={self.name!r}, segment={self.memory.name!r})"
