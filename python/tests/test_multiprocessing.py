# SPDX-License-Identifier: Apache-2.0
"""What polyshm.multiprocessing has beyond the standard module, and where it differs from it."""

from __future__ import annotations

import ctypes
import multiprocessing as standard
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import polyshm
import pytest
from polyshm import multiprocessing
from polyshm._library import library

START_METHODS = ("fork", "spawn", "forkserver")
ROOT = Path(__file__).parents[2]


@pytest.fixture(params=START_METHODS)
def context(request):
    return multiprocessing.get_context(request.param)


@pytest.fixture
def start(context):
    """Starts a process that ends with the test."""
    started = []

    def start(target, *args):
        process = context.Process(target=target, args=args, daemon=True)
        process.start()
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.join()
        process.close()


def ended_well(process):
    process.join(60)
    return process.exitcode == 0


# ---- the module ----


def test_should_have_everything_that_the_standard_module_has():
    for name in standard.__all__:
        assert hasattr(multiprocessing, name), name
    from polyshm.multiprocessing import Process, Queue, connection, shared_memory

    assert Process is standard.Process
    assert Queue == standard.Queue
    assert connection is standard.connection
    assert shared_memory is standard.shared_memory
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        multiprocessing.nothing  # noqa: B018


def test_should_give_ours_from_a_context_and_the_standard_for_the_rest(context):
    assert isinstance(context.Lock(), multiprocessing.Lock)
    assert isinstance(context.get_context().Event(), multiprocessing.Event)
    assert context.get_context("spawn").get_start_method() == "spawn"
    assert context.Value("i").handle
    assert isinstance(context.Queue()._rlock, standard.synchronize.Lock)
    assert context.Process is standard.get_context(context.get_start_method()).Process
    assert pickle.loads(pickle.dumps(context)) is context.get_context(context.get_start_method()) is context
    with pytest.raises(ValueError):
        context.get_context("none")


def remember(*shared):
    global lock, total
    lock, total = shared


def add_to_total(number):
    with lock:
        total.value += number


def test_should_serve_the_pools_of_the_standard_library(context):
    lock, total = context.Lock(), context.RawValue("i")
    with context.Pool(2, remember, (lock, total)) as pool:
        pool.map(add_to_total, range(50), chunksize=1)
        pool.close()
        pool.join()
    with ProcessPoolExecutor(2, context, remember, (lock, total)) as executor:
        list(executor.map(add_to_total, range(50)))
    assert total.value == 2 * sum(range(50))


def take_two(queue):
    for number in range(2):
        assert queue.get(timeout=60) == number
        queue.task_done()


def test_should_serve_the_queues_of_the_standard_library(context, start):
    queue = standard.queues.JoinableQueue(2, ctx=context)
    queue.put(0)
    queue.put(1)
    assert queue.full()
    assert queue.qsize() == 2
    assert ended_well(start(take_two, queue))
    queue.join()
    assert queue.qsize() == 0
    queue.close()
    queue.join_thread()


# ---- values and arrays ----

EDGES = {
    "c": (b"\0", b"\xff"),
    "u": ("\0", "\U0010ffff"),
    "b": (-(2**7), 2**7 - 1),
    "B": (0, 2**8 - 1),
    "h": (-(2**15), 2**15 - 1),
    "H": (0, 2**16 - 1),
    "i": (-(2**31), 2**31 - 1),
    "I": (0, 2**32 - 1),
    "l": (-(2**63), 2**63 - 1),
    "L": (0, 2**64 - 1),
    "q": (-(2**63), 2**63 - 1),
    "Q": (0, 2**64 - 1),
    "f": (-0.0, float("inf")),
    "d": (sys.float_info.min, -sys.float_info.max),
}
JAVA = dict(zip("cubBhHiIlLqQfd", "bibbhHiiqqqqfd"))


def swap(pairs):
    for value, array in pairs:
        value.value, array[1] = array[1], value.value


def test_should_share_every_typecode(start):
    assert list(EDGES) == list(standard.sharedctypes.typecode_to_type)
    pairs = [
        (multiprocessing.Value(code, low), multiprocessing.Array(code, [low, high, low]))
        for code, (low, high) in EDGES.items()
    ]
    assert ended_well(start(swap, pairs))
    for (value, array), (code, (low, high)) in zip(pairs, EDGES.items()):
        assert value.value == high, code
        assert [array[i] for i in range(3)] == [low] * 3, code


@pytest.mark.parametrize("code", EDGES)
def test_should_have_the_width_that_others_see(code):
    low, high = EDGES[code]
    value = multiprocessing.Value(code, low)
    array = multiprocessing.Array(code, [low, high])
    seen, seen_array = polyshm.attach(value.handle), polyshm.attach(array.handle)
    assert isinstance(seen, polyshm.SharedValue)
    assert seen.typecode == seen_array.typecode == JAVA[code]
    assert len(seen_array) == 2
    value.value = high
    assert bytes(seen._view) == bytes(value.get_obj())
    assert bytes(seen_array.view()) == bytes(array.get_obj())


class Point(ctypes.Structure):
    _fields_ = [("x", ctypes.c_double), ("n", ctypes.c_int), ("handle", ctypes.c_int)]


def move(point, points, value):
    point.x, point.n, point.handle = 2.5, 7, 8
    points[1].x = -1.0
    value.value = True


def test_should_share_structures_and_ctypes_types(start):
    point = multiprocessing.Value(Point, 1.5, 3)
    points = multiprocessing.RawArray(Point, [(1.0, 2, 3), (4.0, 5, 6)])
    value = multiprocessing.Value(ctypes.c_bool)
    assert (point.x, point.n, point.handle) == (1.5, 3, 0)
    assert ended_well(start(move, point, points, value))
    assert (point.x, point.n, point.handle) == (2.5, 7, 8)
    assert [each.x for each in points] == [1.0, -1.0]
    assert value.value is True
    assert polyshm.attach(value.handle).typecode == "?"


def test_should_take_an_array_of_nothing_and_one_of_arrays():
    assert len(multiprocessing.Array("i", 0)) == len(multiprocessing.RawArray("d", [])) == 0
    rows = multiprocessing.RawArray(ctypes.c_int * 3, 2)
    rows[1][2] = 9
    assert [list(row) for row in rows] == [[0, 0, 0], [0, 0, 9]]
    copied = multiprocessing.sharedctypes.copy(rows)
    rows[1][2] = 0
    assert copied[1][2] == 9


def add(value, times):
    for _ in range(times):
        with value.get_lock(), value.get_lock():
            value.value += 1


def test_should_count_exactly_when_its_lock_is_nested(start):
    value = multiprocessing.Value("i", 0)
    processes = [start(add, value, 500) for _ in range(2)]
    add(value, 500)
    assert all(map(ended_well, processes))
    assert value.value == 1500


def test_should_have_the_lock_that_others_have():
    value = multiprocessing.Value("i", 0)
    lock = polyshm.attach(value.handle).lock
    with value.get_lock():
        assert not in_thread(lambda: lock.acquire(blocking=False))
    assert in_thread(lambda: lock.acquire(blocking=False) and not lock.release())


def in_thread(function):
    told = []
    thread = threading.Thread(target=lambda: told.append(function()))
    thread.start()
    thread.join(60)
    return told[0]


def double(here, there):
    value = here.get(timeout=60)
    value.value *= 2
    there.put(value)


def test_should_pass_through_a_queue(context, start):
    here, there = context.Queue(), context.Queue()
    value = multiprocessing.Value("q", 21)
    process = start(double, here, there)
    here.put(value)
    back = there.get(timeout=60)
    assert ended_well(process)
    assert back.value == value.value == 42
    assert back.handle == value.handle


def put(array):
    array[0] = 1


def test_should_stay_until_the_child_has_it(start):
    """A process that has been started drops its arguments, and the child may not have come to them."""
    process = start(put, multiprocessing.Array("i", 1))
    assert ended_well(process)


def make_another(queue):
    queue.put(multiprocessing.Value("i", 1).handle)


def test_should_not_be_what_a_child_makes_meanwhile(context, start):
    values = [multiprocessing.Value("i", 2)]
    queue = context.SimpleQueue()
    process = start(make_another, queue)
    values.append(multiprocessing.Value("i", 3))
    assert queue.get() not in [value.handle for value in values]
    assert ended_well(process)
    assert [value.value for value in values] == [2, 3]


# ---- what thousands of them cost ----

MANY = """
import os, resource
from polyshm import multiprocessing
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
def descriptors():
    return len(os.listdir("/proc/self/fd"))
before = descriptors()
values = [multiprocessing.Value("i", number) for number in range(5000)]
locks = [multiprocessing.Lock() for _ in range(1000)]
def work():
    assert all(value.value == number for number, value in enumerate(values))
    for lock in locks:
        with lock:
            values[0].value += 1
child = multiprocessing.Process(target=work)
child.start()
child.join()
assert child.exitcode == 0, child.exitcode
child.close()
assert values[0].value == 1000
print("descriptors of 6000 objects:", descriptors() - before)
del values, locks
assert descriptors() == before, descriptors()
for number in range(2000):
    multiprocessing.Value("d", number), multiprocessing.Event()
    assert descriptors() <= before
assert not [name for name in os.listdir("/dev/shm") if name.startswith("polyshm.")]
"""


def test_should_have_thousands_with_few_descriptors():
    done = subprocess.run([sys.executable, "-c", MANY], stdout=subprocess.PIPE, text=True, timeout=300)
    assert done.returncode == 0
    print(done.stdout)


# ---- locks ----


def hold(lock, held):
    lock.acquire()
    held.set()
    time.sleep(600)


@pytest.mark.parametrize("kind", ["Lock", "RLock", "value"])
def test_should_tell_of_a_death_and_be_repaired(kind, start):
    value = multiprocessing.Value("i", 5)
    lock = value.get_lock() if kind == "value" else getattr(multiprocessing, kind)()
    held = multiprocessing.Event()
    process = start(hold, lock, held)
    assert held.wait(60)
    assert not lock.acquire(timeout=0)
    os.kill(process.pid, signal.SIGKILL)
    for _ in range(2):
        with pytest.raises(polyshm.OwnerDied) as told:
            lock.acquire()
        assert told.value.death.pid == process.pid
    if kind == "value":
        with pytest.raises(polyshm.OwnerDied):
            value.value += 1
    seen = []
    lock.repair(lambda death: seen.append(death.pid))
    assert seen == [process.pid]
    with lock:
        assert not in_thread(lambda: lock.acquire(False))
    assert value.value == 5


def test_should_not_be_taken_twice_by_a_lock():
    lock = multiprocessing.Lock()
    with lock:
        assert not lock.acquire(False)
        assert not lock.acquire(True, 0.01)
        assert not lock.acquire(timeout=-1)
        with pytest.raises(RuntimeError, match="holds it already"):
            lock.acquire()
    with pytest.raises(ValueError, match="not hold"):
        lock.release()


@pytest.mark.parametrize("kind, error", [("Lock", ValueError), ("RLock", AssertionError)])
def test_should_be_released_by_its_holder_only(kind, error):
    lock = getattr(multiprocessing, kind)()

    def release():
        with pytest.raises(error, match="not hold"):
            lock.release()
        return True

    with lock:
        assert in_thread(release)
    assert in_thread(lambda: lock.acquire(False) and not lock.release())


def leave_block(lock, told):
    told.value = int(not lock.acquire(False))


def test_should_not_be_held_by_a_forked_child():
    lock, told = multiprocessing.Lock(), multiprocessing.Value("i")
    with lock:
        process = standard.get_context("fork").Process(target=leave_block, args=(lock, told))
        process.start()
        process.join(60)
    assert told.value == 1
    with lock:
        pass


def test_should_show_who_holds_it():
    lock, rlock = multiprocessing.Lock(), multiprocessing.RLock()
    assert repr(lock) == "<Lock(owner=None)>"
    assert repr(rlock) == "<RLock(None, 0)>"
    with lock, rlock, rlock:
        assert repr(lock) == "<Lock(owner=MainProcess)>"
        assert repr(rlock) == "<RLock(MainProcess, 2)>"
        assert in_thread(lambda: repr(lock)) == "<Lock(owner=SomeOtherThread)>"
        assert in_thread(lambda: repr(rlock)) == "<RLock(SomeOtherThread, nonzero)>"
    assert repr(multiprocessing.Semaphore(2)) == "<Semaphore(value=2)>"
    assert repr(multiprocessing.BoundedSemaphore(2)) == "<BoundedSemaphore(value=2, maxvalue=2)>"


# ---- semaphores ----


def take(semaphore):
    semaphore.acquire()


def hold_permit(semaphore, held):
    with semaphore:
        held.set()
        time.sleep(600)


def test_should_count_right_when_threads_release_and_acquire_one_semaphore():
    """One may release between the two steps of another's acquire."""
    semaphore, times = multiprocessing.Semaphore(0), 5000

    def release():
        for _ in range(times):
            semaphore.release()

    thread = threading.Thread(target=release)
    thread.start()
    for _ in range(times):
        assert semaphore.acquire(timeout=60)
    thread.join()
    assert (semaphore.get_value(), semaphore.held) == (0, 0)


@pytest.mark.parametrize("kind", ["Semaphore", "BoundedSemaphore"])
def test_should_keep_what_acquire_took_and_give_back_what_with_took(kind, start):
    semaphore, held = getattr(multiprocessing, kind)(2), multiprocessing.Event()
    assert ended_well(start(take, semaphore))
    assert semaphore.get_value() == 1
    process = start(hold_permit, semaphore, held)
    assert held.wait(60)
    assert semaphore.get_value() == 0
    os.kill(process.pid, signal.SIGKILL)
    assert semaphore.acquire(timeout=60)
    assert semaphore.get_value() == 0
    semaphore.release()
    semaphore.release()
    assert semaphore.get_value() == 2


def give(semaphore):
    semaphore.release()


def test_should_be_released_by_another_process(start):
    """As the standard's queues do with the places that are left."""
    semaphore = multiprocessing.BoundedSemaphore(1)
    for _ in range(3):
        semaphore.acquire()
        assert ended_well(start(give, semaphore))
        assert semaphore.get_value() == 1
    with pytest.raises(ValueError):
        semaphore.release()
    assert semaphore.get_value() == 1


# ---- conditions, events, barriers ----


def test_should_have_several_conditions_of_a_lock():
    for lock in (multiprocessing.Lock(), multiprocessing.RLock(), multiprocessing.Value("i").get_lock()):
        full, empty = multiprocessing.Condition(lock), multiprocessing.Condition(lock)
        with full:
            assert not empty.wait(0)
            assert not full.wait_for(lambda: False, 0.01)
        with pytest.raises((AssertionError, RuntimeError)):
            full.notify()


def test_should_refuse_a_lock_of_another_kind():
    with pytest.raises(TypeError, match="Lock"):
        multiprocessing.Condition(threading.Lock())


def await_twice(barrier):
    barrier.wait()
    barrier.wait()


def test_should_not_break_when_a_party_ends_in_order(start):
    barrier = multiprocessing.Barrier(2, timeout=60)
    assert ended_well(start(noop, barrier))
    process = start(await_twice, barrier)
    barrier.wait()
    barrier.wait()
    assert ended_well(process)
    assert not barrier.broken


def noop(barrier):
    assert barrier.parties == 2


def test_should_break_when_a_party_dies(start):
    barrier, held = multiprocessing.Barrier(2, timeout=60), multiprocessing.Event()
    process = start(hold_barrier, barrier, held)
    assert held.wait(60)
    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(threading.BrokenBarrierError):
        barrier.wait()


def hold_barrier(barrier, held):
    assert not barrier.broken
    held.set()
    time.sleep(600)


# ---- with other languages ----

PEER = r"""
#include <polyshm.h>
#include <stdio.h>
#include <string.h>
/* The segment of a handle, which becomes the name of the object. */
static pshm_segment *attach(char **handle) {
    pshm_segment *segment = NULL;
    char *slash = strchr(*handle, '/');
    *slash = 0;
    pshm_segment_open(*handle, NULL, &segment);
    *handle = slash + 1;
    return segment;
}
/* Handles of a value, an array, a semaphore and an event. */
int main(int count, char **handles) {
    pshm_segment *segments[4];
    pshm_value *value;
    pshm_array *array;
    pshm_semaphore *semaphore;
    pshm_event *event;
    if (count != 5)
        return 1;
    handles++;
    for (int i = 0; i < 4; i++)
        if ((segments[i] = attach(&handles[i])) == NULL)
            return puts(pshm_error_detail()), 1;
    if (pshm_value_open(segments[0], handles[0], PSHM_INT32, &value) != 0 ||
        pshm_array_open(segments[1], handles[1], PSHM_FLOAT64, 2, &array) != 0 ||
        pshm_semaphore_open(segments[2], handles[2], 0, 0, &semaphore) != 0 ||
        pshm_event_open(segments[3], handles[3], &event) != 0)
        return puts(pshm_error_detail()), 1;
    pshm_lock *lock = pshm_value_lock(value);
    for (int i = 0; i < 1000; i++) {
        if (pshm_lock_acquire(lock) != 0)
            return 2;
        ++*(int32_t *)pshm_value_data(value);
        pshm_lock_release(lock);
    }
    ((double *)pshm_array_data(array))[1] = 0.5;
    return pshm_semaphore_release(semaphore, 1) || pshm_event_set(event);
}
"""


def test_should_share_with_a_program_in_c(tmp_path):
    source, program = tmp_path / "peer.c", tmp_path / "peer"
    source.write_text(PEER)
    subprocess.run(["cc", "-o", program, source, f"-I{ROOT / 'native' / 'include'}", library._name], check=True)
    value, array = multiprocessing.Value("i", 0), multiprocessing.Array("d", 2)
    semaphore, event = multiprocessing.Semaphore(0), multiprocessing.Event()
    peer = subprocess.Popen(
        [program, value.handle, array.handle, semaphore.handle, event.handle],
        env={**os.environ, "LD_PRELOAD": library._name},  # found under its versioned name, wherever it is
    )
    add(value, 1000)
    assert event.wait(60)
    assert semaphore.acquire(timeout=60)
    assert peer.wait(60) == 0
    assert value.value == 2000
    assert list(array) == [0.0, 0.5]


# ---- Python's tutorial, moved over by its import line ----

TUTORIAL = """
from polyshm.multiprocessing import Process, Value, Array, Lock

def f(n, a):
    n.value = 3.1415927
    for i in range(len(a)):
        a[i] = -a[i]

def g(l, i):
    l.acquire()
    try:
        print('hello world', i, flush=True)
    finally:
        l.release()

if __name__ == '__main__':
    num = Value('d', 0.0)
    arr = Array('i', range(10))

    p = Process(target=f, args=(num, arr))
    p.start()
    p.join()

    print(num.value)
    print(arr[:])

    lock = Lock()
    processes = [Process(target=g, args=(lock, num)) for num in range(10)]
    for each in processes:
        each.start()
    for each in processes:
        each.join()
"""


def test_should_run_the_tutorial(context, tmp_path):
    program = tmp_path / "tutorial.py"
    chosen = f"import multiprocessing\nmultiprocessing.set_start_method({context.get_start_method()!r})\n"
    main = "if __name__ == '__main__':\n"
    program.write_text(TUTORIAL.replace(main, main + "    " + chosen.replace("\n", "\n    ", 1)))
    done = subprocess.run([sys.executable, program], stdout=subprocess.PIPE, text=True, timeout=120)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[:2] == ["3.1415927", "[0, -1, -2, -3, -4, -5, -6, -7, -8, -9]"]
    assert sorted(lines[2:]) == [f"hello world {i}" for i in range(10)]
