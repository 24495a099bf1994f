# SPDX-License-Identifier: Apache-2.0
"""Atomic access: what each does with every type, that none is lost, and what is refused."""

from __future__ import annotations

import math
import threading

import processes
import pytest
from test_array import EDGES, FLOATS, INTEGERS, every_type

from polyshm import SharedArray, SharedValue

PROCESSES, THREADS, ROUNDS = 3, 2, 3000


class Cell:
    """The methods of an array for one of its elements, as a value has them."""

    def __init__(self, shared, index):
        self.shared, self.index = shared, index

    def __getattr__(self, name):
        return lambda *arguments: getattr(self.shared, name)(self.index, *arguments)


def cells(typecode):
    """A value, and an element between two that must not change."""
    with SharedValue(typecode) as value, SharedArray(typecode, 3) as array:
        yield value
        yield Cell(array, 1)
        yield Cell(array, -2)
        assert array[0] == array[2] == 0


@every_type
def test_should_load_store_exchange_and_compare(typecode):
    edges = list(EDGES[typecode])
    for cell in cells(typecode):
        for first, second in zip(edges, edges[1:] + edges[:1]):
            cell.set_volatile(first)
            assert cell.get_volatile() == first
            assert cell.get_and_set(second) == first
            assert cell.compare_and_set(first, first) is False
            assert cell.get_volatile() == second
            assert cell.compare_and_set(second, first) is True
            assert cell.get_volatile() == first
        cell.set_volatile(0)


@pytest.mark.parametrize("typecode", INTEGERS)
def test_should_wrap_around_when_added(typecode):
    low, high = INTEGERS[typecode]
    for cell in cells(typecode):
        cell.set_volatile(high)
        assert cell.get_and_add(1) == high
        assert cell.get_volatile() == low
        if low < 0:
            assert cell.get_and_add(-1) == low
            assert cell.get_volatile() == high


@pytest.mark.parametrize("typecode", FLOATS)
def test_should_add_floats_and_compare_them_by_their_bits(typecode):
    with SharedValue(typecode, 1.5) as shared:
        assert shared.get_and_add(2.25) == 1.5
        assert shared.value == 3.75
        shared.value = 0.0
        assert not shared.compare_and_set(-0.0, 1.0)
        assert shared.compare_and_set(0.0, math.nan)
        assert math.isnan(shared.get_and_add(1.0))
        shared.value = math.nan
        assert shared.compare_and_set(math.nan, 1.0)


def test_should_refuse_to_add_booleans():
    for cell in cells("?"):
        with pytest.raises(ValueError, match="fetch-add.*PSHM_BOOLEAN"):
            cell.get_and_add(1)


@pytest.mark.parametrize("typecode", INTEGERS)
def test_should_refuse_what_does_not_fit(typecode):
    high = INTEGERS[typecode][1]
    for cell in cells(typecode):
        for use in (
            lambda value: cell.set_volatile(value),
            lambda value: cell.get_and_set(value),
            lambda value: cell.get_and_add(value),
            lambda value: cell.compare_and_set(0, value),
            lambda value: cell.compare_and_set(value, 0),
        ):
            with pytest.raises(OverflowError, match=f"value={high + 1}"):
                use(high + 1)
            with pytest.raises(TypeError, match="value=1.5"):
                use(1.5)
        assert cell.get_volatile() == 0


def add(array, value):
    for _ in range(ROUNDS):
        array.get_and_add(1, 1)
        while True:
            seen = value.get_volatile()
            if value.compare_and_set(seen, seen + 1):
                break


def add_in_threads(array, value):
    threads = [threading.Thread(target=add, args=(array, value)) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("typecode", [*INTEGERS, *FLOATS])
def test_should_lose_none_between_threads_and_processes(typecode):
    with SharedArray(typecode, 3) as array, SharedValue("q") as value:
        children = [processes.forked(add_in_threads, array, value) for _ in range(1, PROCESSES)]
        add_in_threads(array, value)
        assert all(map(processes.ends_well, children))
        total = PROCESSES * THREADS * ROUNDS
        assert value.value == total
        low, high = INTEGERS.get(typecode, (0, 2**60))
        assert array.tolist() == [0, (total - low) % (high - low + 1) + low, 0]
