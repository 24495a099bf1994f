# SPDX-License-Identifier: Apache-2.0
"""A child JVM squares numbers and adds them up, in memory that it shares with this program."""

from __future__ import annotations

import subprocess
import sys

import polyshm
from polyshm import SharedArray, SharedValue

JVM = ["java", "--enable-native-access=ALL-UNNAMED", "io.polyshm.examples.python.Squares"]


def parent(items: list[int]) -> None:
    with SharedArray("i", items) as squares, SharedValue("i", 0) as total:
        subprocess.run([*JVM, squares.handle, total.handle], check=True)
        print(squares.tolist())
        print(total.value)


def child(squares_handle: str, total_handle: str) -> None:
    with polyshm.attach(squares_handle) as squares, polyshm.attach(total_handle) as total:
        for i, item in enumerate(squares):
            squares[i] = item * item
        total.value = sum(squares)


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if any("/" in each for each in arguments):  # handles: started by Squares.java
        child(*arguments)
    else:
        parent([int(each) for each in arguments] or [5, 6, 7, 8])
