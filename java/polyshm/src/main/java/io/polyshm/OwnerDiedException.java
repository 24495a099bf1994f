// SPDX-License-Identifier: Apache-2.0
package io.polyshm;

/**
 * The thread or process that held the lock died. The caller does <em>not</em> hold the lock, unless
 * it held it before and waited for a {@link Condition}; and everyone who tries to take it gets this
 * exception, until {@link Lock#repair} or {@link ReadWriteLock#repair} has put in order what the
 * death may have left half-done.
 */
public final class OwnerDiedException extends PolyshmException {
    private static final long serialVersionUID = 1;

    private final Lock.Death death;

    /**
     * Creates an exception.
     *
     * @param errorName what {@link #errorName()} returns; not null
     * @param message operation, inputs and remedy; not null
     * @param death who died; not null
     */
    public OwnerDiedException(String errorName, String message, Lock.Death death) {
        super(errorName, message, null);
        this.death = death;
    }

    /**
     * Who died holding the lock.
     *
     * @return the last death, never null
     */
    public Lock.Death death() {
        return death;
    }
}
