// SPDX-License-Identifier: Apache-2.0
package io.polyshm.benchmarks;

import io.polyshm.Event;
import io.polyshm.Lock;
import io.polyshm.Semaphore;
import io.polyshm.SharedValue;
import java.util.concurrent.locks.Condition;

/** What one JVM can wake another with. */
final class Tokens {
    private Tokens() {}

    record BySemaphore(Semaphore semaphore) implements PingPong.Token {
        BySemaphore() {
            this(Semaphore.create(0));
        }

        @Override
        public void give() {
            semaphore.release();
        }

        @Override
        public void take() throws InterruptedException {
            semaphore.acquire();
        }

        @Override
        public void close() {
            semaphore.close();
        }
    }

    record ByEvent(Event event) implements PingPong.Token {
        ByEvent() {
            this(Event.create());
        }

        @Override
        public void give() {
            event.set();
        }

        @Override
        public void take() throws InterruptedException {
            event.await();
            event.clear();
        }

        @Override
        public void close() {
            event.close();
        }
    }

    /** A condition has no memory of its own, so a value under its lock says whether it is given. */
    record ByCondition(SharedValue.OfBoolean given, Lock lock, Condition condition)
            implements PingPong.Token {
        ByCondition() {
            this(SharedValue.ofBoolean(false), Lock.create());
        }

        private ByCondition(SharedValue.OfBoolean given, Lock lock) {
            this(given, lock, lock.newCondition());
        }

        @Override
        public void give() {
            lock.lock();
            try {
                given.set(true);
                condition.signal();
            } finally {
                lock.unlock();
            }
        }

        @Override
        public void take() throws InterruptedException {
            lock.lock();
            try {
                while (!given.get()) {
                    condition.await();
                }
                given.set(false);
            } finally {
                lock.unlock();
            }
        }

        @Override
        public void close() {
            given.close();
            lock.close();
        }
    }
}
