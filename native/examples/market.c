/* SPDX-License-Identifier: Apache-2.0
 *
 * The ring that the two programs share: opening it, and its lock, whose holder may die.
 */
#include "market.h"

#include <stdio.h>
#include <stdlib.h>

static void check(int code) {
    if (code >= 0)
        return;
    fprintf(stderr, "%s: %s\n", pshm_error_name(code), pshm_error_detail());
    exit(1);
}

void market_open(struct market *market, const char *name) {
    const pshm_options options = {.lifetime = PSHM_LAST_OUT};
    pshm_array *prices;
    pshm_value *sent, *taken;
    check(pshm_segment_open_or_create(name, 1 << 20, &options, &market->memory));
    check(pshm_array_open(market->memory, "prices", PSHM_INT64, MARKET_PLACES, &prices));
    check(pshm_value_open(market->memory, "sent", PSHM_INT64, &sent));
    check(pshm_value_open(market->memory, "taken", PSHM_INT64, &taken));
    market->lock = pshm_array_lock(prices);
    check(pshm_condition_open(market->lock, "changed", &market->changed));
    market->prices = pshm_array_data(prices);
    market->sent = pshm_value_data(sent);
    market->taken = pshm_value_data(taken);
}

void market_close(struct market *market) { check(pshm_segment_close(market->memory)); }

/* The lock is held, but the one that held it before may have died in the midst of its work. */
static void mend(struct market *market, int code) {
    if (code == PSHM_EOWNERDIED) {
        pshm_lock_info told;
        pshm_lock_told(&told);
        fprintf(stderr, "process %d (thread %s) died at its work\n", (int)told.dead.pid,
                told.dead.thread_name);
        /* What it left half done would be mended here. It is nothing in this case: a price is there
         * from when `sent` counts it, and gone from when `taken` does. */
        code = pshm_lock_mark_good(market->lock);
    }
    check(code);
}

void market_lock(struct market *market) { mend(market, pshm_lock_acquire_any(market->lock)); }

void market_unlock(struct market *market) {
    check(pshm_condition_signal(market->changed, -1));
    check(pshm_lock_release(market->lock));
}

void market_wait(struct market *market) {
    mend(market, pshm_condition_wait(market->changed, -1, NULL));
}
