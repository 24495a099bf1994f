// SPDX-License-Identifier: Apache-2.0
package io.polyshm.internal;

import io.polyshm.UnavailableException;
import io.polyshm.internal.ParticipantInfo.Identity;
import io.polyshm.internal.binding.Natives;
import io.polyshm.internal.binding.pshm_barrier_info;
import io.polyshm.internal.binding.pshm_lock_info;
import io.polyshm.internal.binding.pshm_object_info;
import io.polyshm.internal.binding.pshm_options;
import io.polyshm.internal.binding.pshm_participant_info;
import io.polyshm.internal.binding.pshm_rwlock_info;
import io.polyshm.internal.binding.pshm_semaphore_info;
import java.io.File;
import java.io.IOException;
import java.net.URI;
import java.net.URL;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.Function;
import java.util.function.Supplier;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Loader;
import org.bytedeco.javacpp.Pointer;

/**
 * The checked wrapper of the raw binding: one method for each native function that can fail. It
 * loads the library, and throws what {@link Errors} makes of a code. Structs live in direct
 * buffers, so nothing here has to be freed. The hot paths of {@link NativeLock} call the binding
 * themselves and look at the code first.
 */
public final class Native {
    private static final String[] KIND_NAMES = { // by pshm_kind
        "",
        "array",
        "value",
        "lock",
        "semaphore",
        "event",
        "latch",
        "barrier",
        "read-write lock",
        "condition"
    };
    private static final int OTHERS_WRITE = 0002; // in mode bits
    private static final int SEGMENT_ID_BYTES = 16;
    private static final String LAUNCHER = "polyshm-launch";
    private static final Throwable LOAD_FAILURE = load();
    private static File launcher;

    private Native() {}

    private static Throwable load() {
        try {
            URL library = findLibrary();
            if (library != null && !library.getProtocol().equals("file")) {
                checkFolder();
            }
            Loader.load(Natives.class);
            Natives.pshm_thread_require_names(1);
            return null;
        } catch (LinkageError | RuntimeException | IOException failure) {
            return failure;
        }
    }

    /** Where the class path or module path has the library, or null. */
    private static URL findLibrary() throws IOException {
        return find(System.mapLibraryName("jnipolyshm"));
    }

    private static URL find(String file) throws IOException {
        return Loader.findResource(Natives.class, Loader.getPlatform() + "/" + file);
    }

    /**
     * The program polyshm-launch, which stands beside the library, and is extracted as that is.
     *
     * @throws IOException if it cannot be, or cannot be executed there
     */
    public static synchronized File launcher() throws IOException {
        require();
        if (launcher == null || !launcher.canExecute()) {
            URL found = find(LAUNCHER);
            if (found == null) {
                throw new IOException(
                        LAUNCHER
                                + " is not in the artifact of the native library; take that of this version");
            }
            File file =
                    found.getProtocol().equals("file")
                            ? Path.of(URI.create(found.toString())).toFile()
                            : Loader.cacheResource(found);
            if (!file.canExecute() && !(file.setExecutable(true, false) && file.canExecute())) {
                throw new IOException(
                        file
                                + " cannot be executed; name a folder where it can with"
                                + " -Dorg.bytedeco.javacpp.cachedir=<folder>");
            }
            launcher = file;
        }
        return launcher;
    }

    /**
     * The library is extracted to the folder that was named, to the user's own or, if that cannot
     * be written, to one in the folder for temporary files. Somebody else may have made that one
     * first, or a link in its place, and his code would be run here.
     */
    private static void checkFolder() throws IOException {
        File folder = Loader.getCacheDir();
        for (String named :
                new String[] {
                    System.getProperty("org.bytedeco.javacpp.cachedir"),
                    System.getProperty("org.bytedeco.javacpp.cacheDir"),
                    System.getProperty("user.home") + "/.javacpp/cache"
                }) {
            if (named != null && folder.equals(new File(named).getCanonicalFile())) {
                return;
            }
        }
        Path made =
                Path.of(System.getProperty("java.io.tmpdir"))
                        .toRealPath()
                        .resolve(".javacpp-" + System.getProperty("user.name"));
        if (!folder.toPath().equals(made.resolve("cache"))) {
            throw new IOException(made + " leads to " + folder + " by a link");
        }
        for (Path each : List.of(made, folder.toPath())) {
            Object owner = Files.getAttribute(each, "unix:uid");
            int mode = (int) Files.getAttribute(each, "unix:mode");
            if (!owner.equals(Files.getAttribute(Path.of("/proc/self"), "unix:uid"))
                    || (mode & OTHERS_WRITE) != 0) {
                throw new IOException(
                        each + " belongs to uid=" + owner + ", or others can write to it");
            }
        }
    }

    /**
     * Makes sure that the native library is there.
     *
     * @throws UnavailableException if it is not
     */
    public static void require() {
        if (LOAD_FAILURE != null) {
            throw new UnavailableException("JAVA_ENATIVES", describe(LOAD_FAILURE), LOAD_FAILURE);
        }
    }

    private static String describe(Throwable failure) {
        String platform = Loader.getPlatform();
        Throwable cause = failure;
        while (cause.getCause() != null) {
            cause = cause.getCause();
        }
        String text =
                "load: the native library of Polyshm for platform="
                        + platform
                        + " cannot be loaded: "
                        + cause.getMessage();
        if (cause instanceof IllegalCallerException) {
            String module = Native.class.getModule().getName();
            return text
                    + "; this JVM allows native code to those only that it is told of: start it with"
                    + " --enable-native-access="
                    + (module == null
                            ? "ALL-UNNAMED"
                            : module + "," + Loader.class.getModule().getName());
        }
        try {
            if (findLibrary() != null) {
                return text
                        + "; it is extracted to "
                        + folder()
                        + ": name a folder that can be written and executed with"
                        + " -Dorg.bytedeco.javacpp.cachedir=<folder>";
            }
        } catch (IOException unreadable) {
            // Then it is missing.
        }
        return text
                + "; put the artifact io.polyshm:polyshm with the classifier "
                + platform
                + " on the class path, or on the module path with --add-modules io.polyshm."
                + platform.replace('-', '.');
    }

    private static String folder() {
        try {
            return "folder=" + Loader.getCacheDir();
        } catch (IOException none) {
            return "user.home="
                    + System.getProperty("user.home")
                    + " or, if that cannot be written, java.io.tmpdir="
                    + System.getProperty("java.io.tmpdir");
        }
    }

    /** Which of the three ways to get hold of a segment. */
    public enum How {
        CREATE,
        OPEN,
        OPEN_OR_CREATE
    }

    /**
     * Creates or opens a segment.
     *
     * @param name null for an anonymous one
     * @param permissions mode bits, 0 for the default
     * @param lifetime a {@code pshm_lifetime}, 0 for the default
     * @return the handle
     */
    public static long segment(
            How how, String name, long bytes, int permissions, int lifetime, boolean otherOwner) {
        require();
        pshm_options options =
                new pshm_options(memory(Loader.sizeof(pshm_options.class)))
                        .permissions(permissions)
                        .lifetime(lifetime)
                        .allow_other_owner(otherOwner ? 1 : 0);
        if (name != null) {
            checkName(how.name().toLowerCase(Locale.ROOT), name);
        }
        long[] out = new long[1];
        Errors.check(
                switch (how) {
                    case CREATE -> Natives.pshm_segment_create(name, bytes, options, out);
                    case OPEN -> Natives.pshm_segment_open(name, options, out);
                    case OPEN_OR_CREATE ->
                            Natives.pshm_segment_open_or_create(name, bytes, options, out);
                });
        return out[0];
    }

    /** Ends the participation; the mapping stays for the pins. */
    public static void close(long segment) {
        Errors.check(Natives.pshm_segment_close(segment));
    }

    public static void unlink(String name) {
        require();
        checkName("unlink", name);
        Errors.check(Natives.pshm_segment_unlink(name));
    }

    public static int reap() {
        require();
        return Errors.check(Natives.pshm_reap());
    }

    /** The bytes that one object takes from its segment. */
    public static long objectBytes(int kind, int type, long length) {
        require();
        return Errors.check(Natives.pshm_object_bytes(kind, type, length));
    }

    /** An object's native handles: its data, 0 for a lock, and its lock. */
    public record ObjectHandles(long data, long lock) {}

    /** Gets or creates an object. */
    public static ObjectHandles object(long segment, int kind, String name, int type, long length) {
        checkName(KIND_NAMES[kind], name);
        long[] out = new long[1];
        if (kind == Natives.PSHM_ARRAY) {
            Errors.check(Natives.pshm_array_open(segment, name, type, length, out));
            return new ObjectHandles(
                    Natives.pshm_array_data(out[0]), Natives.pshm_array_lock(out[0]));
        }
        if (kind == Natives.PSHM_VALUE) {
            Errors.check(Natives.pshm_value_open(segment, name, type, out));
            return new ObjectHandles(
                    Natives.pshm_value_data(out[0]), Natives.pshm_value_lock(out[0]));
        }
        Errors.check(Natives.pshm_lock_open(segment, name, out));
        return new ObjectHandles(0, out[0]);
    }

    /** What a {@code pshm_kind} is called in messages. */
    public static String kindName(int kind) {
        return KIND_NAMES[kind];
    }

    /**
     * Gets or creates a synchronizer.
     *
     * @param parameter permits, count or parties; 0 if it has none
     * @param bounded a semaphore
     * @return its native handle
     */
    public static long synchronizer(
            long segment, int kind, String name, long parameter, boolean bounded) {
        checkName(kindName(kind), name);
        long[] out = new long[1];
        Errors.check(
                switch (kind) {
                    case Natives.PSHM_SEMAPHORE ->
                            Natives.pshm_semaphore_open(
                                    segment, name, parameter, bounded ? 1 : 0, out);
                    case Natives.PSHM_EVENT -> Natives.pshm_event_open(segment, name, out);
                    case Natives.PSHM_LATCH ->
                            Natives.pshm_latch_open(segment, name, parameter, out);
                    case Natives.PSHM_BARRIER ->
                            Natives.pshm_barrier_open(segment, name, parameter, out);
                    case Natives.PSHM_RWLOCK -> Natives.pshm_rwlock_open(segment, name, out);
                    default -> throw new IllegalArgumentException("kind=" + kind);
                });
        return out[0];
    }

    /** The condition of that name of a lock; its native handle. */
    public static long condition(long lock, String name) {
        checkName(kindName(Natives.PSHM_CONDITION), name);
        long[] out = new long[1];
        Errors.check(Natives.pshm_condition_open(lock, name, out));
        return out[0];
    }

    /** What is known of a semaphore. */
    public static <T> T inspectSemaphore(long semaphore, Function<pshm_semaphore_info, T> read) {
        pshm_semaphore_info info =
                new pshm_semaphore_info(memory(Loader.sizeof(pshm_semaphore_info.class)));
        Errors.check(Natives.pshm_semaphore_inspect(semaphore, info));
        return read.apply(info);
    }

    /** What is known of a barrier. */
    public static <T> T inspectBarrier(long barrier, Function<pshm_barrier_info, T> read) {
        pshm_barrier_info info =
                new pshm_barrier_info(memory(Loader.sizeof(pshm_barrier_info.class)));
        Errors.check(Natives.pshm_barrier_inspect(barrier, info));
        return read.apply(info);
    }

    /** Who has a read-write lock and what has happened to it. */
    public static <T> T inspectReadWriteLock(long lock, Function<pshm_rwlock_info, T> read) {
        pshm_rwlock_info info = new pshm_rwlock_info(memory(Loader.sizeof(pshm_rwlock_info.class)));
        Errors.check(Natives.pshm_rwlock_inspect(lock, info));
        return read.apply(info);
    }

    /** The segment's objects, each turned into a {@code T} by {@code read}. */
    public static <T> List<T> objects(long segment, Function<pshm_object_info, T> read) {
        pshm_object_info info = new pshm_object_info(memory(Loader.sizeof(pshm_object_info.class)));
        return all(
                cursor -> Natives.pshm_segment_next_object(segment, cursor, info),
                () -> read.apply(info));
    }

    /** The segment's object of that name. */
    public static <T> T find(long segment, String name, Function<pshm_object_info, T> read) {
        checkName("attach", name);
        pshm_object_info info = new pshm_object_info(memory(Loader.sizeof(pshm_object_info.class)));
        Errors.check(Natives.pshm_segment_find_object(segment, name, info));
        return read.apply(info);
    }

    /** The segment's live participants. */
    public static <T> List<T> participants(long segment, Function<pshm_participant_info, T> read) {
        pshm_participant_info info = participantInfo();
        return all(
                cursor -> Natives.pshm_segment_next_participant(segment, cursor, info),
                () -> read.apply(info));
    }

    /** The objects whose locks a participant's process holds. */
    public static <T> List<T> held(
            long segment, pshm_participant_info participant, Function<pshm_object_info, T> read) {
        pshm_object_info info = new pshm_object_info(memory(Loader.sizeof(pshm_object_info.class)));
        return all(
                cursor -> Natives.pshm_segment_next_held(segment, participant, cursor, info),
                () -> read.apply(info));
    }

    /**
     * Has a participant watched.
     *
     * @return true if it is gone already
     */
    static boolean watch(long segment, Identity participant) {
        pshm_participant_info info =
                participantInfo()
                        .pid(participant.pid())
                        .slot(participant.slot())
                        .start_time(participant.startTicks())
                        .since_ns(participant.sinceNanos());
        ByteBuffer id = participant.segmentId();
        for (int i = 0; i < id.limit(); i++) {
            info.segment_id(i, id.get(i));
        }
        return Errors.check(Natives.pshm_segment_watch(segment, info)) == 1;
    }

    /** Waits until a watched participant is gone. */
    static Identity nextExit(long segment) {
        pshm_participant_info info = participantInfo();
        Errors.check(Natives.pshm_segment_next_exit(segment, -1, info));
        return identity(info);
    }

    /** What tells a participant from all others. */
    static Identity identity(pshm_participant_info info) {
        byte[] id = new byte[SEGMENT_ID_BYTES];
        for (int i = 0; i < id.length; i++) {
            id[i] = info.segment_id(i);
        }
        return new Identity(
                ByteBuffer.wrap(id), info.slot(), info.pid(), info.start_time(), info.since_ns());
    }

    private static pshm_participant_info participantInfo() {
        return new pshm_participant_info(memory(Loader.sizeof(pshm_participant_info.class)));
    }

    private interface Step {
        int next(long[] cursor);
    }

    private static <T> List<T> all(Step step, Supplier<T> read) {
        List<T> result = new ArrayList<>();
        long[] cursor = {0};
        while (Errors.check(step.next(cursor)) == 1) {
            result.add(read.get());
        }
        return List.copyOf(result);
    }

    /** Who holds a lock and what has happened to it. */
    public static <T> T inspect(long lock, Function<pshm_lock_info, T> read) {
        pshm_lock_info info = new pshm_lock_info(memory(Loader.sizeof(pshm_lock_info.class)));
        Errors.check(Natives.pshm_lock_inspect(lock, info));
        return read.apply(info);
    }

    /**
     * The death that the calling thread was told of last.
     *
     * @param memory {@code pshm_lock_info}: a virtual thread that allocated it after it was told
     *     could wait for that, and go on with a carrier that was told of another death
     */
    static <T> T told(ByteBuffer memory, Function<pshm_lock_info, T> read) {
        pshm_lock_info info = new pshm_lock_info(new Pointer(memory));
        Natives.pshm_lock_told(info);
        return read.apply(info);
    }

    /** The 16 bytes that tell a segment from others of its name. */
    static byte[] segmentId(long segment) {
        byte[] id = new byte[SEGMENT_ID_BYTES];
        buffer(Natives.pshm_segment_id(segment), id.length).get(id);
        return id;
    }

    /** A file without a name for {@link #closeScratch}; its path goes to {@code path[0]}. */
    public static int createScratch(String[] path) {
        require();
        byte[] text = new byte[Natives.PSHM_SCRATCH_PATH_BYTES];
        int descriptor = Errors.check(Natives.pshm_scratch_create(text));
        int length = 0;
        while (text[length] != 0) {
            length++;
        }
        path[0] = new String(text, 0, length, StandardCharsets.US_ASCII);
        return descriptor;
    }

    public static void closeScratch(int descriptor) {
        Natives.pshm_scratch_close(descriptor);
    }

    /**
     * A view of native memory in native byte order. It does not keep the memory: see {@link
     * Attachment#window}.
     *
     * @param bytes at most {@link Integer#MAX_VALUE}
     */
    static ByteBuffer buffer(long address, long bytes) {
        if (bytes == 0) { // for JavaCPP that is no limit, and it gives a buffer of one byte
            return ByteBuffer.allocateDirect(0).order(ByteOrder.nativeOrder());
        }
        // Only of its own classes does JavaCPP know that an element is one byte.
        return new BytePointer(new Window(address, bytes)).asByteBuffer();
    }

    /** A pointer that owns nothing. */
    private static final class Window extends Pointer {
        Window(long address, long bytes) {
            this.address = address;
            this.limit = bytes;
            this.capacity = bytes;
        }
    }

    private static Pointer memory(int bytes) {
        return new Pointer(ByteBuffer.allocateDirect(bytes));
    }

    /** C ends a string at a NUL, so a name with one would be taken for another name. */
    private static void checkName(String operation, String name) {
        if (name.indexOf('\0') >= 0) {
            throw new IllegalArgumentException(
                    operation
                            + ": name=\""
                            + name.replace("\0", "\\0")
                            + "\" has a NUL character; take 1 to "
                            + Natives.PSHM_NAME_MAX
                            + " characters out of A-Z a-z 0-9 . _ -, the first not a dot");
        }
    }
}
