# SPDX-License-Identifier: Apache-2.0
"""A plain list that a child JVM fills stays empty here: the child gets its text, and makes a list of its own."""

from __future__ import annotations

import json
import subprocess
import sys

JVM = ["java", "io.polyshm.examples.python.PlainList"]


def parent() -> None:
    squares: list[int] = []
    subprocess.run([*JVM, str(squares)], check=True)
    print("in the parent:", squares)


def child(text: str) -> None:
    squares = json.loads(text)
    for item in (5, 6, 7, 8):
        squares.append(item * item)
    print("in the child: ", squares)


if __name__ == "__main__":
    if len(sys.argv) > 1:  # started by PlainList.java
        child(sys.argv[1])
    else:
        parent()
