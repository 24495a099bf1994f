// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.util.List;
import java.util.function.BiFunction;
import java.util.function.Function;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Objects that are found by their handles, as what they are. */
@Timeout(120)
class AttachTest {
    /** A type: how it is made, how it is attached, and what messages call it. */
    private record Type<T extends AutoCloseable>(
            String name,
            Function<SharedMemory, T> create,
            Function<T, String> handle,
            Function<String, T> attach,
            BiFunction<SharedMemory, String, T> attachIn) {

        private String created(SharedMemory memory) {
            return handle.apply(create.apply(memory));
        }
    }

    private static <T extends SharedArray> Type<T> array(
            String type,
            Function<SharedMemory, T> create,
            Function<String, T> attach,
            BiFunction<SharedMemory, String, T> attachIn) {
        return new Type<>("array of " + type, create, SharedArray::handle, attach, attachIn);
    }

    private static <T extends SharedValue> Type<T> value(
            String type,
            Function<SharedMemory, T> create,
            Function<String, T> attach,
            BiFunction<SharedMemory, String, T> attachIn) {
        return new Type<>("value of " + type, create, SharedValue::handle, attach, attachIn);
    }

    private static <T extends Synchronizer> Type<T> synchronizer(
            String kind,
            Function<SharedMemory, T> create,
            Function<String, T> attach,
            BiFunction<SharedMemory, String, T> attachIn) {
        return new Type<>(kind, create, Synchronizer::handle, attach, attachIn);
    }

    private static final List<Type<?>> TYPES =
            List.of(
                    array(
                            "boolean",
                            in -> SharedArray.ofBooleans(in, "a1", 1),
                            SharedArray.OfBoolean::attach,
                            SharedArray.OfBoolean::attach),
                    array(
                            "byte",
                            in -> SharedArray.ofBytes(in, "a2", 2),
                            SharedArray.OfByte::attach,
                            SharedArray.OfByte::attach),
                    array(
                            "short",
                            in -> SharedArray.ofShorts(in, "a3", 3),
                            SharedArray.OfShort::attach,
                            SharedArray.OfShort::attach),
                    array(
                            "char",
                            in -> SharedArray.ofChars(in, "a4", 4),
                            SharedArray.OfChar::attach,
                            SharedArray.OfChar::attach),
                    array(
                            "int",
                            in -> SharedArray.ofInts(in, "a5", 5),
                            SharedArray.OfInt::attach,
                            SharedArray.OfInt::attach),
                    array(
                            "long",
                            in -> SharedArray.ofLongs(in, "a6", 6),
                            SharedArray.OfLong::attach,
                            SharedArray.OfLong::attach),
                    array(
                            "float",
                            in -> SharedArray.ofFloats(in, "a7", 7),
                            SharedArray.OfFloat::attach,
                            SharedArray.OfFloat::attach),
                    array(
                            "double",
                            in -> SharedArray.ofDoubles(in, "a8", 8),
                            SharedArray.OfDouble::attach,
                            SharedArray.OfDouble::attach),
                    value(
                            "boolean",
                            in -> SharedValue.ofBoolean(in, "v1"),
                            SharedValue.OfBoolean::attach,
                            SharedValue.OfBoolean::attach),
                    value(
                            "byte",
                            in -> SharedValue.ofByte(in, "v2"),
                            SharedValue.OfByte::attach,
                            SharedValue.OfByte::attach),
                    value(
                            "short",
                            in -> SharedValue.ofShort(in, "v3"),
                            SharedValue.OfShort::attach,
                            SharedValue.OfShort::attach),
                    value(
                            "char",
                            in -> SharedValue.ofChar(in, "v4"),
                            SharedValue.OfChar::attach,
                            SharedValue.OfChar::attach),
                    value(
                            "int",
                            in -> SharedValue.ofInt(in, "v5"),
                            SharedValue.OfInt::attach,
                            SharedValue.OfInt::attach),
                    value(
                            "long",
                            in -> SharedValue.ofLong(in, "v6"),
                            SharedValue.OfLong::attach,
                            SharedValue.OfLong::attach),
                    value(
                            "float",
                            in -> SharedValue.ofFloat(in, "v7"),
                            SharedValue.OfFloat::attach,
                            SharedValue.OfFloat::attach),
                    value(
                            "double",
                            in -> SharedValue.ofDouble(in, "v8"),
                            SharedValue.OfDouble::attach,
                            SharedValue.OfDouble::attach),
                    new Type<>(
                            "lock",
                            in -> Lock.in(in, "lock"),
                            Lock::handle,
                            Lock::attach,
                            Lock::attach),
                    synchronizer(
                            "semaphore",
                            in -> Semaphore.in(in, "semaphore", 3),
                            Semaphore::attach,
                            Semaphore::attach),
                    synchronizer(
                            "event", in -> Event.in(in, "event"), Event::attach, Event::attach),
                    synchronizer(
                            "latch", in -> Latch.in(in, "latch", 4), Latch::attach, Latch::attach),
                    synchronizer(
                            "barrier",
                            in -> Barrier.in(in, "barrier", 2),
                            Barrier::attach,
                            Barrier::attach),
                    synchronizer(
                            "read-write lock",
                            in -> ReadWriteLock.in(in, "rwlock"),
                            ReadWriteLock::attach,
                            ReadWriteLock::attach));

    @RegisterExtension final Segments segments = new Segments();

    @Test
    void shouldHaveAnAttachForEveryKindButConditions() {
        // A condition is had of its lock.
        assertThat(TYPES.stream().map(type -> type.name().split(" of ")[0]).distinct())
                .hasSize(SharedMemory.Kind.values().length - 1);
    }

    @Test
    void shouldAttachAsWhatItIsAndAsNothingElse() throws Exception {
        try (SharedMemory memory = SharedMemory.create(segments.name(), 100_000)) {
            for (Type<?> is : TYPES) {
                String handle = is.created(memory);
                String name = handle.substring(handle.indexOf('/') + 1);
                assertThat(handle).isEqualTo(memory.name() + "/" + name);
                for (Type<?> asked : TYPES) {
                    if (asked == is) {
                        try (AutoCloseable attached = asked.attach().apply(handle)) {
                            assertThat(memory.participants()).hasSize(2);
                            assertThat(attached.toString()).contains("name=" + name);
                        }
                        asked.attachIn().apply(memory, name).close();
                    } else {
                        assertThatThrownBy(() -> asked.attach().apply(handle))
                                .isInstanceOf(TypeMismatchException.class)
                                .hasMessageContainingAll(
                                        "attach: segment=" + memory.name() + ", name=" + name,
                                        "exists as " + is.name() + ",",
                                        "attached as " + asked.name() + ";");
                        assertThatThrownBy(() -> asked.attachIn().apply(memory, name))
                                .isInstanceOf(TypeMismatchException.class);
                    }
                    assertThat(memory.participants()).hasSize(1);
                }
            }
            assertThat(memory.objects()).hasSize(TYPES.size()); // none of them is new
        }
    }

    @Test
    void shouldTakeTheParametersFromTheSegment() throws Exception {
        try (SharedMemory memory = SharedMemory.create(segments.name(), 100_000)) {
            SharedArray.ofDoubles(memory, "doubles", 77).set(76, Math.PI);
            try (var doubles = SharedArray.OfDouble.attach(memory.name() + "/doubles")) {
                assertThat(doubles.length()).isEqualTo(77);
                assertThat(doubles.get(76)).isEqualTo(Math.PI);
            }
            Semaphore.boundedIn(memory, "bounded", 5).acquire(2);
            try (Semaphore bounded = Semaphore.attach(memory.name() + "/bounded")) {
                assertThat(bounded.availablePermits()).isEqualTo(3);
                assertThatThrownBy(() -> bounded.release(3))
                        .isInstanceOf(IllegalStateException.class);
            }
            Semaphore.in(memory, "free", 5);
            try (Semaphore free = Semaphore.attach(memory.name() + "/free")) {
                free.release(3);
                assertThat(free.availablePermits()).isEqualTo(8);
            }
            Latch.in(memory, "latch", 3).countDown();
            assertThat(Latch.attach(memory, "latch").getCount()).isEqualTo(2);
            Barrier.in(memory, "barrier", 9);
            assertThat(Barrier.attach(memory, "barrier").getParties()).isEqualTo(9);
        }
    }

    @Test
    void shouldAttachWhatHasASegmentOfItsOwn() {
        try (SharedArray.OfInt array = SharedArray.ofInts(4);
                SharedArray.OfInt attached = SharedArray.OfInt.attach(array.handle())) {
            attached.set(3, 9);
            assertThat(array.get(3)).isEqualTo(9);
            assertThat(attached.handle()).isEqualTo(array.handle());
            assertThat(array.lock().handle()).isEqualTo(array.handle());
        }
        try (Lock lock = Lock.create();
                Lock attached = Lock.attach(lock.handle())) {
            lock.lock();
            assertThat(attached.owner()).isPresent();
            lock.unlock();
        }
        try (Barrier barrier = Barrier.create(3);
                Barrier attached = Barrier.attach(barrier.handle())) {
            assertThat(attached.getParties()).isEqualTo(3);
        }
    }

    @Test
    void shouldCloseWhatItHasOpened() throws Exception {
        try (SharedMemory memory = SharedMemory.create(segments.name(), 100_000)) {
            for (Type<?> type : TYPES) {
                String handle = type.created(memory);
                AutoCloseable attached = type.attach().apply(handle);
                assertThat(memory.participants()).hasSize(2);
                attached.close();
                attached.close();
                assertThat(memory.participants()).hasSize(1);
            }
            SharedValue.OfInt attached = SharedValue.OfInt.attach(memory.name() + "/v5");
            attached.close();
            assertThatThrownBy(attached::get).isInstanceOf(ClosedException.class);
            assertThat(attached.handle()).isEqualTo(memory.name() + "/v5");

            Lock lock = Lock.attach(memory.name() + "/lock");
            lock.lock();
            assertThatThrownBy(lock::close).isInstanceOf(LockHeldException.class);
            lock.unlock();
            lock.close();
        }
    }

    @Test
    void shouldNotCloseWhatTheCallerHasOpened() throws Exception {
        try (SharedMemory memory = SharedMemory.create(segments.name(), 100_000)) {
            for (Type<?> type : TYPES) {
                String handle = type.created(memory);
                type.attachIn().apply(memory, handle.split("/")[1]).close();
                assertThat(memory.isClosed()).isFalse();
            }
        }
    }

    @Test
    void shouldRefuseWhenTheSegmentIsClosed() {
        SharedMemory memory = SharedMemory.create(segments.name(), 100_000);
        memory.close();
        for (Type<?> type : TYPES) {
            assertThatThrownBy(() -> type.attachIn().apply(memory, "any"))
                    .isInstanceOf(ClosedException.class)
                    .hasMessageContaining(memory.name());
        }
    }

    @Test
    void shouldTellWhatIsMissing() {
        String name = segments.name();
        for (Type<?> type : TYPES) {
            assertThatThrownBy(() -> type.attach().apply(name + "/x"))
                    .isInstanceOf(NotFoundException.class)
                    .hasMessageContaining(name);
        }
        try (SharedMemory memory = SharedMemory.create(name, 1000)) {
            for (Type<?> type : TYPES) {
                assertThatThrownBy(() -> type.attach().apply(name + "/absent"))
                        .isInstanceOf(NotFoundException.class)
                        .hasMessageContainingAll("segment=" + name, "name=absent");
                assertThatThrownBy(() -> type.attachIn().apply(memory, "absent"))
                        .isInstanceOf(NotFoundException.class);
                assertThatThrownBy(() -> type.attach().apply(null))
                        .isInstanceOf(NullPointerException.class);
            }
            assertThat(memory.objects()).isEmpty();
            assertThat(memory.participants()).hasSize(1);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "name", "/", "name/", "/name", "a/b/c", "a//b", "/a/b"})
    void shouldTellTheFormWhenTheHandleIsMalformed(String handle) {
        for (Type<?> type : TYPES) {
            assertThatThrownBy(() -> type.attach().apply(handle))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContainingAll(
                            "handle=\"" + handle + "\"", "<segment name>/<object name>");
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {".hidden/x", "two words/x", "zero\0/x"})
    void shouldRefuseASegmentNameThatCannotBe(String handle) {
        assertThatThrownBy(() -> Event.attach(handle)).isInstanceOf(IllegalArgumentException.class);
    }

    @ParameterizedTest
    @ValueSource(strings = {".hidden", "two words", "zero\0"})
    void shouldRefuseAnObjectNameThatCannotBe(String object) {
        try (SharedMemory memory = SharedMemory.create(segments.name(), 1000)) {
            assertThatThrownBy(() -> Event.attach(memory.name() + "/" + object))
                    .isInstanceOf(IllegalArgumentException.class);
            assertThat(memory.participants()).hasSize(1);
        }
    }

    @Test
    void shouldRefuseACondition() {
        try (Lock lock = Lock.create()) {
            Condition condition = lock.condition("changed");
            String handle = lock.handle().replace("/lock", "/" + condition.name());
            assertThatThrownBy(() -> Lock.attach(handle))
                    .isInstanceOf(TypeMismatchException.class)
                    .hasMessageContainingAll("exists as condition", "attached as lock");
        }
    }

    @Test
    void shouldTravelOnWhenAttached() throws Exception {
        try (SharedMemory memory = SharedMemory.create(segments.name(), 1000)) {
            SharedValue.OfInt value = SharedValue.ofInt(memory, "value");
            try (var attached = SharedValue.OfInt.attach(value.handle())) {
                ForkedJvm.start(() -> attached.set(6)).join();
                assertThat(value.get()).isEqualTo(6);
            }
        }
    }

    @Test
    void shouldAttachInAnotherJvmByTheTextAlone() throws Exception {
        try (SharedArray.OfLong array = SharedArray.ofLongs(3);
                Latch latch = Latch.create(1)) {
            String arrays = array.handle();
            String latches = latch.handle();
            ForkedJvm.start(
                            () -> {
                                try (var there = SharedArray.OfLong.attach(arrays);
                                        Latch done = Latch.attach(latches)) {
                                    there.set(2, there.length());
                                    done.countDown();
                                }
                            })
                    .join();
            assertThat(latch.getCount()).isZero();
            assertThat(array.get(2)).isEqualTo(3);
        }
    }

    @Test
    void shouldBeAttachedByAProgramInC() throws Exception {
        String program = Path.of(System.getProperty("polyshm.native.tests"), "add_to").toString();
        try (SharedValue.OfLong sum = SharedValue.ofLong(40)) {
            ProcessBuilder command = new ProcessBuilder(program, sum.handle(), "2");
            assertThat(Processes.output(command)).isEmpty();
            assertThat(sum.get()).isEqualTo(42);
        }
    }
}
