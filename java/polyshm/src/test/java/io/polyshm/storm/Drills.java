// SPDX-License-Identifier: Apache-2.0
package io.polyshm.storm;

import io.polyshm.Barrier;
import io.polyshm.Event;
import io.polyshm.Latch;
import io.polyshm.ReadWriteLock;
import io.polyshm.Semaphore;
import io.polyshm.SharedArray;
import io.polyshm.SharedMemory;
import java.util.List;
import java.util.stream.IntStream;

/**
 * One synchronizer or more of each kind, which workers use between their transfers. This comment is
 * the protocol of all workers, in whatever language they are; that of {@link Bank} holds as well.
 *
 * <p><b>Objects.</b> Their words are those of the array {@code drills}, by the names and numbers
 * below. {@code lock-8} of the buffer and the read-write lock have cells like the locks of the
 * groups, the ones after theirs.
 *
 * <p><b>Semaphore</b>, of 3 permits, bounded. Who has acquired one or two puts his serial and the
 * number of his entry into as many of the three {@code places}: each has to be 0 or a doomed one's.
 * He clears them again before he releases. If two looks in a row find the same entries in all
 * places, and nobody of them doomed, there were more inside than permits. At the end all three are
 * there.
 *
 * <p><b>Read-write lock.</b> Writers store the same number into {@code first} and {@code second};
 * everybody finds them equal, and readers nobody inside. After the death of a writer the second
 * gets the value of the first. What is told of a death is checked as for the locks.
 *
 * <p><b>Barriers</b>, of 2 and of 3 parties, all of whose action counts {@code trips}. Each index
 * is told at most as often. A death that breaks one is that of a doomed process. Who finds one
 * broken resets it at times; if all are to stop by then, he breaks it again, as others may wait.
 *
 * <p><b>Events.</b> {@code event} is set, cleared and waited for by anybody; who clears it when all
 * are to stop sets it again. {@code pulse} is set and cleared by the driver alone, who counts
 * before ({@code begun}) and after ({@code done}). If both were equal when a wait began, and it
 * ended by the event, there is one more begun. A wait in steps is over when one is done that was
 * not begun when it had been prepared.
 *
 * <p><b>Latches.</b> The first that is not at zero is counted down. How far is counted before and
 * after, and the latch always stands between the two.
 *
 * <p><b>Buffer</b>, with a lock and the conditions {@code not-empty} and {@code not-full}. Who puts
 * stores {@code puts} as the item of that number, then adds one to {@code puts}, then to {@code
 * amount}, then signals one; who takes does it the other way. Who finds nothing to take, or no
 * room, waits once, unless all are to stop. After a death {@code amount} becomes the difference of
 * {@code puts} and {@code takes}, and all are signalled.
 *
 * <p><b>Waits</b> are timed, or have no end; nobody gives one of these up. The driver ends them
 * when all are to stop: once, except for those at the buffer, where he signals again and again, but
 * only who waits rightly: for items if there are none, and for room if there is none. So a lost
 * signal or wake-up leaves somebody behind. He does that, and counts the latches down, during the
 * storm as well, so that it does not come to rest.
 */
final class Drills {
    static final int PERMITS = 3;
    static final int CAPACITY = 2;
    static final int BARRIERS = 2; // of 2 parties and of 3
    static final int LATCHES = 16;
    static final int LATCH_COUNT = 100;
    static final int BUFFER = Bank.GROUPS; // cells
    static final int RWLOCK = Bank.GROUPS + 1;

    static final int DEATHS_OF_PARTIES = 1; // that were told
    static final int BEGUN = 2;
    static final int DONE = 3;
    static final int PLACES = 4;
    static final int FIRST = 8;
    static final int SECOND = 9;
    static final int PUTS = 10;
    static final int TAKES = 11;
    static final int AMOUNT = 12;
    static final int ITEMS = 16;
    static final int TRIPS = 20; // and then how often each index was told; four for each barrier
    static final int COUNTED = 28; // before and after; two for each latch
    static final int WORDS = 64;

    final SharedArray.OfLong words;
    final Semaphore semaphore;
    final ReadWriteLock rwlock;
    final List<Barrier> barriers;
    final Event event;
    final Event pulse;
    final List<Latch> latches;

    Drills(SharedMemory memory) {
        SharedArray.OfLong all = SharedArray.ofLongs(memory, "drills", WORDS);
        words = all;
        semaphore = Semaphore.boundedIn(memory, "semaphore", PERMITS);
        rwlock = ReadWriteLock.in(memory, "rwlock");
        barriers =
                IntStream.range(0, BARRIERS)
                        .mapToObj(
                                i ->
                                        Barrier.in(
                                                memory,
                                                "barrier-" + i,
                                                i + 2,
                                                () -> all.getAndAdd(TRIPS + 4 * i, 1)))
                        .toList();
        event = Event.in(memory, "event");
        pulse = Event.in(memory, "pulse");
        latches =
                IntStream.range(0, LATCHES)
                        .mapToObj(i -> Latch.in(memory, "latch-" + i, LATCH_COUNT))
                        .toList();
    }
}
