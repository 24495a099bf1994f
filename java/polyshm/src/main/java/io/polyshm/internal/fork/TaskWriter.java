// SPDX-License-Identifier: Apache-2.0
package io.polyshm.internal.fork;

import java.io.IOException;
import java.io.NotSerializableException;
import java.io.ObjectOutputStream;
import java.io.OutputStream;
import java.lang.invoke.SerializedLambda;

/** Serializes a task, and learns on the way what to call it. */
final class TaskWriter extends ObjectOutputStream {
    private String description;

    private TaskWriter(OutputStream out) throws IOException {
        super(out);
        enableReplaceObject(true);
    }

    /**
     * Writes the task to {@code out}.
     *
     * @return where the task was written in the source, for people
     * @throws NotSerializableException with a message that says what cannot travel and how it is
     *     reached
     */
    static String write(Object task, OutputStream out) throws IOException {
        TaskWriter writer = new TaskWriter(out);
        try {
            writer.writeObject(task);
        } catch (IOException | RuntimeException | Error e) {
            NotSerializableException explained =
                    new NotSerializableException(CaptureDiagnosis.of("task", task, e));
            explained.initCause(e);
            throw explained;
        }
        writer.flush();
        return writer.description;
    }

    @Override
    protected Object replaceObject(Object object) {
        if (description == null) {
            description =
                    object instanceof SerializedLambda lambda
                            ? LambdaText.place(lambda)
                            : object.getClass().getName();
        }
        return object;
    }
}
