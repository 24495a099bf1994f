// SPDX-License-Identifier: Apache-2.0
package io.polyshm.internal.fork;

import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.Set;

/**
 * Stands for an exception that cannot be had as an object, or that must not be asked, as its own
 * code may fail: it prints the same. Also knows how to bring that text over, with no more than
 * strings and numbers.
 */
final class StandInException extends Exception {
    private static final long serialVersionUID = 1;

    // A chain of causes longer than this tells nothing more, nor does a longer text.
    private static final int DEPTH_MAX = 256;
    private static final int TEXT_MAX = 1 << 16;

    private final String text;

    private StandInException(String text, String message, Throwable cause) {
        super(message, cause);
        this.text = text;
    }

    /** Whatever the exception's own code does. */
    static StandInException of(Throwable thrown) {
        return new Copier().copy(thrown, 0);
    }

    /** What the exception's own code, or that of its causes, throws when it is asked; or null. */
    static Throwable flawOf(Throwable thrown) {
        Copier copier = new Copier();
        copier.copy(thrown, 0);
        return copier.flaw;
    }

    /** What the original's {@code toString} gave. */
    @Override
    public String toString() {
        return text;
    }

    /** Nothing here may come out but of the copies: all that is asked is another's code. */
    private static final class Copier {
        private final Set<Throwable> copied = Collections.newSetFromMap(new IdentityHashMap<>());
        private Throwable flaw;

        /** Null if there is nothing to be copied, or it was before. */
        StandInException copy(Throwable thrown, int depth) {
            if (thrown == null || !copied.add(thrown)) {
                return null;
            }
            if (depth == DEPTH_MAX) {
                flaw = new IllegalStateException("more causes than " + DEPTH_MAX);
                return null;
            }
            String text = thrown.getClass().getName();
            String message = null;
            Throwable cause = null;
            try {
                String own = thrown.toString();
                text = own == null ? text : cut(own);
            } catch (Throwable failure) {
                flaw = failure;
                text += " (its toString() threw " + failure.getClass().getName() + ")";
            }
            try {
                message = cut(thrown.getMessage());
            } catch (Throwable failure) {
                flaw = failure;
            }
            try {
                cause = thrown.getCause();
            } catch (Throwable failure) {
                flaw = failure;
            }
            StandInException copy = new StandInException(text, message, copy(cause, depth + 1));
            copy.setStackTrace(new StackTraceElement[0]);
            try {
                copy.setStackTrace(thrown.getStackTrace());
            } catch (Throwable failure) {
                // No flaw: the original prints one all the same.
            }
            for (Throwable each : thrown.getSuppressed()) {
                StandInException suppressed = copy(each, depth + 1);
                if (suppressed != null) {
                    copy.addSuppressed(suppressed);
                }
            }
            return copy;
        }

        private static String cut(String text) {
            return text == null || text.length() <= TEXT_MAX
                    ? text
                    : text.substring(0, TEXT_MAX) + "...";
        }
    }

    void write(DataOutputStream out) throws IOException {
        Outcome.writeText(out, text);
        Outcome.writeText(out, getMessage());
        StackTraceElement[] trace = getStackTrace();
        out.writeInt(trace.length);
        for (StackTraceElement frame : trace) {
            Outcome.writeText(out, frame.getModuleName());
            Outcome.writeText(out, frame.getClassName());
            Outcome.writeText(out, frame.getMethodName());
            Outcome.writeText(out, frame.getFileName());
            out.writeInt(frame.getLineNumber());
        }
        StandInException cause = (StandInException) getCause();
        out.writeBoolean(cause != null);
        if (cause != null) {
            cause.write(out);
        }
        Throwable[] suppressed = getSuppressed();
        out.writeInt(suppressed.length);
        for (Throwable each : suppressed) {
            ((StandInException) each).write(out);
        }
    }

    static StandInException read(DataInputStream in) throws IOException {
        String text = Outcome.readText(in);
        String message = Outcome.readText(in);
        StackTraceElement[] trace = new StackTraceElement[in.readInt()];
        for (int i = 0; i < trace.length; i++) {
            trace[i] =
                    new StackTraceElement(
                            null,
                            Outcome.readText(in),
                            null,
                            Outcome.readText(in),
                            Outcome.readText(in),
                            Outcome.readText(in),
                            in.readInt());
        }
        StandInException cause = in.readBoolean() ? read(in) : null;
        StandInException standIn = new StandInException(text, message, cause);
        standIn.setStackTrace(trace);
        int suppressed = in.readInt();
        for (int i = 0; i < suppressed; i++) {
            standIn.addSuppressed(read(in));
        }
        return standIn;
    }
}
