// SPDX-License-Identifier: Apache-2.0
package io.polyshm.internal.fork;

import java.io.BufferedOutputStream;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.Closeable;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.ObjectOutputStream;
import java.io.OutputStream;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Objects;

/**
 * How a child's task ended, as a file: 16 bytes of token, one byte of {@link Kind}, the payload.
 * The parent prepares the file with a fresh token; the child keeps it open from its start and
 * writes the kind after the payload, so that a death in between leaves the earlier kind.
 *
 * @param kind how it ended, or how far it came
 * @param payload the serialized result, or a failure
 */
record Outcome(Kind kind, byte[] payload) {
    static final int TOKEN_BYTES = 16;
    private static final int PAYLOAD_OFFSET = TOKEN_BYTES + 1;

    /** Never reorder: the ordinal is the byte in the file. */
    enum Kind {
        NOT_STARTED,
        RUNNING,
        COMPLETED,
        THREW,
        TASK_UNREADABLE,
        RESULT_UNWRITABLE
    }

    /**
     * A failure that is told.
     *
     * @param text what can be said in words, or empty
     * @param standIn what it was, in the child's words
     * @param thrown the original, or its stand-in if that cannot be had here
     */
    record Failure(String text, StandInException standIn, Throwable thrown) {}

    /** Writes what a parent hands to its child. */
    static byte[] prepared(byte[] token) {
        return Arrays.copyOf(token, PAYLOAD_OFFSET);
    }

    static Outcome read(Path path) throws IOException {
        try (InputStream in = Files.newInputStream(path)) {
            byte[] head = in.readNBytes(PAYLOAD_OFFSET);
            return new Outcome(Kind.values()[head[TOKEN_BYTES]], in.readAllBytes());
        }
    }

    /** The failure in the payload; {@code loader} finds the exception's classes. */
    Failure failure(ClassLoader loader) throws IOException {
        try (DataInputStream in = new DataInputStream(new ByteArrayInputStream(payload))) {
            String text = readText(in);
            StandInException standIn = StandInException.read(in);
            byte[] serialized = in.readAllBytes();
            if (serialized.length == 0) {
                return new Failure(text, standIn, standIn);
            }
            Throwable problem;
            try {
                Throwable original = (Throwable) LoadingInputStream.read(serialized, loader);
                Objects.requireNonNull(original, "it was written as null");
                problem = StandInException.flawOf(original);
                if (problem == null) {
                    return new Failure(text, standIn, original);
                }
            } catch (Throwable ofItsOwnCodeToo) {
                problem = ofItsOwnCodeToo;
            }
            // A class that only the child has, or one that refuses: the text remains.
            standIn.addSuppressed(StandInException.of(problem));
            return new Failure(text, standIn, standIn);
        }
    }

    /** Null may be written, too. */
    static void writeText(DataOutputStream out, String text) throws IOException {
        if (text == null) {
            out.writeInt(-1);
            return;
        }
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        out.writeInt(bytes.length);
        out.write(bytes);
    }

    static String readText(DataInputStream in) throws IOException {
        int length = in.readInt();
        if (length < 0) {
            return null;
        }
        byte[] bytes = in.readNBytes(length);
        return new String(bytes, StandardCharsets.UTF_8);
    }

    /** The child's side. Used by one thread. */
    static final class Writer implements Closeable {
        private final RandomAccessFile file;

        Writer(String path) throws IOException {
            file = new RandomAccessFile(path, "rw");
        }

        byte[] token() throws IOException {
            byte[] token = new byte[TOKEN_BYTES];
            file.seek(0);
            file.readFully(token);
            return token;
        }

        void running() throws IOException {
            write(Kind.RUNNING);
        }

        void completed() throws IOException {
            write(Kind.COMPLETED);
        }

        /** Anything that serializing may throw comes out, and nothing is told then. */
        void completed(Object result) throws IOException {
            file.setLength(PAYLOAD_OFFSET);
            file.seek(PAYLOAD_OFFSET);
            try (ObjectOutputStream out = new ObjectOutputStream(buffered())) {
                out.writeObject(result);
            }
            write(Kind.COMPLETED);
        }

        void failed(Kind kind, String text, Throwable thrown) throws IOException {
            StandInException standIn = StandInException.of(thrown);
            byte[] original = {};
            try {
                original = serialized(thrown);
            } catch (Throwable ofItsOwnCodeToo) {
                standIn.addSuppressed(StandInException.of(ofItsOwnCodeToo));
            }
            file.setLength(PAYLOAD_OFFSET);
            file.seek(PAYLOAD_OFFSET);
            try (DataOutputStream out = new DataOutputStream(buffered())) {
                writeText(out, text);
                standIn.write(out);
                out.write(original);
            }
            write(kind);
        }

        @Override
        public void close() throws IOException {
            file.close();
        }

        private void write(Kind kind) throws IOException {
            file.seek(TOKEN_BYTES);
            file.write(kind.ordinal());
        }

        private OutputStream buffered() {
            OutputStream toFile =
                    new OutputStream() {
                        @Override
                        public void write(int b) throws IOException {
                            file.write(b);
                        }

                        @Override
                        public void write(byte[] bytes, int from, int length) throws IOException {
                            file.write(bytes, from, length);
                        }
                    };
            return new BufferedOutputStream(toFile, 1 << 16);
        }

        private static byte[] serialized(Throwable thrown) throws IOException {
            ByteArrayOutputStream bytes = new ByteArrayOutputStream();
            try (ObjectOutputStream out = new ObjectOutputStream(bytes)) {
                out.writeObject(thrown);
            }
            return bytes.toByteArray();
        }
    }
}
