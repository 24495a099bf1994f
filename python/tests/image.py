# SPDX-License-Identifier: Apache-2.0
"""The bytes of segments, as native/LAYOUT.md has them, for tests that look into them or make their own."""

from __future__ import annotations

import os
import struct
from pathlib import Path

GOLDEN = Path(__file__).parents[2] / "native/test/golden"

# Of the header.
READY = 8
LAYOUT_MAJOR = 12
LAYOUT_MINOR = 14
PID_NAMESPACE = 24
TOTAL_BYTES = 32
CHECKSUM = 120

_HEAP = 128 + 128 + 128 * 64
_HEAD = struct.Struct("=IIQQQ96s")  # of an object: kind, type, length, bytes, reserved, name
_CONTENTIONS = 128 + 176  # of its lock
_WAITERS = 320 + 4  # of a synchronizer


def path(segment: str) -> str:
    return f"/dev/shm/polyshm.{segment}"


def seal(image: bytearray) -> None:
    """Put the checksum right: FNV-1a of what is before it, `ready` taken as 0."""
    value = 0xCBF29CE484222325
    for at in range(CHECKSUM):
        byte = 0 if READY <= at < READY + 4 else image[at]
        value = (value ^ byte) * 0x100000001B3 % 2**64
    struct.pack_into("=Q", image, CHECKSUM, value)


def golden() -> bytearray:
    """The golden image, put right for this process."""
    image = bytearray()
    for line in (GOLDEN / "linux-x86_64-glibc.txt").read_text().splitlines():
        offset, word = (int(each, 16) for each in line.split())
        image.extend(bytes(max(0, offset + 8 - len(image))))
        struct.pack_into("=Q", image, offset, word)
    (size,) = struct.unpack_from("=Q", image, TOTAL_BYTES)
    image.extend(bytes(size - len(image)))
    struct.pack_into("=Q", image, PID_NAMESPACE, os.stat("/proc/self/ns/pid").st_ino)
    seal(image)
    return image


def _of_object(segment: str, name: str, offset: int) -> int:
    data = Path(path(segment)).read_bytes()
    at = _HEAP
    while at < len(data):
        _, _, _, size, _, found = _HEAD.unpack_from(data, at)
        if found.rstrip(b"\0").decode() == name:
            return int(struct.unpack_from("=I", data, at + offset)[0])
        at += size
    raise KeyError(name)


def contentions(segment: str, name: str) -> int:
    """How many have waited, or begun to wait, for the lock of an object."""
    return _of_object(segment, name, _CONTENTIONS)


def waiters(segment: str, name: str) -> int:
    """How many wait for a synchronizer."""
    return _of_object(segment, name, _WAITERS)
