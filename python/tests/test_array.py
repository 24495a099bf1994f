# SPDX-License-Identifier: Apache-2.0
"""SharedArray: as a sequence, as a buffer, and what it refuses."""

from __future__ import annotations

import array
import copy
import ctypes
import gc
import io
import math
import os
import sys
import threading

import processes
import pytest

from polyshm import Closed, MemoryFull, SharedArray, SharedMemory, SharedValue, TypeMismatch

INTEGERS = {
    "b": (-(2**7), 2**7 - 1),
    "h": (-(2**15), 2**15 - 1),
    "H": (0, 2**16 - 1),
    "i": (-(2**31), 2**31 - 1),
    "q": (-(2**63), 2**63 - 1),
}
FLOATS = {
    "f": (-math.inf, -3.4028234663852886e38, -0.0, 1.401298464324817e-45, math.inf),
    "d": (-math.inf, -sys.float_info.max, -0.0, 5e-324, math.inf),
}
EDGES = {"?": (False, True), **INTEGERS, **FLOATS}
DTYPES = {"?": "bool", "b": "int8", "h": "int16", "H": "uint16", "i": "int32", "q": "int64", "f": "float32", "d": "float64"}
BYTES = {"?": 1, "b": 1, "h": 2, "H": 2, "i": 4, "q": 8, "f": 4, "d": 8}
EVERY_USE = {
    "get": lambda shared: shared[0],
    "get slice": lambda shared: shared[:],
    "set": lambda shared: shared.__setitem__(0, 1),
    "set slice": lambda shared: shared.__setitem__(slice(0, 1), [1]),
    "in": lambda shared: 1 in shared,
    "iter": iter,
    "tolist": lambda shared: shared.tolist(),
    "fill": lambda shared: shared.fill(1),
    "view": lambda shared: shared.view(),
    "buffer": lambda shared: shared.__buffer__(0),
    "get_volatile": lambda shared: shared.get_volatile(0),
    "set_volatile": lambda shared: shared.set_volatile(0, 1),
    "get_and_set": lambda shared: shared.get_and_set(0, 1),
    "compare_and_set": lambda shared: shared.compare_and_set(0, 0, 1),
    "get_and_add": lambda shared: shared.get_and_add(0, 1),
}

every_type = pytest.mark.parametrize("typecode", EDGES)


# ---- a sequence ----


@every_type
def test_should_be_all_zero_when_made_with_a_length(typecode):
    with SharedArray(typecode, 5) as shared:
        assert shared.tolist() == [0] * 5
        assert len(shared) == 5
        assert shared.typecode == typecode
        assert shared.itemsize == BYTES[typecode]


@every_type
def test_should_hold_edge_values_when_set(typecode):
    edges = list(EDGES[typecode])
    with SharedArray(typecode, edges) as shared:
        assert shared.tolist() == edges
        assert list(map(str, shared)) == list(map(str, edges))  # the sign of a zero, too
        for index, value in enumerate(reversed(edges)):
            shared[index] = value
        assert [shared[index] for index in range(-len(edges), 0)] == edges[::-1]
        assert all(value in shared for value in edges)


@pytest.mark.parametrize("typecode", FLOATS)
def test_should_keep_nan(typecode):
    with SharedArray(typecode, [math.nan]) as shared:
        assert math.isnan(shared[0])


SLICES = [slice(*each) for each in [(None,), (2,), (1, 4), (-3, None), (5, 2), (0, 99), (3, 3)]] + [
    slice(None, None, 2),
    slice(None, None, -1),
    slice(6, 0, -3),
    slice(1, 6, 4),
]


@pytest.mark.parametrize("where", SLICES, ids=str)
@every_type
def test_should_be_as_a_list_when_sliced(typecode, where):
    model = [False, True] * 4 if typecode == "?" else list(range(8))
    with SharedArray(typecode, model) as shared:
        assert shared[where] == model[where]
        new = [not each for each in model[where]] if typecode == "?" else [each + 50 for each in model[where]]
        for source in (new, iter(new), tuple(new)):
            shared[:] = model
            shared[where] = source
            model_after = model[:]
            model_after[where] = new
            assert shared.tolist() == model_after


@every_type
def test_should_take_a_buffer_of_its_type(typecode):
    edges = list(EDGES[typecode])
    with SharedArray(typecode, edges) as shared, SharedArray(typecode, len(edges)) as other:
        for source in (shared, shared.view(), (shared._type.ctype * len(edges))(*edges)):
            other.fill(0)
            other[:] = source
            assert other.tolist() == edges
        if typecode != "?":
            other[::-1] = array.array(typecode, edges)
            assert other.tolist() == edges[::-1]
        assert SharedArray(typecode, shared).tolist() == edges


def test_should_move_whole_ranges_when_source_and_target_overlap():
    with SharedArray("i", range(8)) as shared:
        shared[2:] = shared.view()[:6]
        assert shared.tolist() == [0, 1, 0, 1, 2, 3, 4, 5]
        shared[::-1] = shared
        assert shared.tolist() == [5, 4, 3, 2, 1, 0, 1, 0]


def test_should_take_bytes_as_integers():
    with SharedArray("i", b"\x01\xff") as shared:
        assert shared.tolist() == [1, 255]


@every_type
def test_should_fill_whatever_the_length(typecode):
    for length in range(1, 70):
        with SharedArray(typecode, length) as shared:
            for value in EDGES[typecode]:
                shared.fill(value)
                assert shared.tolist() == [value] * length


def test_should_index_beyond_2_to_the_31_bytes():
    free = os.statvfs("/dev/shm")
    if free.f_bavail * free.f_frsize < 3 << 30:
        pytest.skip("/dev/shm has less than 3 GiB left")
    length = 2**31 + 3
    with SharedArray("b", length) as shared:
        assert len(shared) == length
        shared[length - 1] = 7
        shared[-2:-1] = [6]
        assert shared.get_and_add(2**31 + 1, 1) == 6
        assert shared.view()[2**31 :].tolist() == shared[2**31 :] == [0, 7, 7]


# ---- what it refuses ----


@pytest.mark.parametrize("typecode", INTEGERS)
def test_should_refuse_an_integer_when_it_does_not_fit(typecode):
    low, high = INTEGERS[typecode]
    with SharedArray(typecode, [1, 2]) as shared:
        for value in (low - 1, high + 1, 2**100):
            for use in (
                lambda: shared.__setitem__(0, value),
                lambda: shared.__setitem__(slice(None), [0, value]),
                lambda: shared.fill(value),
                lambda: shared.set_volatile(0, value),
                lambda: SharedArray(typecode, [value]),
            ):
                with pytest.raises(OverflowError, match=rf"value={value} .*typecode='{typecode}'"):
                    use()
        assert shared.tolist() == [1, 2]


@pytest.mark.parametrize("typecode", [*INTEGERS, *FLOATS])
@pytest.mark.parametrize("value", ["1", b"1", None, [1], 1j])
def test_should_refuse_what_is_no_number(typecode, value):
    with SharedArray(typecode, 2) as shared:
        for use in (
            lambda: shared.__setitem__(0, value),
            lambda: shared.__setitem__(slice(None), [1, value]),
            lambda: shared.fill(value),
        ):
            with pytest.raises(TypeError, match="value=.*typecode="):
                use()
        assert shared.tolist() == [0, 0]


@pytest.mark.parametrize("typecode", INTEGERS)
def test_should_refuse_a_fraction_when_it_has_integers(typecode):
    with SharedArray(typecode, 1) as shared:
        with pytest.raises(TypeError, match="value=1.5"):
            shared[0] = 1.5
        with pytest.raises(TypeError, match="value=1.0"):
            shared[:] = array.array("d", [1])


def test_should_refuse_an_index_when_it_is_out_of_range():
    with SharedArray("i", 3) as shared:
        for index in (3, -4, 2**31, 2**64):
            for use in (
                lambda: shared[index],
                lambda: shared.__setitem__(index, 1),
                lambda: shared.get_volatile(index),
                lambda: shared.compare_and_set(index, 0, 1),
            ):
                with pytest.raises(IndexError):
                    use()
        with pytest.raises(IndexError, match="index=3; take -3 to 2"):
            shared[3]
        for index in ("0", 1.0, None):
            with pytest.raises(TypeError):
                shared[index]
            with pytest.raises(TypeError):
                shared[index] = 1
            with pytest.raises(TypeError):
                shared.get_volatile(index)


@pytest.mark.parametrize("values", [[], [1], [1, 2, 3, 4], b"1234"])
def test_should_refuse_a_slice_when_the_count_differs(values):
    with SharedArray("i", 3) as shared:
        with pytest.raises(ValueError, match=f"{len(values)} values for the 3 elements"):
            shared[:] = values
        assert shared.tolist() == [0, 0, 0]


@pytest.mark.parametrize("typecode", ["c", "u", "I", "L", "Q", "", "int", "uint8", "complex64", "<i4", None, 3, [], complex])
def test_should_refuse_a_typecode_when_there_is_no_such_type(typecode):
    for shared in (SharedArray, SharedValue):
        with pytest.raises(TypeError, match="typecode=.*take one of"):
            shared(typecode, 1)


@pytest.mark.parametrize("length", [2**64 + 4, 0, -1, 2**63 - 1, [], b""])
def test_should_refuse_a_length_when_it_cannot_be(length):
    with pytest.raises(ValueError, match="length="):
        SharedArray("q", length)


def test_should_tell_when_host_memory_has_no_room():
    with pytest.raises(MemoryFull, match="need=.*free=|free="):
        SharedArray("q", 2**56)


def test_should_refuse_an_object_when_it_exists_otherwise(memory):
    SharedArray("i", 3, memory=memory, name="three")
    for use, asked in (
        (lambda: SharedArray("i", 4, memory=memory, name="three"), "length=4"),
        (lambda: SharedArray("q", 3, memory=memory, name="three"), "int64"),
        (lambda: SharedValue("i", memory=memory, name="three"), "value of int32"),
    ):
        with pytest.raises(TypeMismatch, match=f"array of int32, length=3.*{asked}"):
            use()


def test_should_tell_when_the_segment_has_no_room(memory):
    with pytest.raises(MemoryFull, match="need=.*free="):
        SharedArray("b", 1 << 20, memory=memory, name="large")


def test_should_refuse_half_a_place_and_values_that_may_be_there(memory):
    with pytest.raises(TypeError, match="give both or none"):
        SharedArray("i", 3, memory=memory)
    with pytest.raises(TypeError, match="give both or none"):
        SharedArray("i", 3, name="three")
    with pytest.raises(TypeError, match="name='three'.*takes a length"):
        SharedArray("i", [1, 2, 3], memory=memory, name="three")
    assert memory.objects() == []


# ---- where it is ----


def test_should_be_the_same_memory_when_it_has_the_same_name(memory):
    first = SharedArray("i", 3, memory=memory, name="three")
    second = SharedArray("int32", 3, memory=memory, name="three")
    first[1] = 5
    assert second.tolist() == [0, 5, 0]
    assert memory["three"].tolist() == [0, 5, 0]
    first.close()  # of an object only
    assert second[1] == 5


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_should_be_the_same_memory_when_copied(copied):
    with SharedArray("i", 3) as shared:
        other = copied(shared)
        other[0] = 9
        assert shared[0] == 9
        assert other.memory is shared.memory


# ---- a buffer ----


@every_type
def test_should_have_a_typed_view(typecode):
    with SharedArray(typecode, 6) as shared:
        view = shared.view()
        assert (view.format, view.itemsize, view.nbytes) == (typecode, BYTES[typecode], 6 * BYTES[typecode])
        view[1] = 1
        shared[2] = 1
        assert view.tolist() == shared.tolist() == [0, 1, 1, 0, 0, 0]
        view.release()
        assert shared[1] == 1


@every_type
def test_should_be_a_buffer_itself(typecode):
    with SharedArray(typecode, 3) as shared:
        with memoryview(shared) as view:
            assert (view.shape, view.itemsize, view.readonly) == ((3,), BYTES[typecode], False)
            view.cast("B").cast(typecode)[1] = 1
        assert shared.tolist() == [0, 1, 0]
        one = shared.view()[1:2].tobytes()
        assert bytes(shared) == bytes(len(one)) + one + bytes(len(one))
        assert io.BytesIO(one * 3).readinto(shared) == 3 * len(one)
        assert shared.tolist() == [1, 1, 1]
        assert {shared: 1}[shared] == 1
        assert type(shared).__name__ == "SharedArray"


@every_type
def test_should_have_a_numpy_array_without_a_copy(typecode):
    numpy = pytest.importorskip("numpy")
    with SharedArray(typecode, EDGES[typecode]) as shared:
        for elements in (shared.numpy(), numpy.asarray(shared)):
            assert elements.dtype == numpy.dtype(DTYPES[typecode])
            assert elements.tolist() == list(EDGES[typecode])
            elements[0] = 1
            assert shared[0] == 1
            shared[0] = EDGES[typecode][0]
            assert elements[0] == EDGES[typecode][0]


@every_type
def test_should_take_numpy(typecode):
    numpy = pytest.importorskip("numpy")
    edges = list(EDGES[typecode])
    source = numpy.array(edges, DTYPES[typecode])
    with SharedArray(source.dtype, source) as shared:
        assert shared.tolist() == edges
        shared[:] = source[::-1]
        assert shared.tolist() == edges[::-1]
        shared[0] = source[0]
        assert shared[0] == edges[0]
    with SharedArray(source.dtype.type, 1) as shared:
        assert shared.typecode == typecode


def test_should_refuse_numpy_when_it_is_of_another_type():
    numpy = pytest.importorskip("numpy")
    with SharedArray("i", 4) as shared:
        with pytest.raises(TypeError, match="value=.*0.5"):
            shared[:] = numpy.full(4, 0.5)
        with pytest.raises(OverflowError, match="value=.*4294967296"):
            shared[:] = numpy.full(4, 2**32)
        with pytest.raises(TypeError):
            shared[:2] = numpy.zeros((2, 2), "int32")
        assert shared.tolist() == [0] * 4


# ---- the end ----


@pytest.mark.parametrize("use", EVERY_USE)
def test_should_refuse_use_after_close(use, memory):
    own = SharedArray("i", 3)
    own.close()
    own.close()
    with SharedMemory.anonymous(4096) as segment:
        there = SharedArray("i", 3, memory=segment, name="three")
    for shared in (own, there):
        with pytest.raises(Closed, match="three|array.* is closed"):
            EVERY_USE[use](shared)
    assert len(own) == 3


def test_should_refuse_numpy_and_a_new_object_after_close():
    with SharedMemory.anonymous(4096) as segment:
        shared = SharedArray("i", 3, memory=segment, name="three")
    with pytest.raises(Closed):
        SharedArray("i", 3, memory=segment, name="three")
    with pytest.raises(Closed):
        segment["three"]
    pytest.importorskip("numpy")
    with pytest.raises(Closed):
        shared.numpy()


def views(shared):
    yield shared.view()
    yield shared.view()[1::2]
    yield (ctypes.c_int * len(shared)).from_buffer(shared.view())
    yield memoryview(shared).cast("B").cast("i")
    try:
        import numpy
    except ImportError:
        return
    yield shared.numpy()
    yield shared.numpy()[1:].view("int16")
    yield numpy.asarray(shared)


def use(kept):
    for view in kept:
        view[0] = 1
        view[len(view) - 1] = view[0]


def test_should_not_fault_when_a_view_outlives_all_else():
    shared = SharedArray("i", 10000)
    kept = list(views(shared))
    shared.close()
    use(kept)
    del shared
    gc.collect()
    use(kept)
    assert processes.ends_well(processes.forked(use, kept))
    while kept:
        kept.pop()
        gc.collect()
        use(kept)


def test_should_unmap_when_the_last_view_is_gone():
    def mapped():
        with open("/proc/self/maps") as maps:
            return name in maps.read()

    shared = SharedArray("i", 1000)
    name = shared.memory.name
    view = shared.view()
    shared.close()
    del shared
    gc.collect()
    assert mapped()
    del view
    gc.collect()
    assert not mapped()


def test_should_be_closed_when_it_is_collected():
    name = SharedArray("i", 1000).memory.name
    gc.collect()
    assert not os.path.exists(f"/dev/shm/polyshm.{name}")


def test_should_not_fault_when_threads_use_what_another_closes():
    for _ in range(50):
        shared = SharedArray("i", 1000)
        begun = threading.Barrier(4)

        def hammer():
            begun.wait()
            try:
                for index in range(10**6):
                    shared[index % 1000] = index
                    shared.get_and_add(index % 1000, 1)
            except Closed:
                return

        threads = [threading.Thread(target=hammer) for _ in range(3)]
        for thread in threads:
            thread.start()
        begun.wait()
        shared.close()
        for thread in threads:
            thread.join()


AT_EXIT = """
import atexit, sys, threading
import polyshm

shared = polyshm.SharedArray("i", 100000)
view = shared.view()
print(shared.memory.name)

def hammer(begun):
    index = 0
    while True:
        view[index % len(view)] = index % 1000
        try:
            shared[index % len(view)] = shared.get_and_add(0, 1) % 1000
        except polyshm.Closed:
            pass
        index += 1
        begun.set()

for _ in range(3):
    begun = threading.Event()
    threading.Thread(target=hammer, args=(begun,), daemon=True).start()
    begun.wait()

class Late:  # deleted when the modules are torn down
    def __init__(self, view):
        self.view = view
    def __del__(self):
        self.view[0] = 1
        self.view[len(self.view) - 1] = 2

sys.late = Late(shared.view())
sys.later = sys.late
late = Late(shared.view())
atexit.register(lambda: late.__del__())
"""


def test_should_not_fault_when_the_interpreter_ends(python):
    for _ in range(5):
        name = python(AT_EXIT).strip()
        assert not os.path.exists(f"/dev/shm/polyshm.{name}")
