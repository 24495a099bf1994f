/* SPDX-License-Identifier: Apache-2.0
 *
 * polyshm-reap: removes the segments that dead processes have left, and says what stays and why.
 */
#include <stdio.h>
#include <string.h>

#include "polyshm.h"

static const char usage[] = "Usage: polyshm-reap [--dry-run]\n"
                            "Removes this user's segments whose processes are all gone: those that "
                            "were to go with the last\n"
                            "of them, and those whose creator was killed half-way. Prints each "
                            "name with what became of it.\n"
                            "  --dry-run   only print what would be removed\n";

/* Anybody can put a file there, with a name that would write lines of its own to a terminal. */
static void print_foreign(const char *name) {
    fputs("kept ", stdout);
    for (; *name != '\0'; name++)
        putchar(*name > ' ' && *name <= '~' ? *name : '?');
    puts(": no segment has such a name");
}

static void told(const char *name, int code, void *context) {
    const int *dry_run = context;
    if (code == PSHM_ENAME)
        print_foreign(name);
    else if (code == 1)
        printf("%s %s\n", *dry_run ? "would remove" : "removed", name);
    else
        printf("kept %s: %s\n", name, pshm_error_detail());
}

int main(int argc, char **argv) {
    int dry_run = argc == 2 && strcmp(argv[1], "--dry-run") == 0;
    int help = argc == 2 && strcmp(argv[1], "--help") == 0;
    if (help || argc > 2 || (argc == 2 && !dry_run)) {
        fputs(usage, help ? stdout : stderr);
        return help ? 0 : 2;
    }
    int count = pshm_reap_each(dry_run, told, &dry_run);
    if (count < 0) {
        fprintf(stderr, "%s\n", pshm_error_detail());
        return 1;
    }
    printf("%d segment%s %s\n", count, count == 1 ? "" : "s", dry_run ? "to remove" : "removed");
    return 0;
}
