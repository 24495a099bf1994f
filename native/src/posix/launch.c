/* SPDX-License-Identifier: Apache-2.0
 *
 * polyshm-launch PARENT REPORT INPUT PROGRAM [ARGUMENT...]: becomes the program, with the file
 * INPUT as its standard input, and has the kernel kill it when its parent ends: PARENT is its
 * process id, or 0 if the program may outlive it.
 *
 * The parent has the other end of the pipe at standard input, which closes when the program runs,
 * and when it cannot: then the file REPORT says why. Java starts programs by this one.
 *
 * This is for Linux: it tells of the end of the thread that started this process, which therefore
 * has to wait for the program. A set-uid program is not killed, nor what a program has started.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static int fail(const char *report, const char *what, const char *value) {
    int error = errno;
    FILE *file = fopen(report, "w");
    fprintf(file == NULL ? stderr : file, "%s=%s: %s", what, value, strerror(error));
    if (file != NULL)
        fclose(file);
    return 127;
}

int main(int argc, char **argv) {
    if (argc < 5) {
        fprintf(stderr, "usage: polyshm-launch PARENT REPORT INPUT PROGRAM [ARGUMENT...]\n");
        return 2;
    }
    const char *report = argv[2], *input = argv[3], *program = argv[4];
    long parent = strtol(argv[1], NULL, 10);
    if (parent != 0) {
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
            return fail(report, "parent", argv[1]);
        if (getppid() != parent) /* it has ended before that */
            return 127;
    }
    if (fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1) < 0)
        return fail(report, "descriptor", "0");
    close(STDIN_FILENO);
    if (open(input, O_RDONLY) != STDIN_FILENO) /* the lowest that is free */
        return fail(report, "input", input);
    sigset_t none; /* Java blocks some in its threads */
    sigemptyset(&none);
    if (sigprocmask(SIG_SETMASK, &none, NULL) != 0)
        return fail(report, "signals", "none");
    execvp(program, argv + 4);
    return fail(report, "program", program);
}
