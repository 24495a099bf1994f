/* SPDX-License-Identifier: Apache-2.0
 *
 * What producers and consumers share: a ring of prices in a segment. These are its objects, and a
 * program in any language that opens them so can take the place of either:
 *
 *   prices    array of 8 int64; price number n, counted from 0, stands at n % 8
 *   sent      value of int64: how many prices have been put there
 *   taken     value of int64: how many have been taken
 *   changed   condition of the lock of prices, which guards them all: signalled at every change
 */
#ifndef MARKET_H
#define MARKET_H

#include <polyshm.h>

#define MARKET_PLACES 8

struct market {
    pshm_segment *memory;
    pshm_lock *lock;
    pshm_condition *changed;
    int64_t *prices;
    int64_t *sent;
    int64_t *taken;
};

/* Each of these ends the program, and says why, if it cannot do its work. */

/* Open the segment, or create it; the last one out removes it. */
void market_open(struct market *market, const char *name);
void market_close(struct market *market);

/* Take the lock; give it back and tell the others that something may have changed. */
void market_lock(struct market *market);
void market_unlock(struct market *market);

/* By who holds the lock: let the others change something, and wait until they have. */
void market_wait(struct market *market);

#endif
