# SPDX-License-Identifier: Apache-2.0
"""Element types: what each is called in C, in the modules `struct` and `array`, and in numpy."""

from __future__ import annotations

import array
import ctypes
from dataclasses import dataclass
from typing import Any

from . import _native


@dataclass(frozen=True)
class ElementType:
    """One of Java's eight primitive types."""

    type: int
    """pshm_type"""
    typecode: str
    """Of the modules `struct` and `array`."""
    ctype: Any
    numpy: str
    """The name of numpy's dtype."""

    @property
    def bytes(self) -> int:
        return ctypes.sizeof(self.ctype)

    def cell(self, value: Any) -> Any:
        """The value in C. TypeError; OverflowError."""
        try:
            cell = self.ctype(value)  # which cuts an integer
            if cell.value == value or self.typecode in "?fd":
                return cell
        except TypeError:
            pass
        return self.ctype.from_buffer_copy(self.packed([value]))

    def packed(self, values: Any) -> memoryview:
        """Values as a buffer: one of this type as it is, others converted. TypeError; OverflowError."""
        try:
            given = memoryview(values)
        except TypeError:
            pass
        else:
            if given.contiguous and given.ndim == 1 and given.nbytes and self._is_in(given):
                return given.cast("B").cast(self.typecode)
        values = list(values)
        try:
            return memoryview(self._array(values))
        except (TypeError, OverflowError):
            for value in values:
                try:
                    self._array([value])
                except (TypeError, OverflowError) as error:
                    raise type(error)(f"value={value!r} is none of typecode={self.typecode!r}: {error}") from None
            raise

    def _is_in(self, given: memoryview) -> bool:
        """ctypes and numpy have formats of their own for the same."""
        return _BY_NAME.get(given.format.lstrip("@=<")) is self and given.itemsize == self.bytes

    def _array(self, values: list[Any]) -> Any:
        if self.ctype is ctypes.c_bool:
            return memoryview(bytes(map(bool, values))).cast("?") if values else b""
        return array.array(self.typecode, values)


_ALL = (
    ElementType(_native.PSHM_BOOLEAN, "?", ctypes.c_bool, "bool"),
    ElementType(_native.PSHM_INT8, "b", ctypes.c_int8, "int8"),
    ElementType(_native.PSHM_INT16, "h", ctypes.c_int16, "int16"),
    ElementType(_native.PSHM_CHAR16, "H", ctypes.c_uint16, "uint16"),
    ElementType(_native.PSHM_INT32, "i", ctypes.c_int32, "int32"),
    ElementType(_native.PSHM_INT64, "q", ctypes.c_int64, "int64"),
    ElementType(_native.PSHM_FLOAT32, "f", ctypes.c_float, "float32"),
    ElementType(_native.PSHM_FLOAT64, "d", ctypes.c_double, "float64"),
)

BY_TYPE = {each.type: each for each in _ALL}
_BY_NAME = {name: each for each in _ALL for name in (each.typecode, each.numpy)}
if ctypes.sizeof(ctypes.c_long) == 8:
    _BY_NAME["l"] = _BY_NAME["q"]


def element_type(typecode: Any) -> ElementType:
    """What a typecode stands for: a character, the name of a numpy dtype, or a dtype."""
    name = getattr(typecode, "name", getattr(typecode, "__name__", typecode))
    if name in ("bool_", "bool8"):
        name = "bool"
    if not isinstance(name, str) or name not in _BY_NAME:
        raise TypeError(
            f"typecode={typecode!r} is not an element type; take one of {' '.join(each.typecode for each in _ALL)}, "
            f"or of numpy's {' '.join(each.numpy for each in _ALL)}"
        )
    return _BY_NAME[name]
