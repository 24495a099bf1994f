# SPDX-License-Identifier: Apache-2.0
"""Shared objects on their way to other processes."""

from __future__ import annotations

import gc
import os
import pickle

import processes
import pytest

from polyshm import Closed, NotFound, SharedArray, SharedMemory, SharedValue


def add_all(array, value, memory):
    value.get_and_add(sum(array))
    array[0] += 100
    memory["late"].value = os.getpid()
    assert array.memory is value.memory is memory


def test_should_travel_as_arguments(context, memory):
    array = SharedArray("i", 3, memory=memory, name="three")
    array[:] = [1, 2, 3]
    value = SharedValue("q", memory=memory, name="sum")
    late = SharedValue("i", memory=memory, name="late")
    processes.run(context, add_all, array, value, memory)
    assert array.tolist() == [101, 2, 3]
    assert value.value == 6
    assert late.value not in (0, os.getpid())
    assert len(memory.participants()) == 1


def double(tasks, results):
    for shared in iter(tasks.get, None):
        shared[:] = [2 * each for each in shared]
        results.put(shared)


def test_should_travel_by_queue_and_come_back_as_the_same_memory(context):
    tasks, results = context.Queue(), context.Queue()
    worker = processes.process(context, double, tasks, results)
    worker.start()
    for typecode in "bhHiqfd":
        with SharedArray(typecode, [1, 2, 3]) as shared:
            tasks.put(shared)
            back = results.get()
            assert shared.tolist() == [2, 4, 6]
            assert back.memory is shared.memory
            assert back.typecode == typecode
    tasks.put(None)
    worker.join()
    assert worker.exitcode == 0


def answer(connection):
    memory = connection.recv()
    connection.send(memory["one"])
    made = SharedArray("i", [7, 8])
    connection.send(made)
    connection.recv()


def test_should_travel_by_pipe(context, memory):
    SharedValue("d", memory=memory, name="one").value = 2.5
    here, there = context.Pipe()
    worker = processes.process(context, answer, there)
    worker.start()
    here.send(memory)
    assert here.recv().value == 2.5
    made = here.recv()
    assert made.tolist() == [7, 8]
    here.send("done")
    worker.join()
    assert worker.exitcode == 0
    assert made.tolist() == [7, 8]  # it lives as long as one has it
    path = f"/dev/shm/polyshm.{made.memory.name}"
    assert os.path.exists(path)
    made.close()
    assert not os.path.exists(path)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_should_come_back_to_the_same_process_as_the_same_memory(protocol, memory):
    with SharedArray("i", [1, 2, 3]) as own:
        there = SharedValue("i", memory=memory, name="one")
        arrived = pickle.loads(pickle.dumps((own, there, memory), protocol))
        assert arrived[0].memory is own.memory
        assert arrived[1].memory is arrived[2] is memory
        arrived[0][0] = 9
        assert own[0] == 9
        assert len(memory.participants()) == 1


@pytest.mark.parametrize("make", [lambda: SharedArray("i", 3), lambda: SharedValue("i"), lambda: SharedMemory.anonymous(64)])
def test_should_not_travel_after_close(make):
    shared = make()
    shared.close()
    with pytest.raises(Closed, match="pickle: segment=anonymous.*send it before"):
        pickle.dumps(shared)


def test_should_tell_when_the_segment_is_gone():
    shared = SharedArray("i", 3)
    sent = pickle.dumps(shared)
    name = shared.memory.name
    shared.close()
    with pytest.raises(NotFound, match=name):
        pickle.loads(sent)


def test_should_tell_when_the_name_is_of_another_segment(name):
    with SharedMemory.create(name, 4096) as memory:
        sent = pickle.dumps(SharedArray("i", 3, memory=memory, name="three"))
    SharedMemory.unlink(name)
    with SharedMemory.create(name, 4096) as other:
        SharedArray("i", 3, memory=other, name="three")
        with pytest.raises(NotFound, match=f"segment={name} is another one"):
            pickle.loads(sent)
        assert len(other.participants()) == 1


def test_should_open_it_again_when_it_was_closed_here(name):
    with SharedMemory.create(name, 4096) as memory:
        sent = pickle.dumps(SharedArray("i", 3, memory=memory, name="three"))
    with pickle.loads(sent).memory as arrived:
        assert arrived is not memory
        assert arrived["three"].tolist() == [0, 0, 0]
    gc.collect()


def test_should_keep_what_is_its_own_when_it_travels(memory):
    there = pickle.loads(pickle.dumps(SharedArray("i", 3, memory=memory, name="three")))
    there.close()
    assert not memory.closed
    own = SharedArray("i", 3)
    pickle.loads(pickle.dumps(own)).close()
    assert own.memory.closed


def use_inherited(array, view):
    array[0] = view[1]
    array.memory.close()
    view[2] = view[1]


def test_should_be_used_at_once_by_a_forked_child():
    with SharedArray("i", [1, 2, 3]) as array:
        assert processes.ends_well(processes.forked(use_inherited, array, array.view()))
        assert array.tolist() == [2, 2, 2]
        array.get_and_add(0, 1)
        assert array[0] == 3
