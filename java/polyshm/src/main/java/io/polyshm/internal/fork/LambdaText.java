// SPDX-License-Identifier: Apache-2.0
package io.polyshm.internal.fork;

import java.io.DataInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.lang.invoke.MethodHandleInfo;
import java.lang.invoke.MethodType;
import java.lang.invoke.SerializedLambda;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Says in words where a serialized lambda stands in the source and what its captured values are
 * called there. The names are in the class file if it was compiled with {@code -g}, as build tools
 * do; without them the values are counted.
 */
final class LambdaText {
    // javac: lambda$method$n, or for serializable ones lambda$method$hash$n.
    private static final Pattern SYNTHETIC =
            Pattern.compile("lambda\\$(.+?)(\\$\\p{XDigit}+)?\\$\\d+");

    private LambdaText() {}

    /** {@code io.acme.Main.main}, or {@code io.acme.Job::run} for a method reference. */
    static String place(SerializedLambda lambda) {
        Matcher synthetic = SYNTHETIC.matcher(lambda.getImplMethodName());
        if (synthetic.matches()) {
            return lambda.getCapturingClass().replace('/', '.') + "." + synthetic.group(1);
        }
        return lambda.getImplClass().replace('/', '.') + "::" + lambda.getImplMethodName();
    }

    static boolean isMethodReference(SerializedLambda lambda) {
        return !SYNTHETIC.matcher(lambda.getImplMethodName()).matches();
    }

    /** Captured value {@code index}, such as {@code variable "socket" of the lambda in ...}. */
    static String captured(SerializedLambda lambda, int index, ClassLoader loader) {
        if (isMethodReference(lambda)) {
            return "the object of the method reference " + place(lambda);
        }
        String of = " of the lambda in " + place(lambda);
        boolean instance = lambda.getImplMethodKind() != MethodHandleInfo.REF_invokeStatic;
        if (instance && index == 0) {
            return "the enclosing object (this)" + of;
        }
        String name = null;
        try {
            name = variable(lambda, index, instance, loader);
        } catch (IOException | RuntimeException notReadable) {
            // The name is a courtesy.
        }
        return (name != null ? "variable \"" + name + "\"" : "captured value " + (index + 1)) + of;
    }

    private static String variable(
            SerializedLambda lambda, int index, boolean instance, ClassLoader loader)
            throws IOException {
        MethodType type =
                MethodType.fromMethodDescriptorString(lambda.getImplMethodSignature(), loader);
        int slot = instance ? 1 : 0;
        for (int i = 0; i < index - (instance ? 1 : 0); i++) {
            Class<?> parameter = type.parameterType(i);
            slot += parameter == long.class || parameter == double.class ? 2 : 1;
        }
        String file = lambda.getImplClass() + ".class";
        try (InputStream in =
                loader == null
                        ? ClassLoader.getSystemResourceAsStream(file)
                        : loader.getResourceAsStream(file)) {
            if (in == null) {
                return null;
            }
            return parameterAt(slot, lambda, new DataInputStream(in));
        }
    }

    /** Reads as much of a class file (JVMS 4) as leads to one method's LocalVariableTable. */
    private static String parameterAt(int slot, SerializedLambda lambda, DataInputStream in)
            throws IOException {
        in.skipNBytes(8);
        String[] strings = readConstantPool(in);
        in.skipNBytes(6);
        in.skipNBytes(2L * in.readUnsignedShort());
        skipMembers(in);
        int methods = in.readUnsignedShort();
        for (int m = 0; m < methods; m++) {
            in.skipNBytes(2);
            boolean wanted =
                    lambda.getImplMethodName().equals(strings[in.readUnsignedShort()])
                            & lambda.getImplMethodSignature()
                                    .equals(strings[in.readUnsignedShort()]);
            int attributes = in.readUnsignedShort();
            for (int a = 0; a < attributes; a++) {
                String attribute = strings[in.readUnsignedShort()];
                int length = in.readInt();
                if (wanted && attribute.equals("Code")) {
                    return parameterInCode(slot, strings, in);
                }
                in.skipNBytes(length);
            }
        }
        return null;
    }

    private static String parameterInCode(int slot, String[] strings, DataInputStream in)
            throws IOException {
        in.skipNBytes(4);
        in.skipNBytes(in.readInt());
        in.skipNBytes(8L * in.readUnsignedShort());
        int attributes = in.readUnsignedShort();
        for (int a = 0; a < attributes; a++) {
            String attribute = strings[in.readUnsignedShort()];
            int length = in.readInt();
            if (!attribute.equals("LocalVariableTable")) {
                in.skipNBytes(length);
                continue;
            }
            int variables = in.readUnsignedShort();
            for (int v = 0; v < variables; v++) {
                int start = in.readUnsignedShort();
                in.skipNBytes(2);
                String name = strings[in.readUnsignedShort()];
                in.skipNBytes(2);
                if (in.readUnsignedShort() == slot && start == 0) {
                    return name;
                }
            }
        }
        return null;
    }

    private static String[] readConstantPool(DataInputStream in) throws IOException {
        String[] strings = new String[in.readUnsignedShort()];
        for (int i = 1; i < strings.length; i++) {
            int tag = in.readUnsignedByte();
            switch (tag) {
                case 1 -> strings[i] = in.readUTF();
                case 5, 6 -> {
                    in.skipNBytes(8);
                    i++;
                }
                case 7, 8, 16, 19, 20 -> in.skipNBytes(2);
                case 15 -> in.skipNBytes(3);
                default -> in.skipNBytes(4);
            }
        }
        return strings;
    }

    private static void skipMembers(DataInputStream in) throws IOException {
        int members = in.readUnsignedShort();
        for (int m = 0; m < members; m++) {
            in.skipNBytes(6);
            int attributes = in.readUnsignedShort();
            for (int a = 0; a < attributes; a++) {
                in.skipNBytes(2);
                in.skipNBytes(in.readInt());
            }
        }
    }
}
