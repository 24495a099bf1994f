// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

import static io.polyshm.ForkedJvmTest.quiet;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import java.io.ObjectInputStream;
import java.io.ObjectOutputStream;
import java.io.PrintWriter;
import java.io.Serial;
import java.io.StringWriter;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** What a task throws, and what of it comes over, whatever its class does. */
@Timeout(120)
class ForkedJvmThrowTest {

    /** Its own code fails, in one place. */
    @SuppressWarnings("serial") // that the object is none that can be written is the point
    private static final class Evil extends RuntimeException {
        enum Deed {
            THROW_IN_GET_MESSAGE(false),
            OVERFLOW_IN_GET_MESSAGE(false),
            THROW_ITSELF_IN_GET_MESSAGE(false),
            THROW_IN_GET_MESSAGE_OF_COPY(false),
            THROW_IN_TO_STRING(false),
            NO_TEXT(true),
            THROW_IN_GET_STACK_TRACE(true),
            NO_STACK_TRACE(true),
            HOLES_IN_STACK_TRACE(true),
            THROW_IN_GET_CAUSE(false),
            ENDLESS_CAUSES(false),
            CIRCULAR_CAUSE(true),
            NOT_SERIALIZABLE(false),
            NOT_SERIALIZABLE_SUPPRESSED(false),
            THROW_WHEN_WRITTEN(false),
            THROW_ITSELF_WHEN_WRITTEN(false),
            THROW_WHEN_READ(false),
            WRITTEN_AS_NULL(false),
            WRITTEN_AS_TEXT(false),
            LARGE_MESSAGE(true);

            final boolean travels;

            Deed(boolean travels) {
                this.travels = travels;
            }
        }

        private final Deed deed;
        private transient boolean original = true; // false when it was deserialized
        private final Object field;

        Evil(Deed deed) {
            super(deed == Deed.LARGE_MESSAGE ? "m".repeat(4 << 20) : "the message");
            this.deed = deed;
            this.field = deed == Deed.NOT_SERIALIZABLE ? new Object() : null;
            if (deed == Deed.CIRCULAR_CAUSE) {
                initCause(new IllegalStateException(this));
            }
            if (deed == Deed.NOT_SERIALIZABLE_SUPPRESSED) {
                addSuppressed(new Evil(Deed.NOT_SERIALIZABLE));
            }
        }

        @Override
        public String getMessage() {
            return switch (deed) {
                case THROW_IN_GET_MESSAGE -> throw new IllegalStateException("no message");
                case OVERFLOW_IN_GET_MESSAGE -> getMessage();
                case THROW_ITSELF_IN_GET_MESSAGE -> throw this;
                case THROW_IN_GET_MESSAGE_OF_COPY -> {
                    if (original) {
                        yield super.getMessage();
                    }
                    throw new IllegalStateException("no message of a copy");
                }
                default -> super.getMessage();
            };
        }

        @Override
        public String toString() {
            return switch (deed) {
                case THROW_IN_TO_STRING -> throw new NoClassDefFoundError("no text");
                case NO_TEXT -> null;
                default -> super.toString();
            };
        }

        @Override
        public StackTraceElement[] getStackTrace() {
            return switch (deed) {
                case THROW_IN_GET_STACK_TRACE -> throw new AssertionError("no trace");
                case NO_STACK_TRACE -> null;
                case HOLES_IN_STACK_TRACE -> new StackTraceElement[1];
                default -> super.getStackTrace();
            };
        }

        @Override
        @SuppressWarnings("UnsynchronizedOverridesSynchronized")
        public Throwable getCause() {
            return switch (deed) {
                case THROW_IN_GET_CAUSE -> throw new AssertionError("no cause");
                case ENDLESS_CAUSES -> new Evil(deed);
                default -> super.getCause();
            };
        }

        @Serial
        private Object writeReplace() {
            return switch (deed) {
                case WRITTEN_AS_NULL -> null;
                case WRITTEN_AS_TEXT -> "text";
                default -> this;
            };
        }

        @Serial
        private void writeObject(ObjectOutputStream out) throws Exception {
            if (deed == Deed.THROW_WHEN_WRITTEN) {
                throw new AssertionError("not to be written");
            }
            if (deed == Deed.THROW_ITSELF_WHEN_WRITTEN) {
                throw this;
            }
            out.defaultWriteObject();
        }

        @Serial
        private void readObject(ObjectInputStream in) throws Exception {
            in.defaultReadObject();
            if (deed == Deed.THROW_WHEN_READ) {
                throw new AssertionError("not to be read");
            }
        }
    }

    private static String printed(Throwable thrown) {
        StringWriter text = new StringWriter();
        thrown.printStackTrace(new PrintWriter(text));
        return text.toString();
    }

    @ParameterizedTest
    @EnumSource
    void shouldTellWhatTaskThrewWhateverItsClassDoes(Evil.Deed deed) {
        ForkedJvm child =
                quiet().start(
                                () -> {
                                    throw new Evil(deed);
                                });
        Throwable thrown = catchThrowable(child::join);
        assertThat(thrown)
                .isInstanceOf(ForkedJvmException.class)
                .hasMessageStartingWith(
                        "join: the task of the child JVM threw " + Evil.class.getName())
                .hasMessageContaining("pid=" + child.pid())
                .hasMessageContaining("task=" + getClass().getName())
                .hasMessageContaining("JAVA_ETASK");
        assertThat(thrown.getMessage()).hasSizeLessThan(1 << 20);
        assertThat(printed(thrown)).contains("Caused by: ", "internal.fork.ChildMain.main");
        assertThat(thrown.getCause() instanceof Evil).isEqualTo(deed.travels);
        assertThat(child.exitCode()).hasValue(1);
    }

    @Test
    void shouldSayWhyOriginalIsNotHereWhenStandInTakesItsPlace() {
        assertThat(standIn(Evil.Deed.NOT_SERIALIZABLE))
                .hasMessage("the message")
                .hasToString(Evil.class.getName() + ": the message")
                .satisfies(
                        each ->
                                assertThat(each.getSuppressed()[0])
                                        .hasToString(
                                                "java.io.NotSerializableException:"
                                                        + " java.lang.Object"));
        assertThat(standIn(Evil.Deed.THROW_WHEN_WRITTEN).getSuppressed()[0])
                .hasToString("java.lang.AssertionError: not to be written");
        assertThat(standIn(Evil.Deed.THROW_WHEN_READ).getSuppressed()[0])
                .hasToString("java.lang.AssertionError: not to be read");
        assertThat(standIn(Evil.Deed.THROW_IN_GET_MESSAGE_OF_COPY))
                .hasMessage("the message")
                .satisfies(
                        each ->
                                assertThat(each.getSuppressed()[0])
                                        .hasMessage("no message of a copy"));
        assertThat(standIn(Evil.Deed.THROW_IN_TO_STRING))
                .hasMessage("the message")
                .hasToString(
                        Evil.class.getName()
                                + " (its toString() threw java.lang.NoClassDefFoundError)");
        assertThat(standIn(Evil.Deed.THROW_IN_GET_MESSAGE).getMessage()).isNull();
    }

    private static Throwable standIn(Evil.Deed deed) {
        ForkedJvm child =
                quiet().start(
                                () -> {
                                    throw new Evil(deed);
                                });
        Throwable cause = catchThrowable(child::join).getCause();
        assertThat(cause).isNotInstanceOf(Evil.class);
        assertThat(cause.getStackTrace()[0].getClassName())
                .isEqualTo(ForkedJvmThrowTest.class.getName());
        return cause;
    }

    @Test
    void shouldThrowStandInWhenOnlyChildHasTheClass(@TempDir Path folder) throws Exception {
        Path source = folder.resolve("OnlyThere.java");
        Files.writeString(source, "public class OnlyThere extends Exception {}");
        int failed =
                ToolProvider.getSystemJavaCompiler()
                        .run(null, null, null, "-d", folder.toString(), source.toString());
        assertThat(failed).isZero();
        URL[] where = {folder.toUri().toURL()};
        ForkedJvm child =
                quiet().start(
                                () -> {
                                    ClassLoader loader = new URLClassLoader(where);
                                    Class<?> type = loader.loadClass("OnlyThere");
                                    throw (Exception) type.getConstructor().newInstance();
                                });
        Throwable cause = catchThrowable(child::join).getCause();
        assertThat(cause).hasToString("OnlyThere").hasMessage(null);
        assertThat(cause.getSuppressed()[0])
                .hasToString("java.lang.ClassNotFoundException: OnlyThere");
    }
}
