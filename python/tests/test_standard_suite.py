# SPDX-License-Identifier: Apache-2.0
"""The standard library's own tests of what polyshm.multiprocessing replaces, run against it, for each start method.

By pytest, or where there is none by `python -m unittest test_standard_suite` in this folder. Those that fail
for a reason stand in FAILING, and one of these that passes is an error as well.
"""

import gc
import multiprocessing
import os
import unittest
from test import _test_multiprocessing as standard
from unittest import mock

from polyshm import multiprocessing as ours

START_METHODS = ("fork", "spawn", "forkserver")

# Every class of tests that uses one of our factories.
SUITES = (
    "_TestProcess",
    "_TestQueue",
    "_TestLock",
    "_TestSemaphore",
    "_TestCondition",
    "_TestEvent",
    "_TestBarrier",
    "_TestValue",
    "_TestArray",
    "_TestSharedCTypes",
)

# Test -> why it fails.
FAILING: "dict[str, str]" = {}

FACTORIES = (
    "Lock",
    "RLock",
    "Semaphore",
    "BoundedSemaphore",
    "Condition",
    "Event",
    "Barrier",
    "Value",
    "Array",
    "RawValue",
    "RawArray",
)


class OursMixin(standard.ProcessesMixin):
    """Where the standard's tests get their factories from."""

    start_method = ""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.method_before = multiprocessing.get_start_method(allow_none=True)
        multiprocessing.set_start_method(cls.start_method, force=True)

    @classmethod
    def tearDownClass(cls):
        gc.collect()
        multiprocessing.set_start_method(cls.method_before, force=True)
        super().tearDownClass()

    def run(self, result=None):
        # What a test takes from its module instead of from its class.
        with mock.patch.multiple(standard, Value=ours.Value, copy=ours.sharedctypes.copy):
            return super().run(result)

    def check_invariant(self, cond):
        """The standard's looks at the three semaphores that its Condition consists of."""
        with cond:
            self.assertEqual(cond.n_waiting, 0)


for factory in FACTORIES:
    setattr(OursMixin, factory, staticmethod(getattr(ours, factory)))


def _make(suite, start_method):
    base = getattr(standard, suite)
    name = f"Test{start_method.capitalize()}{suite[len('_Test'):]}"
    made = type(name, (OursMixin, base, unittest.TestCase), {"start_method": start_method, "__module__": __name__})
    for test in unittest.defaultTestLoader.getTestCaseNames(made):
        if test in FAILING or f"{name}.{test}" in FAILING:
            method = getattr(base, test)
            setattr(made, test, unittest.expectedFailure(lambda self, method=method: method(self)))
    return made


for start_method in START_METHODS:
    for suite in SUITES:
        made = _make(suite, start_method)
        globals()[made.__name__] = made
del made


def tearDownModule():
    standard.util._cleanup_tests()
    gc.collect()
    left = [name for name in os.listdir("/dev/shm") if name.startswith("polyshm.")]
    assert left == [], left


if __name__ == "__main__":
    unittest.main()
