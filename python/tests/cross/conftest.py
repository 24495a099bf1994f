# SPDX-License-Identifier: Apache-2.0
"""Peers for the tests, which are used again, as a JVM takes a while to begin."""

from __future__ import annotations

from typing import Callable, Iterator

import pytest
from peers import Peer, Refused

@pytest.fixture(scope="session")
def _idle() -> Iterator[list[Peer]]:
    idle: list[Peer] = []
    yield idle
    for peer in idle:
        peer.kill()


@pytest.fixture
def peer(_idle: list[Peer]) -> Iterator[Callable[[str], Peer]]:
    """peer(language): one of that language that the test has for itself."""
    taken: list[Peer] = []

    def take(language: str) -> Peer:
        found = next((each for each in _idle if each.language == language), None)
        if found is None:
            found = Peer(language)
        else:
            _idle.remove(found)
        taken.append(found)
        return found

    yield take
    for each in taken:
        if _is_reset(each):
            _idle.append(each)
        else:
            each.kill()


def _is_reset(peer: Peer) -> bool:
    """One that is killed, or waits, or has a lock, is not used again."""
    if not peer.alive or peer.waits:
        return False
    try:
        peer.tell("reset")
    except (Refused, AssertionError, OSError):
        return False
    return True


@pytest.fixture
def segment(name: str) -> str:
    """The name of a segment."""
    return name
