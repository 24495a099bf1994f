// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.ObjectOutputStream;
import java.io.Serializable;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.IntSupplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What a task must not capture, and how that is told before there is any process. */
@Timeout(60)
class ForkedJvmCaptureTest {
    private static final class Job implements Serializable {
        private static final long serialVersionUID = 1;
        final long before = 1;
        final String text = "t";
        Thread thread;
        Object any;
        List<Object> list = new ArrayList<>();
        Map<String, Object> map = new HashMap<>();
        transient Thread allowed = new Thread();
    }

    private final int field = 1;

    @AfterEach
    void noProcessWasStarted() {
        assertThat(ProcessHandle.current().children().filter(ProcessHandle::isAlive)).isEmpty();
    }

    private static void assertRefused(ForkedJvm.Task task, String... texts) {
        assertThatThrownBy(() -> ForkedJvm.start(task))
                .isInstanceOf(ForkedJvmException.class)
                .hasMessageStartingWith("ForkedJvm.start: the task cannot travel")
                .hasMessageContaining("JAVA_ECAPTURE")
                .hasMessageContainingAll(texts);
    }

    @Test
    void shouldNameVariableWhenLambdaCapturesIt() {
        long wide = 1;
        double wideToo = 2;
        Thread culprit = new Thread();
        assertRefused(
                () -> System.out.println(wide + wideToo + culprit.getName()),
                "variable \"culprit\" of the lambda in io.polyshm.ForkedJvmCaptureTest."
                        + "shouldNameVariableWhenLambdaCapturesIt (java.lang.Thread) "
                        + "is not Serializable",
                "inside the task");
    }

    @Test
    void shouldNameFieldWhenCapturedObjectHasIt() {
        Job job = new Job();
        job.thread = new Thread();
        assertRefused(
                () -> System.out.println(job.before + job.text),
                "variable \"job\"",
                "ForkedJvmCaptureTest$Job) -> field thread (java.lang.Thread) is not Serializable",
                "transient");
    }

    @Test
    void shouldNameWholePathWhenItIsLong() {
        Job inner = new Job();
        inner.any = new Object[] {"fine", new Thread()};
        Job outer = new Job();
        outer.any = inner;
        assertRefused(
                () -> System.out.println(outer),
                "\"outer\"",
                "-> field any (io.polyshm.ForkedJvmCaptureTest$Job)"
                        + " -> field any (java.lang.Object[])"
                        + " -> element 1 (java.lang.Thread)");
    }

    @Test
    void shouldGoThroughCollectionsWhenTheyHoldIt() {
        Job job = new Job();
        job.list.add(List.of("fine"));
        job.map.put("key", new Thread());
        assertRefused(
                () -> System.out.println(job),
                "-> field map (java.util.HashMap) -> an element (java.lang.Thread)");
        Job other = new Job();
        other.list.add(Map.of("key", new Thread()));
        assertRefused(() -> System.out.println(other), "-> field list (java.util.ArrayList) -> ");
    }

    @Test
    void shouldSurviveWhenObjectsReferToEachOther() {
        Job job = new Job();
        job.any = job;
        job.list.add(job);
        job.list.add(new Thread());
        assertRefused(() -> System.out.println(job), "an element (java.lang.Thread)");
    }

    @Test
    void shouldAdviseLocalVariableWhenLambdaCapturesThis() {
        assertRefused(
                () -> System.out.println(field),
                "the enclosing object (this) of the lambda in",
                "(io.polyshm.ForkedJvmCaptureTest)",
                "local variables");
    }

    @Test
    void shouldAdviseCastWhenLambdaIsNotSerializable() {
        IntSupplier supplier = () -> 1;
        assertRefused(
                () -> System.out.println(supplier.getAsInt()),
                "variable \"supplier\"",
                "Cast it to its interface & Serializable");
    }

    @Test
    void shouldGoThroughLambdaWhenItCapturesAnother() {
        Thread culprit = new Thread();
        ForkedJvm.Task inner = () -> System.out.println(culprit);
        assertRefused(() -> inner.run(), "variable \"inner\"", "-> variable \"culprit\"");
    }

    @Test
    void shouldNameObjectWhenTaskIsMethodReference() {
        Thread culprit = new Thread();
        assertRefused(
                culprit::start,
                "the object of the method reference java.lang.Thread::start (java.lang.Thread)");
    }

    @Test
    void shouldNameVariableWhenAnonymousClassCapturesIt() {
        Thread culprit = new Thread();
        assertRefused(anonymous(culprit), "variable \"culprit\" (java.lang.Thread)");
    }

    private static ForkedJvm.Task anonymous(Thread culprit) {
        return new ForkedJvm.Task() {
            private static final long serialVersionUID = 1;

            @Override
            public void run() {
                System.out.println(culprit);
            }
        };
    }

    private static final class Refusing implements Serializable {
        private static final long serialVersionUID = 1;

        final Throwable failure;

        Refusing(Throwable failure) {
            this.failure = failure;
        }

        private void writeObject(ObjectOutputStream out) throws Throwable {
            throw failure;
        }
    }

    @SuppressWarnings("serial")
    private static final class Untold extends RuntimeException {
        @Override
        public String getMessage() {
            throw this;
        }
    }

    @Test
    void shouldTellReasonWhenClassRefusesToBeWritten() {
        for (Throwable failure :
                List.of(
                        new IllegalStateException("not now"),
                        new IOException("not now"),
                        new AssertionError("not now"),
                        new NoClassDefFoundError("not now"))) {
            Job job = new Job();
            job.any = new Refusing(failure);
            assertRefused(
                    () -> System.out.println(job),
                    "-> field any (io.polyshm.ForkedJvmCaptureTest$Refusing) failed to be written: "
                            + failure);
        }
        Job job = new Job();
        job.any = new Refusing(new Untold());
        assertRefused(() -> System.out.println(job), "failed to be written: ", "$Untold (its");
    }

    @Test
    void shouldKeepErrorAsCauseWhenMemoryIsFull() {
        OutOfMemoryError full = new OutOfMemoryError("of this test");
        Refusing captured = new Refusing(full);
        assertRefused(() -> System.out.println(captured), full.toString());
        assertThatThrownBy(() -> ForkedJvm.start(() -> System.out.println(captured)))
                .hasRootCause(full);
    }

    @Test
    void shouldRefuseWhenChainIsTooLongForStack() {
        Object[] chain = null;
        for (int i = 0; i < 1_000_000; i++) {
            chain = new Object[] {chain};
        }
        Object[] captured = chain;
        assertRefused(() -> System.out.println(captured.length), "too long");
    }

    @Test
    void shouldSpeakOfCallWhenThatWasCalled() {
        Thread culprit = new Thread();
        assertThatThrownBy(() -> ForkedJvm.call(() -> culprit.getName()))
                .hasMessageStartingWith("ForkedJvm.call: ")
                .hasMessageContaining("\"culprit\"");
    }
}
