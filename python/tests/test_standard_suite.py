# SPDX-License-Identifier: Apache-2.0
"""The standard library's own tests of what polyshm.multiprocessing replaces, run against it, for each start method.

By pytest, or where there is none by `python -m unittest test_standard_suite` in this folder. Those that fail
for a reason stand in FAILING, and one of these that passes is an error as well. `check_invariant` is the one
thing that is replaced.
"""

import gc
import multiprocessing
import os
import sys
import unittest
from test import _test_multiprocessing as standard
from unittest import mock

from polyshm import multiprocessing as ours

START_METHODS = ("fork", "spawn", "forkserver")

# Every class of tests that uses what we replace.
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
    "TestForkAwareThreadLock",
    "TestResourceTracker",
    "TestSimpleQueue",
    "TestStartMethod",
    "TestWait",
)

# Test -> why it fails.
FAILING = {
    "test_resource_tracker_sigkill": "a semaphore of ours needs no tracker, so nobody misses one that was killed",
}

# Uses nothing that we replace, and takes five seconds.
LEFT_OUT = {"test_wait_timeout"}

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
        multiprocessing.set_forkserver_preload(["__main__", __name__])
        cls.method_before = multiprocessing.get_start_method(allow_none=True)
        multiprocessing.set_start_method(cls.start_method, force=True)

    @classmethod
    def tearDownClass(cls):
        gc.collect()
        multiprocessing.set_start_method(cls.method_before, force=True)
        super().tearDownClass()

    def run(self, result=None):
        # What a test takes from its module instead of from its class.
        with mock.patch.multiple(standard, multiprocessing=ours, Value=ours.Value, copy=ours.sharedctypes.copy):
            return super().run(result)

    def check_invariant(self, cond):
        """The standard's looks at the three semaphores of which its own conditions consist."""
        with cond:
            self.assertEqual(cond.n_waiting, 0)


for factory in FACTORIES:
    setattr(OursMixin, factory, staticmethod(getattr(ours, factory)))


def make(start_method, suite):
    name = f"Test{start_method.capitalize()}{suite.partition('Test')[2]}"
    bases = (OursMixin, getattr(standard, suite), unittest.TestCase)
    made = type(name, bases, {"start_method": start_method, "__module__": __name__})
    for test in LEFT_OUT & set(dir(made)):
        setattr(made, test, None)
    for test in FAILING.keys() & set(dir(made)):
        method = getattr(made, test)
        setattr(made, test, unittest.expectedFailure(lambda self, method=method: method(self)))
    globals()[name] = made


for start_method in START_METHODS:
    for suite in SUITES:
        make(start_method, suite)


def setUpModule():
    # Where the server of forkserver finds this module, so that its children need not load it.
    environment.start()


def tearDownModule():
    environment.stop()
    standard.util._cleanup_tests()
    gc.collect()
    left = [name for name in os.listdir("/dev/shm") if name.startswith("polyshm.")]
    assert left == [], left


environment = mock.patch.dict(os.environ, PYTHONPATH=os.pathsep.join(filter(None, sys.path)))

if __name__ == "__main__":
    unittest.main()
