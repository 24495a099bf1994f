# SPDX-License-Identifier: Apache-2.0
"""storm_worker.py SEGMENT SERIAL SEED NAME=VALUE...: two threads that transfer amounts between accounts.

They do so until they are told to stop or are killed. The protocols stand in Bank.java and Drills.java, of the
storm of the Java tests, which starts this and tells the numbers of both. Between drills it forks as well.
"""

from __future__ import annotations

import faulthandler
import os
import random
import signal
import sys
import threading
import time
import traceback
import warnings
from functools import partial
from types import SimpleNamespace
from typing import Any, Callable

from polyshm import Barrier, BrokenBarrier, Condition, Death, Lock, OwnerDied, SharedArray, SharedMemory

n = SimpleNamespace(**{name: int(value) for name, value in (each.split("=") for each in sys.argv[4:])})

AMOUNT = 100
TRANSFERS_PER_AUDIT = 1000
MOST_TRANSFERS_PER_DRILL = 64
STEPS_PER_NAP = 20
LONGEST_NAP = 0.0005
DRILL_NAP = 0.002
TIMEOUT = 0.005
BARRIER_TIMEOUT = 0.02
WAITS_PER_ENDLESS = 2
AWAITS_PER_ABORT = 16
REPAIRS_PER_REFUSAL = 8


class NotNow(Exception):
    """A repair that is given up."""


class Bank:
    """All that is shared, found by its name."""

    def __init__(self, memory: SharedMemory) -> None:
        self.memory = memory
        self.accounts: SharedArray = memory["accounts"]
        self.cells: SharedArray = memory["cells"]
        self.journal: SharedArray = memory["journal"]
        self.control: SharedArray = memory["control"]
        self.words: SharedArray = memory["drills"]
        self.locks: list[Lock] = [memory[f"lock-{i}"] for i in range(n.GROUPS + 1)]
        self.semaphore = memory["semaphore"]
        self.rwlock = memory["rwlock"]
        self.barriers = [
            Barrier(i + 2, partial(self.words.get_and_add, n.TRIPS + 4 * i, 1), memory=memory, name=f"barrier-{i}")
            for i in range(n.BARRIERS)
        ]
        self.event = memory["event"]
        self.pulse = memory["pulse"]
        self.latches = [memory[f"latch-{i}"] for i in range(n.LATCHES)]

    @property
    def stopping(self) -> bool:
        return self.control.get_volatile(n.STOP) != 0

    def doomed(self, serial: int) -> int:
        return self.journal.get_volatile(serial * n.RECORD + n.DOOMED) if 0 < serial < n.SERIALS else 0

    def was_killed(self, pid: int) -> bool:
        return any(self.doomed(serial) == pid for serial in range(1, self.control.get_volatile(n.SERIALS_GIVEN)))


def serial_of(thread_name: str) -> int:
    start, _, number = thread_name.partition("storm-")
    return int(number) if not start and number.isdecimal() else 0


class Teller:
    """One thread."""

    def __init__(self, bank: Bank, serial: int, seed: str) -> None:
        self.bank = bank
        self.serial = serial
        self.record = serial * n.RECORD
        self.random = random.Random(f"{seed} {serial}")
        self.transfers_per_drill = self.random.randint(1, MOST_TRANSFERS_PER_DRILL)
        self.entries = 0

    def work(self) -> None:
        threading.current_thread().name = f"storm-{self.serial}"
        while not self.bank.stopping:
            self.transfer()
            if self.one_in(self.transfers_per_drill):
                self.drill()
            if self.one_in(TRANSFERS_PER_AUDIT):
                self.audit()
        self.bank.control.get_and_add(n.ENDED, 1)
        while self.bank.control.get_volatile(n.STOP) == 1:
            time.sleep(0.001)

    def transfer(self) -> None:
        source, target = self.random.sample(range(n.ACCOUNTS), 2)
        groups = sorted({source % n.GROUPS, target % n.GROUPS})
        for group in groups:
            self.linger()
            self.take(group)
        self.move(source, target, self.random.randrange(AMOUNT))
        for group in reversed(groups):
            self.give(group)

    def move(self, source: int, target: int, amount: int) -> None:
        write, accounts = self.bank.journal.set_volatile, self.bank.accounts
        source_before, target_before = accounts[source], accounts[target]
        write(self.record + n.FROM, source)
        write(self.record + n.TO, target)
        write(self.record + n.FROM + n.BEFORE, source_before)
        write(self.record + n.TO + n.BEFORE, target_before)
        write(self.record + n.STATE, 1)
        self.linger()
        accounts.set_volatile(source, source_before - amount)
        self.linger()
        accounts.set_volatile(target, target_before + amount)
        self.linger()
        write(self.record + n.STATE, 0)
        self.count(n.TRANSFERS)

    def audit(self) -> None:
        for group in range(n.GROUPS):
            self.take(group)
        missing = self.bank.control.get_volatile(n.SUM) - sum(self.bank.accounts)
        for group in reversed(range(n.GROUPS)):
            self.give(group)
        self.expect(missing == 0, "the sum of all accounts is short of", missing)

    # ---- chance ----

    def one_in(self, many: int) -> bool:
        return self.random.randrange(many) == 0

    def nap(self, longest: float) -> None:
        time.sleep(self.random.random() * longest)

    def linger(self) -> None:
        """Others get their turn, and a death can come between any two steps."""
        if self.one_in(STEPS_PER_NAP):
            self.nap(LONGEST_NAP)

    def some_time(self, most: float) -> float | None:
        """Now and then without end."""
        return None if self.one_in(WAITS_PER_ENDLESS) else most

    # ---- what is checked ----

    def expect(self, good: bool, *violation: object) -> None:
        if not good:
            control = self.bank.control
            if control.get_and_add(n.VIOLATIONS, 1) < n.VIOLATIONS_TOLD:
                print(f"violation: python storm-{self.serial}:", *violation, file=sys.stderr, flush=True)
            control.compare_and_set(n.STOP, 0, 1)

    def count(self, word: int) -> None:
        """In its own record."""
        self.add(self.bank.journal, self.record + word)

    @staticmethod
    def add(words: SharedArray, index: int) -> None:
        """By who alone writes it."""
        words.set_volatile(index, words[index] + 1)

    # ---- locks, in one of the ways in which they can be taken and repaired ----

    def take(self, group: int) -> None:
        plain = self.bank.locks[group]
        lock = plain if self.one_in(2) else plain.with_repair(partial(self.repair, group))
        timed = self.one_in(4)
        held = False
        while not held:
            repaired = self.bank.cells.get_volatile(group * n.CELL + n.REPAIRED)
            try:
                if timed:
                    held = lock.acquire(timeout=TIMEOUT)
                else:
                    lock.__enter__()
                    held = True
            except OwnerDied as told:
                self.hear(group, told.death, repaired)
                self.try_repair(plain, group)
        self.come_in(group)

    def give(self, group: int) -> None:
        self.go_out(group)
        self.bank.locks[group].release()

    def come_in(self, group: int) -> None:
        """Say that the lock is the caller's."""
        inside = self.bank.cells[group * n.CELL + n.INSIDE]
        self.expect(inside == 0, "lock", group, "was given away with somebody inside:", inside)
        self.bank.cells.set_volatile(group * n.CELL + n.INSIDE, self.serial)

    def go_out(self, group: int) -> None:
        inside = self.bank.cells[group * n.CELL + n.INSIDE]
        self.expect(inside == self.serial, "lock", group, "somebody came in meanwhile:", inside)
        self.bank.cells.set_volatile(group * n.CELL + n.INSIDE, 0)

    def hear(self, group: int, death: Death, repaired: int) -> None:
        """A death was told: it has to be a true one, and later than what had been repaired."""
        self.count(n.TOLD)
        dead = self.bank.doomed(serial_of(death.thread_name))
        self.expect(death.pid == dead, "lock", group, "was told of a death that never was:", death)
        self.expect(death.deaths > repaired, "lock", group, repaired, "are repaired, and was told", death)

    def try_repair(self, lock: Any, group: int) -> bool:
        """Returns whether it is not refused."""
        try:
            lock.repair(partial(self.repair_or_not, group))
        except NotNow:  # it stays abandoned
            return False
        return True

    def repair_or_not(self, group: int, death: Death) -> None:
        if self.one_in(REPAIRS_PER_REFUSAL):
            raise NotNow
        self.repair(group, death)

    def repair(self, group: int, death: Death) -> None:
        cells, journal, cell = self.bank.cells, self.bank.journal, group * n.CELL
        self.hear(group, death, cells[cell + n.REPAIRED])
        inside = cells[cell + n.INSIDE]
        self.expect(inside == 0 or self.bank.doomed(inside) != 0, "lock", group, inside, "was cut off alive")
        if group >= n.GROUPS:
            self.mend(group)
        elif inside != 0 and journal[inside * n.RECORD + n.STATE] == 1:
            for word in (inside * n.RECORD + n.FROM, inside * n.RECORD + n.TO):
                if journal[word] % n.GROUPS == group:
                    self.bank.accounts.set_volatile(journal[word], journal[word + n.BEFORE])
            self.add(cells, cell + n.UNDONE)
        cells.set_volatile(cell + n.INSIDE, 0)
        cells.set_volatile(cell + n.REPAIRED, death.deaths)
        self.add(cells, cell + n.REPAIRS)
        journal.get_and_add(serial_of(death.thread_name) * n.RECORD + n.LEFT, 1)

    # ---- drills ----

    def drill(self) -> None:
        """Any one of them."""
        self.random.choice(
            (
                self.use_permits,
                self.read_pair,
                self.write_pair,
                self.meet,
                self.use_event,
                self.feel_pulse,
                self.count_down,
                self.use_buffer,
                self.fork,
            )
        )()
        self.count(n.DRILLS)

    # ---- fork ----

    def fork(self) -> None:
        """A child that ends at once, in order, while the other thread is at work."""
        if self.bank.control.get_volatile(n.CALM) != 0:
            return
        pid = os.fork()
        if pid == 0:
            end_all_if_it_fails(self.bank.memory.close)
            os._exit(0)
        self.expect(os.waitpid(pid, 0)[1] == 0, "fork: the child has failed")

    # ---- semaphore ----

    def use_permits(self) -> None:
        semaphore, words = self.bank.semaphore, self.bank.words
        wanted = self.random.randint(1, 2)
        if self.one_in(4):
            acquired = semaphore.acquire(False, permits=wanted)
        else:
            acquired = semaphore.acquire(timeout=self.some_time(TIMEOUT), permits=wanted)
        if not acquired:
            return
        taken = []
        for _ in range(wanted):
            self.entries += 1
            mine = self.serial << 32 | self.entries
            taken.append((self.occupy(mine), mine))
        self.nap(DRILL_NAP)
        for place, mine in taken:
            if place is not None and not words.compare_and_set(n.PLACES + place, mine, 0):
                self.expect(self.bank.doomed(self.serial) != 0, "semaphore: displaced, and lives")
        semaphore.release(wanted)

    def occupy(self, mine: int) -> int | None:
        """The place that is the caller's now; None if the living have taken all."""
        words = self.bank.words
        before = None
        while True:
            found = []
            for place in range(n.PERMITS):
                other = words.get_volatile(n.PLACES + place)
                if other == 0 or self.bank.doomed(other >> 32) != 0:
                    if words.compare_and_set(n.PLACES + place, other, mine):
                        return place
                    other = 0
                found.append(other)
            if found == before and all(found):
                self.expect(False, "semaphore: more inside than permits:", found)
                return None
            before = found

    # ---- read-write lock ----

    def enter(self, mode: str) -> bool:
        rwlock = self.bank.rwlock
        way = rwlock if self.one_in(2) else rwlock.with_repair(partial(self.repair, n.RWLOCK))
        share = getattr(way, mode)
        timeout = 0 if self.one_in(8) else self.some_time(TIMEOUT)
        while True:
            repaired = self.bank.cells.get_volatile(n.RWLOCK * n.CELL + n.REPAIRED)
            try:
                return share.acquire(timeout=timeout)
            except OwnerDied as told:
                self.hear(n.RWLOCK, told.death, repaired)
                self.try_repair(rwlock, n.RWLOCK)

    def expect_pair(self, first: int) -> None:
        second = self.bank.words.get_volatile(n.SECOND)
        self.expect(first == second, "rwlock: its cells differ:", first, second)

    def look_at_pair(self) -> None:
        first = self.bank.words.get_volatile(n.FIRST)
        self.nap(DRILL_NAP)
        self.expect_pair(first)
        writer = self.bank.cells.get_volatile(n.RWLOCK * n.CELL + n.INSIDE)
        self.expect(writer == 0, "rwlock: one writes while others read:", writer)

    def read_pair(self) -> None:
        if self.enter("read"):
            self.look_at_pair()
            self.bank.rwlock.read.release()

    def write_pair(self) -> None:
        words, rwlock = self.bank.words, self.bank.rwlock
        if not self.enter("write"):
            return
        self.come_in(n.RWLOCK)
        number = words.get_volatile(n.FIRST) + 1
        self.expect_pair(number - 1)
        words.set_volatile(n.FIRST, number)
        self.nap(DRILL_NAP)
        words.set_volatile(n.SECOND, number)
        goes_on_reading = self.one_in(4)
        if goes_on_reading:
            rwlock.read.acquire()
        self.go_out(n.RWLOCK)
        rwlock.write.release()
        if goes_on_reading:
            self.look_at_pair()
            rwlock.read.release()

    # ---- barriers ----

    def meet(self) -> None:
        words = self.bank.words
        which = self.random.randrange(n.BARRIERS)
        barrier = self.bank.barriers[which]
        trips = n.TRIPS + 4 * which
        if self.one_in(AWAITS_PER_ABORT):
            barrier.abort()
        try:
            index = barrier.wait(self.some_time(BARRIER_TIMEOUT))
        except BrokenBarrier:
            broken = barrier.last_break
            if broken is not None and broken.cause == "death":
                words.get_and_add(n.DEATHS_OF_PARTIES, 1)
                self.expect(self.bank.was_killed(broken.pid), "barrier: broken by a death that never was:", broken)
            if self.one_in(2):
                barrier.reset()
                if self.bank.stopping:  # others may wait by now
                    barrier.abort()
            return
        self.expect(0 <= index < barrier.parties, "barrier: no such index:", index)
        told = words.get_and_add(trips + 1 + index, 1) + 1
        every = words.get_volatile(trips)
        self.expect(told <= every, "barrier:", every, "trips, and told", index, told, "times")

    # ---- events ----

    def use_event(self) -> None:
        event = self.bank.event
        way = self.random.randrange(4)
        if way == 0:
            event.set()
        elif way == 1:
            event.clear()
            if self.bank.stopping:  # others may wait by now
                event.set()
        else:
            event.wait(self.some_time(TIMEOUT))

    def feel_pulse(self) -> None:
        words = self.bank.words
        begun = words.get_volatile(n.BEGUN)
        quiet = words.get_volatile(n.DONE) == begun
        if self.bank.pulse.wait(self.some_time(BARRIER_TIMEOUT)):
            now = words.get_volatile(n.BEGUN)
            self.expect(not quiet or now > begun, "pulse: was felt before it came:", now)

    # ---- latches ----

    def count_down(self) -> None:
        words, latches = self.bank.words, self.bank.latches
        which = next((i for i, latch in enumerate(latches) if latch.count > 0), n.LATCHES - 1)
        latch, begun, done = latches[which], n.COUNTED + 2 * which, n.COUNTED + 2 * which + 1
        by = self.random.randint(1, 3)
        words.get_and_add(begun, by)
        latch.count_down(by)
        words.get_and_add(done, by)
        most = max(0, n.LATCH_COUNT - words.get_volatile(done))
        left = latch.count
        least = max(0, n.LATCH_COUNT - words.get_volatile(begun))
        self.expect(least <= left <= most, "latch:", left, "left, and not", least, "to", most)
        if latch.wait(self.some_time(TIMEOUT)):
            self.expect(latch.count == 0, "latch: does not hold:", latch.count)

    # ---- conditions ----

    def mend(self, group: int) -> None:
        """After the death of who held the lock: any number of signals may be missing."""
        words = self.bank.words
        if group == n.BUFFER:
            words.set_volatile(n.AMOUNT, words.get_volatile(n.PUTS) - words.get_volatile(n.TAKES))
            for puts in (False, True):
                self.wanted(puts).notify_all()
        else:
            words.set_volatile(n.SECOND, words.get_volatile(n.FIRST))

    def wanted(self, puts: bool, lock: Lock | None = None) -> Condition:
        """What one waits for who puts, or takes."""
        return Condition(lock or self.bank.locks[n.BUFFER], "not-full" if puts else "not-empty")

    def use_buffer(self) -> None:
        words = self.bank.words
        puts = self.one_in(2)
        in_vain = n.CAPACITY if puts else 0
        self.take(n.BUFFER)
        self.expect_amount()
        if words[n.AMOUNT] == in_vain and not self.bank.stopping:
            if not self.await_change(puts):
                return
            self.expect_amount()
        if words[n.AMOUNT] != in_vain:
            self.change(puts)
        self.give(n.BUFFER)

    def change(self, puts: bool) -> None:
        words = self.bank.words
        number = words[n.PUTS if puts else n.TAKES]
        item = n.ITEMS + number % n.CAPACITY
        if puts:
            words.set_volatile(item, number)
        self.expect(words[item] == number, "buffer: not the next item:", number)
        words.set_volatile(n.PUTS if puts else n.TAKES, number + 1)
        self.nap(DRILL_NAP)
        words.set_volatile(n.AMOUNT, words[n.AMOUNT] + (1 if puts else -1))
        self.nap(DRILL_NAP)
        self.wanted(not puts).notify()

    def await_change(self, puts: bool) -> bool:
        """Returns whether the lock is held, and what it guards is whole."""
        plain = self.bank.locks[n.BUFFER]
        lock = plain if self.one_in(2) else plain.with_repair(partial(self.repair, n.BUFFER))
        condition = self.wanted(puts, lock)
        repaired = self.bank.cells.get_volatile(n.BUFFER * n.CELL + n.REPAIRED)
        self.go_out(n.BUFFER)
        try:
            condition.wait(self.some_time(TIMEOUT))
        except OwnerDied as told:
            self.hear(n.BUFFER, told.death, repaired)
            if not self.try_repair(plain, n.BUFFER):
                plain.release()
                return False
        self.come_in(n.BUFFER)
        return True

    def expect_amount(self) -> None:
        words = self.bank.words
        there = words[n.AMOUNT]
        self.expect(0 <= there <= n.CAPACITY, "buffer: no such amount:", there)
        right = words[n.PUTS] - words[n.TAKES]
        self.expect(there == right, "buffer:", there, "there, and not", right)


def end_all_if_it_fails(function: Callable[[], None]) -> None:
    try:
        function()
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def main() -> None:
    segment, serial, seed = sys.argv[1:4]
    warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside other threads
    faulthandler.register(signal.SIGQUIT)  # tells the stacks of all threads
    with SharedMemory.open(segment) as memory:
        first, second = (Teller(Bank(memory), int(serial) + i, seed) for i in range(2))
        thread = threading.Thread(target=end_all_if_it_fails, args=(second.work,))
        thread.start()
        end_all_if_it_fails(first.work)
        thread.join()


main()
