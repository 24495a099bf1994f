# SPDX-License-Identifier: Apache-2.0
"""The golden image, as native/test/golden_test.c writes it, is what Python reads and what it writes."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import image
import pytest
from environment import native_test
from polyshm import Barrier, Event, Latch, Lock, ReadWriteLock, Semaphore, SharedArray, SharedMemory, SharedValue

pytestmark = pytest.mark.skipif(
    (sys.platform, platform.machine(), platform.libc_ver()[0]) != ("linux", "x86_64", "glibc"),
    reason="the image is of linux-x86_64",
)


def test_should_read_the_golden_image(name: str) -> None:
    descriptor = os.open(image.path(name), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    os.write(descriptor, image.golden())
    os.close(descriptor)
    with SharedMemory.open(name) as memory:
        listed = memory.objects()
        assert len(listed) == 10
        assert SharedArray("i", 3, memory=memory, name="ints").tolist() == [1, -2, 2**31 - 1]
        assert SharedValue("d", memory=memory, name="pi").value == 3.25
        lock = Lock(memory=memory, name="lock")
        with lock:
            condition = lock.condition("condition")
            assert condition.notify_all() == 0
            assert not condition.wait(timeout=0)
        assert Semaphore(3, memory=memory, name="permits").available == 5
        bounded = Semaphore(2, bounded=True, memory=memory, name="bounded")
        assert bounded.available == 2
        with pytest.raises(ValueError):
            bounded.release()
        assert Event(memory=memory, name="event").is_set()
        assert Latch(5, memory=memory, name="latch").count == 4
        barrier = Barrier(1, memory=memory, name="barrier")
        assert not barrier.broken
        assert barrier.wait() == 0
        write = ReadWriteLock(memory=memory, name="rwlock").write
        assert write.acquire(blocking=False)
        write.release()
        assert memory.objects() == listed  # none of them is new


def test_should_write_the_golden_image(name: str) -> None:
    with SharedMemory.create(name, 32768) as memory:
        SharedArray("i", 3, memory=memory, name="ints")[:] = [1, -2, 2**31 - 1]
        SharedValue("d", memory=memory, name="pi").value = 3.25
        lock = Lock(memory=memory, name="lock")
        Semaphore(3, memory=memory, name="permits").release(2)
        Semaphore(2, bounded=True, memory=memory, name="bounded")
        Event(memory=memory, name="event").set()
        Latch(5, memory=memory, name="latch").count_down()
        Barrier(1, memory=memory, name="barrier").wait()
        ReadWriteLock(memory=memory, name="rwlock")
        lock.condition("condition")
    compare = native_test("golden_test")
    golden = image.GOLDEN / "linux-x86_64-glibc.txt"
    compared = subprocess.run([compare, golden, "compare", image.path(name)], capture_output=True, text=True)
    assert (compared.returncode, compared.stdout, compared.stderr) == (0, "equal\n", "")
