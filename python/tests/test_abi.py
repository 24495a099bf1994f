# SPDX-License-Identifier: Apache-2.0
"""The numbers of polyshm.h, as native/test/abi_test.c has them from C."""

from __future__ import annotations

import ctypes
from typing import Iterator

import image
from polyshm import _native, _types


def rows(of: str) -> Iterator[list[str]]:
    for line in (image.GOLDEN / "abi.txt").read_text().splitlines():
        kind, *rest = line.split()
        if kind == of:
            yield rest


def test_should_have_the_same_constants() -> None:
    ours = {name: value for name, value in vars(_native).items() if name.startswith("PSHM_")}
    assert ours == {name: int(value) for name, value in rows("constant")}


def test_should_have_elements_of_the_same_size() -> None:
    ours = {each.type: ctypes.sizeof(each.ctype) for each in _types.BY_TYPE.values()}
    assert ours == {int(type): int(size) for type, size in rows("type")}


def test_should_have_the_same_structs() -> None:
    """Also that neither has one, or a field, that the other lacks."""
    ours, fields = [], []
    for struct in vars(_native).values():
        if not (isinstance(struct, type) and issubclass(struct, ctypes.Structure)):
            continue
        ours.append([struct.__name__, str(ctypes.sizeof(struct))])
        for name, field, *_ in struct._fields_:
            count = getattr(field, "_length_", 0)
            size = ctypes.sizeof(field) // (count or 1)
            offset = getattr(struct, name).offset
            fields.append([struct.__name__, name, *map(str, (offset, size, count))])
    assert sorted(ours) == sorted(rows("struct"))
    assert sorted(fields) == sorted(rows("field"))
