// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.bytedeco.javacpp.Loader;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;

/** The golden image, as {@code native/test/golden_test.c} writes it, is what Java reads. */
@Timeout(60)
class GoldenImageTest {
    private static final Path FILE =
            Path.of(System.getProperty("polyshm.golden"), "linux-x86_64-glibc.txt");

    // of the header
    private static final int READY = 8;
    private static final int PID_NAMESPACE = 24;
    private static final int TOTAL_BYTES = 32;
    private static final int CHECKSUM = 120;

    @RegisterExtension final Segments segments = new Segments();

    @Test
    void shouldReadTheGoldenImage() throws Exception {
        assumeTrue(Loader.getPlatform().equals("linux-x86_64"), "the image is of linux-x86_64");
        String name = segments.name();
        write(image(), name);
        try (SharedMemory memory = SharedMemory.open(name)) {
            assertThat(memory.objects()).hasSize(10);
            assertThat(SharedArray.ofInts(memory, "ints", 3).toArray())
                    .containsExactly(1, -2, Integer.MAX_VALUE);
            assertThat(SharedValue.ofDouble(memory, "pi").get()).isEqualTo(3.25);
            expectLockAndCondition(memory);
            expectSemaphores(memory);
            assertThat(Event.in(memory, "event").isSet()).isTrue();
            assertThat(Latch.in(memory, "latch", 5).getCount()).isEqualTo(4);
            Barrier barrier = Barrier.in(memory, "barrier", 1);
            assertThat(barrier.isBroken()).isFalse();
            assertThat(barrier.await()).isZero();
            ReadWriteLock readWriteLock = ReadWriteLock.in(memory, "rwlock");
            assertThat(readWriteLock.writeLock().tryLock()).isTrue();
            readWriteLock.writeLock().unlock();
            assertThat(memory.objects()).hasSize(10); // none of them is new
        }
    }

    @Test
    void shouldWriteTheGoldenImage() throws Exception {
        assumeTrue(Loader.getPlatform().equals("linux-x86_64"), "the image is of linux-x86_64");
        String name = segments.name();
        try (SharedMemory memory = SharedMemory.create(name, 32768)) {
            SharedArray.ofInts(memory, "ints", 3).copyFrom(new int[] {1, -2, Integer.MAX_VALUE});
            SharedValue.ofDouble(memory, "pi").set(3.25);
            Lock lock = Lock.in(memory, "lock");
            Semaphore.in(memory, "permits", 3).release(2);
            Semaphore.boundedIn(memory, "bounded", 2);
            Event.in(memory, "event").set();
            Latch.in(memory, "latch", 5).countDown();
            Barrier.in(memory, "barrier", 1).await();
            ReadWriteLock.in(memory, "rwlock");
            lock.condition("condition");
        }
        Path compare = Path.of(System.getProperty("polyshm.native.tests"), "golden_test");
        assertThat(
                        Processes.output(
                                new ProcessBuilder(
                                        compare.toString(),
                                        FILE.toString(),
                                        "compare",
                                        Segments.file(name).toString())))
                .isEqualTo("equal\n");
    }

    private static void expectLockAndCondition(SharedMemory memory) throws InterruptedException {
        Lock lock = Lock.in(memory, "lock");
        assertThat(lock.tryLock()).isTrue();
        Condition condition = lock.condition("condition");
        assertThat(condition.signal(Integer.MAX_VALUE)).isZero();
        assertThat(condition.await(0, TimeUnit.SECONDS)).isFalse();
        lock.unlock();
    }

    private static void expectSemaphores(SharedMemory memory) {
        assertThat(Semaphore.in(memory, "permits", 3).availablePermits()).isEqualTo(5);
        Semaphore bounded = Semaphore.boundedIn(memory, "bounded", 2);
        assertThat(bounded.availablePermits()).isEqualTo(2);
        assertThatThrownBy(bounded::release).isInstanceOf(IllegalStateException.class);
    }

    /** The words of the file, and 0 for those that are not there. */
    private static ByteBuffer image() throws Exception {
        ByteBuffer header = ByteBuffer.allocate(CHECKSUM).order(ByteOrder.LITTLE_ENDIAN);
        read(header);
        ByteBuffer image =
                ByteBuffer.allocate((int) header.getLong(TOTAL_BYTES))
                        .order(ByteOrder.LITTLE_ENDIAN);
        read(image);
        Object namespace = Files.getAttribute(Path.of("/proc/self/ns/pid"), "unix:ino");
        image.putLong(PID_NAMESPACE, (long) namespace);
        image.putLong(CHECKSUM, checksum(image));
        return image;
    }

    private static void read(ByteBuffer into) throws Exception {
        for (String line : Files.readAllLines(FILE)) {
            String[] words = line.split(" ");
            int offset = Integer.parseInt(words[0], 16);
            if (offset < into.capacity()) {
                into.putLong(offset, Long.parseUnsignedLong(words[1], 16));
            }
        }
    }

    /** FNV-1a of what is before it, {@code ready} taken as 0. */
    private static long checksum(ByteBuffer image) {
        long hash = 0xcbf29ce484222325L;
        for (int i = 0; i < CHECKSUM; i++) {
            boolean isReady = i >= READY && i < READY + Integer.BYTES;
            hash = (hash ^ (isReady ? 0 : image.get(i) & 0xff)) * 0x100000001b3L;
        }
        return hash;
    }

    private static void write(ByteBuffer image, String name) throws Exception {
        try (var file =
                Files.newByteChannel(
                        Segments.file(name),
                        Set.of(StandardOpenOption.WRITE, StandardOpenOption.CREATE_NEW),
                        PosixFilePermissions.asFileAttribute(
                                PosixFilePermissions.fromString("rw-------")))) {
            while (image.hasRemaining()) {
                file.write(image);
            }
        }
    }
}
