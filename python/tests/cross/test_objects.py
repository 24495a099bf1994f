# SPDX-License-Identifier: Apache-2.0
"""What one language makes, the others find, as what it is."""

from __future__ import annotations

from pathlib import Path
from typing import Callable

import image
import pytest
from peers import LANGUAGES, ORDERS, Peer

EACH_ORDER = pytest.mark.parametrize(("creator", "attacher"), ORDERS)
TYPES = ("boolean", "int8", "int16", "char16", "int32", "int64", "float32", "float64")

# The name, and how it is opened; a condition comes after its lock.
OBJECTS: dict[str, tuple[object, ...]] = {
    **{f"array-{type}": ("array", type, 3 + length) for length, type in enumerate(TYPES)},
    **{f"value-{type}": ("value", type) for type in TYPES},
    "lock": ("lock",),
    "semaphore": ("semaphore", 3, 0),
    "bounded": ("semaphore", 4, 1),
    "event": ("event",),
    "latch": ("latch", 5),
    "barrier": ("barrier", 6),
    "rwlock": ("rwlock",),
}


def open_all(peer: Peer, segment: str) -> None:
    for name, (kind, *parameters) in OBJECTS.items():
        peer.tell(f"{kind}.open", f"{segment}/{name}", *parameters)
    peer.tell("condition.open", f"{segment}/condition", f"{segment}/lock")


@EACH_ORDER
def test_should_find_every_object(peer: Callable[[str], Peer], segment: str, creator: str, attacher: str) -> None:
    ours, theirs = peer(creator), peer(attacher)
    ours.tell("segment.create", segment, 1 << 16)
    open_all(ours, segment)
    listing = ours.tell("segment.objects", segment)
    theirs.tell("segment.open", segment)
    assert theirs.tell("segment.objects", segment) == listing
    open_all(theirs, segment)
    assert theirs.tell("segment.objects", segment) == listing  # none of them is new
    assert ours.tell("segment.objects", segment) == listing


@EACH_ORDER
def test_should_attach_by_handle(peer: Callable[[str], Peer], segment: str, creator: str, attacher: str) -> None:
    ours, theirs = peer(creator), peer(attacher)
    ours.tell("segment.create", segment, 1 << 16)
    open_all(ours, segment)
    listing = ours.tell("segment.objects", segment)
    for name, (kind, *parameters) in OBJECTS.items():
        type = parameters[:1] if kind in ("array", "value") else ()
        theirs.tell("attach", f"{segment}/{name}", kind, *type)
    assert ours.tell("segment.objects", segment) == listing
    ours.tell("event.set", f"{segment}/event")
    assert theirs.tell("event.isSet", f"{segment}/event") == "1"
    assert theirs.tell("latch.count", f"{segment}/latch") == "5"
    assert theirs.tell("semaphore.available", f"{segment}/bounded") == "4"
    ours.tell("set", f"{segment}/value-int32", 0, "0000002a")
    assert theirs.tell("get", f"{segment}/value-int32", 0) == "0000002a"


def test_should_list_objects_as_they_were_made(peer: Callable[[str], Peer], segment: str) -> None:
    """The same text from all three could be wrong in all three."""
    c = peer("c")
    c.tell("segment.create", segment, 1 << 16)
    open_all(c, segment)
    listed = [each.split(":")[:4] for each in c.tell("segment.objects", segment).split()]
    expected = []
    for name, (kind, *parameters) in OBJECTS.items():
        type = str(parameters.pop(0)) if kind in ("array", "value") else "-"
        expected.append([name, str(kind), type, str(parameters[0] if parameters else int(kind == "value"))])
    assert listed == [*expected, ["condition", "condition", "-", "0"]]


def test_should_be_participants_of_one_segment(peer: Callable[[str], Peer], segment: str) -> None:
    all_three = [peer(language) for language in LANGUAGES]
    for each in all_three:
        each.tell("segment.openOrCreate", segment, 1 << 14)
    pids = sorted(each.pid for each in all_three)
    for each in all_three:
        assert sorted(map(int, each.tell("segment.participants", segment).split())) == pids
    all_three[1].tell("segment.close", segment)
    for each in (all_three[0], all_three[2]):
        assert sorted(map(int, each.tell("segment.participants", segment).split())) == sorted(
            {*pids} - {all_three[1].pid}
        )


def test_should_create_once_when_all_three_begin_at_once(peer: Callable[[str], Peer], segment: str) -> None:
    all_three = [peer(language) for language in LANGUAGES]
    for each in all_three:
        each.begin("segment.openOrCreate", segment, 1 << 16)
    for each in all_three:
        each.end()
    for each in all_three:
        each.begin("array.open", f"{segment}/a", "int64", 100)
    for each in all_three:
        each.end()
    assert len({each.tell("segment.objects", segment) for each in all_three}) == 1
    assert len(all_three[0].tell("segment.objects", segment).split()) == 1


@pytest.mark.parametrize("end", ["reset", "kill"])
@EACH_ORDER
def test_should_outlive_its_maker(peer: Callable[[str], Peer], creator: str, attacher: str, end: str) -> None:
    """An anonymous segment goes with the last that has it, whatever language that is of."""
    ours, theirs = peer(creator), peer(attacher)
    segment = ours.tell("segment.anonymous", 1 << 14)
    handle = f"{segment}/a"
    ours.tell("array.open", handle, "int32", 2)
    ours.tell("set", handle, 1, "0000002a")
    theirs.tell("attach", handle, "array", "int32")
    ours.kill() if end == "kill" else ours.tell("reset")
    assert theirs.tell("get", handle, 1) == "0000002a"
    assert Path(image.path(segment)).exists()
    theirs.tell("reset")
    assert not Path(image.path(segment)).exists()
