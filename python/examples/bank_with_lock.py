# SPDX-License-Identifier: Apache-2.0
"""This program and a child JVM use one bank account at the same time under a lock, and no update is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import polyshm
from polyshm import Barrier, SharedValue

JVM = ["java", "--enable-native-access=ALL-UNNAMED", "io.polyshm.examples.python.BankWithLock"]
START = 200
TIMES = 100
RUNS = 20


def parent() -> None:
    balances = []
    with SharedValue("i", 0) as balance, Barrier(2) as both, ThreadPoolExecutor() as threads:
        child = threads.submit(run_child, balance, both)
        try:
            for _ in range(RUNS):
                balance.value = START
                work(balance, -1, both)
                balances.append(balance.value)
        finally:
            both.abort()  # the child waits no more for this program
            child.result()  # raises if it has failed
    print("balances:", balances)
    print("right:   ", balances.count(START), "of", RUNS)


def run_child(balance: SharedValue, both: Barrier) -> None:
    try:
        subprocess.run([*JVM, balance.handle, both.handle], check=True)
    finally:
        both.abort()  # nor this program for the child


def child(balance_handle: str, both_handle: str) -> None:
    with polyshm.attach(balance_handle) as balance, polyshm.attach(both_handle) as both:
        for _ in range(RUNS):
            work(balance, +1, both)


def work(balance: SharedValue, amount: int, both: Barrier) -> None:
    both.wait()  # they begin together
    for _ in range(TIMES):
        with balance.lock:
            before = balance.value
            os.sched_yield()  # time for the other to come between, but now it cannot
            balance.value = before + amount
    both.wait()  # they are done


if __name__ == "__main__":
    if len(sys.argv) > 1:  # handles: started by BankWithLock.java
        child(*sys.argv[1:])
    else:
        parent()
