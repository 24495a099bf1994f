// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

import io.polyshm.internal.Attachment;
import io.polyshm.internal.Native;
import io.polyshm.internal.ParticipantInfo;
import io.polyshm.internal.SegmentInfo;
import java.io.InvalidObjectException;
import java.io.ObjectInputStream;
import java.io.Serial;
import java.io.Serializable;
import java.time.Instant;
import java.util.List;
import java.util.Objects;
import java.util.Optional;

/**
 * A segment: memory that processes of one host share, in which they find arrays, values, locks and
 * synchronizers by name.
 *
 * <pre>{@code
 * try (SharedMemory memory = SharedMemory.openOrCreate("market", 1 << 20)) {
 *     SharedArray.OfLong bids = SharedArray.ofLongs(memory, "bids", 1000);
 *     bids.setRelease(0, 42);
 * }
 * }</pre>
 *
 * <p>A name is 1 to 95 characters out of {@code A-Z a-z 0-9 . _ -} and does not begin with a dot. C
 * and Python programs use the same name. All of a segment's memory is reserved when it is created,
 * so that no later write can fail.
 *
 * <p><b>Threads.</b> All methods may be called by any thread at any time.
 *
 * <p><b>Close and unlink.</b> {@link #close} ends this object's part in the segment; it may be
 * called any number of times and races with nothing: an access to an object of the segment that
 * begins after it throws {@link ClosedException}, one that is under way is done on the real memory.
 * Closing is not unlinking: a {@link Lifetime#PERSISTENT} segment stays until it is {@linkplain
 * #unlink unlinked}, a {@link Lifetime#LAST_OUT} one until the last process that has it open has
 * closed it or is gone, killed ones included. If the last one was killed, the next process that
 * creates or opens any segment removes it. A segment that is never closed is open until the JVM
 * ends. The pages of a closed segment go back to the system when the garbage collector has found
 * that no buffer over them can be reached.
 *
 * <p><b>Serialization.</b> A segment can be captured by a {@link ForkedJvm} task or written to a
 * stream: it travels as a handle, and the reader opens the segment of that name, if it is still the
 * same one.
 */
public final class SharedMemory implements AutoCloseable, Serializable {
    @Serial private static final long serialVersionUID = 1;

    /** How long a segment lives. */
    public enum Lifetime {
        /**
         * Until it is {@linkplain SharedMemory#unlink unlinked}; the default for one with a name.
         */
        PERSISTENT(1),
        /** Until the last process that has it open is gone; the default for an anonymous one. */
        LAST_OUT(2);

        private final int code;

        Lifetime(int code) {
            this.code = code;
        }
    }

    /** What kind of object a segment holds. */
    public enum Kind {
        /** A {@link SharedArray}. */
        ARRAY,
        /** A {@link SharedValue}. */
        VALUE,
        /** A {@link Lock} that stands alone. */
        LOCK,
        /** A {@link Semaphore}. */
        SEMAPHORE,
        /** An {@link Event}. */
        EVENT,
        /** A {@link Latch}. */
        LATCH,
        /** A {@link Barrier}. */
        BARRIER,
        /** A {@link ReadWriteLock}. */
        READ_WRITE_LOCK,
        /** A {@link Condition} of a {@link Lock}. */
        CONDITION
    }

    /**
     * An object of a segment.
     *
     * @param name its name
     * @param kind what it is
     * @param elementType the primitive type of its elements, {@code void.class} for what is neither
     *     an array nor a value
     * @param length its elements, 1 for a value; the permits, the count or the parties that a
     *     synchronizer began with; else 0
     * @param sizeBytes what it takes of the segment's memory, its lock included
     */
    public record ObjectInfo(
            String name, Kind kind, Class<?> elementType, long length, long sizeBytes) {}

    /**
     * One opening of the segment by a process; one that has it open twice is two participants. What
     * it tells is as of the moment when {@link #participants} was called. Two are equal if they are
     * the same opening, whenever they were listed. Immutable.
     */
    public static final class Participant {
        private final ParticipantInfo info;

        private Participant(ParticipantInfo info) {
            this.info = info;
        }

        /**
         * Its process id.
         *
         * @return greater than zero
         */
        public long pid() {
            return info.identity().pid();
        }

        /**
         * The command that it runs.
         *
         * @return as the system abbreviates it: on Linux the first 15 bytes
         */
        public String command() {
            return info.command();
        }

        /**
         * When its process began. Counted from the boot in clock ticks, 10 ms each on Linux, and
         * put on the wall clock as that is set when the participants are listed, so it moves with
         * that.
         *
         * @return empty if the process could not find out, as without {@code /proc}
         */
        public Optional<Instant> startTime() {
            return info.startTime();
        }

        /**
         * When it opened the segment.
         *
         * @return by its wall clock
         */
        public Instant since() {
            return info.since();
        }

        /**
         * The locks of the segment that threads of its process hold; those of a process with
         * several openings are told with each of them. A lock whose holding thread has died is
         * among them until the next that takes it is told.
         *
         * @return an unmodifiable list of the names of arrays, values and locks, and of read-write
         *     locks that they hold to write
         */
        public List<String> locks() {
            return info.locks();
        }

        @Override
        public boolean equals(Object other) {
            return other instanceof Participant that
                    && info.identity().equals(that.info.identity());
        }

        @Override
        public int hashCode() {
            return info.identity().hashCode();
        }

        @Override
        public String toString() {
            return "Participant[pid="
                    + pid()
                    + ", command="
                    + command()
                    + ", startTime="
                    + startTime().map(Instant::toString).orElse("unknown")
                    + ", since="
                    + since()
                    + ", locks="
                    + locks()
                    + "]";
        }
    }

    private final transient Attachment attachment;

    private SharedMemory(Attachment attachment) {
        this.attachment = attachment;
    }

    // ---- how to get one ----

    /**
     * Creates a segment.
     *
     * @param name 1 to 95 characters out of {@code A-Z a-z 0-9 . _ -}, the first not a dot
     * @param bytes room for objects, at least 1; rounded up to a multiple of 64
     * @return the new segment, to be closed by the caller
     * @throws AlreadyExistsException if there is one of that name
     * @throws IllegalArgumentException if the name or the size is not valid
     * @throws MemoryFullException if the host's shared memory does not have that much left
     * @throws PermissionDeniedException if this user may not make files in the host's shared memory
     * @throws UnavailableException if the native library or the host's shared memory is missing
     */
    public static SharedMemory create(String name, long bytes) {
        return builder().create(name, bytes);
    }

    /**
     * Opens a segment that exists.
     *
     * @param name as for {@link #create}
     * @return the segment, to be closed by the caller
     * @throws NotFoundException if there is none
     * @throws PermissionDeniedException if this user may not, or another user owns it
     * @throws WrongLayoutException if this process cannot use what stands there
     * @throws TooManyParticipantsException if it is open 128 times already
     * @throws BusyException if its creator, or whoever opens or closes it, is stopped half-way
     * @throws IllegalArgumentException if the name is not valid
     * @throws UnavailableException if the native library or the host's shared memory is missing
     */
    public static SharedMemory open(String name) {
        return builder().open(name);
    }

    /**
     * Opens the segment, or creates it if there is none. Of any number of processes that do this at
     * once exactly one creates.
     *
     * @param name as for {@link #create}
     * @param bytes as for {@link #create}; one that exists keeps its size
     * @return the segment, to be closed by the caller
     * @throws PolyshmException as {@link #open}, except for {@link NotFoundException}, and as
     *     {@link #create}, except for {@link AlreadyExistsException}
     * @throws IllegalArgumentException if the name or the size is not valid
     */
    public static SharedMemory openOrCreate(String name, long bytes) {
        return builder().openOrCreate(name, bytes);
    }

    /**
     * Creates a segment with a name that is generated and a lifetime of {@link Lifetime#LAST_OUT}.
     * Others get it by serialization.
     *
     * @param bytes as for {@link #create}
     * @return the new segment, to be closed by the caller
     * @throws IllegalArgumentException if the size is not valid
     * @throws MemoryFullException if the host's shared memory does not have that much left
     * @throws PermissionDeniedException if this user may not make files in the host's shared memory
     * @throws UnavailableException if the native library or the host's shared memory is missing
     */
    public static SharedMemory anonymous(long bytes) {
        return builder().anonymous(bytes);
    }

    /**
     * Begins with all options at their defaults.
     *
     * @return a new builder
     */
    public static Builder builder() {
        return new Builder();
    }

    /** Options, then {@code create}, {@code open}, {@code openOrCreate} or {@code anonymous}. */
    public static final class Builder {
        private int permissions;
        private Lifetime lifetime;
        private boolean allowOtherOwner;

        private Builder() {}

        /**
         * Who may open a segment that is created, whatever the umask is.
         *
         * @param mode POSIX mode bits, read and write only, the owner's included; {@code 0600} by
         *     default
         * @return this
         * @throws IllegalArgumentException if zero; other bits are refused when it is created
         */
        public Builder permissions(int mode) {
            if (mode == 0) {
                throw new IllegalArgumentException(
                        "permissions: mode=0; take read and write bits only, 0600 among them");
            }
            permissions = mode;
            return this;
        }

        /**
         * How long a segment that is created lives.
         *
         * @param lifetime not null
         * @return this
         */
        public Builder lifetime(Lifetime lifetime) {
            this.lifetime = Objects.requireNonNull(lifetime, "lifetime");
            return this;
        }

        /**
         * Allows a segment to be opened that another user has created. Names can be taken by anyone
         * on the host: allow it only if every user who could create a segment of that name is
         * trusted.
         *
         * @return this
         */
        public Builder allowOtherOwner() {
            allowOtherOwner = true;
            return this;
        }

        /**
         * As {@link SharedMemory#create(String, long)}, with these options.
         *
         * @param name as there
         * @param bytes as there
         * @return as there
         */
        public SharedMemory create(String name, long bytes) {
            return get(Native.How.CREATE, Objects.requireNonNull(name, "name"), bytes);
        }

        /**
         * As {@link SharedMemory#open(String)}, with these options.
         *
         * @param name as there
         * @return as there
         */
        public SharedMemory open(String name) {
            return get(Native.How.OPEN, Objects.requireNonNull(name, "name"), 0);
        }

        /**
         * As {@link SharedMemory#openOrCreate(String, long)}, with these options.
         *
         * @param name as there
         * @param bytes as there
         * @return as there
         */
        public SharedMemory openOrCreate(String name, long bytes) {
            return get(Native.How.OPEN_OR_CREATE, Objects.requireNonNull(name, "name"), bytes);
        }

        /**
         * As {@link SharedMemory#anonymous(long)}, with these options.
         *
         * @param bytes as there
         * @return as there
         */
        public SharedMemory anonymous(long bytes) {
            return get(Native.How.CREATE, null, bytes);
        }

        private SharedMemory get(Native.How how, String name, long bytes) {
            return new SharedMemory(
                    Attachment.open(
                            how,
                            name,
                            bytes,
                            permissions,
                            lifetime == null ? 0 : lifetime.code,
                            allowOtherOwner));
        }
    }

    /**
     * Removes a segment's name, and its memory when the last process that has it open has closed
     * it. A damaged segment can be removed, too.
     *
     * @param name as for {@link #create}
     * @throws NotFoundException if there is none
     * @throws PermissionDeniedException if this user may not
     * @throws BusyException if a process that creates, opens or closes it is stopped half-way
     * @throws IllegalArgumentException if the name is not valid
     * @throws UnavailableException if the native library or the host's shared memory is missing
     */
    public static void unlink(String name) {
        Native.unlink(Objects.requireNonNull(name, "name"));
    }

    /**
     * Removes every {@link Lifetime#LAST_OUT} segment of this user whose processes are all gone,
     * and what creators that were killed half-way left behind. Creating a segment does that on its
     * way.
     *
     * @return how many were removed
     * @throws PermissionDeniedException if this user may not read the folder of shared memory
     * @throws UnavailableException if the native library or the host's shared memory is missing
     */
    public static int reap() {
        return Native.reap();
    }

    // ---- what it is ----

    /**
     * The name; a generated one for an anonymous segment.
     *
     * @return the name, also after close
     */
    public String name() {
        return attachment.name();
    }

    /**
     * The bytes that objects may take in all.
     *
     * @return at least what was asked for
     * @throws ClosedException after close
     */
    public long sizeBytes() {
        return SegmentInfo.sizeBytes(attachment);
    }

    /**
     * The bytes that no object has taken.
     *
     * @return as of a moment ago: other processes may take some at any time
     * @throws ClosedException after close
     */
    public long freeBytes() {
        return SegmentInfo.freeBytes(attachment);
    }

    /**
     * The objects in it, in the order of their creation.
     *
     * @return an unmodifiable list
     * @throws ClosedException after close
     * @throws WrongLayoutException if a process has damaged the segment
     */
    public List<ObjectInfo> objects() {
        return SegmentInfo.objects(attachment);
    }

    /**
     * The processes that have it open, this one included, at most 128. Which are gone is asked of
     * the kernel, not guessed from their ids: one that is stopped is among them, one that was
     * killed is not.
     *
     * @return an unmodifiable list
     * @throws ClosedException after close
     * @throws WrongLayoutException if a process has damaged the segment
     */
    public List<Participant> participants() {
        return SegmentInfo.participants(attachment).stream().map(Participant::new).toList();
    }

    /**
     * Runs an action, once, when a participant is gone.
     *
     * <pre>{@code
     * for (SharedMemory.Participant each : memory.participants()) {
     *     memory.onExit(each, () -> System.out.println(each + " is gone"));
     * }
     * }</pre>
     *
     * <p>The kernel tells of the end of its process, however it ended, {@code kill -9} included.
     * Nothing is polled and no time limit is involved: a process that is stopped or slow is not
     * gone, and another one that gets its process id is not taken for it. A participant that is
     * gone already, because its process has ended or has closed the segment, has the action run at
     * once. One that closes the segment later and lives on is told of when its process ends. A
     * process is not told of its own end: for a participant of this JVM that is open the action
     * never runs.
     *
     * <p>Each action runs in a daemon platform thread of its own, so that it may block; several
     * actions for one participant run in any order. What an action throws goes to the handler of
     * uncaught exceptions of its thread, by default the one for all threads. An action for which no
     * thread can be had is lost, and the {@code OutOfMemoryError} goes to that handler.
     *
     * <p>{@link #close} ends the watch, and so does the shutdown of this JVM. No action comes due
     * after close has returned, and none is waited for: one whose thread has begun goes on, with a
     * segment that is closed.
     *
     * @param participant one that was listed for this segment, by this object or by another; not
     *     null
     * @param action what to do; not null
     * @throws IllegalArgumentException if it is a participant of another segment
     * @throws ClosedException after close, and when this JVM shuts down
     * @throws UnavailableException if the system does not let processes be watched; that takes
     *     Linux 5.3, and in a container a seccomp profile that allows {@code pidfd_open}
     * @throws PolyshmException if this process has too many open files: each participant that is
     *     watched takes one
     */
    public void onExit(Participant participant, Runnable action) {
        Objects.requireNonNull(participant, "participant");
        Objects.requireNonNull(action, "action");
        attachment.onExit(participant.info.identity(), action);
    }

    /**
     * Whether {@link #close} has been called.
     *
     * @return true after close
     */
    public boolean isClosed() {
        return attachment.isClosed();
    }

    /**
     * Ends this object's part in the segment; see the class comment. Does nothing if it is closed
     * already. Threads of this JVM that wait for anything in the segment get {@link
     * ClosedException} at once, and permits that this participant holds are given back.
     *
     * @throws LockHeldException if a thread of this JVM holds a lock of the segment; nothing has
     *     changed then
     */
    @Override
    public void close() {
        attachment.close();
    }

    @Override
    public String toString() {
        return "SharedMemory[name=" + name() + (isClosed() ? ", closed" : "") + "]";
    }

    Attachment attachment() {
        return attachment;
    }

    // ---- as a handle ----

    @Serial
    private Object writeReplace() {
        attachment.ensureOpen("serialize");
        return new Handle(name(), attachment.id());
    }

    @Serial
    private void readObject(ObjectInputStream stream) throws InvalidObjectException {
        throw new InvalidObjectException("a segment travels as a handle");
    }

    private record Handle(String name, byte[] id) implements Serializable {
        @Serial
        private Object readResolve() {
            SharedMemory memory = builder().allowOtherOwner().open(name);
            if (memory.attachment.hasId(id)) {
                return memory;
            }
            memory.close();
            throw new NotFoundException(
                    "PSHM_ENOENT",
                    "deserialize: name="
                            + name
                            + ": the segment that was sent is gone, and another has its name;"
                            + " keep a segment open until its receivers have it",
                    null);
        }
    }
}
