# SPDX-License-Identifier: Apache-2.0
"""Element types: what each is called in C, in the modules `struct` and `array`, and in numpy."""

from __future__ import annotations

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
    if name not in _BY_NAME:
        raise TypeError(
            f"typecode={typecode!r} is not an element type; take one of {' '.join(each.typecode for each in _ALL)}, "
            f"or of numpy's {' '.join(each.numpy for each in _ALL)}"
        )
    return _BY_NAME[name]
