# SPDX-License-Identifier: Apache-2.0
"""What tests need besides the package, by variables of the environment."""

from __future__ import annotations

import os
from pathlib import Path


def needed(variable: str, what: str) -> str:
    """Its value, or an error that tells what it is."""
    value = os.environ.get(variable)
    if not value:
        raise RuntimeError(f"{variable} is not set: it names {what}; scripts/cross-language sets what is needed")
    return value


def native_test(name: str) -> Path:
    """A program of native/test."""
    return Path(needed("POLYSHM_NATIVE_TESTS", "the folder that CMake has built native/test in")) / name
