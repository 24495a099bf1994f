// SPDX-License-Identifier: Apache-2.0
//
// Tells JavaCPP how polyshm.h becomes Java. Its parser and its generator read this class at build
// time, its loader at run time; nobody else uses it.
package io.polyshm.internal.binding;

import org.bytedeco.javacpp.annotation.NoException;
import org.bytedeco.javacpp.annotation.Platform;
import org.bytedeco.javacpp.annotation.Properties;
import org.bytedeco.javacpp.tools.Info;
import org.bytedeco.javacpp.tools.InfoMap;
import org.bytedeco.javacpp.tools.InfoMapper;

/**
 * The mapping. A handle, a data pointer or the memory of a wait is a {@code long}, because a
 * JavaCPP {@code Pointer} argument costs more than the whole call; an out parameter is a {@code
 * long[1]}; a string is a UTF-8 {@code String}.
 */
@Properties(
        target = "io.polyshm.internal.binding",
        global = "io.polyshm.internal.binding.Natives",
        value =
                @Platform(
                        include = "polyshm.h",
                        define = "STRING_BYTES_CHARSET \"UTF-8\"",
                        library = "jnipolyshm"))
@NoException
public class PolyshmConfig implements InfoMapper {

    @Override
    public void map(InfoMap infoMap) {
        infoMap.put(new Info("PSHM_API").cppTypes().annotations());
        infoMap.put(new Info("const char").pointerTypes("String"));
        infoMap.put(new Info("void").valueTypes("void").pointerTypes("@Cast(\"void*\") long"));
        infoMap.put(new Info("const uint8_t").pointerTypes("@Cast(\"const uint8_t*\") long"));
        infoMap.put(new Info("const uint64_t").pointerTypes("@Cast(\"const uint64_t*\") long"));
        infoMap.put(new Info("INT32_MAX").javaNames("Integer.MAX_VALUE"));
        infoMap.put(new Info("uint64_t").cast().valueTypes("long").pointerTypes("long[]"));

        for (String handle :
                new String[] {
                    "pshm_segment",
                    "pshm_array",
                    "pshm_value",
                    "pshm_lock",
                    "pshm_semaphore",
                    "pshm_event",
                    "pshm_latch",
                    "pshm_barrier",
                    "pshm_rwlock",
                    "pshm_condition",
                    "pshm_wait",
                    "pshm_interrupt"
                }) {
            infoMap.put(new Info(handle).skip().valueTypes("@Cast(\"" + handle + "*\") long"));
        }

        // Java needs none of these. Two call back: a program in C lists what is reaped, and Java
        // takes a barrier's steps itself. The third is for signal handlers.
        infoMap.put(
                new Info("pshm_reap_each", "pshm_barrier_await", "pshm_interrupt_watch").skip());

        // Java has VarHandle for it.
        infoMap.put(
                new Info(
                                "pshm_atomic_load",
                                "pshm_atomic_store",
                                "pshm_atomic_exchange",
                                "pshm_atomic_compare_exchange",
                                "pshm_atomic_fetch_add")
                        .skip());

        // The parser has no notion of an array of longs for a pointer to a handle.
        out(
                infoMap,
                "pshm_segment_create",
                "pshm_segment",
                "String name, long bytes, pshm_options options");
        out(infoMap, "pshm_segment_open", "pshm_segment", "String name, pshm_options options");
        out(
                infoMap,
                "pshm_segment_open_or_create",
                "pshm_segment",
                "String name, long bytes, pshm_options options");
        out(
                infoMap,
                "pshm_array_open",
                "pshm_array",
                SEGMENT + ", String name, int type, long length");
        out(infoMap, "pshm_value_open", "pshm_value", SEGMENT + ", String name, int type");
        out(infoMap, "pshm_lock_open", "pshm_lock", SEGMENT + ", String name");
        out(
                infoMap,
                "pshm_semaphore_open",
                "pshm_semaphore",
                SEGMENT + ", String name, @Cast(\"int64_t\") long permits, int bounded");
        out(infoMap, "pshm_event_open", "pshm_event", SEGMENT + ", String name");
        out(
                infoMap,
                "pshm_latch_open",
                "pshm_latch",
                SEGMENT + ", String name, @Cast(\"int64_t\") long count");
        out(
                infoMap,
                "pshm_barrier_open",
                "pshm_barrier",
                SEGMENT + ", String name, @Cast(\"int64_t\") long parties");
        out(infoMap, "pshm_rwlock_open", "pshm_rwlock", SEGMENT + ", String name");
        out(
                infoMap,
                "pshm_condition_open",
                "pshm_condition",
                "@Cast(\"pshm_lock*\") long lock, String name");
    }

    private static final String SEGMENT = "@Cast(\"pshm_segment*\") long segment";

    private static void out(InfoMap infoMap, String function, String handle, String parameters) {
        infoMap.put(
                new Info(function)
                        .javaText(
                                "public static native int "
                                        + function
                                        + "("
                                        + parameters
                                        + ", @Cast(\""
                                        + handle
                                        + "**\") long[] out);"));
    }
}
