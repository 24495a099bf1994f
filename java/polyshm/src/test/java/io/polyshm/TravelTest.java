// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.ObjectInputStream;
import java.io.ObjectOutputStream;
import java.io.Serializable;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;

/**
 * Shared objects that are captured by a task, or written to a stream, are the same memory there.
 */
@Timeout(120)
class TravelTest {
    @RegisterExtension final Segments segments = new Segments();

    /** One of each type, all of one segment. */
    private record Everything(
            SharedMemory memory,
            SharedArray.OfBoolean booleans,
            SharedArray.OfByte bytes,
            SharedArray.OfShort shorts,
            SharedArray.OfChar chars,
            SharedArray.OfInt ints,
            SharedArray.OfLong longs,
            SharedArray.OfFloat floats,
            SharedArray.OfDouble doubles,
            SharedValue.OfLong value,
            Lock lock,
            Condition condition,
            Semaphore semaphore,
            Semaphore bounded,
            Event event,
            Latch latch,
            Barrier barrier,
            ReadWriteLock readWriteLock,
            java.util.concurrent.locks.Lock readLock,
            java.util.concurrent.locks.Lock writeLock)
            implements Serializable {
        Everything(SharedMemory memory) {
            this(
                    memory,
                    SharedArray.ofBooleans(memory, "booleans", 2),
                    SharedArray.ofBytes(memory, "bytes", 2),
                    SharedArray.ofShorts(memory, "shorts", 2),
                    SharedArray.ofChars(memory, "chars", 2),
                    SharedArray.ofInts(memory, "ints", 2),
                    SharedArray.ofLongs(memory, "longs", 2),
                    SharedArray.ofFloats(memory, "floats", 2),
                    SharedArray.ofDoubles(memory, "doubles", 2),
                    SharedValue.ofLong(memory, "value"),
                    Lock.in(memory, "lock"),
                    Lock.in(memory, "lock").condition("condition"),
                    Semaphore.in(memory, "semaphore", 0),
                    Semaphore.boundedIn(memory, "bounded", 1),
                    Event.in(memory, "event"),
                    Latch.in(memory, "latch", 1),
                    Barrier.in(memory, "barrier", 2),
                    ReadWriteLock.in(memory, "readWriteLock"),
                    ReadWriteLock.in(memory, "readWriteLock").readLock(),
                    ReadWriteLock.in(memory, "readWriteLock").writeLock());
        }
    }

    @Test
    void shouldBeTheSameMemoryInAChild() throws Exception {
        try (SharedMemory memory = SharedMemory.create(segments.name(), 100_000)) {
            Everything all = new Everything(memory);
            all.longs.set(0, Long.MIN_VALUE);
            long read =
                    ForkedJvm.call(
                                    () -> {
                                        all.booleans.set(1, true);
                                        all.bytes.set(1, Byte.MIN_VALUE);
                                        all.shorts.set(1, Short.MIN_VALUE);
                                        all.chars.set(1, '\u20ac');
                                        all.ints.set(1, Integer.MIN_VALUE);
                                        all.longs.set(1, Long.MAX_VALUE);
                                        all.floats.set(1, Float.MIN_VALUE);
                                        all.doubles.set(1, Double.MIN_VALUE);
                                        all.lock.withLock(() -> all.value.set(42));
                                        assertThat(all.memory.participants()).hasSize(2);
                                        return all.longs.get(0);
                                    })
                            .get();
            assertThat(read).isEqualTo(Long.MIN_VALUE);
            assertThat(all.booleans.get(1)).isTrue();
            assertThat(all.bytes.get(1)).isEqualTo(Byte.MIN_VALUE);
            assertThat(all.shorts.get(1)).isEqualTo(Short.MIN_VALUE);
            assertThat(all.chars.get(1)).isEqualTo('\u20ac');
            assertThat(all.ints.get(1)).isEqualTo(Integer.MIN_VALUE);
            assertThat(all.longs.get(1)).isEqualTo(Long.MAX_VALUE);
            assertThat(all.floats.get(1)).isEqualTo(Float.MIN_VALUE);
            assertThat(all.doubles.get(1)).isEqualTo(Double.MIN_VALUE);
            assertThat(all.value.get()).isEqualTo(42);
            assertThat(memory.participants()).hasSize(1);
        }
    }

    @Test
    void shouldBeTheSameSynchronizersInAChild() throws Exception {
        try (SharedMemory memory = SharedMemory.create(segments.name(), 100_000)) {
            Everything all = new Everything(memory);
            all.readLock.lock();
            ForkedJvm child =
                    ForkedJvm.start(
                            () -> {
                                assertThat(all.writeLock.tryLock()).isFalse();
                                assertThat(all.readLock.tryLock()).isTrue();
                                assertThat(all.readWriteLock.getReadLockCount()).isEqualTo(2);
                                all.readLock.unlock();
                                assertThat(all.bounded.tryAcquire()).isTrue();
                                all.bounded.release();
                                all.semaphore.release(2);
                                all.event.set();
                                all.latch.countDown();
                                all.barrier.await();
                                all.condition
                                        .lock()
                                        .withLock(
                                                () -> {
                                                    all.value.set(7);
                                                    all.condition.signal();
                                                });
                            });
            all.lock.lock();
            all.semaphore.acquire(2);
            all.event.await();
            all.latch.await();
            all.barrier.await();
            all.condition.awaitUntil(() -> all.value.get() == 7);
            all.lock.unlock();
            child.join();
            assertThat(all.readWriteLock.getReadLockCount()).isEqualTo(1);
            all.readLock.unlock();
            assertThat(memory.objects()).hasSize(17);
        }
    }

    @Test
    void shouldTravelWhenAnonymousAndBeGoneAfterwards() throws Exception {
        try (SharedArray.OfInt array = SharedArray.ofInts(10);
                SharedValue.OfDouble value = SharedValue.ofDouble(0.5);
                Lock lock = Lock.create()) {
            Lock arrays = array.lock();
            ForkedJvm.start(
                            () -> {
                                arrays.lock();
                                lock.lock();
                                value.lock().lock();
                                array.set(3, 3);
                                value.set(value.get() * 2);
                                value.lock().unlock();
                                lock.unlock();
                                arrays.unlock();
                            })
                    .join();
            assertThat(array.get(3)).isEqualTo(3);
            assertThat(value.get()).isEqualTo(1.0);
            assertThat(lock.owner()).isEmpty();
            assertThat(arrays.lastDeath()).isEmpty();
        }
        assertThat(Segments.anonymous()).isEmpty();
    }

    @Test
    void shouldCountExactlyWhenJvmsContendForALock() throws Exception {
        try (SharedMemory memory = SharedMemory.create(segments.name(), 10_000)) {
            SharedValue.OfLong guarded = SharedValue.ofLong(memory, "guarded");
            SharedArray.OfInt atomic = SharedArray.ofInts(memory, "atomic", 1);
            List<ForkedJvm> children = new ArrayList<>();
            for (int child = 0; child < 4; child++) {
                children.add(
                        ForkedJvm.start(
                                () -> {
                                    for (int i = 0; i < 20_000; i++) {
                                        guarded.updateAndGet(value -> value + 1);
                                        atomic.getAndAdd(0, 1);
                                    }
                                }));
            }
            for (ForkedJvm child : children) {
                child.join();
            }
            assertThat(guarded.get()).isEqualTo(80_000);
            assertThat(atomic.get(0)).isEqualTo(80_000);
        }
    }

    @Test
    void shouldAttachOncePerStream() throws Exception {
        try (SharedMemory memory = SharedMemory.create(segments.name(), 100_000)) {
            Everything copy = copy(new Everything(memory));
            assertThat(memory.participants()).hasSize(2);
            copy.memory.close();
            assertThatThrownBy(() -> copy.ints.get(0)).isInstanceOf(ClosedException.class);
        }
    }

    @Test
    void shouldRefuseAHandleWhenTheNameIsAnothersNow() throws Exception {
        String name = segments.name();
        byte[] handle;
        try (SharedMemory memory = SharedMemory.create(name, 1000)) {
            handle = write(SharedValue.ofInt(memory, "v"));
        }
        SharedMemory.unlink(name);
        assertThatThrownBy(() -> read(handle))
                .isInstanceOf(NotFoundException.class)
                .hasMessageContaining("name=" + name);
        try (SharedMemory other = SharedMemory.create(name, 1000)) {
            assertThatThrownBy(() -> read(handle))
                    .isInstanceOf(NotFoundException.class)
                    .hasMessageContainingAll("name=" + name, "another has its name");
            assertThat(other.participants()).hasSize(1);
            assertThat(other.objects()).isEmpty();
        }
    }

    @Test
    void shouldRefuseToTravelWhenClosed() {
        SharedArray.OfInt array = SharedArray.ofInts(1);
        array.close();
        assertThatThrownBy(() -> write(array))
                .isInstanceOf(ClosedException.class)
                .hasMessageContaining("serialize");
    }

    private static byte[] write(Object object) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (ObjectOutputStream out = new ObjectOutputStream(bytes)) {
            out.writeObject(object);
        }
        return bytes.toByteArray();
    }

    private static Object read(byte[] bytes) throws IOException, ClassNotFoundException {
        try (ObjectInputStream in = new ObjectInputStream(new ByteArrayInputStream(bytes))) {
            return in.readObject();
        }
    }

    @SuppressWarnings("unchecked")
    private static <T extends Serializable> T copy(T object)
            throws IOException, ClassNotFoundException {
        return (T) read(write(object));
    }
}
