# SPDX-License-Identifier: Apache-2.0
"""Every code of polyshm.h becomes an exception, those of later libraries too."""

from __future__ import annotations

import pickle
import threading
from datetime import datetime, timezone

import pytest

import polyshm
from polyshm import _errors, _native
from polyshm._library import check, error, library

CLASSES = {
    "PSHM_EINVAL": ValueError,
    "PSHM_ENAME": ValueError,
    "PSHM_EEXIST": polyshm.AlreadyExists,
    "PSHM_ENOENT": polyshm.NotFound,
    "PSHM_EACCES": polyshm.PermissionDenied,
    "PSHM_EFULL": polyshm.MemoryFull,
    "PSHM_ENOSPACE": polyshm.MemoryFull,
    "PSHM_ELAYOUT": polyshm.WrongLayout,
    "PSHM_ETYPE": polyshm.TypeMismatch,
    "PSHM_EBUSY": polyshm.Busy,
    "PSHM_ETIMEDOUT": polyshm.PolyshmError,
    "PSHM_EOWNERDIED": polyshm.OwnerDied,
    "PSHM_ENOTOWNER": RuntimeError,
    "PSHM_ECLOSED": polyshm.Closed,
    "PSHM_EHELD": polyshm.LockHeld,
    "PSHM_EPARTICIPANTS": polyshm.TooManyParticipants,
    "PSHM_EUNAVAILABLE": polyshm.Unavailable,
    "PSHM_ENOMEM": polyshm.PolyshmError,
    "PSHM_EDEPTH": polyshm.PolyshmError,
    "PSHM_EUNNAMED": polyshm.PolyshmError,
    "PSHM_EGOOD": polyshm.PolyshmError,
    "PSHM_EOS": polyshm.PolyshmError,
    "PSHM_EINTERRUPTED": polyshm.PolyshmError,
    "PSHM_EBROKEN": polyshm.BrokenBarrier,
    "PSHM_EOVERFLOW": ValueError,
}
BUILT_IN = {
    polyshm.AlreadyExists: FileExistsError,
    polyshm.NotFound: FileNotFoundError,
    polyshm.PermissionDenied: PermissionError,
    polyshm.MemoryFull: MemoryError,
    polyshm.TypeMismatch: TypeError,
    polyshm.Closed: ValueError,
    polyshm.BrokenBarrier: threading.BrokenBarrierError,
}


def test_should_know_every_code_of_the_header():
    codes = {name for name, value in vars(_native).items() if name.startswith("PSHM_E") and value in range(-99, 0)}
    assert codes == CLASSES.keys()


@pytest.mark.parametrize("name", CLASSES)
def test_should_be_the_exception_of_its_code(name):
    raised = error(getattr(_native, name))
    assert type(raised) is CLASSES[name]
    assert str(raised)
    if isinstance(raised, polyshm.PolyshmError):
        assert raised.error_name == name
        assert isinstance(raised, BUILT_IN.get(type(raised), Exception))
    with pytest.raises(CLASSES[name]):
        check(getattr(_native, name))


@pytest.mark.parametrize("code", [-26, -99, -(2**31)])
def test_should_be_the_root_when_the_code_is_unknown(code):
    raised = error(code)
    assert type(raised) is polyshm.PolyshmError
    assert raised.error_name == "PSHM_EUNKNOWN"


@pytest.mark.parametrize("code", [0, 1, 2**31 - 1])
def test_should_be_no_exception_when_it_is_success(code):
    assert check(code) == code


def test_should_have_the_text_of_the_code_when_there_is_no_detail():
    told = []
    thread = threading.Thread(target=lambda: told.append(error(_native.PSHM_ENOMEM)))  # in which nothing failed yet
    thread.start()
    thread.join()
    assert str(told[0]) == library.pshm_error_text(_native.PSHM_ENOMEM).decode() == "out of memory"


def test_should_have_the_detail_of_the_call():
    with pytest.raises(polyshm.NotFound, match="there-is-none") as raised:
        polyshm.SharedMemory.open("there-is-none")
    assert raised.value.error_name == "PSHM_ENOENT"


@pytest.mark.parametrize("kind", [*dict.fromkeys(_errors._FAMILY.values()), polyshm.PolyshmError], ids=lambda kind: kind.__name__)
def test_should_travel(kind):
    assert getattr(polyshm, kind.__name__) is kind
    arrived = pickle.loads(pickle.dumps(kind("PSHM_EX", "what, values, remedy")))
    assert type(arrived) is kind
    assert (arrived.error_name, str(arrived)) == ("PSHM_EX", "what, values, remedy")


def test_should_travel_with_the_death():
    death = polyshm.Death(1, 2, "worker", datetime.now(timezone.utc), 3)
    arrived = pickle.loads(pickle.dumps(polyshm.OwnerDied("PSHM_EOWNERDIED", "died", death)))
    assert (arrived.error_name, str(arrived), arrived.death) == ("PSHM_EOWNERDIED", "died", death)
