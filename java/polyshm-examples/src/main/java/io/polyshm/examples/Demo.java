// SPDX-License-Identifier: Apache-2.0
package io.polyshm.examples;

import io.polyshm.PolyshmException;
import io.polyshm.SharedProcess;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.ParseResult;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.UnmatchedArgumentException;

/**
 * The tutorial: runs its programs one after the other, or the one, or further example, that is
 * named.
 */
@Command(
        name = "demo",
        description =
                "Runs the four parts of the tutorial (list, squares, race, bank), then the examples"
                        + " phases and catalogue; or the one that is named.",
        synopsisSubcommandLabel =
                "[list | squares | race | bank | buffer | philosophers | phases | catalogue"
                        + " | python]")
public final class Demo implements Callable<Integer> {
    @Option(
            names = {"-h", "--help"},
            usageHelp = true,
            scope = ScopeType.INHERIT,
            description = "Show this help and exit.")
    private boolean help;

    /**
     * Runs the tutorial and ends the JVM: with code 0, 1 if a program failed, or 2 if the arguments
     * are wrong.
     *
     * @param args nothing, or the name of a part and what it takes
     */
    public static void main(String... args) {
        CommandLine demo = new CommandLine(new Demo());
        demo.setUnmatchedOptionsArePositionalParams(true); // -3 is a number
        demo.setParameterExceptionHandler(Demo::reportArguments);
        demo.setExecutionExceptionHandler(Demo::reportFailure);
        System.exit(demo.execute(args));
    }

    // ---- the parts ----

    @Override
    public Integer call() throws InterruptedException {
        list();
        System.out.println();
        squares(List.of());
        System.out.println();
        race();
        System.out.println();
        bank();
        System.out.println();
        phases();
        System.out.println();
        catalogue();
        return CommandLine.ExitCode.OK;
    }

    @Command(description = "A plain list that a child JVM fills stays empty in the parent.")
    void list() throws InterruptedException {
        title("list", "a plain list that a child JVM fills stays empty in the parent");
        PlainList.main();
    }

    @Command(description = "A child JVM computes squares and their sum in shared memory.")
    void squares(
            @Parameters(paramLabel = "NUMBER", description = "What to square; by default 5 6 7 8.")
                    List<String> numbers)
            throws InterruptedException {
        List<String> items = numbers == null ? List.of() : numbers;
        checkSumOfSquares(items);
        title("squares", "a child JVM computes squares and their sum in shared memory");
        Squares.main(items.toArray(String[]::new));
    }

    @Command(description = "Two JVMs use one bank account without a lock: updates get lost.")
    void race() throws InterruptedException {
        title("race", "two JVMs use one bank account without a lock: updates get lost");
        BankWithoutLock.main();
    }

    @Command(description = "Two JVMs use one bank account under a lock: no update is lost.")
    void bank() throws InterruptedException {
        title("bank", "two JVMs use one bank account under a lock: no update is lost");
        BankWithLock.main();
    }

    // ---- the parts with Python ----

    @Command(description = "The four parts between Java and Python; each starts the other.")
    void python() throws Exception {
        python(
                "list",
                "a plain list that the child fills stays empty in the parent",
                io.polyshm.examples.python.PlainList::main,
                "plain_list.py");
        System.out.println();
        python(
                "squares",
                "the child computes squares and their sum in shared memory",
                io.polyshm.examples.python.Squares::main,
                "squares.py");
        System.out.println();
        python(
                "race",
                "both use one bank account without a lock: updates get lost",
                io.polyshm.examples.python.BankWithoutLock::main,
                "bank_without_lock.py");
        System.out.println();
        python(
                "bank",
                "both use one bank account under a lock: no update is lost",
                io.polyshm.examples.python.BankWithLock::main,
                "bank_with_lock.py");
    }

    private interface Main {
        void main(String... args) throws Exception;
    }

    private static void python(String name, String text, Main inJava, String inPython)
            throws Exception {
        title(name + ", Java starts Python", text);
        inJava.main();
        System.out.println();
        title(name + ", Python starts Java", text);
        SharedProcess.builder()
                .environment("CLASSPATH", System.getProperty("java.class.path"))
                .start("python3", "python/examples/" + inPython)
                .join();
    }

    // ---- further examples ----

    @Command(description = "Two JVMs produce what two others consume, through a small buffer.")
    void buffer() throws InterruptedException {
        title("buffer", "two JVMs produce what two others consume, through a small buffer");
        BoundedBuffer.main();
    }

    @Command(description = "Five JVMs dine with five forks, two at a time for each.")
    void philosophers() throws InterruptedException {
        title("philosophers", "five JVMs dine with five forks, two at a time for each");
        DiningPhilosophers.main();
    }

    @Command(description = "Three JVMs compute running sums in phases, and wait for each other.")
    void phases() throws InterruptedException {
        title("phases", "three JVMs compute running sums in phases, and wait for each other");
        Phases.main();
    }

    @Command(description = "Two JVMs read a price list that another changes: never half changed.")
    void catalogue() throws InterruptedException {
        title("catalogue", "two JVMs read a price list that another changes: never half changed");
        Catalogue.main();
    }

    private static void title(String name, String text) {
        System.out.println("== " + name + ": " + text);
    }

    // ---- what may go wrong ----

    private static void checkSumOfSquares(List<String> items) {
        long sum = 0;
        for (String item : items) {
            long number = number(item);
            sum += number * number;
            if (sum > Integer.MAX_VALUE) {
                throw new IllegalArgumentException(
                        "the sum of the squares is larger than "
                                + Integer.MAX_VALUE
                                + " at "
                                + item
                                + "; take smaller or fewer numbers");
            }
        }
    }

    private static int number(String text) {
        try {
            return Integer.parseInt(text);
        } catch (NumberFormatException notOne) {
            throw new IllegalArgumentException(
                    "'"
                            + text
                            + "' is not a whole number of at most 9 digits; try: demo squares 3 1 4");
        }
    }

    private static int reportArguments(ParameterException failure, String[] args) {
        CommandLine command = failure.getCommandLine();
        if (failure instanceof UnmatchedArgumentException) {
            UnmatchedArgumentException unmatched = (UnmatchedArgumentException) failure;
            boolean part = command.getParent() != null;
            command.getErr()
                    .println(
                            command.getCommandSpec().qualifiedName()
                                    + ": "
                                    + (part ? "takes no arguments" : "there is no such part")
                                    + ": "
                                    + String.join(" ", unmatched.getUnmatched()));
        } else {
            command.getErr().println(failure.getMessage());
        }
        command.usage(command.getErr());
        return CommandLine.ExitCode.USAGE;
    }

    /** What the library throws, and what is thrown here, says all that there is to say. */
    private static int reportFailure(Exception failure, CommandLine command, ParseResult arguments)
            throws Exception {
        boolean wrongArgument = failure instanceof IllegalArgumentException;
        if (!wrongArgument && !(failure instanceof PolyshmException)) {
            throw failure;
        }
        command.getErr()
                .println(command.getCommandSpec().qualifiedName() + ": " + failure.getMessage());
        return wrongArgument ? CommandLine.ExitCode.USAGE : CommandLine.ExitCode.SOFTWARE;
    }
}
