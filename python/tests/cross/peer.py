# SPDX-License-Identifier: Apache-2.0
"""Does what each line of its input says, and answers with a line; the commands stand in peers.py."""

from __future__ import annotations

import struct
import sys
from typing import Any, Callable

from polyshm import (
    Barrier,
    Condition,
    Event,
    Latch,
    Lock,
    OwnerDied,
    ReadWriteLock,
    Semaphore,
    SharedArray,
    SharedMemory,
    SharedValue,
)

TYPECODES = {
    "boolean": "?",
    "int8": "b",
    "int16": "h",
    "char16": "H",
    "int32": "i",
    "int64": "q",
    "float32": "f",
    "float64": "d",
}
NAMES = {typecode: name for name, typecode in TYPECODES.items()}
CLASSES: dict[str, Any] = {
    "array": SharedArray,
    "value": SharedValue,
    "lock": Lock,
    "semaphore": Semaphore,
    "event": Event,
    "latch": Latch,
    "barrier": Barrier,
    "rwlock": ReadWriteLock,
    "condition": Condition,
}
KINDS = {each.__name__: kind for kind, each in CLASSES.items()}

segments: dict[str, SharedMemory] = {}
objects: dict[str, Any] = {}  # by handle
opened: list[Any] = []
commands: dict[str, Callable[..., Any]] = {}


def command(name: str) -> Callable[[Any], Any]:
    def add(function: Any) -> Any:
        commands[name] = function
        return function

    return add


def methods(kind: str, **names: str) -> None:
    """Commands that are an attribute or a method, with the numbers that it takes."""
    for name, method in names.items():

        def run(handle: str, *numbers: str, method: str = method) -> Any:
            found = getattr(objects[handle], method)
            return found(*map(int, numbers)) if callable(found) else found

        commands[f"{kind}.{name}"] = run


# ---- segments ----


def keep(memory: SharedMemory) -> None:
    segments[memory.name] = memory
    opened.append(memory)


@command("segment.create")
def create(name: str, size: str) -> None:
    keep(SharedMemory.create(name, int(size)))


@command("segment.open")
def open_segment(name: str) -> None:
    keep(SharedMemory.open(name))


@command("segment.openOrCreate")
def open_or_create(name: str, size: str) -> None:
    keep(SharedMemory.open_or_create(name, int(size)))


@command("segment.anonymous")
def anonymous(size: str) -> str:
    memory = SharedMemory.anonymous(int(size))
    keep(memory)
    return memory.name


@command("segment.close")
def close(name: str) -> None:
    segments[name].close()


@command("segment.unlink")
def unlink(name: str) -> None:
    SharedMemory.unlink(name)


@command("segment.objects")
def list_objects(name: str) -> str:
    return " ".join(
        f"{each.name}:{KINDS[each.kind]}:{NAMES[each.typecode] if each.typecode else '-'}:{each.length}:{each.bytes}"
        for each in segments[name].objects()
    )


@command("segment.participants")
def list_participants(name: str) -> str:
    return " ".join(str(each.pid) for each in segments[name].participants())


@command("reset")
def reset() -> None:
    for each in opened:
        each.close()
    opened.clear()
    segments.clear()
    objects.clear()


# ---- objects ----


def opens(kind: str, make: Callable[..., Any]) -> None:
    def run(handle: str, *words: str) -> None:
        segment, name = handle.split("/")
        objects[handle] = make(*words, memory=segments[segment], name=name)

    commands[f"{kind}.open"] = run


opens("array", lambda type, length, **place: SharedArray(TYPECODES[type], int(length), **place))
opens("value", lambda type, **place: SharedValue(TYPECODES[type], **place))
opens("lock", Lock)
opens("semaphore", lambda permits, bounded, **place: Semaphore(int(permits), bounded=bounded == "1", **place))
opens("event", Event)
opens("latch", lambda count, **place: Latch(int(count), **place))
opens("barrier", lambda parties, **place: Barrier(int(parties), **place))
opens("rwlock", ReadWriteLock)


@command("condition.open")
def open_condition(handle: str, lock: str) -> None:
    objects[handle] = lock_of(lock).condition(handle.split("/")[1])


@command("attach")
def attach(handle: str, kind: str, type: str | None = None) -> None:
    found = CLASSES[kind].attach(handle)
    opened.append(found)
    assert type is None or found.typecode == TYPECODES[type]
    objects[handle] = found


def element(of: Any, text: str) -> Any:
    """What the bits are in Python."""
    return struct.unpack(f"={of.typecode}", bytes.fromhex(text)[::-1])[0]


def bits(of: Any, value: Any) -> str:
    return struct.pack(f"={of.typecode}", value)[::-1].hex()


@command("get")
def get(handle: str, index: str) -> str:
    of = objects[handle]
    return bits(of, of.value if isinstance(of, SharedValue) else of[int(index)])


@command("set")
def set_element(handle: str, index: str, text: str) -> None:
    of = objects[handle]
    if isinstance(of, SharedValue):
        of.value = element(of, text)
    else:
        of[int(index)] = element(of, text)


@command("fill")
def fill(handle: str, text: str) -> None:
    objects[handle].fill(element(objects[handle], text))


@command("read")
def read(handle: str) -> str:
    size = objects[handle].itemsize
    data = objects[handle].view().tobytes()
    return "".join(data[i : i + size][::-1].hex() for i in range(0, len(data), size))


@command("write")
def write(handle: str, text: str) -> None:
    of = objects[handle]
    digits = 2 * of.itemsize
    data = b"".join(bytes.fromhex(text[i : i + digits])[::-1] for i in range(0, len(text), digits))
    of[:] = memoryview(data).cast(of.typecode)


@command("atomic.add")
def atomic_add(handle: str, index: str, times: str) -> None:
    of = objects[handle]
    where = () if isinstance(of, SharedValue) else (int(index),)
    for _ in range(int(times)):
        of.get_and_add(*where, 1)


# ---- locks ----


def lock_of(handle: str) -> Lock:
    of = objects[handle]
    return of.lock if isinstance(of, (SharedArray, SharedValue)) else of


def seconds(milliseconds: str) -> float | None:
    return None if int(milliseconds) < 0 else int(milliseconds) / 1000


def repaired(lock: Any) -> int:
    """The process that had died."""
    dead = [0]
    lock.repair(lambda death: dead.append(death.pid))
    return dead[-1]


def state(lock: Any) -> str:
    death = lock.last_death
    dead = (death.pid, death.deaths) if death else (0, 0)
    return f"abandoned={int(lock.abandoned)} dead={dead[0]} deaths={dead[1]}"


def owner(lock: Any) -> int:
    found = lock.owner()
    return found.pid if found else 0


@command("lock.acquire")
def acquire(handle: str) -> None:
    lock_of(handle).acquire()


@command("lock.try")
def try_lock(handle: str) -> bool:
    return lock_of(handle).acquire(blocking=False)


@command("lock.timed")
def timed_lock(handle: str, time: str) -> bool:
    return lock_of(handle).acquire(timeout=seconds(time))


@command("lock.release")
def release(handle: str) -> None:
    lock_of(handle).release()


@command("lock.repair")
def repair(handle: str) -> int:
    return repaired(lock_of(handle))


@command("lock.info")
def lock_info(handle: str) -> str:
    return f"owner={owner(lock_of(handle))} {state(lock_of(handle))}"


@command("lock.add")
def lock_add(handle: str, index: str, times: str) -> None:
    of = objects[handle]
    lock = of.lock
    for _ in range(int(times)):
        with lock:
            if isinstance(of, SharedValue):
                of.value += 1
            else:
                of[int(index)] += 1


# ---- synchronizers ----


methods("semaphore", release="release", available="available")
methods("event", set="set", clear="clear", isSet="is_set")
methods("latch", countDown="count_down", count="count")
methods("barrier", abort="abort", reset="reset")
methods("condition", signal="notify", waiting="n_waiting")


@command("semaphore.acquire")
def semaphore_acquire(handle: str, permits: str, time: str) -> bool:
    return objects[handle].acquire(timeout=seconds(time), permits=int(permits))


@command("event.wait")
@command("latch.wait")
@command("barrier.wait")
@command("condition.wait")
def wait(handle: str, time: str) -> Any:
    return objects[handle].wait(seconds(time))


@command("barrier.info")
def barrier_info(handle: str) -> str:
    barrier = objects[handle]
    last = barrier.last_break
    cause, pid = (last.cause.upper(), last.pid) if last else ("NONE", 0)
    return f"waiting={barrier.n_waiting} broken={int(barrier.broken)} cause={cause} pid={pid}"


@command("rwlock.acquire")
def rwlock_acquire(handle: str, side: str, time: str) -> bool:
    return getattr(objects[handle], side).acquire(timeout=seconds(time))


@command("rwlock.release")
def rwlock_release(handle: str, side: str) -> None:
    getattr(objects[handle], side).release()


@command("rwlock.repair")
def rwlock_repair(handle: str) -> int:
    return repaired(objects[handle])


@command("rwlock.info")
def rwlock_info(handle: str) -> str:
    lock = objects[handle]
    return f"writer={owner(lock)} readers={lock.readers} {state(lock)}"


# ---- answers ----


def answer(name: str, *words: str) -> str:
    try:
        value = commands[name](*words)
    except OwnerDied as died:
        return f"error {died.error_name} OwnerDied pid={died.death.pid} deaths={died.death.deaths}"
    except Exception as error:
        return f"error {getattr(error, 'error_name', '-')} {type(error).__name__} {error}"
    return f"ok {'' if value is None else int(value) if isinstance(value, bool) else value}"


if __name__ == "__main__":
    for line in sys.stdin:
        print(answer(*line.split()), flush=True)
