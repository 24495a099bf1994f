/* SPDX-License-Identifier: Apache-2.0
 *
 * How a segment's file comes and goes. One rule makes it safe: a file is initialised, joined, left
 * and unlinked only under the lifecycle lock, the kernel's lock on its first byte, which ends with
 * its holder. So whoever has the lock and finds a file not ready, or ready, LAST_OUT and without a
 * participant, knows that nobody is at work on it or uses it. A creator that was overtaken between
 * making its file and taking the lock finds the file without a name, and begins again.
 */
#include <inttypes.h>
#include <string.h>

#include "internal.h"

#define LIFECYCLE_BYTE 0
#define PATIENCE_NS 10000000000
#define LONGEST_NAP_NS 5000000

int pshm__lifecycle_try_enter(pshm__file file) { return pshm__os_file_lock(file, LIFECYCLE_BYTE); }

int pshm__lifecycle_enter(pshm__file file) {
    int64_t nap = 50000;
    int code;
    for (int64_t waited = 0; (code = pshm__lifecycle_try_enter(file)) == PSHM_EBUSY;
         waited += nap) {
        if (waited > PATIENCE_NS)
            return pshm__fail(PSHM_EBUSY,
                              "a live process has been creating, opening or closing it for 10 "
                              "seconds; it may be stopped: continue it or end it");
        pshm__os_sleep_ns(nap);
        nap = nap * 2 < LONGEST_NAP_NS ? nap * 2 : LONGEST_NAP_NS;
    }
    return code;
}

void pshm__lifecycle_leave(pshm__file file) { pshm__os_file_unlock(file, LIFECYCLE_BYTE); }

int pshm__lifecycle_unlink(pshm__file file, const char *name) {
    return pshm__os_file_is_named(file, name) ? pshm__os_file_unlink(name) : 0;
}

int pshm__lifecycle_inspect(pshm__file file, pshm__header *header, bool *dead) {
    *dead = false;
    pshm__file_info info;
    int code = pshm__os_file_info(file, &info);
    if (code != 0)
        return code;
    if (!info.regular)
        return pshm__fail(PSHM_ELAYOUT, "it is a pipe or a device, and no segment; unlink it");
    code = pshm__header_read(file, info.size_bytes, header);
    if (code < 0)
        return code;

    bool in_use = pshm__participant_any_other(file, PSHM_PARTICIPANT_OFFSET, PSHM_PARTICIPANTS);
    if (code == PSHM__UNFINISHED && in_use)
        return pshm__fail(PSHM_ELAYOUT, "the header is damaged; unlink it and create it anew");
    *dead = code == PSHM__UNFINISHED || (header->lifetime == PSHM_LAST_OUT && !in_use);
    return code;
}

int pshm_segment_unlink(const char *name) {
    int code = pshm__name_check("unlink", name);
    if (code != 0)
        return code;
    pshm__file file;
    code = pshm__os_file_open(name, &file);
    if (code != 0)
        return pshm__while(code, "unlink: name=%s", name);
    code = pshm__lifecycle_enter(file);
    if (code == 0) {
        code = pshm__os_file_is_named(file, name) ? pshm__os_file_unlink(name)
                                                  : pshm__fail(PSHM_ENOENT, PSHM__ABSENT);
        pshm__lifecycle_leave(file);
    }
    pshm__os_file_close(file);
    return code == 0 ? 0 : pshm__while(code, "unlink: name=%s", name);
}

/* Why it stays, if it does; the lifecycle lock is held. */
static int bury_locked(pshm__file file, const char *name, int how) {
    bool dead = false;
    pshm__header header;
    if (!pshm__os_file_is_named(file, name))
        return 0;
    int code = pshm__lifecycle_inspect(file, &header, &dead);
    if (code < 0)
        return code;
    if (!dead &&
        (header.lifetime == PSHM_LAST_OUT || /* whoever has ended since */
         pshm__participant_any_other(file, header.participant_offset, header.participant_capacity)))
        return pshm__fail(PSHM_EBUSY, "a process has it open");
    if (!dead)
        return pshm__fail(PSHM_EEXIST, "it is persistent, and nobody has it open; unlink it if it "
                                       "is not wanted");
    code = how == PSHM__DRY ? 0 : pshm__os_file_unlink(name);
    return code == 0 ? 1 : code;
}

int pshm__lifecycle_bury(const char *name, int how) {
    pshm__file file;
    pshm__file_info info;
    int code = pshm__os_file_open(name, &file);
    if (code != 0)
        return code == PSHM_ENOENT ? 0 : code;
    code = pshm__os_file_info(file, &info);
    if (code == 0 && !info.own)
        code = pshm__fail(PSHM_EACCES,
                          "it belongs to another user, uid=%" PRIu64 "; let that user unlink it",
                          info.owner);
    if (code == 0 && !info.regular)
        code = pshm__fail(PSHM_ELAYOUT, "it is a pipe or a device, and no segment; unlink it");
    if (code == 0) {
        code =
            how == PSHM__PATIENTLY ? pshm__lifecycle_enter(file) : pshm__lifecycle_try_enter(file);
        if (code == PSHM_EBUSY && how != PSHM__PATIENTLY)
            pshm__fail(PSHM_EBUSY, "a live process is creating, opening or closing it");
    }
    if (code == 0) {
        code = bury_locked(file, name, how);
        /* In so many words, here and elsewhere: a child that is forked just now has the file open
         * for a moment longer, and a lock on it lasts until the last has closed. */
        pshm__lifecycle_leave(file);
    }
    pshm__os_file_close(file);
    return code;
}

typedef struct reaping {
    int how;
    int count;
    void (*told)(const char *name, int code, void *context);
    void *context;
} reaping;

static void reap_one(const char *name, void *context) {
    reaping *all = context;
    int code = pshm__name_check("reap", name);
    if (code == 0)
        code = pshm__lifecycle_bury(name, all->how);
    all->count += code == 1;
    if (code != 0 && all->told != NULL)
        all->told(name, code, all->context);
}

int pshm_reap_each(int dry_run, void (*told)(const char *name, int code, void *context),
                   void *context) {
    /* One that somebody is at work on is not dead: no waiting here. */
    reaping all = {dry_run != 0 ? PSHM__DRY : PSHM__AT_ONCE, 0, told, context};
    int code = pshm__os_file_list(reap_one, &all);
    return code == 0 ? all.count : pshm__while(code, "reap");
}

int pshm_reap(void) { return pshm_reap_each(0, NULL, NULL); }
