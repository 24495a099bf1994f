# SPDX-License-Identifier: Apache-2.0
"""Segments, and what all objects that live in one have in common."""

from __future__ import annotations

import atexit
import ctypes
import operator
import os
import sys
import threading
import weakref
from dataclasses import dataclass
from datetime import datetime, timezone
from enum import IntEnum
from typing import Any, ClassVar, Iterator, TypeVar

from . import _native
from ._errors import Closed, NotFound, TypeMismatch
from ._library import begin_exit, check, library
from ._types import BY_TYPE


class Lifetime(IntEnum):
    """When a segment goes."""

    PERSISTENT = _native.PSHM_PERSISTENT
    """When it is unlinked."""
    LAST_OUT = _native.PSHM_LAST_OUT
    """When the last process that has it open is gone, killed ones included."""


@dataclass(frozen=True)
class ObjectInfo:
    """An object of a segment."""

    name: str
    kind: str
    """The name of its class."""
    typecode: str | None
    """Of an array's or value's elements; None for others."""
    length: int
    """Elements, permits, count or parties that it was made with; otherwise 0."""
    bytes: int


@dataclass(frozen=True)
class Participant:
    """One opening of a segment by a process."""

    pid: int
    command: str
    since: datetime


def _encode(name: str | None) -> bytes | None:
    """A name for C; what it cannot be is told there. A NUL would end it early."""
    if name is None:
        return None
    if "\0" in name:
        raise ValueError(f"name={name!r} is not a name: it has a NUL")
    return name.encode("utf-8", "surrogateescape")


def number(operation: str, parameter: str, value: int) -> int:
    """One that C can have; the library checks its range."""
    number = operator.index(value)
    if not -(2**63) <= number < 2**63:
        raise ValueError(f"{operation}: {parameter}={number} takes more than 64 bits")
    return number


class SharedMemory:
    """A segment: memory that processes of this host share, in which objects are found by name.

        with SharedMemory.open_or_create("market", 1 << 20) as memory:
            bids = SharedArray("q", 1000, memory=memory, name="bids")

    Any thread may call anything at any time. After `close` every use of it and its objects raises
    `Closed`. Views that are still about (memoryview, numpy) stay valid, as the memory stays mapped until
    they are gone. One that is not closed is closed when it is collected, or when the process ends.
    """

    _by_address: ClassVar[weakref.WeakValueDictionary[int, SharedMemory]] = weakref.WeakValueDictionary()

    def __init__(self) -> None:
        raise TypeError("SharedMemory: take create, open, open_or_create or anonymous")

    # ---- making one ----

    @classmethod
    def create(
        cls,
        name: str,
        bytes: int,
        *,
        permissions: int = 0o600,
        lifetime: Lifetime = Lifetime.PERSISTENT,
    ) -> SharedMemory:
        """Create a segment with room for `bytes` bytes of objects. All of it is reserved now.

        AlreadyExists; MemoryFull; PermissionDenied; Unavailable; ValueError for a name or size that
        cannot be.
        """
        return cls._made(library.pshm_segment_create, name, bytes, permissions=permissions, lifetime=lifetime)

    @classmethod
    def open(cls, name: str, *, allow_other_owner: bool = False) -> SharedMemory:
        """Open a segment that exists.

        NotFound; PermissionDenied; WrongLayout; TooManyParticipants; Unavailable; ValueError for a name
        that cannot be.
        """
        return cls._made(library.pshm_segment_open, name, allow_other_owner=allow_other_owner)

    @classmethod
    def open_or_create(
        cls,
        name: str,
        bytes: int,
        *,
        permissions: int = 0o600,
        lifetime: Lifetime = Lifetime.PERSISTENT,
        allow_other_owner: bool = False,
    ) -> SharedMemory:
        """Open the segment, or create it if there is none; of many that do so at once, one creates."""
        return cls._made(
            library.pshm_segment_open_or_create,
            name,
            bytes,
            permissions=permissions,
            lifetime=lifetime,
            allow_other_owner=allow_other_owner,
        )

    @classmethod
    def anonymous(cls, bytes: int, *, permissions: int = 0o600) -> SharedMemory:
        """Create a segment with a generated name that goes with the last process that has it open."""
        return cls._made(
            library.pshm_segment_create, None, bytes, permissions=permissions, lifetime=Lifetime.LAST_OUT
        )

    @classmethod
    def _made(cls, function: Any, name: str | None, *size: int, **options: int) -> SharedMemory:
        out = ctypes.c_void_p()
        settings = _native.pshm_options(**options)
        bytes = [number("segment", "bytes", each) for each in size]
        check(function(_encode(name), *bytes, ctypes.byref(settings), ctypes.byref(out)))
        self = object.__new__(cls)
        self._begin(out.value)
        return self

    def _begin(self, segment: Any) -> None:
        self._segment = segment
        self._closed = False
        # Every handle of the segment stays valid as long as this object, which its objects refer to.
        library.pshm_segment_pin(segment)
        weakref.finalize(self, _end, segment).atexit = False  # see _close_all
        self._by_address[segment] = self

    @classmethod
    def _all(cls) -> list[SharedMemory]:
        """Those that this process has, closed ones too. A copy is all that needs no lock."""
        return [memory for memory in (each() for each in cls._by_address.valuerefs()) if memory is not None]

    # ---- what it is ----

    @property
    def name(self) -> str:
        """The name, also after close."""
        return str(library.pshm_segment_name(self._segment).decode())

    @property
    def _id(self) -> bytes:
        return ctypes.string_at(library.pshm_segment_id(self._segment), 16)

    @property
    def size_bytes(self) -> int:
        """Bytes that objects may take in all."""
        return int(library.pshm_segment_size_bytes(self._segment))

    @property
    def free_bytes(self) -> int:
        """Bytes that are not taken yet."""
        return int(library.pshm_segment_free_bytes(self._segment))

    @property
    def lifetime(self) -> Lifetime:
        """When it goes."""
        return Lifetime(library.pshm_segment_lifetime(self._segment))

    @property
    def closed(self) -> bool:
        """Whether `close` has been called."""
        return self._closed

    def objects(self) -> list[ObjectInfo]:
        """All objects, in the order of their creation. Closed; WrongLayout if a peer has damaged it."""
        return [
            ObjectInfo(
                each.name.decode("utf-8", "replace"),
                SharedObject._classes[each.kind].__name__,
                BY_TYPE[each.type].typecode if each.kind in (_native.PSHM_ARRAY, _native.PSHM_VALUE) else None,
                each.length,
                each.bytes,
            )
            for each in self._each(library.pshm_segment_next_object, _native.pshm_object_info)
        ]

    def participants(self) -> list[Participant]:
        """The living processes that have it open, one entry for each opening. Closed."""
        return [
            Participant(
                each.pid,
                each.command.decode("utf-8", "replace"),
                datetime.fromtimestamp(each.since_ns / 1e9, timezone.utc),
            )
            for each in self._each(library.pshm_segment_next_participant, _native.pshm_participant_info)
        ]

    def _each(self, function: Any, struct: Any) -> Iterator[Any]:
        cursor = ctypes.c_uint64()
        while True:
            info = struct()
            if check(function(self._segment, ctypes.byref(cursor), ctypes.byref(info))) == 0:
                return
            yield info

    def __getitem__(self, name: str) -> Any:
        """The object of that name, as what it is: NotFound if there is none; Closed."""
        info = _native.pshm_object_info()
        check(library.pshm_segment_find_object(self._segment, _encode(name), ctypes.byref(info)))
        return SharedObject._classes[info.kind]._found(self, info)

    def __repr__(self) -> str:
        return f"SharedMemory(name={self.name!r}{', closed' if self._closed else ''})"

    # ---- the end ----

    def close(self) -> None:
        """End this process's participation; a second call does nothing.

        LockHeld if this process holds a lock of the segment: nothing has changed then.
        """
        check(library.pshm_segment_close(self._segment))
        self._closed = True

    def __enter__(self) -> SharedMemory:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @staticmethod
    def unlink(name: str) -> None:
        """Remove a name. Processes that have the segment open keep it. NotFound; PermissionDenied."""
        check(library.pshm_segment_unlink(_encode(name)))

    @staticmethod
    def reap() -> int:
        """Remove LAST_OUT segments whose processes are all gone. Returns how many went."""
        return check(library.pshm_reap())

    # ---- to another process ----

    def __reduce__(self) -> tuple[object, ...]:
        if self._closed:
            raise Closed("PSHM_ECLOSED", f"pickle: segment={self.name} is closed; send it before its close")
        spawning: Any = sys.modules.get("multiprocessing.context")
        child = spawning and spawning.get_spawning_popen()
        if child:  # its arguments are dropped before it opens what is in them
            child.__dict__.setdefault("_polyshm", []).append(self)
        return _arrived, (self.name, self._id)


def _arrived(name: str, identity: bytes) -> SharedMemory:
    """A segment that another process has sent: the one that is open already, if any."""
    for known in SharedMemory._all():
        if known._id == identity and not known._closed:
            return known
    memory = SharedMemory.open(name, allow_other_owner=True)
    if memory._id != identity:
        memory.close()
        raise NotFound("PSHM_ENOENT", f"unpickle: segment={name} is another one by now; its sender has removed it")
    return memory


def _end(segment: int) -> None:
    library.pshm_segment_close(segment)  # refused if this process ends with a lock: the others are told
    library.pshm_segment_unpin(segment)


# ---- the end of the process, and its forks ----


def _close_all() -> None:
    """Nothing is unmapped: daemon threads and views may live on to the very end."""
    begin_exit()
    for memory in SharedMemory._all():
        library.pshm_segment_close(memory._segment)


def _close_after_threads() -> None:
    """A child of multiprocessing comes to its finalizers before it waits for its threads."""
    others = [each for each in threading.enumerate() if each is not threading.current_thread() and not each.daemon]
    if not others:
        _close_all()
        return

    def wait() -> None:
        for each in others:
            each.join()
        _close_all()

    threading.Thread(target=wait, name="polyshm-end").start()


_follows = False


def _follow_multiprocessing() -> None:
    """Its processes end by os._exit, and forget at their start what Finalize was told before the fork, but not
    what is to be done after it.

    It runs this one last: a child that it waits for may be about to open what it was sent.
    """
    global _follows
    util: Any = sys.modules.get("multiprocessing.util")
    if util is not None and not _follows:

        def begin(function: Any) -> None:
            util.Finalize(None, function, exitpriority=-100)

        util.register_after_fork(_close_after_threads, begin)
        begin(_close_after_threads)
        _follows = True


def _forked() -> None:
    for memory in SharedMemory._all():
        code = library.pshm_segment_next_object(
            memory._segment, ctypes.byref(ctypes.c_uint64()), ctypes.byref(_native.pshm_object_info())
        )
        if code == _native.PSHM_ECLOSED:  # there was no room for another participant
            memory._closed = True
    _follow_multiprocessing()


@atexit.register
def _exiting() -> None:
    util: Any = sys.modules.get("multiprocessing.util")
    if util is None or util.is_exiting():  # otherwise it is still to come
        _close_all()


_follow_multiprocessing()
os.register_at_fork(after_in_child=_forked)


_S = TypeVar("_S", bound="SharedObject")


class SharedObject:
    """What all objects of a segment have in common. It travels to other processes as a handle."""

    _classes: ClassVar[dict[int, type[SharedObject]]] = {}
    _kind: ClassVar[int]
    _default_name: ClassVar[str]
    _shown: ClassVar[dict[str, str]] = {}
    """The constructor's parameters that the directory shows, and by which field."""

    memory: SharedMemory
    """The segment that it lives in."""
    name: str
    """Its name there."""
    _handle: Any

    def __init_subclass__(cls, kind: int | None = None) -> None:
        if kind is not None:
            cls._kind = kind
            cls._classes[kind] = cls

    def _place(self, memory: SharedMemory | None, name: str | None, type: int, length: int, more: int = 0) -> None:
        """In the segment given, or else in one of its own with room for `more` bytes, which `close` closes."""
        if (memory is None) != (name is None):
            raise TypeError(f"{self.__class__.__name__}: memory={memory}, name={name!r}: give both or none")
        self._owns = memory is None
        bytes = check(library.pshm_object_bytes(self._kind, type, length))
        self.memory = memory or SharedMemory.anonymous(bytes + more)
        self.name = self._default_name if name is None else name

    def _got(self, function: Any, *parameters: int) -> None:
        """Get or create it."""
        out = ctypes.c_void_p()
        check(function(self.memory._segment, _encode(self.name), *parameters, ctypes.byref(out)))
        self._handle = out.value

    @classmethod
    def _found(cls, memory: SharedMemory, info: _native.pshm_object_info) -> SharedObject:
        """The object that the directory shows."""
        parameters = {each: getattr(info, field) for each, field in cls._shown.items()}
        return cls(memory=memory, name=info.name.decode(), **parameters)  # type: ignore[call-arg]

    @property
    def handle(self) -> str:
        """What another process finds it by: `attach(handle)` here and in Java, a path of two names in C."""
        return f"{self.memory.name}/{self.name}"

    @classmethod
    def attach(cls: type[_S], handle: str, *, allow_other_owner: bool = False) -> _S:
        """As the function `attach`, and TypeMismatch if it is an object of another kind."""
        found = attach(handle, allow_other_owner=allow_other_owner)
        if not isinstance(found, cls):
            found.close()
            raise TypeMismatch("PSHM_ETYPE", f"attach: handle={handle!r} is {found!r}, and no {cls.__name__}")
        return found

    def close(self) -> None:
        """Close the segment of one that was made without a segment; nothing for others."""
        if self._owns:
            self.memory.close()

    def __enter__(self: _S) -> _S:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[object, ...]:
        return _arrived_object, (self.memory, self.name, self._owns)

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}(name={self.name!r}, memory={self.memory.name!r})"


def _arrived_object(memory: SharedMemory, name: str, owns: bool) -> Any:
    found = memory[name]
    found._owns = owns
    return found


def attach(handle: str, *, allow_other_owner: bool = False) -> Any:
    """The object that another process has told of by its `handle`, as what it is.

    Its `close` ends this process's participation in its segment. NotFound; ValueError if it is no handle;
    what `SharedMemory.open` raises.
    """
    segment, slash, name = handle.partition("/")
    if not slash:
        raise ValueError(f"attach: handle={handle!r} is none; it is <segment>/<object>")
    memory = SharedMemory.open(segment, allow_other_owner=allow_other_owner)
    try:
        return _arrived_object(memory, name, True)
    except BaseException:
        memory.close()
        raise
