# SPDX-License-Identifier: Apache-2.0
"""Segments: how they are made and found, and how they end with their processes."""

from __future__ import annotations

import gc
import os
import signal
import struct
from datetime import datetime, timezone
from pathlib import Path

import processes
import pytest

import polyshm
from polyshm import (
    AlreadyExists,
    Closed,
    Lifetime,
    LockHeld,
    MemoryFull,
    NotFound,
    PermissionDenied,
    SharedArray,
    SharedMemory,
    SharedValue,
    TooManyParticipants,
    TypeMismatch,
    WrongLayout,
    attach,
)


def path(name):
    return Path("/dev/shm", f"polyshm.{name}")


# ---- to make and to find ----


def test_should_be_found_by_name_when_created(name):
    with SharedMemory.create(name, 4096) as memory:
        assert (memory.name, memory.size_bytes, memory.free_bytes) == (name, 4096, 4096)
        assert memory.lifetime is Lifetime.PERSISTENT
        SharedArray("i", 3, memory=memory, name="three")[0] = 7
        assert memory.free_bytes < 4096
        with SharedMemory.open(name) as other:
            assert other["three"].tolist() == [7, 0, 0]
    with SharedMemory.open_or_create(name, 1 << 20) as memory:
        assert memory.size_bytes == 4096
        assert memory["three"].tolist() == [7, 0, 0]
    SharedMemory.unlink(name)
    with pytest.raises(NotFound, match=name):
        SharedMemory.open(name)
    with pytest.raises(NotFound, match=name):
        SharedMemory.unlink(name)


def test_should_refuse_to_create_when_it_exists(name):
    with SharedMemory.create(name, 4096):
        with pytest.raises(AlreadyExists, match=name):
            SharedMemory.create(name, 4096)


def test_should_have_the_permissions_asked_for(name):
    with SharedMemory.create(name, 4096, permissions=0o640):
        assert path(name).stat().st_mode & 0o777 == 0o640


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")
def test_should_refuse_another_users_segment_unless_it_may(name):
    SharedMemory.create(name, 4096).close()
    os.chown(path(name), 12345, -1)
    with pytest.raises(PermissionDenied, match=name):
        SharedMemory.open(name)
    with pytest.raises(PermissionDenied, match=name):
        attach(f"{name}/value")
    SharedMemory.open(name, allow_other_owner=True).close()


@pytest.mark.parametrize("bad", ["", "a/b", ".hidden", "x" * 96, "é", "a b", "nul\0nul", "\udcff"])
def test_should_refuse_a_name_that_cannot_be(bad, memory):
    for use in (
        lambda: SharedMemory.create(bad, 4096),
        lambda: SharedMemory.open(bad),
        lambda: SharedMemory.open_or_create(bad, 4096),
        lambda: SharedMemory.unlink(bad),
        lambda: SharedArray("i", 3, memory=memory, name=bad),
        lambda: memory[bad],
    ):
        with pytest.raises(ValueError):
            use()
    assert memory.objects() == []


@pytest.mark.parametrize("size", [2**64 + 8192, -1, 2**62])
def test_should_refuse_a_size_that_cannot_be(size, name):
    with pytest.raises((ValueError, MemoryFull)):
        SharedMemory.create(name, size)
    assert not path(name).exists()


def test_should_not_be_made_by_its_class():
    with pytest.raises(TypeError, match="take create, open"):
        SharedMemory()


def test_should_list_its_objects_and_participants(memory):
    before = datetime.now(timezone.utc)
    SharedArray("H", 3, memory=memory, name="letters")
    SharedValue("d", memory=memory, name="price")
    assert [(each.name, each.kind, each.typecode, each.length) for each in memory.objects()] == [
        ("letters", "SharedArray", "H", 3),
        ("price", "SharedValue", "d", 1),
    ]
    (me,) = memory.participants()
    assert me.pid == os.getpid()
    assert abs((me.since - before).total_seconds()) < 3600
    with pytest.raises(NotFound, match="none-such"):
        memory["none-such"]


def damage(offset, data):
    def change(file):
        file.seek(offset)
        file.write(data)

    return change


@pytest.mark.parametrize(
    "change",
    [
        damage(0, b"NOSEGMNT"),
        damage(12, struct.pack("=H", 2)),
        damage(14, struct.pack("=H", 99)),
        damage(18, b"\2"),
        damage(19, b"\7"),
        damage(120, bytes(8)),
        lambda file: file.truncate(100),
    ],
    ids=["magic", "major", "minor", "libc", "architecture", "checksum", "size"],
)
def test_should_refuse_another_layout(name, change):
    SharedMemory.create(name, 4096).close()
    with path(name).open("r+b") as file:
        change(file)
    for use in (
        lambda: SharedMemory.open(name),
        lambda: SharedMemory.open_or_create(name, 4096),
        lambda: attach(f"{name}/value"),
    ):
        with pytest.raises(WrongLayout, match=name):
            use()
    assert path(name).exists()


# ---- handles ----


def test_should_attach_to_what_a_handle_tells(name):
    with SharedMemory.create(name, 4096) as memory:
        shared = SharedArray("i", 3, memory=memory, name="three")
        assert shared.handle == f"{name}/three"
        with attach(shared.handle) as other:
            other[1] = 4
            assert len(memory.participants()) == 2
        with SharedArray.attach(shared.handle) as other:
            assert other.tolist() == shared.tolist() == [0, 4, 0]
        assert len(memory.participants()) == 1
        with pytest.raises(TypeMismatch, match="three.*no SharedValue"):
            SharedValue.attach(shared.handle)
        with pytest.raises(NotFound, match="four"):
            attach(f"{name}/four")
        assert len(memory.participants()) == 1


@pytest.mark.parametrize("handle", ["", "name", "a/b/c", "/", "a/", "/b"])
def test_should_refuse_what_is_no_handle(handle):
    with pytest.raises((ValueError, NotFound)):
        attach(handle)


def test_should_attach_in_a_new_process(python):
    with SharedArray("i", 3) as shared:
        python("import polyshm, sys; polyshm.attach(sys.argv[1])[1] = 5", shared.handle)
        assert shared.tolist() == [0, 5, 0]


# ---- the end ----


def test_should_be_closed_once(name):
    memory = SharedMemory.create(name, 4096)
    assert not memory.closed
    memory.close()
    memory.close()
    assert memory.closed
    assert memory.name == name
    for use in (memory.objects, memory.participants, lambda: memory["x"]):
        with pytest.raises(Closed, match=name):
            use()


def test_should_refuse_to_close_when_a_lock_is_held(memory):
    shared = SharedValue("i", memory=memory, name="one")
    library = polyshm._library.library
    lock = library.pshm_value_lock(shared._handle)
    assert library.pshm_lock_acquire(lock) == 0
    with pytest.raises(LockHeld, match="one"):
        memory.close()
    assert not memory.closed
    shared.value = 4
    assert library.pshm_lock_release(lock) == 0


def test_should_go_with_the_last_process_when_anonymous():
    memory = SharedMemory.anonymous(4096)
    assert memory.lifetime is Lifetime.LAST_OUT
    assert path(memory.name).exists()
    other = SharedMemory.open(memory.name)
    memory.close()
    assert path(memory.name).exists()
    other.close()
    assert not path(memory.name).exists()


def test_should_go_when_it_is_collected():
    memory = SharedMemory.anonymous(4096)
    name = memory.name
    del memory
    gc.collect()
    assert not path(name).exists()


MAKE = "import polyshm; memory = polyshm.SharedMemory.anonymous(4096); print(memory.name)"


@pytest.mark.parametrize(
    "program, code",
    [
        (MAKE, 0),
        (f"import multiprocessing.util\n{MAKE}", 0),
        (f"{MAKE}\nimport multiprocessing.util", 0),
        (f"{MAKE}\nimport multiprocessing; multiprocessing.get_logger()", 0),
        (f"{MAKE}\nraise SystemExit(3)", 3),
        (f"{MAKE}\nraise KeyError", 1),
        (f"import os\n{MAKE}\npid = os.fork()\nif pid: os.waitpid(pid, 0)", 0),
        (f"import os, multiprocessing.util\n{MAKE}\nif os.fork(): os.wait()\nelse: memory.anonymous(64)", 0),
    ],
    ids=["plain", "after multiprocessing", "before multiprocessing", "logger", "exit", "uncaught", "fork", "fork mp"],
)
def test_should_go_when_the_interpreter_ends(python, program, code):
    for name in set(python(program, code=code).split()):
        assert not path(name).exists()


def test_should_cost_nothing_of_multiprocessing(python):
    assert python("import polyshm, sys; print('multiprocessing' in sys.modules, 'numpy' in sys.modules)") == (
        "False False\n"
    )


def test_should_be_reaped_when_its_process_was_killed(python):
    name = python(f"{MAKE}\nimport os, sys; sys.stdout.flush(); os.kill(os.getpid(), 9)", code=-signal.SIGKILL).strip()
    assert path(name).exists()
    assert SharedMemory.reap() == 1
    assert not path(name).exists()


# ---- children ----


def take_part(memory, shared):
    assert os.getpid() in {each.pid for each in memory.participants()}
    shared.value += 1
    memory["new"][0] = 3
    memory.close()
    with pytest.raises(Closed):
        shared.value += 1


def test_should_have_a_forked_child_take_part(memory):
    shared = SharedValue("i", 1)
    SharedArray("i", 2, memory=memory, name="new")
    assert processes.ends_well(processes.forked(take_part, memory, SharedValue("i", memory=memory, name="one")))
    assert memory["one"].value == 1
    assert memory["new"].tolist() == [3, 0]
    assert len(memory.participants()) == 1
    assert shared.value == 1


def be_closed(memories):
    for memory in memories:
        assert memory.closed
        with pytest.raises(Closed):
            memory["one"]


def test_should_be_closed_to_a_forked_child_when_there_is_no_room(name):
    memories = [SharedMemory.create(name, 4096)]
    SharedValue("i", memory=memories[0], name="one")
    with pytest.raises(TooManyParticipants, match=name):
        while len(memories) <= 1000:
            memories.append(SharedMemory.open(name))
    assert processes.ends_well(processes.forked(be_closed, memories))
    assert not any(memory.closed for memory in memories)


def make(names, memory):
    made = SharedMemory.anonymous(4096)
    names.put(made.name)
    SharedArray("i", 3, memory=memory, name="three")[0] = 5
    globals()["kept"] = made


def test_should_go_with_a_child_of_multiprocessing(context, memory):
    names = context.SimpleQueue()
    processes.run(context, make, names, memory)
    assert not path(names.get()).exists()
    assert memory["three"][0] == 5
    assert len(memory.participants()) == 1


def make_in_a_grandchild(names, memory):
    processes.run(__import__("multiprocessing").get_context("fork"), make, names, memory)
    make(names, memory)


def test_should_go_with_a_grandchild_of_multiprocessing(context, memory):
    names = context.SimpleQueue()
    processes.run(context, make_in_a_grandchild, names, memory)
    assert not path(names.get()).exists()
    assert not path(names.get()).exists()


def make_with_the_first_import(name):
    processes.python(
        "import multiprocessing, sys\n"
        "def make():\n"
        "    import polyshm\n"
        "    global memory\n"
        "    memory = polyshm.SharedMemory.open_or_create(sys.argv[1], 64, lifetime=polyshm.Lifetime.LAST_OUT)\n"
        "process = multiprocessing.get_context('fork').Process(target=make)\n"
        "process.start()\n"
        "process.join()\n"
        "sys.exit(process.exitcode)",
        name,
    )


def test_should_go_with_a_child_that_first_imports_the_package(name):
    make_with_the_first_import(name)
    assert not path(name).exists()


def end_at_once(memory, barrier):
    globals()["kept"] = memory
    barrier.wait()


def test_should_go_when_all_end_at_once(context):
    for _ in range(20 if context.get_start_method() == "fork" else 1):
        memory = SharedMemory.anonymous(4096)
        barrier = context.Barrier(6)
        children = [processes.process(context, end_at_once, memory, barrier) for _ in range(5)]
        for child in children:
            child.start()
        barrier.wait()
        memory.close()
        for child in children:
            child.join()
        assert [child.exitcode for child in children] == [0] * 5
        assert not path(memory.name).exists()


PARENT_ENDS_FIRST = """
import multiprocessing.util, polyshm, sys  # so at exit polyshm has its turn first

def use(shared):
    shared[0] = 1

if __name__ == "__main__":
    shared = polyshm.SharedArray("i", 4)
    print(shared.memory.name)
    for _ in range(3):
        multiprocessing.get_context(sys.argv[1]).Process(target=use, args=(shared,)).start()
"""


@pytest.mark.parametrize("start", ["fork", "spawn", "forkserver"])
def test_should_wait_with_its_end_for_children_that_are_to_open_it(tmp_path, start):
    program = tmp_path / "parent.py"
    program.write_text(PARENT_ENDS_FIRST)
    name = processes.python(f"import runpy, sys; runpy.run_path({str(program)!r}, run_name='__main__')", start)
    assert not path(name.strip()).exists()
