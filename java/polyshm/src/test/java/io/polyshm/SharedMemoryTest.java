// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.concurrent.CyclicBarrier;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@Timeout(120)
class SharedMemoryTest {
    private static final int HEADER_BYTES = 128;

    @RegisterExtension final Segments segments = new Segments();

    @Test
    void shouldFindObjectsByNameWhenOpenedAgain() {
        String name = segments.name();
        try (SharedMemory made = SharedMemory.create(name, 10_000);
                SharedMemory opened = SharedMemory.open(name)) {
            SharedArray.ofInts(made, "numbers", 10).set(9, 42);
            SharedValue.ofDouble(made, "price").set(1.5);
            Lock.in(made, "book");

            assertThat(SharedArray.ofInts(opened, "numbers", 10).get(9)).isEqualTo(42);
            assertThat(SharedValue.ofDouble(opened, "price").get()).isEqualTo(1.5);
            assertThat(opened.objects())
                    .extracting(
                            SharedMemory.ObjectInfo::name,
                            SharedMemory.ObjectInfo::kind,
                            SharedMemory.ObjectInfo::elementType,
                            SharedMemory.ObjectInfo::length)
                    .containsExactly(
                            org.assertj.core.groups.Tuple.tuple(
                                    "numbers", SharedMemory.Kind.ARRAY, int.class, 10L),
                            org.assertj.core.groups.Tuple.tuple(
                                    "price", SharedMemory.Kind.VALUE, double.class, 1L),
                            org.assertj.core.groups.Tuple.tuple(
                                    "book", SharedMemory.Kind.LOCK, void.class, 0L));
        }
    }

    @Test
    void shouldTakeFromFreeBytesWhatObjectInfoSays() {
        try (SharedMemory memory = SharedMemory.anonymous(10_000)) {
            assertThat(memory.sizeBytes()).isGreaterThanOrEqualTo(10_000);
            assertThat(memory.freeBytes()).isEqualTo(memory.sizeBytes());
            SharedArray.ofLongs(memory, "a", 100);
            assertThat(memory.freeBytes())
                    .isEqualTo(memory.sizeBytes() - memory.objects().get(0).sizeBytes());
        }
    }

    @Test
    void shouldListThisProcessOncePerOpening() {
        String name = segments.name();
        try (SharedMemory first = SharedMemory.create(name, 100)) {
            assertThat(first.participants()).hasSize(1);
            try (SharedMemory second = SharedMemory.open(name)) {
                assertThat(second.participants())
                        .hasSize(2)
                        .allMatch(each -> each.pid() == ProcessHandle.current().pid());
            }
            assertThat(first.participants()).hasSize(1);
        }
    }

    // ---- create, open, unlink ----

    @Test
    void shouldRefuseToCreateWhenItExists() {
        String name = segments.name();
        try (SharedMemory memory = SharedMemory.create(name, 1000)) {
            SharedValue.ofInt(memory, "kept").set(7);
            assertThatThrownBy(() -> SharedMemory.create(name, 100))
                    .isInstanceOf(AlreadyExistsException.class)
                    .hasMessageContainingAll(
                            "create", "name=" + name, "open or unlink", "PSHM_EEXIST");
            assertThat(SharedValue.ofInt(memory, "kept").get()).isEqualTo(7);
        }
    }

    @Test
    void shouldRefuseToOpenWhenAbsent() {
        String name = segments.name();
        assertThatThrownBy(() -> SharedMemory.open(name))
                .isInstanceOf(NotFoundException.class)
                .hasMessageContainingAll("open", "name=" + name);
        assertThatThrownBy(() -> SharedMemory.unlink(name))
                .isInstanceOf(NotFoundException.class)
                .hasMessageContainingAll("unlink", "name=" + name);
    }

    @Test
    void shouldCreateOnceWhenOpenedOrCreatedTwice() {
        String name = segments.name();
        try (SharedMemory first = SharedMemory.openOrCreate(name, 1000);
                SharedMemory second = SharedMemory.openOrCreate(name, 5000)) {
            SharedValue.ofInt(first, "v").set(3);
            assertThat(SharedValue.ofInt(second, "v").get()).isEqualTo(3);
            assertThat(second.sizeBytes()).isEqualTo(first.sizeBytes());
        }
    }

    @Test
    void shouldKeepPersistentAndDropLastOutWhenClosed() {
        String persistent = segments.name();
        String lastOut = segments.name();
        SharedMemory.create(persistent, 100).close();
        SharedMemory memory =
                SharedMemory.builder()
                        .lifetime(SharedMemory.Lifetime.LAST_OUT)
                        .create(lastOut, 100);
        try (SharedMemory second = SharedMemory.open(lastOut)) {
            memory.close();
            assertThat(Segments.exists(lastOut)).isTrue();
        }
        assertThat(Segments.exists(lastOut)).isFalse();
        assertThat(Segments.exists(persistent)).isTrue();
        SharedMemory.unlink(persistent);
        assertThat(Segments.exists(persistent)).isFalse();
    }

    @Test
    void shouldKeepTheMemoryWhenUnlinkedWhileOpen() {
        String name = segments.name();
        try (SharedMemory old = SharedMemory.create(name, 1000)) {
            SharedValue.OfInt value = SharedValue.ofInt(old, "v");
            value.set(1);
            SharedMemory.unlink(name);
            try (SharedMemory fresh = SharedMemory.create(name, 1000)) {
                assertThat(SharedValue.ofInt(fresh, "v").get()).isZero();
                assertThat(value.get()).isEqualTo(1);
            }
        }
        assertThat(Segments.exists(name)).as("not unlinked by the old one's close").isTrue();
    }

    @Test
    void shouldHaveExactlyThePermissionsAskedFor() throws IOException {
        String usual = segments.name();
        String open = segments.name();
        SharedMemory.create(usual, 100).close();
        SharedMemory.builder().permissions(0666).create(open, 100).close();
        assertThat(mode(usual)).isEqualTo("rw-------");
        assertThat(mode(open)).isEqualTo("rw-rw-rw-");
    }

    private static String mode(String name) throws IOException {
        return PosixFilePermissions.toString(Files.getPosixFilePermissions(Segments.file(name)));
    }

    // ---- bad input ----

    @ParameterizedTest
    @ValueSource(strings = {"", "a/b", "/a", ".hidden", "a b", "gr\u00fc\u00df", "a\0b"})
    void shouldSayWhatANameMayBeWhenItIsNone(String name) {
        assertThatThrownBy(() -> SharedMemory.create(name, 100))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContainingAll("create", "name=", "A-Z a-z 0-9 . _ -");
        assertThatThrownBy(() -> SharedMemory.open(name))
                .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> SharedMemory.unlink(name))
                .isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void shouldRefuseANameWhenTooLong() {
        String longest = (segments.name() + "x".repeat(95)).substring(0, 95);
        SharedMemory.create(longest, 100).close();
        SharedMemory.unlink(longest);
        assertThatThrownBy(() -> SharedMemory.create(longest + "x", 100))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("1 to 95");
    }

    @ParameterizedTest
    @ValueSource(longs = {0, -1, Long.MIN_VALUE, Long.MAX_VALUE})
    void shouldRefuseASizeWhenItCannotBe(long bytes) {
        String name = segments.name();
        assertThatThrownBy(() -> SharedMemory.create(name, bytes))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContainingAll("create", "bytes=" + bytes, "take");
        assertThat(Segments.exists(name)).isFalse();
    }

    @Test
    void shouldSayNeedAndFreeWhenLargerThanSharedMemory() {
        String name = segments.name();
        assertThatThrownBy(() -> SharedMemory.create(name, 1L << 50))
                .isInstanceOf(MemoryFullException.class)
                .hasMessageContainingAll("create", "need=", "free=", "--shm-size");
        assertThat(Segments.exists(name)).isFalse();
    }

    @Test
    void shouldSayNeedAndFreeWhenTheSegmentIsFull() {
        try (SharedMemory memory = SharedMemory.anonymous(1000)) {
            long free = memory.freeBytes();
            assertThatThrownBy(() -> SharedArray.ofLongs(memory, "large", 1000))
                    .isInstanceOf(MemoryFullException.class)
                    .hasMessageContainingAll("name=large", "need=", "free=" + free);
            assertThat(memory.objects()).isEmpty();
            assertThat(memory.freeBytes()).isEqualTo(free);
        }
    }

    @Test
    void shouldNotFollowASymbolicLink() throws IOException {
        String target = segments.name();
        String link = segments.name();
        SharedMemory.create(target, 100).close();
        Files.createSymbolicLink(Segments.file(link), Segments.file(target));
        assertThatThrownBy(() -> SharedMemory.open(link))
                .isInstanceOf(PermissionDeniedException.class)
                .hasMessageContaining("symbolic link");
        assertThatThrownBy(() -> SharedMemory.openOrCreate(link, 100))
                .isInstanceOf(PermissionDeniedException.class);
    }

    @Test
    void shouldRefuseAForeignFileAndLeaveIt() throws IOException {
        String name = segments.name();
        byte[] text = "somebody else's data".repeat(100).getBytes();
        Files.write(Segments.file(name), text);
        assertThatThrownBy(() -> SharedMemory.open(name))
                .isInstanceOf(WrongLayoutException.class)
                .hasMessageContainingAll("name=" + name, "not a polyshm segment");
        SharedMemory.reap();
        assertThat(Files.readAllBytes(Segments.file(name))).isEqualTo(text);
    }

    @Test
    void shouldRefuseAHeaderWithAnyByteWrong() throws IOException {
        String name = segments.name();
        SharedMemory.create(name, 1000).close();
        byte[] good = Files.readAllBytes(Segments.file(name));
        for (int i = 0; i < HEADER_BYTES; i++) {
            for (int flip : new int[] {0x01, 0x80, 0xff}) {
                byte[] bad = good.clone();
                bad[i] ^= (byte) flip;
                overwrite(Segments.file(name), bad);
                assertThatThrownBy(() -> SharedMemory.open(name))
                        .as("byte %d changed by %x", i, flip)
                        .isInstanceOf(WrongLayoutException.class);
            }
        }
        overwrite(Segments.file(name), good);
        SharedMemory.open(name).close();
    }

    @Test
    void shouldRefuseATruncatedSegment() throws IOException {
        String name = segments.name();
        SharedMemory.create(name, 100_000).close();
        long size = Files.size(Segments.file(name));
        for (long cut : List.of(size - 1, size / 2, 4096L, 128L, 127L, 8L)) {
            try (FileChannel file =
                    FileChannel.open(Segments.file(name), StandardOpenOption.WRITE)) {
                file.truncate(cut);
            }
            assertThatThrownBy(() -> SharedMemory.open(name))
                    .as("cut to %d bytes", cut)
                    .isInstanceOf(WrongLayoutException.class)
                    .hasMessageMatching(".*(truncated|resized).*");
        }
    }

    private static void overwrite(Path file, byte[] content) throws IOException {
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
            channel.write(ByteBuffer.wrap(content), 0);
        }
    }

    // ---- close ----

    @Test
    void shouldThrowAtEveryUseWhenClosed() {
        SharedMemory memory = SharedMemory.anonymous(10_000);
        SharedArray.OfInt array = SharedArray.ofInts(memory, "a", 10);
        Lock lock = Lock.in(memory, "l");
        SharedMemory.Participant self = memory.participants().get(0);
        memory.close();
        memory.close();

        assertThat(memory.isClosed()).isTrue();
        assertThat(memory.name()).isNotEmpty();
        for (org.assertj.core.api.ThrowableAssert.ThrowingCallable use :
                List.<org.assertj.core.api.ThrowableAssert.ThrowingCallable>of(
                        memory::sizeBytes,
                        memory::freeBytes,
                        memory::objects,
                        memory::participants,
                        () -> memory.onExit(self, () -> {}),
                        () -> SharedArray.ofInts(memory, "a", 10),
                        () -> Lock.in(memory, "l"),
                        () -> array.get(0),
                        () -> array.set(0, 1),
                        () -> array.getVolatile(0),
                        () -> array.getAndAdd(0, 1),
                        array::toArray,
                        array::asBuffer,
                        () -> array.fill(1),
                        () -> array.fill(0, 0, 1),
                        () -> array.copyFrom(new int[1]),
                        () -> array.copyFrom(new int[0]),
                        () -> array.copyTo(new int[0]),
                        array::stream,
                        () -> array.lock().lock(),
                        lock::lock,
                        lock::tryLock,
                        lock::lockInterruptibly,
                        lock::owner)) {
            assertThatThrownBy(use)
                    .isInstanceOf(ClosedException.class)
                    .hasMessageContaining(memory.name());
        }
    }

    @Test
    void shouldRefuseToCloseWhenALockIsHeldHere() {
        try (SharedMemory memory = SharedMemory.anonymous(10_000)) {
            SharedArray.OfInt array = SharedArray.ofInts(memory, "guarded", 10);
            array.lock().lock();
            assertThatThrownBy(memory::close)
                    .isInstanceOf(LockHeldException.class)
                    .hasMessageContainingAll("close", "lock=guarded", "release");
            array.set(0, 1);
            array.lock().unlock();
        }
    }

    @Test
    void shouldCloseOnceWhenThreadsRaceToClose() throws Exception {
        for (int round = 0; round < 200; round++) {
            SharedMemory memory = SharedMemory.anonymous(1000);
            CyclicBarrier start = new CyclicBarrier(4);
            List<Thread> threads =
                    IntStream.range(0, 4)
                            .mapToObj(
                                    i ->
                                            new Thread(
                                                    () -> {
                                                        try {
                                                            start.await();
                                                        } catch (Exception broken) {
                                                            throw new AssertionError(broken);
                                                        }
                                                        memory.close();
                                                    }))
                            .toList();
            threads.forEach(Thread::start);
            for (Thread thread : threads) {
                thread.join();
            }
            assertThat(memory.isClosed()).isTrue();
        }
        assertThat(Segments.anonymous()).isEmpty();
    }
}
