# SPDX-License-Identifier: Apache-2.0
"""Child processes of tests. None outlives its parent, even if that is killed."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import traceback
from typing import Any, Callable

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)

lasting: set[int] = set()
"""Children that several tests use; all others end with their test."""


def die_with_parent() -> None:
    """With the thread that started this process, to be exact."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def python(program: str, *arguments: str, code: int = 0) -> str:
    """Run a program in a new Python. Returns what it prints, after it has ended with that code."""
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", program, *arguments],
        preexec_fn=die_with_parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert done.returncode == code, done.stderr
    assert code != 0 or not done.stderr, done.stderr
    return done.stdout


def forked(function: Callable[..., Any], *arguments: Any) -> int:
    """A child by os.fork that ends with 0 if the function returns, by os._exit."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        die_with_parent()
        function(*arguments)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def ends_well(pid: int) -> bool:
    return os.waitpid(pid, 0)[1] == 0


def process(context: Any, function: Callable[..., Any], *arguments: Any) -> Any:
    """The function in a process of multiprocessing, which is yet to be started."""
    return context.Process(target=_child, args=(function, *arguments))


def run(context: Any, function: Callable[..., Any], *arguments: Any) -> None:
    """The same, which must end well."""
    child = process(context, function, *arguments)
    child.start()
    child.join()
    assert child.exitcode == 0


def _child(function: Callable[..., Any], *arguments: Any) -> None:
    die_with_parent()
    threading.Thread(target=_watch_parent, daemon=True).start()
    function(*arguments)


def _watch_parent() -> None:
    """The parent of one that a fork server has started is not the one that wanted it."""
    multiprocessing.parent_process().join()
    os._exit(1)
