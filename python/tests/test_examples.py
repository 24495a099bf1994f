# SPDX-License-Identifier: Apache-2.0
"""The tutorial between Java and Python, from Python's side: PythonTest.java has the other.

CLASSPATH has to name the classes of java/polyshm-examples and what they need; `java` is that of JAVA_HOME or PATH.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import processes
import pytest

from polyshm import NotFound, SharedMemory

pytestmark = pytest.mark.skipif(
    "CLASSPATH" not in os.environ, reason="Without Java: CLASSPATH does not name the classes of java/polyshm-examples"
)

EXAMPLES = Path(__file__).parent.parent / "examples"
PROGRAMS = ("plain_list.py", "squares.py", "bank_without_lock.py", "bank_with_lock.py")
BANKS = PROGRAMS[2:]


class Parent(subprocess.Popen):
    """One of the programs, with what a test has instead of `java`, if it has."""

    def __init__(self, program: str, *arguments: str, java: Path | None = None) -> None:
        home = os.environ.get("JAVA_HOME")
        folders = [java and str(java.parent), home and f"{home}/bin", os.environ["PATH"]]
        super().__init__(
            [sys.executable, EXAMPLES / program, *arguments],
            env={**os.environ, "PATH": os.pathsep.join(filter(None, folders))},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=processes.die_with_parent,
        )

    def end(self) -> tuple[str, str]:
        """What it and its child have printed; both have ended then."""
        return self.communicate()


@pytest.fixture
def java(tmp_path):
    """Makes a script that is the program's `java`."""

    def make(*lines):
        script = tmp_path / "java"
        script.write_text("\n".join(lines))
        script.chmod(0o700)
        return script

    return make


def attaching(work: str) -> tuple[str, ...]:
    """A script that has the account and the barrier of a bank, and does some work."""
    return (
        f"#!{sys.executable}",
        "import os, signal, sys, polyshm",
        "balance, both = map(polyshm.attach, sys.argv[-2:])",
        work,
    )


@pytest.mark.parametrize(
    "program, numbers, printed",
    [
        ("plain_list.py", "", ["in the child:  [25, 36, 49, 64]", "in the parent: []"]),
        ("squares.py", "", ["[25, 36, 49, 64]", "174"]),
        ("squares.py", "3 1 -4", ["[9, 1, 16]", "26"]),
        ("squares.py", "46340", ["[2147395600]", "2147395600"]),
        ("bank_with_lock.py", "", [f"balances: {[200] * 20}", "right:    20 of 20"]),
    ],
)
def test_should_print_what_both_have_done(program, numbers, printed):
    parent = Parent(program, *numbers.split())

    output, errors = parent.end()

    assert (parent.returncode, errors) == (0, "")
    assert output.splitlines() == printed


def test_should_lose_updates_without_a_lock():
    parent = Parent("bank_without_lock.py")

    output, errors = parent.end()

    assert (parent.returncode, errors) == (0, "")
    found = re.fullmatch(r"expected: 200\nfound:    (\d+) \(in round [1-9]\d*\)\n", output)
    assert found and 100 <= int(found[1]) <= 300 and found[1] != "200"


def test_should_have_the_stack_trace_of_a_jvm_that_throws():
    parent = Parent("squares.py", "46341")

    output, errors = parent.end()

    assert (parent.returncode, output) == (1, "")
    assert "java.lang.ArithmeticException: integer overflow" in errors
    assert "at io.polyshm.examples.python.Squares.main" in errors
    assert re.search(r"CalledProcessError: .* returned non-zero exit status 1\.$", errors)


@pytest.mark.parametrize("program", PROGRAMS)
def test_should_fail_when_the_jvm_does_before_it_has_attached(program, java):
    parent = Parent(program, java=java("#!/bin/sh", "echo no such class >&2", "exit 3"))

    output, errors = parent.end()

    assert (parent.returncode, output) == (1, "")
    assert "no such class" in errors
    assert re.search(r"CalledProcessError: .* returned non-zero exit status 3\.$", errors)


@pytest.mark.parametrize("program", PROGRAMS)
def test_should_fail_when_the_jvm_is_killed_before_it_has_attached(program, java):
    parent = Parent(program, java=java("#!/bin/sh", "kill -9 $$"))

    output, errors = parent.end()

    assert (parent.returncode, output) == (1, "")
    assert re.search(r"CalledProcessError: .* died with <Signals.SIGKILL: 9>\.$", errors)


@pytest.mark.parametrize("work", ["", "both.wait()", "both.wait(); balance.lock.acquire()"])
@pytest.mark.parametrize("program", BANKS)
def test_should_fail_when_the_child_is_killed_at_work(program, work, java):
    parent = Parent(program, java=java(*attaching(f"{work}\nos.kill(os.getpid(), signal.SIGKILL)")))

    output, errors = parent.end()

    assert (parent.returncode, output) == (1, "")
    assert re.search(r"CalledProcessError: .* died with <Signals.SIGKILL: 9>\.$", errors)


def test_should_end_with_the_child_when_interrupted_at_work(java):
    work = "balance.lock.acquire(); both.wait(); os.kill(os.getppid(), signal.SIGINT); both.wait()"
    parent = Parent("bank_with_lock.py", java=java(*attaching(work)))

    output, errors = parent.end()

    assert (parent.returncode, output) == (1, "")
    assert "BrokenBarrier" in errors
    assert "KeyboardInterrupt" in errors


@pytest.mark.parametrize("program", BANKS)
def test_should_end_the_jvm_and_leave_nothing_when_the_parent_is_killed(program, java):
    # The parent stands still from the JVM's start on, so that it cannot be done before it is killed.
    parent = Parent(program, java=java("#!/bin/sh", "kill -STOP $PPID", "PATH=${PATH#*:}", 'exec java "$@"'))
    while not meets_another(parent.pid):
        time.sleep(0.005)  # the watchdog has the only time limit
    os.kill(parent.pid, signal.SIGKILL)

    output, errors = parent.end()

    assert (parent.returncode, output) == (-signal.SIGKILL, "")
    assert "java.util.concurrent.BrokenBarrierException" in errors
    assert f"pid={parent.pid}" in errors
    SharedMemory.reap()  # as the next process does that creates a segment; the fixture sees what it leaves


def meets_another(pid: int) -> bool:
    """Whether a thread waits at the process's barrier, and is not its own."""
    for path in Path("/dev/shm").glob(f"polyshm.anonymous-{pid}-*"):
        try:
            with SharedMemory.open(path.name.split(".", 1)[1]) as memory:
                if any(each.kind == "Barrier" for each in memory.objects()):
                    return len({each.pid for each in memory.participants()} - {os.getpid()}) == 2
        except NotFound:
            pass
    return False
