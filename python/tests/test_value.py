# SPDX-License-Identifier: Apache-2.0
"""SharedValue."""

from __future__ import annotations

import copy
import gc
import math

import processes
import pytest
from test_array import EDGES, FLOATS, INTEGERS, every_type

from polyshm import Closed, LockHeld, SharedArray, SharedMemory, SharedValue, TypeMismatch

EVERY_USE = {
    "value": lambda shared: shared.value,
    "set value": lambda shared: setattr(shared, "value", 1),
    "get_volatile": lambda shared: shared.get_volatile(),
    "set_volatile": lambda shared: shared.set_volatile(1),
    "get_and_set": lambda shared: shared.get_and_set(1),
    "compare_and_set": lambda shared: shared.compare_and_set(0, 1),
    "get_and_add": lambda shared: shared.get_and_add(1),
}


@every_type
def test_should_hold_edge_values(typecode):
    with SharedValue(typecode) as shared:
        assert shared.value == 0
        assert shared.typecode == typecode
        for edge in EDGES[typecode]:
            shared.value = edge
            assert str(shared.value) == str(edge)
            with SharedValue(typecode, edge) as other:
                assert str(other.value) == str(edge)


@pytest.mark.parametrize("typecode", FLOATS)
def test_should_keep_nan(typecode):
    with SharedValue(typecode, math.nan) as shared:
        assert math.isnan(shared.value)


@pytest.mark.parametrize("typecode", INTEGERS)
def test_should_refuse_what_does_not_fit(typecode):
    low, high = INTEGERS[typecode]
    with SharedValue(typecode, 1) as shared:
        for value in (low - 1, high + 1):
            with pytest.raises(OverflowError, match=f"value={value} .*typecode='{typecode}'"):
                shared.value = value
            with pytest.raises(OverflowError, match=f"value={value}"):
                SharedValue(typecode, value)
        for value in (1.5, "1", None):
            with pytest.raises(TypeError, match="value="):
                shared.value = value
        assert shared.value == 1


def test_should_refuse_an_object_when_it_exists_otherwise(memory):
    SharedValue("i", memory=memory, name="one")
    with pytest.raises(TypeMismatch, match="value of int32.*value of int64"):
        SharedValue("q", memory=memory, name="one")
    with pytest.raises(TypeMismatch, match="value of int32.*array of int32, length=1"):
        SharedArray("i", 1, memory=memory, name="one")


def test_should_refuse_a_value_that_may_be_there(memory):
    with pytest.raises(TypeError, match="name='one'.*takes no value"):
        SharedValue("i", 5, memory=memory, name="one")
    assert memory.objects() == []
    SharedValue("i", memory=memory, name="one").value = 5
    assert SharedValue("i", memory=memory, name="one").value == 5


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_should_be_the_same_memory_when_copied(copied):
    with SharedValue("i", 3) as shared:
        copied(shared).value = 4
        assert shared.value == 4


@pytest.mark.parametrize("use", EVERY_USE)
def test_should_refuse_use_after_close(use):
    own = SharedValue("i", 3)
    own.close()
    with SharedMemory.anonymous(4096) as segment:
        there = SharedValue("i", memory=segment, name="one")
    for shared in (own, there):
        with pytest.raises(Closed, match="one|value.* is closed"):
            EVERY_USE[use](shared)


def increment(shared):
    for _ in range(1000):
        shared.get_and_add(1)


def test_should_be_the_parents_when_forked():
    with SharedValue("q") as shared:
        children = [processes.forked(increment, shared) for _ in range(3)]
        assert all(map(processes.ends_well, children))
        assert shared.value == 3000
        gc.collect()


def add_with_the_lock(shared):
    for _ in range(500):
        with shared.lock:
            shared.value += 1


def test_should_lose_none_when_its_lock_is_held():
    pytest.importorskip("polyshm._lock")
    with SharedValue("q") as shared, SharedArray("i", 1) as array:
        children = [processes.forked(add_with_the_lock, shared) for _ in range(3)]
        add_with_the_lock(shared)
        assert all(map(processes.ends_well, children))
        assert shared.value == 2000
        assert shared.lock is shared.lock
        with array.lock:
            assert array.lock.depth == 1
            with pytest.raises(LockHeld):
                array.close()
