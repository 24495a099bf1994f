# SPDX-License-Identifier: Apache-2.0
"""What bad input gets: the same named outcome in each language. This is the table of it."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Callable

import image
import polyshm
import pytest
from peers import LANGUAGES, Peer, Refused

# The name of polyshm.h; what Java and Python call it. An exception of the language's own has no PSHM_ name.
CLASSES = {
    "PSHM_EINVAL": ("IllegalArgumentException", "ValueError"),
    "PSHM_ENAME": ("IllegalArgumentException", "ValueError"),
    "PSHM_EEXIST": ("AlreadyExistsException", "AlreadyExists"),
    "PSHM_ENOENT": ("NotFoundException", "NotFound"),
    "PSHM_EACCES": ("PermissionDeniedException", "PermissionDenied"),
    "PSHM_EFULL": ("MemoryFullException", "MemoryFull"),
    "PSHM_ENOSPACE": ("MemoryFullException", "MemoryFull"),
    "PSHM_ELAYOUT": ("WrongLayoutException", "WrongLayout"),
    "PSHM_ETYPE": ("TypeMismatchException", "TypeMismatch"),
    "PSHM_EOWNERDIED": ("OwnerDiedException", "OwnerDied"),
    "PSHM_ENOTOWNER": ("IllegalMonitorStateException", "RuntimeError"),
    "PSHM_ECLOSED": ("ClosedException", "Closed"),
    "PSHM_EHELD": ("LockHeldException", "LockHeld"),
    "PSHM_EPARTICIPANTS": ("TooManyParticipantsException", "TooManyParticipants"),
    "PSHM_EBROKEN": ("BrokenBarrierException", "BrokenBarrier"),
    "PSHM_EOVERFLOW": ("IllegalStateException", "ValueError"),
}
OWN = ("PSHM_EINVAL", "PSHM_ENAME", "PSHM_ENOTOWNER", "PSHM_EOVERFLOW")

EACH = pytest.mark.parametrize("language", LANGUAGES)


def expect(refused: Refused, language: str, name: str) -> None:
    java, python = CLASSES[name]
    unnamed = language != "c" and (name in OWN or (name, language) == ("PSHM_EBROKEN", "java"))
    expected = ("-" if unnamed else name, {"c": "-", "java": java, "python": python}[language])
    assert (refused.name, refused.type) == expected, refused
    assert refused.text


# ---- the names of segments ----


@EACH
@pytest.mark.parametrize("name", ["a/b", ".hidden", "n" * 96, "sp\u00e4t", "a:b", "*"])
@pytest.mark.parametrize("command", ["segment.create", "segment.open", "segment.openOrCreate", "segment.unlink"])
def test_should_refuse_a_name(peer: Callable[[str], Peer], language: str, name: str, command: str) -> None:
    size = () if command in ("segment.open", "segment.unlink") else (4096,)
    expect(peer(language).refused(command, name, *size), language, "PSHM_ENAME")


@EACH
def test_should_refuse_names_of_objects(peer: Callable[[str], Peer], segment: str, language: str) -> None:
    here = peer(language)
    here.tell("segment.create", segment, 4096)
    for kind, *parameters in (("array", "int32", 1), ("lock",), ("semaphore", 1, 0), ("event",)):
        for name in (".hidden", "n" * 96, "a:b"):
            expect(here.refused(f"{kind}.open", f"{segment}/{name}", *parameters), language, "PSHM_ENAME")
    assert here.tell("segment.objects", segment) == ""


@EACH
def test_should_say_that_it_is_absent(peer: Callable[[str], Peer], segment: str, language: str) -> None:
    here = peer(language)
    expect(here.refused("segment.open", segment), language, "PSHM_ENOENT")
    expect(here.refused("segment.unlink", segment), language, "PSHM_ENOENT")
    expect(here.refused("attach", f"{segment}/a", "lock"), language, "PSHM_ENOENT")
    with polyshm.SharedMemory.create(segment, 4096):
        expect(here.refused("attach", f"{segment}/a", "lock"), language, "PSHM_ENOENT")
        expect(here.refused("attach", f"{segment}/a", "array", "int32"), language, "PSHM_ENOENT")


@EACH
def test_should_say_that_it_exists(peer: Callable[[str], Peer], segment: str, language: str) -> None:
    with polyshm.SharedMemory.create(segment, 4096):
        expect(peer(language).refused("segment.create", segment, 4096), language, "PSHM_EEXIST")


# ---- sizes ----


@EACH
def test_should_refuse_sizes_that_cannot_be(peer: Callable[[str], Peer], segment: str, language: str) -> None:
    here = peer(language)
    for size in (0, -1):
        expect(here.refused("segment.create", segment, size), language, "PSHM_EINVAL")
    here.tell("segment.create", segment, 4096)
    for kind, *parameters in (
        ("array", "int32", 0),
        ("array", "int32", -1),
        ("semaphore", -1, 0),
        ("latch", -1),
        ("barrier", 0),
        ("barrier", -1),
    ):
        expect(here.refused(f"{kind}.open", f"{segment}/x", *parameters), language, "PSHM_EINVAL")


@EACH
def test_should_say_that_it_is_full(peer: Callable[[str], Peer], segment: str, language: str) -> None:
    here = peer(language)
    status = os.statvfs("/dev/shm")
    more_than_all = 2 * status.f_blocks * status.f_frsize
    if more_than_all > 0:
        expect(here.refused("segment.create", segment, more_than_all), language, "PSHM_EFULL")
    here.tell("segment.create", segment, 1024)
    here.tell("lock.open", f"{segment}/l")
    for kind, *parameters in (("array", "int32", 1000), ("semaphore", 1, 0), ("barrier", 1), ("rwlock",)):
        expect(here.refused(f"{kind}.open", f"{segment}/x", *parameters), language, "PSHM_ENOSPACE")


# ---- what exists as something else ----


@EACH
def test_should_refuse_another_type_length_or_kind(peer: Callable[[str], Peer], segment: str, language: str) -> None:
    """As each of the others has made it."""
    here = peer(language)
    here.tell("segment.create", segment, 1 << 16)
    makers = [peer(each) for each in LANGUAGES if each != language]
    for maker in makers:
        maker.tell("segment.open", segment)
        own = f"{segment}/{maker.language}"
        maker.tell("array.open", f"{own}-a", "int32", 3)
        maker.tell("value.open", f"{own}-v", "float64")
        maker.tell("lock.open", f"{own}-l")
        maker.tell("semaphore.open", f"{own}-s", 3, 0)
        maker.tell("latch.open", f"{own}-n", 3)
        maker.tell("barrier.open", f"{own}-b", 3)
        maker.tell("condition.open", f"{own}-c", f"{own}-l")
        listing = maker.tell("segment.objects", segment)
        for object, kind, *parameters in (
            ("a", "array", "int64", 3),
            ("a", "array", "float32", 3),  # of the same size
            ("a", "array", "int32", 4),
            ("a", "value", "int32"),
            ("a", "lock"),
            ("v", "value", "int64"),
            ("v", "array", "float64", 1),
            ("l", "event"),
            ("l", "rwlock"),
            ("s", "semaphore", 4, 0),
            ("s", "semaphore", 3, 1),
            ("s", "latch", 3),
            ("n", "latch", 2),
            ("b", "barrier", 2),
            ("c", "lock"),
        ):
            expect(here.refused(f"{kind}.open", f"{own}-{object}", *parameters), language, "PSHM_ETYPE")
        here.tell("array.open", f"{own}-a", "int32", 3)
        expect(here.refused("condition.open", f"{own}-c", f"{own}-a"), language, "PSHM_ETYPE")  # of another lock
        for object, kind in (("a", "lock"), ("l", "event"), ("s", "barrier"), ("n", "semaphore"), ("b", "rwlock")):
            expect(here.refused("attach", f"{own}-{object}", kind), language, "PSHM_ETYPE")
        for object, kind in (("a", "value"), ("v", "array"), ("l", "array"), ("s", "value")):
            expect(here.refused("attach", f"{own}-{object}", kind, "int32"), language, "PSHM_ETYPE")
        if language != "python":  # it attaches whatever type there is
            expect(here.refused("attach", f"{own}-a", "array", "int16"), language, "PSHM_ETYPE")
        assert here.tell("segment.objects", segment) == listing


# ---- segments that are none ----


def rewritten(segment: str, change: Callable[[bytearray], None], sealed: bool) -> None:
    """A segment whose file has been changed, with the checksum put right if asked to."""
    polyshm.SharedMemory.create(segment, 4096).close()
    file = Path(image.path(segment))
    data = bytearray(file.read_bytes())
    change(data)
    if sealed:
        image.seal(data)
    file.write_bytes(data)


def put(form: str, offset: int, add: int) -> Callable[[bytearray], None]:
    def change(data: bytearray) -> None:
        (value,) = struct.unpack_from(form, data, offset)
        struct.pack_into(form, data, offset, value + add)

    return change


def cut(data: bytearray) -> None:
    del data[-64:]


WRONG: dict[str, tuple[Callable[[bytearray], None], bool]] = {
    "no magic": (put("=Q", 0, 1), True),
    "another layout version": (put("=H", image.LAYOUT_MAJOR, 1), True),
    "an older layout version": (put("=H", image.LAYOUT_MAJOR, -1), True),
    "a later minor version": (put("=H", image.LAYOUT_MINOR, 1), True),
    "another byte order": (put("=B", 16, 1), True),
    "another word size": (put("=B", 17, -4), True),
    "another libc": (put("=B", 18, 1), True),
    "another architecture": (put("=B", 19, 1), True),
    "another mutex": (put("=I", 20, 8), True),
    "another PID namespace": (put("=Q", image.PID_NAMESPACE, 1), True),
    "another size": (put("=Q", image.TOTAL_BYTES, 64), True),
    "a wrong checksum": (put("=Q", image.CHECKSUM, 1), False),
    "a file that was cut": (cut, False),
}


@EACH
@pytest.mark.parametrize("what", WRONG)
def test_should_refuse_another_layout(peer: Callable[[str], Peer], segment: str, language: str, what: str) -> None:
    rewritten(segment, *WRONG[what])
    here = peer(language)
    for command, *rest in (("segment.open",), ("segment.openOrCreate", 4096)):
        expect(here.refused(command, segment, *rest), language, "PSHM_ELAYOUT")
    expect(here.refused("attach", f"{segment}/a", "lock"), language, "PSHM_ELAYOUT")
    here.tell("segment.unlink", segment)


@EACH
def test_should_use_what_was_only_sealed_anew(peer: Callable[[str], Peer], segment: str, language: str) -> None:
    """Without this the test above would pass if all that was rewritten were refused."""
    rewritten(segment, lambda data: None, True)
    peer(language).tell("segment.open", segment)


# ---- who may ----


@EACH
@pytest.mark.skipif(os.geteuid() != 0, reason="it gives a file away")
def test_should_refuse_the_segment_of_another_user(peer: Callable[[str], Peer], segment: str, language: str) -> None:
    polyshm.SharedMemory.create(segment, 4096).close()
    os.chown(image.path(segment), 65534, 65534)
    for words in (("segment.open", segment), ("attach", f"{segment}/a", "lock")):
        expect(peer(language).refused(*words), language, "PSHM_EACCES")


@EACH
def test_should_refuse_one_participant_too_many(peer: Callable[[str], Peer], segment: str, language: str) -> None:
    opened = [polyshm.SharedMemory.create(segment, 4096)]
    opened += [polyshm.SharedMemory.open(segment) for _ in range(127)]
    here = peer(language)
    expect(here.refused("segment.open", segment), language, "PSHM_EPARTICIPANTS")
    opened.pop().close()
    here.tell("segment.open", segment)
    for each in opened:
        each.close()


# ---- use ----


@EACH
def test_should_refuse_use_after_close(peer: Callable[[str], Peer], segment: str, language: str) -> None:
    here = peer(language)
    here.tell("segment.create", segment, 1 << 16)
    objects: dict[str, tuple[object, ...]] = {
        "array": ("int32", 1),
        "lock": (),
        "semaphore": (1, 0),
        "event": (),
        "latch": (1,),
        "barrier": (2,),
        "rwlock": (),
    }
    for kind, parameters in objects.items():
        here.tell(f"{kind}.open", f"{segment}/{kind}", *parameters)
    here.tell("segment.close", segment)
    here.tell("segment.close", segment)  # does nothing
    for command in ("segment.objects", "segment.participants"):
        expect(here.refused(command, segment), language, "PSHM_ECLOSED")
    for kind, parameters in objects.items():
        for name in (kind, "another"):
            expect(here.refused(f"{kind}.open", f"{segment}/{name}", *parameters), language, "PSHM_ECLOSED")
    for kind, *words in (
        ("lock", "acquire"),
        ("lock", "try"),
        ("lock", "timed", 1000),
        ("lock", "release"),
        ("lock", "repair"),
        ("lock", "info"),
        ("semaphore", "acquire", 1, -1),
        ("semaphore", "release", 1),
        ("semaphore", "available"),
        ("event", "set"),
        ("event", "clear"),
        ("event", "isSet"),
        ("event", "wait", -1),
        ("latch", "countDown", 1),
        ("latch", "count"),
        ("latch", "wait", -1),
        ("barrier", "wait", -1),
        ("barrier", "abort"),
        ("barrier", "reset"),
        ("barrier", "info"),
        ("rwlock", "acquire", "read", -1),
        ("rwlock", "acquire", "write", 0),
        ("rwlock", "repair"),
        ("rwlock", "info"),
    ):
        refused = here.refused(f"{kind}.{words[0]}", f"{segment}/{kind}", *words[1:])
        expect(refused, language, "PSHM_ECLOSED")
    expect(here.refused("lock.acquire", f"{segment}/array"), language, "PSHM_ECLOSED")
    if language != "c":  # which has a pointer
        for element in (("get",), ("set", "00000001")):
            expect(here.refused(element[0], f"{segment}/array", 0, *element[1:]), language, "PSHM_ECLOSED")
        for bulk in (("read",), ("write", "00000001"), ("fill", "00000001")):
            expect(here.refused(bulk[0], f"{segment}/array", *bulk[1:]), language, "PSHM_ECLOSED")
        expect(here.refused("atomic.add", f"{segment}/array", 0, 1), language, "PSHM_ECLOSED")


@EACH
@pytest.mark.parametrize("kind", ["lock", "rwlock"])
def test_should_refuse_to_close_while_it_holds(
    peer: Callable[[str], Peer], segment: str, language: str, kind: str
) -> None:
    here = peer(language)
    handle = f"{segment}/x"
    here.tell("segment.create", segment, 1 << 14)
    here.tell(f"{kind}.open", handle)
    side = () if kind == "lock" else ("write",)
    here.tell(f"{kind}.acquire", handle, *side, *([] if kind == "lock" else [0]))
    expect(here.refused("segment.close", segment), language, "PSHM_EHELD")
    here.tell(f"{kind}.release", handle, *side)
    here.tell("segment.close", segment)


@EACH
def test_should_refuse_who_does_not_hold(peer: Callable[[str], Peer], segment: str, language: str) -> None:
    here = peer(language)
    here.tell("segment.create", segment, 1 << 14)
    here.tell("lock.open", f"{segment}/l")
    here.tell("rwlock.open", f"{segment}/rw")
    here.tell("condition.open", f"{segment}/c", f"{segment}/l")
    other = peer(language)
    other.tell("segment.open", segment)
    other.tell("lock.open", f"{segment}/l")
    other.tell("lock.acquire", f"{segment}/l")
    for words in (
        ("lock.release", "l"),
        ("rwlock.release", "rw", "read"),
        ("rwlock.release", "rw", "write"),
        ("condition.wait", "c", -1),
        ("condition.signal", "c", 1),
        ("condition.waiting", "c"),
    ):
        expect(here.refused(words[0], f"{segment}/{words[1]}", *words[2:]), language, "PSHM_ENOTOWNER")
    other.tell("lock.release", f"{segment}/l")


@EACH
def test_should_refuse_numbers_that_cannot_be(peer: Callable[[str], Peer], segment: str, language: str) -> None:
    here = peer(language)
    here.tell("segment.create", segment, 1 << 14)
    here.tell("semaphore.open", f"{segment}/s", 2, 1)
    here.tell("latch.open", f"{segment}/n", 2)
    expect(here.refused("semaphore.release", f"{segment}/s", 1), language, "PSHM_EOVERFLOW")
    expect(here.refused("semaphore.release", f"{segment}/s", -1), language, "PSHM_EINVAL")
    expect(here.refused("semaphore.acquire", f"{segment}/s", -1, 0), language, "PSHM_EINVAL")
    expect(here.refused("latch.countDown", f"{segment}/n", 0), language, "PSHM_EINVAL")
    expect(here.refused("latch.countDown", f"{segment}/n", -1), language, "PSHM_EINVAL")
    assert here.tell("semaphore.available", f"{segment}/s") == "2"
    assert here.tell("latch.count", f"{segment}/n") == "2"


@EACH
def test_should_say_that_a_barrier_is_broken(peer: Callable[[str], Peer], segment: str, language: str) -> None:
    here = peer(language)
    here.tell("segment.create", segment, 1 << 14)
    here.tell("barrier.open", f"{segment}/b", 2)
    here.tell("barrier.abort", f"{segment}/b")
    expect(here.refused("barrier.wait", f"{segment}/b", -1), language, "PSHM_EBROKEN")


@EACH
@pytest.mark.parametrize("kind", ["lock", "rwlock"])
def test_should_say_that_an_owner_died(
    peer: Callable[[str], Peer], segment: str, language: str, kind: str
) -> None:
    here, owner = peer(language), peer("c")
    words = () if kind == "lock" else ("write", -1)
    for each in (owner, here):
        each.tell("segment.openOrCreate", segment, 1 << 14)
        each.tell(f"{kind}.open", f"{segment}/x")
    owner.tell(f"{kind}.acquire", f"{segment}/x", *words)
    owner.kill()
    expect(here.refused(f"{kind}.acquire", f"{segment}/x", *words), language, "PSHM_EOWNERDIED")


def test_should_have_a_row_for_each_outcome() -> None:
    """Of the others no program is told by name: they are how a wait or an attempt ends, or the system's."""
    from polyshm import _native

    codes = {name for name, value in vars(_native).items() if name.startswith("PSHM_E") and isinstance(value, int)}
    codes = {name for name in codes if getattr(_native, name) < 0}
    ends = {"PSHM_EBUSY", "PSHM_ETIMEDOUT", "PSHM_EINTERRUPTED", "PSHM_EGOOD", "PSHM_EUNNAMED"}
    system = {"PSHM_EUNAVAILABLE", "PSHM_ENOMEM", "PSHM_EOS", "PSHM_EDEPTH"}
    assert codes == {*CLASSES, *ends, *system}
