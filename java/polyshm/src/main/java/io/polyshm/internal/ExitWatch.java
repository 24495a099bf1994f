// SPDX-License-Identifier: Apache-2.0
package io.polyshm.internal;

import io.polyshm.ClosedException;
import io.polyshm.internal.ParticipantInfo.Identity;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Runs actions when participants of a segment are gone. One thread waits in the kernel for all
 * participants that are watched, from the first action until the segment is closed. Each action has
 * a thread of its own, so that one that blocks or throws does not concern the others.
 */
final class ExitWatch {
    private static boolean hooked;

    private final Attachment attachment;
    private final Map<Identity, List<Runnable>> actions = new HashMap<>();
    private boolean started;

    ExitWatch(Attachment attachment) {
        this.attachment = attachment;
    }

    /** At once if the participant is gone. */
    synchronized void add(Identity participant, Runnable action) {
        attachment.ensureOpen("onExit");
        if (Native.watch(attachment.segment(), participant)) {
            act(participant, action);
            return;
        }
        if (!started) {
            hook();
            start("polyshm-exit-watch", this::watch);
            started = true;
        }
        actions.computeIfAbsent(participant, each -> new ArrayList<>()).add(action);
    }

    private void watch() {
        while (true) {
            Identity gone;
            try {
                gone = Native.nextExit(attachment.segment());
            } catch (ClosedException end) {
                return;
            }
            synchronized (this) {
                List<Runnable> due = actions.remove(gone);
                if (due != null) { // it may be told again if it was watched again while it ended
                    due.forEach(action -> tryAct(gone, action));
                }
            }
        }
    }

    /** Where no thread can be had an action is lost, but not those of the other participants. */
    private void tryAct(Identity gone, Runnable action) {
        try {
            act(gone, action);
        } catch (OutOfMemoryError noThread) {
            Thread self = Thread.currentThread();
            self.getUncaughtExceptionHandler().uncaughtException(self, noThread);
        }
    }

    private void act(Identity gone, Runnable action) {
        start(
                "polyshm-exit-" + gone.pid(),
                () -> {
                    if (!attachment.isClosed()) {
                        action.run();
                    }
                });
    }

    private static void start(String name, Runnable body) {
        Thread thread = new Thread(null, body, name, 0, false);
        thread.setDaemon(true);
        thread.start();
    }

    /**
     * A HotSpot that exits waits 300 ms for threads that are in native code, as the one that
     * watches is.
     */
    private static synchronized void hook() {
        if (!hooked) {
            hooked = true;
            try {
                Runtime.getRuntime()
                        .addShutdownHook(
                                new Thread(
                                        null,
                                        Attachment::endWatches,
                                        "polyshm-exit-watch-end",
                                        0,
                                        false));
            } catch (IllegalStateException shuttingDown) {
                // Nobody is left to hurry for.
            }
        }
    }
}
