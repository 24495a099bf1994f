// SPDX-License-Identifier: Apache-2.0
package io.polyshm.internal;

import io.polyshm.internal.binding.Natives;
import io.polyshm.internal.binding.pshm_lock_info;
import java.lang.ref.Reference;
import java.nio.ByteBuffer;
import java.nio.channels.AsynchronousCloseException;
import java.nio.channels.spi.AbstractInterruptibleChannel;
import java.util.function.LongToIntFunction;
import org.bytedeco.javacpp.Loader;
import org.bytedeco.javacpp.Pointer;

/**
 * One thread's wait for a synchronizer: the native {@code pshm_wait}, and the {@code
 * pshm_interrupt} that ends it. A platform thread uses its memory again for its next wait.
 */
public final class Waiting implements AutoCloseable {
    private static final int WAIT_BYTES = Natives.PSHM_WAIT_WORDS * Long.BYTES;
    private static final int INTERRUPT_BYTES = Natives.PSHM_INTERRUPT_WORDS * Long.BYTES;
    static final int DEATH_BYTES = Loader.sizeof(pshm_lock_info.class);

    /** What a thread has closed; absent while it is in use, so that waits can nest. */
    private static final ThreadLocal<Waiting> SPARE = new ThreadLocal<>();

    private final ByteBuffer memory =
            ByteBuffer.allocateDirect(WAIT_BYTES + INTERRUPT_BYTES + DEATH_BYTES);
    private final long address = new Pointer(memory).address();
    private String name; // of the virtual thread that is to be known by it, otherwise null

    private Waiting() {
        Natives.pshm_interrupt_init(interrupt());
        // A profiler's signals are no interrupts.
        Natives.pshm_interrupt_ignore_signals(interrupt());
    }

    /** For a wait of the current thread, which closes it when the wait is over. */
    public static Waiting begin() {
        // A virtual thread has no next wait as a rule.
        Waiting spare = Threads.isVirtual(Thread.currentThread()) ? null : SPARE.get();
        if (spare == null) {
            return new Waiting();
        }
        SPARE.set(null);
        return spare;
    }

    @Override
    public void close() {
        if (!Threads.isVirtual(Thread.currentThread())) {
            SPARE.set(this);
        }
    }

    /** The {@code pshm_wait}, valid while this object is reachable. */
    public long address() {
        return address;
    }

    /** Where the death is put that it is told of. */
    ByteBuffer death() {
        return memory.slice(WAIT_BYTES + INTERRUPT_BYTES, DEATH_BYTES);
    }

    /** Has the current thread known by its name if it gets what it waits for. */
    void tellName() {
        String own = Thread.currentThread().getName();
        if (Threads.isVirtual(Thread.currentThread())) {
            name = own; // its carrier of the moment is known by that of another
        } else {
            Natives.pshm_thread_set_name(own);
        }
    }

    /** One look, by the current thread. */
    int poll() {
        if (name != null) {
            Natives.pshm_thread_set_name(name);
        }
        return Natives.pshm_wait_poll(address);
    }

    /** Another {@code pshm_wait} for the same object, of which nothing but the object counts. */
    Waiting sameObject() {
        Waiting other = new Waiting();
        other.memory.put(0, memory, 0, WAIT_BYTES);
        return other;
    }

    /** Blocks the current platform thread until a wait that was prepared is over. */
    int block(long nanos, boolean interruptibly) {
        return block(
                interrupt -> Natives.pshm_wait_block(address, nanos, interrupt), interruptibly);
    }

    /** The same by any native function that takes a {@code pshm_interrupt}. */
    int block(LongToIntFunction function, boolean interruptibly) {
        int code = interruptibly ? new Interruption(this).block(function) : function.applyAsInt(0);
        Reference.reachabilityFence(this);
        return code;
    }

    /** The {@code pshm_interrupt}, valid while this object is reachable. */
    private long interrupt() {
        return address + WAIT_BYTES;
    }

    /**
     * Has {@link Thread#interrupt} end one native wait, by the hook that the JDK has for blocking
     * input and output; it runs in the thread that interrupts.
     *
     * <p>Why no hook ends a later wait, or touches memory that is gone. The JDK takes the hook away
     * in {@code end}, but an interrupter that has read it before may run it after that (from JDK 21
     * on, where it is run outside of the JDK's lock). It finds {@code waiting} null then, which is
     * set and read under this object's monitor, and there is an object of this class for each wait.
     * A hook that comes before that has raised the interrupt by then, and {@code raised} says so;
     * the thread that waited lowers it, and no one can raise it any more. So each wait begins with
     * an interrupt that is not raised. What raised it has set the thread's interrupt status before,
     * so a wait that an interrupt has ended finds that set. One that has begun with it set is
     * interrupted by {@code begin}.
     */
    private static final class Interruption extends AbstractInterruptibleChannel {
        private Waiting waiting;
        private boolean raised;

        Interruption(Waiting waiting) {
            this.waiting = waiting;
        }

        int block(LongToIntFunction function) {
            Waiting self = waiting;
            int code;
            begin();
            try {
                code = function.applyAsInt(self.interrupt());
            } finally {
                try {
                    end(true);
                } catch (AsynchronousCloseException interrupted) {
                    // The code says whether that has ended the wait.
                }
                if (wasRaised()) {
                    Natives.pshm_interrupt_clear(self.interrupt());
                }
            }
            return code;
        }

        /** From here on the hook does nothing. */
        private synchronized boolean wasRaised() {
            waiting = null;
            return raised;
        }

        /** The hook. */
        @Override
        protected synchronized void implCloseChannel() {
            if (waiting != null) {
                raised = true;
                Natives.pshm_interrupt_raise(waiting.interrupt());
            }
        }
    }
}
