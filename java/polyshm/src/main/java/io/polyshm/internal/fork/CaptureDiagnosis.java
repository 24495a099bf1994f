// SPDX-License-Identifier: Apache-2.0
package io.polyshm.internal.fork;

import java.io.IOException;
import java.io.NotSerializableException;
import java.io.ObjectOutputStream;
import java.io.ObjectStreamClass;
import java.io.ObjectStreamField;
import java.io.OutputStream;
import java.io.Serializable;
import java.lang.invoke.SerializedLambda;
import java.lang.reflect.Field;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Deque;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Set;

/**
 * Finds out by which fields and captured variables an object that cannot be serialized is reached.
 *
 * <p>It serializes each object alone, with null in the place of everything that the object refers
 * to: what is asked for on the way are its references, whatever its class does to write itself, and
 * without any access to private fields. A breadth-first walk over them gives a shortest path. Only
 * the names of fields need reflection; where a module does not allow it, they are told from types.
 */
final class CaptureDiagnosis {
    // A walk that has seen this many objects gives up on the path and names the type alone.
    private static final int OBJECTS_MAX = 1_000_000;

    private final String what;
    private final ClassLoader loader;

    private CaptureDiagnosis(String what, ClassLoader loader) {
        this.what = what;
        this.loader = loader;
    }

    /** One object on the way from the root, and what to call it as seen from {@code parent}. */
    private record Step(Object object, Step parent, String label) {}

    /**
     * Says what keeps {@code root} from being written, and the remedy. Never throws.
     *
     * @param what {@code task} or {@code result}
     * @param failure what the attempt to write it threw
     */
    static String of(String what, Object root, Throwable failure) {
        if (failure instanceof StackOverflowError) {
            return "it refers to a chain of objects too long for this stack";
        }
        try {
            // No walk where memory is what is missing.
            boolean walkable = !(failure instanceof VirtualMachineError);
            ClassLoader loader = root.getClass().getClassLoader();
            String path = walkable ? new CaptureDiagnosis(what, loader).walk(root) : null;
            if (path != null) {
                return path;
            }
        } catch (Throwable noPath) {
            // The objects' own code is at work here; what it threw first says enough.
        }
        return failure instanceof NotSerializableException
                ? failure.getMessage() + " is not Serializable"
                : "its serialization failed: " + StandInException.of(failure);
    }

    private String walk(Object root) throws IOException {
        Set<Object> seen = Collections.newSetFromMap(new IdentityHashMap<>());
        Deque<Step> queue = new ArrayDeque<>();
        queue.add(new Step(root, null, ""));
        while (!queue.isEmpty() && seen.size() < OBJECTS_MAX) {
            Step step = queue.remove();
            if (!seen.add(step.object)) {
                continue;
            }
            OneObjectStream alone = new OneObjectStream();
            try {
                alone.writeObject(step.object);
            } catch (IOException | RuntimeException | Error e) {
                return text(step, e);
            }
            if (alone.root instanceof SerializedLambda lambda) {
                for (int i = 0; i < lambda.getCapturedArgCount(); i++) {
                    if (lambda.getCapturedArg(i) != null) {
                        String label = LambdaText.captured(lambda, i, loader);
                        queue.add(new Step(lambda.getCapturedArg(i), step, label));
                    }
                }
                continue;
            }
            for (Object child : alone.children) {
                queue.add(new Step(child, step, label(alone.root, child, alone.children)));
            }
        }
        return null;
    }

    private String text(Step offender, Throwable failure) {
        StringBuilder text = new StringBuilder();
        if (offender.parent == null) {
            text.append("the " + what + " itself (").append(name(offender.object)).append(")");
        }
        Deque<Step> path = new ArrayDeque<>();
        for (Step step = offender; step.parent != null; step = step.parent) {
            path.push(step);
        }
        String separator = "";
        for (Step step : path) {
            text.append(separator).append(step.label);
            text.append(" (").append(name(step.object)).append(")");
            separator = " -> ";
        }
        if (offender.object instanceof Serializable) {
            return text.append(" failed to be written: ")
                    .append(StandInException.of(failure))
                    .toString();
        }
        boolean lambda = offender.object.getClass().isHidden();
        text.append(" is not Serializable. ");
        text.append(lambda ? "Cast it to its interface & Serializable" : "Make it Serializable");
        if (path.size() > 1) {
            text.append(", make the field transient");
        } else if (offender.label.contains("(this)")) {
            text.append(", copy the fields that the " + what + " uses into local variables first");
        }
        return text.append(
                        what.equals("task")
                                ? ", or create it inside the task"
                                : ", or leave it out of the result")
                .toString();
    }

    private static String name(Object object) {
        if (object instanceof SerializedLambda) {
            return "a lambda";
        }
        Class<?> type = object.getClass();
        return type.isHidden() ? "a lambda of " + type.getName() : type.getTypeName();
    }

    private static String label(Object owner, Object child, List<Object> siblings) {
        if (owner instanceof Object[] array) {
            for (int i = 0; i < array.length; i++) {
                if (array[i] == child) {
                    return "element " + i;
                }
            }
            return "an element";
        }
        String field = field(owner, child, siblings);
        if (field != null) {
            return field.startsWith("val$")
                    ? "variable \"" + field.substring("val$".length()) + "\""
                    : field.startsWith("this$") ? "the enclosing object (this)" : "field " + field;
        }
        return owner.getClass().getName().startsWith("java.") ? "an element" : "a field";
    }

    /** The name of the serializable field that holds {@code child}, or null if it is not clear. */
    private static String field(Object owner, Object child, List<Object> siblings) {
        List<String> maybe = new ArrayList<>();
        for (Class<?> type = owner.getClass(); type != null; type = type.getSuperclass()) {
            ObjectStreamClass described = ObjectStreamClass.lookup(type);
            if (described == null) {
                break;
            }
            for (ObjectStreamField each : described.getFields()) {
                if (each.isPrimitive()) {
                    continue;
                }
                Object value = valueOrOwner(owner, type, each.getName());
                if (value == child) {
                    return each.getName();
                }
                // Not accessible, or replaced by its own writeReplace.
                boolean inaccessible = value == owner && each.getType().isInstance(child);
                boolean replaced =
                        value != null
                                && value != owner
                                && !(value instanceof String || value instanceof Enum)
                                && siblings.stream().noneMatch(sibling -> sibling == value);
                if (inaccessible || replaced) {
                    maybe.add(each.getName());
                }
            }
        }
        return maybe.size() == 1 ? maybe.get(0) : null;
    }

    private static Object valueOrOwner(Object owner, Class<?> type, String name) {
        try {
            Field field = type.getDeclaredField(name);
            return field.trySetAccessible() ? field.get(owner) : owner;
        } catch (ReflectiveOperationException notAField) {
            return owner;
        }
    }

    /** Writes one object into nothing and collects what it refers to. */
    private static final class OneObjectStream extends ObjectOutputStream {
        final List<Object> children = new ArrayList<>();
        Object root;

        OneObjectStream() throws IOException {
            super(OutputStream.nullOutputStream());
            enableReplaceObject(true);
        }

        @Override
        protected Object replaceObject(Object object) {
            if (root == null) {
                root = object;
                return object;
            }
            if (object instanceof String
                    || object instanceof Enum
                    || object instanceof Class
                    || object instanceof ObjectStreamClass) {
                return object;
            }
            children.add(object);
            return null;
        }
    }
}
