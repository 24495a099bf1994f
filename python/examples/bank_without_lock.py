# SPDX-License-Identifier: Apache-2.0
"""This program and a child JVM use one bank account at the same time, and updates get lost: one overwrites what the
other has stored since it read the balance.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import polyshm
from polyshm import Barrier, SharedValue

JVM = ["java", "--enable-native-access=ALL-UNNAMED", "io.polyshm.examples.python.BankWithoutLock"]
START = 200
TIMES = 100


def parent() -> None:
    with SharedValue("i", START) as balance, Barrier(2) as both, ThreadPoolExecutor() as threads:
        child = threads.submit(run_child, balance, both)
        try:
            rounds = work(balance, -1, both)
        finally:
            both.abort()  # the child waits no more for this program
            child.result()  # raises if it has failed
        print("expected:", START)
        print("found:   ", balance.value, f"(in round {rounds})")


def run_child(balance: SharedValue, both: Barrier) -> None:
    try:
        subprocess.run([*JVM, balance.handle, both.handle], check=True)
    finally:
        both.abort()  # nor this program for the child


def child(balance_handle: str, both_handle: str) -> None:
    with polyshm.attach(balance_handle) as balance, polyshm.attach(both_handle) as both:
        work(balance, +1, both)


def work(balance: SharedValue, amount: int, both: Barrier) -> int:
    """Repeat rounds until the balance is wrong after one. Returns the number of that round."""
    for rounds in itertools.count(1):
        both.wait()  # they begin together
        for _ in range(TIMES):
            before = balance.get_volatile()
            think(rounds - 1)
            balance.set_volatile(before + amount)  # whatever the other has stored since
        both.wait()  # they are done
        if balance.get_volatile() != START:
            break
    return rounds


def think(times: int) -> None:
    """A bank that takes its time: longer in each round, for machines with only one processor."""
    for _ in range(times):
        pass


if __name__ == "__main__":
    if len(sys.argv) > 1:  # handles: started by BankWithoutLock.java
        child(*sys.argv[1:])
    else:
        parent()
