# SPDX-License-Identifier: Apache-2.0
"""Semaphores, events, latches, conditions, barriers and read-write locks between languages."""

from __future__ import annotations

from typing import Callable

import image
import pytest
from peers import LANGUAGES, ORDERS, Peer, await_that

EACH_ORDER = pytest.mark.parametrize(("one", "other"), ORDERS)


def open_in(peers: list[Peer], segment: str, kind: str, *parameters: object) -> str:
    """The handle of an object that all of them have open."""
    for each in peers:
        each.tell("segment.openOrCreate", segment, 1 << 16)
        each.tell(f"{kind}.open", f"{segment}/x", *parameters)
    return f"{segment}/x"


def await_waiter(segment: str, count: int = 1) -> None:
    await_that(lambda: image.waiters(segment, "x") >= count)


# ---- semaphores ----


@EACH_ORDER
def test_should_take_the_permit_that_another_gives(
    peer: Callable[[str], Peer], segment: str, one: str, other: str
) -> None:
    ours, theirs = peer(one), peer(other)
    handle = open_in([ours, theirs], segment, "semaphore", 2, 0)
    assert theirs.tell("semaphore.acquire", handle, 2, 0) == "1"
    assert ours.tell("semaphore.acquire", handle, 1, 0) == "0"
    assert ours.tell("semaphore.acquire", handle, 1, 1) == "0"
    ours.begin("semaphore.acquire", handle, 2, -1)
    await_waiter(segment)
    theirs.tell("semaphore.release", handle, 3)
    assert ours.end() == "1"
    assert [each.tell("semaphore.available", handle) for each in (ours, theirs)] == ["1", "1"]
    ours.tell("semaphore.release", handle, 2)
    assert [each.tell("semaphore.available", handle) for each in (ours, theirs)] == ["3", "3"]


@EACH_ORDER
def test_should_have_the_permits_of_the_dead(peer: Callable[[str], Peer], segment: str, one: str, other: str) -> None:
    dying, waiting = peer(one), peer(other)
    handle = open_in([dying, waiting], segment, "semaphore", 2, 1)
    assert dying.tell("semaphore.acquire", handle, 2, 0) == "1"
    waiting.begin("semaphore.acquire", handle, 2, -1)
    await_waiter(segment)
    dying.kill()
    assert waiting.end() == "1"
    waiting.tell("semaphore.release", handle, 2)
    assert waiting.tell("semaphore.available", handle) == "2"


# ---- events and latches ----


@EACH_ORDER
def test_should_end_the_wait_for_an_event(peer: Callable[[str], Peer], segment: str, one: str, other: str) -> None:
    ours, theirs = peer(one), peer(other)
    handle = open_in([ours, theirs], segment, "event")
    assert ours.tell("event.wait", handle, 0) == "0"
    assert ours.tell("event.wait", handle, 1) == "0"
    ours.begin("event.wait", handle, -1)
    await_waiter(segment)
    theirs.tell("event.set", handle)
    assert ours.end() == "1"
    assert ours.tell("event.isSet", handle) == "1"
    assert ours.tell("event.wait", handle, 0) == "1"
    ours.tell("event.clear", handle)
    assert theirs.tell("event.isSet", handle) == "0"


@EACH_ORDER
def test_should_end_the_wait_for_a_latch(peer: Callable[[str], Peer], segment: str, one: str, other: str) -> None:
    ours, theirs = peer(one), peer(other)
    handle = open_in([ours, theirs], segment, "latch", 3)
    ours.tell("latch.countDown", handle, 1)
    assert ours.tell("latch.wait", handle, 1) == "0"
    ours.begin("latch.wait", handle, -1)
    await_waiter(segment)
    theirs.tell("latch.countDown", handle, 1)
    assert theirs.tell("latch.count", handle) == "1"
    theirs.tell("latch.countDown", handle, 5)
    assert ours.end() == "1"
    assert [each.tell("latch.count", handle) for each in (ours, theirs)] == ["0", "0"]


# ---- conditions ----


@EACH_ORDER
def test_should_wake_who_waits_for_a_condition(
    peer: Callable[[str], Peer], segment: str, one: str, other: str
) -> None:
    ours, theirs = peer(one), peer(other)
    lock = f"{segment}/lock"
    for each in (ours, theirs):
        each.tell("segment.openOrCreate", segment, 1 << 16)
        each.tell("lock.open", lock)
    handle = open_in([ours, theirs], segment, "condition", lock)
    for each in (ours, theirs):
        each.tell("lock.acquire", lock)
        assert each.tell("condition.signal", handle, 1) == "0"
        assert each.tell("condition.wait", handle, 1) == "0"
        each.tell("lock.release", lock)
    ours.tell("lock.acquire", lock)
    ours.begin("condition.wait", handle, -1)  # releases the lock
    theirs.tell("lock.acquire", lock)
    assert theirs.tell("condition.waiting", handle) == "1"
    assert theirs.tell("condition.signal", handle, 1) == "1"
    assert theirs.tell("condition.waiting", handle) == "0"
    theirs.tell("lock.release", lock)
    assert ours.end() == "1"
    assert theirs.tell("lock.try", lock) == "0"  # it has it again
    ours.tell("lock.release", lock)


@pytest.mark.parametrize(("dying", "waiting"), ORDERS)
def test_should_tell_who_waits_for_a_condition_of_a_death(
    peer: Callable[[str], Peer], segment: str, dying: str, waiting: str
) -> None:
    """Who waited has the lock, which is abandoned: others neither get it nor are told before that one has."""
    owner, here, other = peer(dying), peer(waiting), peer("c")
    lock = f"{segment}/lock"
    for each in (owner, here, other):
        each.tell("segment.openOrCreate", segment, 1 << 16)
        each.tell("lock.open", lock)
    handle = open_in([owner, here], segment, "condition", lock)
    here.tell("lock.acquire", lock)
    here.begin("condition.wait", handle, -1)
    owner.tell("lock.acquire", lock)
    assert owner.tell("condition.signal", handle, 1) == "1"
    owner.kill()
    told = here.refused()
    assert (told.name, told.text) == ("PSHM_EOWNERDIED", f"pid={owner.pid} deaths=1")
    assert other.tell("lock.try", lock) == "0"
    assert here.info("lock.info", lock) == {
        "owner": str(here.pid),
        "abandoned": "1",
        "dead": str(owner.pid),
        "deaths": "1",
    }
    assert here.tell("lock.repair", lock) == str(owner.pid)
    assert other.tell("lock.try", lock) == "0"
    here.tell("lock.release", lock)
    assert other.tell("lock.try", lock) == "1"
    other.tell("lock.release", lock)


# ---- barriers ----


def test_should_meet_at_a_barrier(peer: Callable[[str], Peer], segment: str) -> None:
    all_three = [peer(language) for language in LANGUAGES]
    handle = open_in(all_three, segment, "barrier", 3)
    for turn in range(3):
        arriving = all_three[turn:] + all_three[:turn]
        for count, each in enumerate(arriving):
            await_waiter(segment, count)
            each.begin("barrier.wait", handle, -1)
        assert [each.end() for each in arriving] == ["2", "1", "0"]
    assert {each.tell("barrier.info", handle) for each in all_three} == {"waiting=0 broken=0 cause=NONE pid=0"}


@pytest.mark.parametrize("dying", LANGUAGES)
def test_should_break_a_barrier_by_death(peer: Callable[[str], Peer], segment: str, dying: str) -> None:
    party = peer(dying)
    all_three = [peer(language) for language in LANGUAGES]
    handle = open_in([party, *all_three], segment, "barrier", 4)
    for each in all_three:
        each.begin("barrier.wait", handle, -1)
    await_waiter(segment, 3)
    party.kill()
    for each in all_three:
        assert is_broken(each.refused())
    for each in all_three:
        assert each.info("barrier.info", handle) == {
            "waiting": "0",
            "broken": "1",
            "cause": "DEATH",
            "pid": str(party.pid),
        }
        assert is_broken(each.refused("barrier.wait", handle, -1))


@pytest.mark.parametrize(("breaking", "cause"), [("abort", "ABORT"), ("reset", "RESET"), ("wait", "TIMEOUT")])
@pytest.mark.parametrize("one", LANGUAGES)
def test_should_tell_why_a_barrier_broke(
    peer: Callable[[str], Peer], segment: str, one: str, breaking: str, cause: str
) -> None:
    guilty = peer(one)
    all_three = [peer(language) for language in LANGUAGES]
    handle = open_in([guilty, *all_three], segment, "barrier", 5)
    for each in all_three:
        each.begin("barrier.wait", handle, -1)
    await_waiter(segment, 3)
    if breaking == "wait":
        guilty.refused("barrier.wait", handle, 1)
    else:
        guilty.tell(f"barrier.{breaking}", handle)
    for each in all_three:
        assert is_broken(each.refused())
        info = each.info("barrier.info", handle)
        assert (info["cause"], info["pid"]) == (cause, str(guilty.pid))
        assert info["broken"] == ("0" if cause == "RESET" else "1")


def is_broken(refused: object) -> bool:
    return {"PSHM_EBROKEN", "BrokenBarrierException"} & set(vars(refused).values()) != set()


# ---- read-write locks ----


@EACH_ORDER
def test_should_read_together_and_write_alone(peer: Callable[[str], Peer], segment: str, one: str, other: str) -> None:
    ours, theirs = peer(one), peer(other)
    handle = open_in([ours, theirs], segment, "rwlock")
    for each in (ours, theirs):
        assert each.tell("rwlock.acquire", handle, "read", 0) == "1"
    assert ours.info("rwlock.info", handle)["readers"] == "2"
    ours.tell("rwlock.release", handle, "read")
    assert ours.tell("rwlock.acquire", handle, "write", 1) == "0"

    ours.begin("rwlock.acquire", handle, "write", -1)
    await_waiter(segment)
    theirs.tell("rwlock.release", handle, "read")
    assert ours.end() == "1"
    info = {"writer": str(ours.pid), "readers": "0", "abandoned": "0", "dead": "0", "deaths": "0"}
    assert theirs.info("rwlock.info", handle) == info
    for side in ("read", "write"):
        assert theirs.tell("rwlock.acquire", handle, side, 1) == "0"
    ours.tell("rwlock.release", handle, "write")
    assert theirs.tell("rwlock.acquire", handle, "write", 0) == "1"
    theirs.tell("rwlock.release", handle, "write")


@pytest.mark.parametrize(("dying", "repairing"), ORDERS)
def test_should_tell_of_a_writers_death(peer: Callable[[str], Peer], segment: str, dying: str, repairing: str) -> None:
    writer = peer(dying)
    all_three = {language: peer(language) for language in LANGUAGES}
    handle = open_in([writer, *all_three.values()], segment, "rwlock")
    assert writer.tell("rwlock.acquire", handle, "write", 0) == "1"
    for side, each in zip(("read", "write", "read"), all_three.values()):
        each.begin("rwlock.acquire", handle, side, -1)
    await_waiter(segment, 3)
    writer.kill()
    for each in all_three.values():
        told = each.refused()
        assert (told.name, told.text) == ("PSHM_EOWNERDIED", f"pid={writer.pid} deaths=1")
        assert each.refused("rwlock.acquire", handle, "read", 0).name == "PSHM_EOWNERDIED"
        assert each.info("rwlock.info", handle) == {
            "writer": "0",
            "readers": "0",
            "abandoned": "1",
            "dead": str(writer.pid),
            "deaths": "1",
        }
    assert all_three[repairing].tell("rwlock.repair", handle) == str(writer.pid)
    for each in all_three.values():
        assert each.tell("rwlock.repair", handle) == "0"
        assert each.tell("rwlock.acquire", handle, "write", 0) == "1"
        each.tell("rwlock.release", handle, "write")


@EACH_ORDER
def test_should_let_a_writer_in_when_a_reader_dies(
    peer: Callable[[str], Peer], segment: str, one: str, other: str
) -> None:
    reader, writer = peer(one), peer(other)
    handle = open_in([reader, writer], segment, "rwlock")
    assert reader.tell("rwlock.acquire", handle, "read", 0) == "1"
    writer.begin("rwlock.acquire", handle, "write", -1)
    await_waiter(segment)
    reader.kill()
    assert writer.end() == "1"
    writer.tell("rwlock.release", handle, "write")
