// SPDX-License-Identifier: Apache-2.0
package io.polyshm.internal;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.polyshm.AlreadyExistsException;
import io.polyshm.BusyException;
import io.polyshm.ClosedException;
import io.polyshm.LockHeldException;
import io.polyshm.MemoryFullException;
import io.polyshm.NotFoundException;
import io.polyshm.PermissionDeniedException;
import io.polyshm.PolyshmException;
import io.polyshm.TooManyParticipantsException;
import io.polyshm.TypeMismatchException;
import io.polyshm.UnavailableException;
import io.polyshm.WrongLayoutException;
import io.polyshm.internal.binding.Natives;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.TreeSet;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class ErrorsTest {
    private static final Map<String, Class<?>> EXPECTED =
            Map.ofEntries(
                    Map.entry("PSHM_EINVAL", IllegalArgumentException.class),
                    Map.entry("PSHM_ENAME", IllegalArgumentException.class),
                    Map.entry("PSHM_EEXIST", AlreadyExistsException.class),
                    Map.entry("PSHM_ENOENT", NotFoundException.class),
                    Map.entry("PSHM_EACCES", PermissionDeniedException.class),
                    Map.entry("PSHM_EFULL", MemoryFullException.class),
                    Map.entry("PSHM_ENOSPACE", MemoryFullException.class),
                    Map.entry("PSHM_ELAYOUT", WrongLayoutException.class),
                    Map.entry("PSHM_ETYPE", TypeMismatchException.class),
                    Map.entry("PSHM_EBUSY", BusyException.class),
                    Map.entry("PSHM_ETIMEDOUT", PolyshmException.class),
                    Map.entry("PSHM_EOWNERDIED", PolyshmException.class),
                    Map.entry("PSHM_ENOTOWNER", IllegalMonitorStateException.class),
                    Map.entry("PSHM_ECLOSED", ClosedException.class),
                    Map.entry("PSHM_EHELD", LockHeldException.class),
                    Map.entry("PSHM_EPARTICIPANTS", TooManyParticipantsException.class),
                    Map.entry("PSHM_EUNAVAILABLE", UnavailableException.class),
                    Map.entry("PSHM_ENOMEM", PolyshmException.class),
                    Map.entry("PSHM_EDEPTH", PolyshmException.class),
                    Map.entry("PSHM_EUNNAMED", PolyshmException.class),
                    Map.entry("PSHM_EGOOD", PolyshmException.class),
                    Map.entry("PSHM_EOS", PolyshmException.class),
                    Map.entry("PSHM_EINTERRUPTED", PolyshmException.class),
                    Map.entry("PSHM_EBROKEN", PolyshmException.class),
                    Map.entry("PSHM_EOVERFLOW", IllegalStateException.class));

    @BeforeAll
    static void load() {
        Native.require();
    }

    private static Map<String, Integer> codes() throws IllegalAccessException {
        Map<String, Integer> codes = new HashMap<>();
        for (Field field : Natives.class.getFields()) {
            if (Modifier.isStatic(field.getModifiers())
                    && field.getType() == int.class
                    && field.getName().startsWith("PSHM_E")
                    && field.getInt(null) < 0) {
                codes.put(field.getName(), field.getInt(null));
            }
        }
        return codes;
    }

    @Test
    void shouldMapEveryCodeToItsException() throws Exception {
        Map<String, Integer> codes = codes();
        assertThat(new TreeSet<>(codes.keySet())).isEqualTo(new TreeSet<>(EXPECTED.keySet()));
        codes.forEach(
                (name, code) -> {
                    assertThat(Natives.pshm_error_name(code)).isEqualTo(name);
                    RuntimeException exception = Errors.exception(code);
                    assertThat(exception).isExactlyInstanceOf(EXPECTED.get(name));
                    assertThat(exception.getMessage()).isNotBlank();
                    if (exception instanceof PolyshmException ours) {
                        assertThat(ours.errorName()).isEqualTo(name);
                        assertThat(ours).hasMessageEndingWith("[" + name + "]");
                    }
                });
    }

    @Test
    void shouldHaveNoCodeThatTheBindingLacks() throws Exception {
        Map<String, Integer> codes = codes();
        for (int code = -1; code > -1000; code--) {
            assertThat(Natives.pshm_error_name(code).equals("PSHM_EUNKNOWN"))
                    .isNotEqualTo(codes.containsValue(code));
        }
    }

    @Test
    void shouldGiveTheRootForACodeThatNobodyKnows() {
        assertThat(Errors.exception(-12345))
                .isExactlyInstanceOf(PolyshmException.class)
                .hasMessageContaining("PSHM_EUNKNOWN");
    }

    @Test
    void shouldPassSuccessThroughAndThrowTheRest() {
        assertThat(Errors.check(0)).isZero();
        assertThat(Errors.check(7)).isEqualTo(7);
        assertThat(Errors.check(1L << 40)).isEqualTo(1L << 40);
        assertThatThrownBy(() -> Errors.check(Natives.PSHM_ECLOSED))
                .isInstanceOf(ClosedException.class);
        assertThat(Arrays.asList(EXPECTED.values().toArray())).doesNotContainNull();
    }
}
