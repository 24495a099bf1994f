# SPDX-License-Identifier: Apache-2.0
"""Locks and atomic accesses that three languages use at once, and the deaths of which they tell each other."""

from __future__ import annotations

from typing import Callable

import image
import pytest
from peers import LANGUAGES, ORDERS, Peer, await_that

EACH_ORDER = pytest.mark.parametrize(("creator", "attacher"), ORDERS)


def open_array(peers: list[Peer], segment: str, type: str = "int64") -> str:
    handle = f"{segment}/a"
    for each in peers:
        each.tell("segment.openOrCreate", segment, 1 << 16)
        each.tell("array.open", handle, type, 2)
    return handle


def at_once(peers: list[Peer], segment: str, *words: object) -> None:
    """All begin when the last one has come."""
    for each in peers:
        each.tell("barrier.open", f"{segment}/start", len(peers))
    for each in peers:
        each.begin("barrier.wait", f"{segment}/start", -1)
        each.begin(*words)
    for each in peers:
        each.end()
    for each in peers:
        each.end()


# ---- exclusion ----


@EACH_ORDER
@pytest.mark.parametrize("kind", ["lock", "array", "value"])
def test_should_exclude_each_other(
    peer: Callable[[str], Peer], segment: str, creator: str, attacher: str, kind: str
) -> None:
    ours, theirs = peer(creator), peer(attacher)
    handle = f"{segment}/x"
    for each in (ours, theirs):
        each.tell("segment.openOrCreate", segment, 1 << 14)
        each.tell(f"{kind}.open", handle, *{"lock": (), "array": ("int32", 1), "value": ("int32",)}[kind])
    ours.tell("lock.acquire", handle)
    ours.tell("lock.acquire", handle)  # once more
    assert theirs.tell("lock.try", handle) == "0"
    assert theirs.tell("lock.timed", handle, 1) == "0"
    for each in (ours, theirs):
        assert each.info("lock.info", handle) == {"owner": str(ours.pid), "abandoned": "0", "dead": "0", "deaths": "0"}
    ours.tell("lock.release", handle)
    assert theirs.tell("lock.try", handle) == "0"

    waited = image.contentions(segment, "x")
    theirs.begin("lock.acquire", handle)
    await_that(lambda: image.contentions(segment, "x") > waited)
    ours.tell("lock.release", handle)
    theirs.end()
    assert ours.info("lock.info", handle)["owner"] == str(theirs.pid)
    assert ours.tell("lock.try", handle) == "0"
    theirs.tell("lock.release", handle)
    assert ours.tell("lock.timed", handle, 60_000) == "1"
    ours.tell("lock.release", handle)


@pytest.mark.parametrize("type", ["int32", "int64"])
def test_should_lose_no_addition_under_a_lock(peer: Callable[[str], Peer], segment: str, type: str) -> None:
    all_three = [peer(language) for language in LANGUAGES]
    handle = open_array(all_three, segment, type)
    at_once(all_three, segment, "lock.add", handle, 1, 20_000)
    for each in all_three:
        assert int(each.tell("get", handle, 1), 16) == 60_000
        assert int(each.tell("get", handle, 0), 16) == 0


@pytest.mark.parametrize("type", ["int32", "int64"])
def test_should_lose_no_atomic_addition(peer: Callable[[str], Peer], segment: str, type: str) -> None:
    all_three = [peer(language) for language in LANGUAGES]
    handle = open_array(all_three, segment, type)
    at_once(all_three, segment, "atomic.add", handle, 1, 100_000)
    for each in all_three:
        assert int(each.tell("get", handle, 1), 16) == 300_000
        assert int(each.tell("get", handle, 0), 16) == 0


def test_should_add_to_values(peer: Callable[[str], Peer], segment: str) -> None:
    all_three = [peer(language) for language in LANGUAGES]
    handle = f"{segment}/v"
    for each in all_three:
        each.tell("segment.openOrCreate", segment, 1 << 14)
        each.tell("value.open", handle, "int64")
    at_once(all_three, segment, "lock.add", handle, 0, 1000)
    at_once(all_three, segment, "atomic.add", handle, 0, 1000)
    assert {int(each.tell("get", handle, 0), 16) for each in all_three} == {6000}


# ---- death ----


@pytest.mark.parametrize(("dying", "repairing"), ORDERS)
def test_should_tell_all_of_a_death(peer: Callable[[str], Peer], segment: str, dying: str, repairing: str) -> None:
    """It comes while one waits; all are told who died, and one repairs."""
    owner = peer(dying)
    all_three = {language: peer(language) for language in LANGUAGES}
    handle = open_array([owner, *all_three.values()], segment)
    owner.tell("lock.acquire", handle)
    owner.tell("set", handle, 0, "000000000000002a")  # it does not come to the second
    waited = image.contentions(segment, "a")
    all_three[repairing].begin("lock.acquire", handle)
    await_that(lambda: image.contentions(segment, "a") > waited)
    owner.kill()

    for language, each in all_three.items():
        told = each.refused() if language == repairing else each.refused("lock.acquire", handle)
        assert (told.name, told.text) == ("PSHM_EOWNERDIED", f"pid={owner.pid} deaths=1")
        assert each.refused("lock.try", handle).name == "PSHM_EOWNERDIED"
        assert each.info("lock.info", handle) == {
            "owner": "0",
            "abandoned": "1",
            "dead": str(owner.pid),
            "deaths": "1",
        }
    assert all_three[repairing].tell("get", handle, 0) == "000000000000002a"
    assert all_three[repairing].tell("lock.repair", handle) == str(owner.pid)

    for each in all_three.values():
        assert each.info("lock.info", handle)["abandoned"] == "0"
        assert each.tell("lock.repair", handle) == "0"
        assert each.tell("lock.try", handle) == "1"
        each.tell("lock.release", handle)

