// SPDX-License-Identifier: Apache-2.0
package io.polyshm.internal;

import io.polyshm.SharedMemory.Kind;
import io.polyshm.SharedMemory.ObjectInfo;
import io.polyshm.TypeMismatchException;
import io.polyshm.internal.binding.Natives;
import io.polyshm.internal.binding.pshm_object_info;
import io.polyshm.internal.binding.pshm_participant_info;
import java.lang.ref.Reference;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.LongFunction;

/** What a segment tells of itself, in terms of the public API. */
public final class SegmentInfo {
    private static final Map<Integer, Class<?>> ELEMENT_TYPES =
            Map.of(
                    Natives.PSHM_BOOLEAN,
                    boolean.class,
                    Natives.PSHM_INT8,
                    byte.class,
                    Natives.PSHM_INT16,
                    short.class,
                    Natives.PSHM_CHAR16,
                    char.class,
                    Natives.PSHM_INT32,
                    int.class,
                    Natives.PSHM_INT64,
                    long.class,
                    Natives.PSHM_FLOAT32,
                    float.class,
                    Natives.PSHM_FLOAT64,
                    double.class);

    private static final Map<Integer, Kind> KINDS =
            Map.of(
                    Natives.PSHM_ARRAY, Kind.ARRAY,
                    Natives.PSHM_VALUE, Kind.VALUE,
                    Natives.PSHM_LOCK, Kind.LOCK,
                    Natives.PSHM_SEMAPHORE, Kind.SEMAPHORE,
                    Natives.PSHM_EVENT, Kind.EVENT,
                    Natives.PSHM_LATCH, Kind.LATCH,
                    Natives.PSHM_BARRIER, Kind.BARRIER,
                    Natives.PSHM_RWLOCK, Kind.READ_WRITE_LOCK,
                    Natives.PSHM_CONDITION, Kind.CONDITION);

    private SegmentInfo() {}

    public static long sizeBytes(Attachment attachment) {
        return of(attachment, "sizeBytes", Natives::pshm_segment_size_bytes);
    }

    public static long freeBytes(Attachment attachment) {
        return of(attachment, "freeBytes", Natives::pshm_segment_free_bytes);
    }

    public static List<ObjectInfo> objects(Attachment attachment) {
        return of(attachment, "objects", segment -> Native.objects(segment, SegmentInfo::object));
    }

    private static ObjectInfo object(pshm_object_info info) {
        Kind kind = KINDS.get(info.kind());
        boolean hasElements = kind == Kind.ARRAY || kind == Kind.VALUE;
        return new ObjectInfo(
                Text.of(info.name()),
                kind,
                hasElements ? ELEMENT_TYPES.get(info.type()) : void.class,
                info.length(),
                info.bytes());
    }

    public static List<ParticipantInfo> participants(Attachment attachment) {
        return of(
                attachment,
                "participants",
                segment -> Native.participants(segment, info -> participant(segment, info)));
    }

    private static ParticipantInfo participant(long segment, pshm_participant_info info) {
        return new ParticipantInfo(
                Native.identity(info),
                Text.of(info.command()),
                info.start_time() == 0
                        ? Optional.empty()
                        : Optional.of(Text.instant(info.started_ns())),
                Text.instant(info.since_ns()),
                Native.held(segment, info, held -> Text.of(held.name())));
    }

    /**
     * What attaching to an object takes.
     *
     * @param parameter the length, permits, count or parties that it was made with
     * @param bounded a semaphore
     */
    public record Found(long parameter, boolean bounded) {}

    /**
     * An object that exists.
     *
     * @param kind a {@code pshm_kind} that it has to be of
     * @param type a {@code pshm_type} that the elements of an array or value have to be of
     * @throws io.polyshm.NotFoundException if there is none of that name
     * @throws TypeMismatchException if it is not of that kind and type
     */
    public static Found find(Attachment attachment, String name, int kind, int type) {
        return of(
                attachment,
                "attach",
                segment ->
                        Native.find(
                                segment, name, info -> found(attachment, name, kind, type, info)));
    }

    private static Found found(
            Attachment attachment, String name, int kind, int type, pshm_object_info info) {
        String is = describe(info.kind(), info.type());
        String asked = describe(kind, type);
        if (!is.equals(asked)) {
            throw new TypeMismatchException(
                    "PSHM_ETYPE",
                    "attach: segment="
                            + attachment.name()
                            + ", name="
                            + name
                            + ": it exists as "
                            + is
                            + ", and was to be attached as "
                            + asked
                            + "; attach it as what it is",
                    null);
        }
        return new Found(info.length(), info.type() != 0);
    }

    private static String describe(int kind, int type) {
        boolean hasElements = kind == Natives.PSHM_ARRAY || kind == Natives.PSHM_VALUE;
        return Native.kindName(kind) + (hasElements ? " of " + ELEMENT_TYPES.get(type) : "");
    }

    private static <T> T of(Attachment attachment, String operation, LongFunction<T> read) {
        attachment.ensureOpen(operation);
        T result = read.apply(attachment.segment());
        Reference.reachabilityFence(attachment);
        return result;
    }
}
