/* SPDX-License-Identifier: Apache-2.0
 *
 * What is reaped and what stays, and why: as the function tells it, and as polyshm-reap prints it.
 */
#include "check.h"

#include "internal.h"

static const pshm_options last_out = {.lifetime = PSHM_LAST_OUT};

static void create_and_die(void *argument) {
    pshm_segment *segment;
    CHECK_OK(pshm_segment_create(name_of(argument), 64, &last_out, &segment));
    raise(SIGKILL);
}

static void create_dead(const char *tag) {
    CHECK_EQ(wait_for(start(create_and_die, (void *)(uintptr_t)tag)), SIGKILL);
}

/* What a reaper meets. */
typedef struct scene {
    pshm_segment *in_use, *idle, *busy;
    pshm__file lock; /* of one that is at work */
} scene;

static void set_up(scene *out) {
    CHECK_OK(pshm_segment_create(name_of("in-use"), 64, &last_out, &out->in_use));
    CHECK_OK(pshm_segment_create(name_of("idle"), 64, NULL, &out->idle));
    CHECK_OK(pshm_segment_close(out->idle));
    CHECK_OK(pshm_segment_create(name_of("busy"), 64, &last_out, &out->busy));
    CHECK_OK(pshm__os_file_open(name_of("busy"), &out->lock));
    CHECK_OK(pshm__os_file_lock(out->lock, 0));
    int foreign = open(path_of_name(name_of("foreign")), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    CHECK_EQ(write(foreign, "not of this library", 19), 19);
    close(foreign);
    CHECK_OK(symlink("/etc/passwd", path_of_name(name_of("link"))));
    create_dead("killed"); /* last: another creation reaps */
    CHECK(exists(name_of("killed")));
}

static void tear_down(scene *from) {
    pshm__os_file_unlock(from->lock, 0);
    pshm__os_file_close(from->lock);
    CHECK_OK(pshm_segment_close(from->busy));
    CHECK_OK(pshm_segment_close(from->in_use));
    CHECK_OK(pshm_segment_unlink(name_of("idle")));
    CHECK_EQ(unlink(path_of_name(name_of("foreign"))), 0);
    CHECK_EQ(unlink(path_of_name(name_of("link"))), 0);
}

typedef struct telling {
    int killed, in_use, idle, busy, foreign, link, other;
} telling;

static void told(const char *name, int code, void *context) {
    telling *all = context;
    CHECK(code == 1 || strlen(pshm_error_detail()) > 5);
    int *which = strcmp(name, name_of("killed")) == 0    ? &all->killed
                 : strcmp(name, name_of("in-use")) == 0  ? &all->in_use
                 : strcmp(name, name_of("idle")) == 0    ? &all->idle
                 : strcmp(name, name_of("busy")) == 0    ? &all->busy
                 : strcmp(name, name_of("foreign")) == 0 ? &all->foreign
                 : strcmp(name, name_of("link")) == 0    ? &all->link
                                                         : &all->other;
    CHECK(which == &all->other || *which == 0);
    *which = code;
}

static void check_told(const telling *all) {
    CHECK_CODE(all->killed, 1);
    CHECK_CODE(all->in_use, PSHM_EBUSY);
    CHECK_CODE(all->busy, PSHM_EBUSY);
    CHECK_CODE(all->idle, PSHM_EEXIST);
    CHECK_CODE(all->foreign, PSHM_ELAYOUT);
    CHECK_CODE(all->link, PSHM_EACCES);
}

static void shouldTellWhatGoesAndWhatStays(void) {
    scene here;
    set_up(&here);
    telling dry = {0}, wet = {0}, again = {0};
    int count = pshm_reap_each(1, told, &dry);
    check_told(&dry);
    CHECK(exists(name_of("killed")));
    CHECK_EQ(pshm_reap_each(0, told, &wet), count);
    check_told(&wet);
    CHECK(!exists(name_of("killed")));
    CHECK(exists(name_of("in-use")) && exists(name_of("idle")) && exists(name_of("busy")) &&
          exists(name_of("foreign")) && exists(name_of("link")));
    CHECK_EQ(pshm_reap_each(0, told, &again), 0);
    CHECK_EQ(again.killed, 0);
    tear_down(&here);
}

static void shouldCountWhatItRemoves(void) {
    pshm_segment *segment;
    CHECK_OK(pshm_segment_create(name_of("s"), 64, &last_out, &segment));
    CHECK_OK(pshm_segment_close(segment));
    pshm_reap();
    create_dead("a");
    CHECK_EQ(pshm_reap(), 1);
    CHECK_EQ(pshm_reap(), 0);
}

/* ---- the program ---- */

/* What it prints, and its exit code. */
static int run(const char *argument, char *out, size_t bytes) {
    char command[512];
    snprintf(command, sizeof(command), REAP " %s 2>&1", argument);
    FILE *output = popen(command, "re");
    CHECK(output != NULL);
    out[fread(out, 1, bytes - 1, output)] = '\0';
    int status = pclose(output);
    CHECK(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void shouldPrintWhatGoesAndWhatStays(void) {
    char text[4096], line[256];
    scene here;
    set_up(&here);
    for (int wet = 0; wet <= 1; wet++) {
        CHECK_EQ(run(wet ? "" : "--dry-run", text, sizeof(text)), 0);
        snprintf(line, sizeof(line), "%s %s\n", wet ? "removed" : "would remove",
                 name_of("killed"));
        CHECK(strstr(text, line) != NULL);
        snprintf(line, sizeof(line), "kept %s: a process has it open\n", name_of("in-use"));
        CHECK(strstr(text, line) != NULL);
        snprintf(line, sizeof(line), "kept %s: it is persistent", name_of("idle"));
        CHECK(strstr(text, line) != NULL);
        snprintf(line, sizeof(line), "kept %s: a live process is", name_of("busy"));
        CHECK(strstr(text, line) != NULL);
        CHECK(strstr(text, wet ? "1 segment removed\n" : "1 segment to remove\n") != NULL);
        CHECK_EQ(exists(name_of("killed")), !wet);
    }
    tear_down(&here);
}

static void shouldPrintNoNameThatIsNotOne(void) {
    char text[4096];
    const char *path = path_of_name(name_of("a\nremoved bids\033[2J"));
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    CHECK(fd >= 0);
    close(fd);
    CHECK_EQ(run("", text, sizeof(text)), 0);
    CHECK_EQ(unlink(path), 0);
    CHECK(strstr(text, "a?removed?bids?[2J: no segment has such a name\n") != NULL);
    CHECK(strstr(text, "\nremoved") == NULL && strchr(text, '\033') == NULL);
}

static void shouldExplainItselfAndRefuseTheRest(void) {
    char text[4096];
    CHECK_EQ(run("--help", text, sizeof(text)), 0);
    CHECK(strstr(text, "--dry-run") != NULL);
    CHECK_EQ(run("--dry", text, sizeof(text)), 2);
    CHECK(strstr(text, "Usage: polyshm-reap") != NULL);
    CHECK_EQ(run("--dry-run twice", text, sizeof(text)), 2);
}

int main(void) {
    check_begin(110);
    RUN(shouldTellWhatGoesAndWhatStays);
    RUN(shouldCountWhatItRemoves);
    RUN(shouldPrintWhatGoesAndWhatStays);
    RUN(shouldPrintNoNameThatIsNotOne);
    RUN(shouldExplainItselfAndRefuseTheRest);
    return check_end();
}
