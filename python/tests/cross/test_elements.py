# SPDX-License-Identifier: Apache-2.0
"""What one language writes, each of the others reads, to the bit."""

from __future__ import annotations

from typing import Callable

import pytest
from peers import LANGUAGES, ORDERS, Peer

# Each type's zero, one, smallest, largest, and what is peculiar to it.
EDGES = {
    "boolean": ["00", "01"],
    "int8": ["00", "01", "7f", "80", "ff"],
    "int16": ["0000", "0001", "7fff", "8000", "ffff"],
    "char16": ["0000", "0041", "7fff", "8000", "d800", "dfff", "ffff"],
    "int32": ["00000000", "00000001", "7fffffff", "80000000", "ffffffff", "01020304"],
    "int64": ["0" * 16, "0" * 15 + "1", "7" + "f" * 15, "8" + "0" * 15, "f" * 16, "0102030405060708"],
    "float32": [
        *("00000000", "80000000", "3f800000"),  # 0.0, -0.0, 1.0
        *("7f7fffff", "ff7fffff", "00800000"),  # the largest, the smallest, the least that is normal
        *("00000001", "807fffff"),  # denormal
        *("7f800000", "ff800000"),  # infinite
        *("7fc00000", "ffc00000", "7fc12345"),  # NaN, with a payload too
    ],
    "float64": [
        *("0000000000000000", "8000000000000000", "3ff0000000000000"),
        *("7fefffffffffffff", "ffefffffffffffff", "0010000000000000"),
        *("0000000000000001", "800fffffffffffff"),
        *("7ff0000000000000", "fff0000000000000"),
        *("7ff8000000000000", "fff8000000000000", "7ff8123456789abc"),
    ],
}

# NaNs that arithmetic, or a conversion to another type, makes quiet: a copy must not.
SIGNALLING = {"float32": ["7f800001", "ffbfffff"], "float64": ["7ff0000000000001", "fff7ffffffffffff"]}

EACH_ORDER = pytest.mark.parametrize(("creator", "attacher"), ORDERS)
TYPES = pytest.mark.parametrize("type", EDGES)


@EACH_ORDER
@TYPES
def test_should_read_elements_of_arrays(
    peer: Callable[[str], Peer], segment: str, creator: str, attacher: str, type: str
) -> None:
    edges = EDGES[type]
    ours, theirs = peer(creator), peer(attacher)
    ours.tell("segment.create", segment, 1 << 16)
    theirs.tell("segment.open", segment)
    handle = f"{segment}/a"
    ours.tell("array.open", handle, type, len(edges))
    theirs.tell("attach", handle, "array", type)
    for here, there in ((ours, theirs), (theirs, ours)):
        for index, element in enumerate(edges):
            here.tell("set", handle, index, element)
        assert [there.tell("get", handle, index) for index in range(len(edges))] == edges
        edges = edges[::-1]


@EACH_ORDER
@TYPES
def test_should_read_arrays_in_bulk(
    peer: Callable[[str], Peer], segment: str, creator: str, attacher: str, type: str
) -> None:
    edges = (EDGES[type] + SIGNALLING.get(type, [])) * 20
    ours, theirs = peer(creator), peer(attacher)
    ours.tell("segment.create", segment, 1 << 16)
    theirs.tell("segment.open", segment)
    handle = f"{segment}/a"
    for each in (ours, theirs):
        each.tell("array.open", handle, type, len(edges))
    ours.tell("write", handle, "".join(edges))
    assert theirs.tell("read", handle) == "".join(edges)
    theirs.tell("write", handle, "".join(edges[::-1]))
    assert ours.tell("read", handle) == "".join(edges[::-1])
    for element in EDGES[type]:
        ours.tell("fill", handle, element)
        assert theirs.tell("read", handle) == element * len(edges)


@EACH_ORDER
@TYPES
def test_should_read_values(
    peer: Callable[[str], Peer], segment: str, creator: str, attacher: str, type: str
) -> None:
    ours, theirs = peer(creator), peer(attacher)
    ours.tell("segment.create", segment, 1 << 16)
    handle = f"{segment}/v"
    ours.tell("value.open", handle, type)
    theirs.tell("attach", handle, "value", type)
    for element in EDGES[type]:
        ours.tell("set", handle, 0, element)
        assert theirs.tell("get", handle, 0) == element
    for element in EDGES[type]:
        theirs.tell("set", handle, 0, element)
        assert ours.tell("get", handle, 0) == element


@TYPES
def test_should_share_with_all_three(peer: Callable[[str], Peer], segment: str, type: str) -> None:
    edges = EDGES[type]
    all_three = [peer(language) for language in LANGUAGES]
    handle = f"{segment}/a"
    for each in all_three:
        each.tell("segment.openOrCreate", segment, 1 << 16)
        each.tell("array.open", handle, type, len(edges))
    for each in all_three:
        each.tell("write", handle, "".join(edges))
        assert [other.tell("read", handle) for other in all_three] == ["".join(edges)] * 3
        edges = edges[1:] + edges[:1]
