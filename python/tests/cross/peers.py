# SPDX-License-Identifier: Apache-2.0
"""The peers: a program in each language that does what it is told, and the same in all of them.

A peer reads commands, one a line, and answers each by a line: `ok VALUE`, or `error NAME CLASS TEXT`, where NAME is
the code's of polyshm.h, CLASS the exception's, and either may be `-`. A HANDLE is `segment/object`, and what has been
opened is called by it from then on. Elements are their bits in hexadecimal. A time is in milliseconds; -1 has no end.
Where a wait or an attempt ends without what it was for, the value is 0, otherwise 1.

    segment.create NAME BYTES | segment.open NAME | segment.openOrCreate NAME BYTES
    segment.anonymous BYTES         its name
    segment.close NAME | segment.unlink NAME
    segment.objects NAME            name:kind:type:length:bytes of each
    segment.participants NAME       the pid of each
    reset                           close everything

    array.open HANDLE TYPE LENGTH | value.open HANDLE TYPE | lock.open HANDLE
    semaphore.open HANDLE PERMITS BOUNDED | event.open HANDLE | latch.open HANDLE COUNT
    barrier.open HANDLE PARTIES | rwlock.open HANDLE | condition.open HANDLE HANDLE-OF-LOCK
    attach HANDLE KIND [TYPE]       by the handle alone; `segment.close` is not for these

    get HANDLE INDEX | set HANDLE INDEX ELEMENT | fill HANDLE ELEMENT
    read HANDLE | write HANDLE ELEMENTS             all, in bulk
    lock.add HANDLE INDEX TIMES | atomic.add HANDLE INDEX TIMES

    lock.acquire | lock.try | lock.timed HANDLE TIME | lock.release
    lock.repair                     the pid that had died; 0 if it is not abandoned
    lock.info                       owner= abandoned= dead= deaths=
    semaphore.acquire HANDLE PERMITS TIME | semaphore.release HANDLE PERMITS | semaphore.available
    event.set | event.clear | event.isSet | event.wait HANDLE TIME
    latch.countDown HANDLE BY | latch.count | latch.wait HANDLE TIME
    barrier.wait HANDLE TIME        its index
    barrier.abort | barrier.reset | barrier.info    waiting= broken= cause= pid=
    rwlock.acquire HANDLE read|write TIME | rwlock.release HANDLE read|write
    rwlock.repair | rwlock.info     writer= readers= abandoned= dead= deaths=
    condition.wait HANDLE TIME | condition.signal HANDLE COUNT | condition.waiting
"""

from __future__ import annotations

import itertools
import os
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable

from environment import native_test, needed
from processes import die_with_parent, lasting

LANGUAGES = ("c", "java", "python")

ORDERS = list(itertools.product(LANGUAGES, repeat=2))
"""Each with each, and with another of its own."""

_SECONDS = 60  # without an answer until a test is given up


class Refused(Exception):
    """An answer that is an error."""

    def __init__(self, language: str, text: str) -> None:
        super().__init__(f"{language}: {text}")
        self.name, self.type, self.text = (text.split(" ", 2) + ["", ""])[:3]


class Peer:
    """A process of one language."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._process = subprocess.Popen(
            _COMMANDS[language](),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            preexec_fn=die_with_parent,
        )
        self.pid = self._process.pid
        lasting.add(self.pid)
        self._rest = b""
        self.waits = False
        """A command has begun and not ended."""

    def __repr__(self) -> str:
        return f"Peer({self.language}, pid={self.pid})"

    def begin(self, *words: object) -> None:
        """Have it begin: `end` tells what came of it."""
        assert self._process.stdin is not None
        self.waits = True
        self._process.stdin.write(" ".join(map(str, words)).encode() + b"\n")
        self._process.stdin.flush()

    def end(self) -> str:
        """The value that the command answers; Refused."""
        outcome, _, text = self._line().partition(" ")
        self.waits = False
        if outcome == "ok":
            return text.strip()
        raise Refused(self.language, text)

    def tell(self, *words: object) -> str:
        """Both."""
        self.begin(*words)
        return self.end()

    def refused(self, *words: object) -> Refused:
        """What is wrong with a command, or with the one that has begun."""
        try:
            value = self.tell(*words) if words else self.end()
        except Refused as refused:
            return refused
        raise AssertionError(f"{self}: {' '.join(map(str, words))}: ok {value}")

    def info(self, *words: object) -> dict[str, str]:
        """An answer of names and values."""
        return dict(each.split("=") for each in self.tell(*words).split())

    def _line(self) -> str:
        assert self._process.stdout is not None
        end = time.monotonic() + _SECONDS
        while b"\n" not in self._rest:
            ready, _, _ = select.select([self._process.stdout], [], [], max(0, end - time.monotonic()))
            if not ready:
                raise AssertionError(f"{self} has not answered for {_SECONDS} s")
            some = os.read(self._process.stdout.fileno(), 1 << 16)
            if not some:
                raise AssertionError(f"{self} has ended, code={self._process.wait()}; see its stderr")
            self._rest += some
        line, self._rest = self._rest.split(b"\n", 1)
        return line.decode()

    def kill(self) -> None:
        """kill -9."""
        lasting.discard(self.pid)
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()

    @property
    def alive(self) -> bool:
        return self._process.poll() is None


def await_that(condition: Callable[[], bool]) -> None:
    """The peers' time limit is the only one."""
    end = time.monotonic() + _SECONDS
    while not condition():
        assert time.monotonic() < end, "it has not become true"
        time.sleep(0.001)


# ---- how each is started ----


def _java() -> list[str]:
    home = needed("JAVA_HOME", "the JDK")
    classpath = needed("POLYSHM_CLASSPATH", "classes and test classes of java/polyshm, and the jars they need")
    # The JVM begins twice as fast, and its warnings are few.
    options = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto", "--enable-native-access=ALL-UNNAMED"]
    return [f"{home}/bin/java", *options, "-cp", classpath, "io.polyshm.cross.Peer"]


def _python() -> list[str]:
    return [sys.executable, str(Path(__file__).with_name("peer.py"))]


_COMMANDS: dict[str, Callable[[], list[str]]] = {
    "c": lambda: [str(native_test("peer"))],
    "java": _java,
    "python": _python,
}
