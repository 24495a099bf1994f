// SPDX-License-Identifier: Apache-2.0
package io.polyshm.internal.fork;

import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.Set;

/**
 * Stands for an exception of a child that cannot be had here as an object: it prints the same. Also
 * knows how to bring that text over, with no more than strings and numbers.
 */
final class StandInException extends Exception {
    private static final long serialVersionUID = 1;

    // A chain of causes longer than this tells nothing more.
    private static final int DEPTH_MAX = 64;

    private final String text;

    private StandInException(String text, String message, Throwable cause) {
        super(message, cause);
        this.text = text;
    }

    /** What the original's {@code toString} gave. */
    @Override
    public String toString() {
        return text;
    }

    static void write(Throwable thrown, DataOutputStream out) throws IOException {
        write(thrown, out, Collections.newSetFromMap(new IdentityHashMap<>()), 0);
    }

    private static void write(
            Throwable thrown, DataOutputStream out, Set<Throwable> written, int depth)
            throws IOException {
        boolean present = thrown != null && depth < DEPTH_MAX && written.add(thrown);
        out.writeBoolean(present);
        if (!present) {
            return;
        }
        String text;
        String message;
        try {
            message = String.valueOf(thrown.getMessage());
            text = String.valueOf(thrown);
        } catch (RuntimeException | StackOverflowError ownCodeFailed) {
            message = "";
            text = thrown.getClass().getName();
        }
        Outcome.writeText(out, text);
        Outcome.writeText(out, message);
        StackTraceElement[] trace = thrown.getStackTrace();
        out.writeInt(trace.length);
        for (StackTraceElement frame : trace) {
            Outcome.writeText(out, orEmpty(frame.getModuleName()));
            Outcome.writeText(out, frame.getClassName());
            Outcome.writeText(out, frame.getMethodName());
            Outcome.writeText(out, orEmpty(frame.getFileName()));
            out.writeInt(frame.getLineNumber());
        }
        write(thrown.getCause(), out, written, depth + 1);
        Throwable[] suppressed = thrown.getSuppressed();
        out.writeInt(suppressed.length);
        for (Throwable each : suppressed) {
            write(each, out, written, depth + 1);
        }
    }

    /** Null if none was written. */
    static StandInException read(DataInputStream in) throws IOException {
        if (!in.readBoolean()) {
            return null;
        }
        String text = Outcome.readText(in);
        String message = Outcome.readText(in);
        StackTraceElement[] trace = new StackTraceElement[in.readInt()];
        for (int i = 0; i < trace.length; i++) {
            String module = Outcome.readText(in);
            trace[i] =
                    new StackTraceElement(
                            null,
                            module.isEmpty() ? null : module,
                            null,
                            Outcome.readText(in),
                            Outcome.readText(in),
                            orNull(Outcome.readText(in)),
                            in.readInt());
        }
        StandInException standIn = new StandInException(text, message, read(in));
        standIn.setStackTrace(trace);
        int suppressed = in.readInt();
        for (int i = 0; i < suppressed; i++) {
            StandInException each = read(in);
            if (each != null) {
                standIn.addSuppressed(each);
            }
        }
        return standIn;
    }

    private static String orEmpty(String text) {
        return text == null ? "" : text;
    }

    private static String orNull(String text) {
        return text.isEmpty() ? null : text;
    }
}
