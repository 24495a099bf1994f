// SPDX-License-Identifier: Apache-2.0

/**
 * Arrays, values, locks and synchronizers that the JVMs, C programs and Python programs of one host
 * share.
 *
 * <p>{@link io.polyshm.SharedArray} and {@link io.polyshm.SharedValue} are typed memory, {@link
 * io.polyshm.Lock} or a {@link io.polyshm.ReadWriteLock} guards it, {@link io.polyshm.Condition},
 * {@link io.polyshm.Semaphore}, {@link io.polyshm.Event}, {@link io.polyshm.Latch} and {@link
 * io.polyshm.Barrier} are what threads of any processes wait for, {@link io.polyshm.ForkedJvm} runs
 * a task in a new JVM that has what the task captures, and {@link io.polyshm.SharedProcess} any
 * program that is told by its arguments. {@link io.polyshm.SharedMemory} is where they live, for
 * those who want to give them names.
 *
 * <p>Each object has a {@code handle()}, a text that any program of the host can {@code attach} it
 * by: an argument of a command is enough to share it.
 *
 * <h2>Memory effects</h2>
 *
 * What happens-before what, between threads as between processes:
 *
 * <ul>
 *   <li>what a thread does before {@link io.polyshm.Lock#unlock()}, before what another does after
 *       it has taken the same lock, or has it again after a wait for a {@link
 *       io.polyshm.Condition}, which gives it back and takes it as these do;
 *   <li>what the owner of a lock did before it died, as far as it went, before the {@link
 *       io.polyshm.Lock#repair} action;
 *   <li>what a thread does before {@link io.polyshm.Semaphore#release()}, {@link
 *       io.polyshm.Event#set} or {@link io.polyshm.Latch#countDown()}, before what another does
 *       after it has acquired, or has found the event set or the count zero, because of that;
 *   <li>what a thread does before it unlocks the write lock of a {@link io.polyshm.ReadWriteLock},
 *       before what another does after it has taken either of its locks; what it does before it
 *       unlocks the read lock, before what another does after it has taken the write lock;
 *   <li>what threads do before {@link io.polyshm.Barrier#await()}, before what the action does, and
 *       that, before what they do after their return;
 *   <li>all that a process did before it ended, before what an action of {@link
 *       io.polyshm.SharedMemory#onExit} does that is told of its end;
 *   <li>a {@code setRelease} or {@code setVolatile} of an element or value, and a successful {@code
 *       compareAndSet}, {@code getAndSet} or {@code getAndAdd}, before a {@code getAcquire} or
 *       {@code getVolatile} that reads what it wrote, as {@link java.lang.invoke.VarHandle} says;
 *   <li>what a thread does before {@link io.polyshm.ForkedJvm#start}, before what the task does,
 *       and all that the task does before the return of {@link io.polyshm.ChildProcess#join()}; the
 *       same holds for the program of a {@link io.polyshm.SharedProcess}.
 * </ul>
 *
 * C programs have the same with {@code <stdatomic.h>} on the same memory and the locks of {@code
 * polyshm.h}.
 *
 * <h2>Errors</h2>
 *
 * What can go wrong outside of the program throws a subclass of {@link
 * io.polyshm.PolyshmException}; what is a mistake in it, the JDK's exception for that mistake. A
 * null argument throws {@link java.lang.NullPointerException} unless the method says what null
 * means. The native library is loaded when it is first needed; if that fails, {@link
 * io.polyshm.UnavailableException} says why.
 */
package io.polyshm;
