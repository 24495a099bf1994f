// SPDX-License-Identifier: Apache-2.0
package io.polyshm.internal;

import static java.util.stream.Collectors.toMap;
import static org.assertj.core.api.Assertions.assertThat;

import io.polyshm.SharedArray;
import io.polyshm.SharedMemory;
import io.polyshm.internal.binding.Natives;
import java.lang.invoke.MethodType;
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.bytedeco.javacpp.Loader;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.annotation.MemberGetter;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The numbers of {@code polyshm.h}, as {@code native/test/abi_test.c} has them from C. */
@Timeout(60)
class AbiTest {
    /** Java knows how large they are, from constants, and nothing else. */
    private static final Set<String> OPAQUE = Set.of("pshm_interrupt", "pshm_wait");

    private static List<List<String>> table;

    @BeforeAll
    static void load() throws Exception {
        Native.require();
        Path file = Path.of(System.getProperty("polyshm.golden"), "abi.txt");
        table = Files.readAllLines(file).stream().map(line -> List.of(line.split(" "))).toList();
    }

    private static Stream<List<String>> rows(String of) {
        return table.stream().filter(row -> row.get(0).equals(of));
    }

    @Test
    void shouldHaveTheSameConstants() throws Exception {
        Map<String, Integer> constants = new HashMap<>();
        for (Field field : Natives.class.getFields()) {
            if (Modifier.isStatic(field.getModifiers()) && field.getName().startsWith("PSHM_")) {
                constants.put(field.getName(), field.getInt(null));
            }
        }
        assertThat(constants)
                .isEqualTo(
                        rows("constant")
                                .collect(
                                        toMap(
                                                row -> row.get(1),
                                                row -> Integer.parseInt(row.get(2)))));
    }

    @Test
    void shouldHaveElementsOfTheSameSize() throws Exception {
        Map<Integer, Integer> sizes;
        try (SharedMemory memory = SharedMemory.anonymous(1 << 14)) {
            Map<String, Integer> bytes = new HashMap<>();
            for (Class<?> type : SharedArray.class.getPermittedSubclasses()) {
                String name = type.getSimpleName();
                SharedArray.class
                        .getMethod(
                                name.replace("Of", "of") + "s",
                                SharedMemory.class,
                                String.class,
                                long.class)
                        .invoke(null, memory, name, 1L);
                Field shift = type.getDeclaredField("SHIFT");
                shift.setAccessible(true);
                bytes.put(name, 1 << shift.getInt(null));
            }
            long segment = Native.segment(Native.How.OPEN, memory.name(), 0, 0, 0, false);
            sizes =
                    Native.objects(
                                    segment,
                                    info -> Map.entry(info.type(), bytes.get(Text.of(info.name()))))
                            .stream()
                            .collect(toMap(Map.Entry::getKey, Map.Entry::getValue));
            Native.close(segment);
        }
        assertThat(sizes)
                .isEqualTo(
                        rows("type")
                                .collect(
                                        toMap(
                                                row -> Integer.parseInt(row.get(1)),
                                                row -> Integer.parseInt(row.get(2)))));
    }

    /** Also that neither has one, or a field, that the other lacks. */
    @Test
    void shouldHaveTheSameStructs() throws Exception {
        List<String> ours = new ArrayList<>();
        ours.add("struct pshm_interrupt " + Natives.PSHM_INTERRUPT_WORDS * Long.BYTES);
        ours.add("struct pshm_wait " + Natives.PSHM_WAIT_WORDS * Long.BYTES);
        for (Class<? extends Pointer> struct : structs()) {
            String name = struct.getSimpleName();
            ours.add("struct " + name + " " + Loader.sizeof(struct));
            for (Method getter : struct.getDeclaredMethods()) {
                if (isGetter(getter)) {
                    ours.add(
                            String.join(
                                    " ",
                                    "field",
                                    name,
                                    getter.getName(),
                                    "" + Loader.offsetof(struct, getter.getName()),
                                    "" + bytes(getter.getReturnType()),
                                    getter.getParameterCount() == 0 ? "single" : "array"));
                }
            }
        }
        List<String> theirs = new ArrayList<>();
        rows("struct").forEach(row -> theirs.add(String.join(" ", row)));
        rows("field")
                .filter(row -> !OPAQUE.contains(row.get(1)))
                .forEach(
                        row ->
                                theirs.add(
                                        String.join(" ", row.subList(0, 5))
                                                + (row.get(5).equals("0") ? " single" : " array")));
        assertThat(ours).containsExactlyInAnyOrderElementsOf(theirs);
    }

    private static List<Class<? extends Pointer>> structs() throws Exception {
        Path folder = Path.of(Natives.class.getResource("Natives.class").toURI()).getParent();
        List<Class<? extends Pointer>> structs = new ArrayList<>();
        try (DirectoryStream<Path> files = Files.newDirectoryStream(folder, "pshm_*.class")) {
            for (Path file : files) {
                String name = file.getFileName().toString().replace(".class", "");
                structs.add(
                        Class.forName(Natives.class.getPackageName() + "." + name)
                                .asSubclass(Pointer.class));
            }
        }
        return structs;
    }

    /** Of a field, or of an element of one that is an array: then it has an index. */
    private static boolean isGetter(Method method) {
        return Modifier.isPublic(method.getModifiers())
                && Modifier.isNative(method.getModifiers())
                && !method.isAnnotationPresent(MemberGetter.class)
                && method.getReturnType() != method.getDeclaringClass();
    }

    private static int bytes(Class<?> type) throws Exception {
        return Pointer.class.isAssignableFrom(type)
                ? Loader.sizeof(type.asSubclass(Pointer.class))
                : MethodType.methodType(type).wrap().returnType().getField("BYTES").getInt(null);
    }
}
