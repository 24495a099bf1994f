/* SPDX-License-Identifier: Apache-2.0
 *
 * Sends prices to whoever consumes them, and waits until they are taken: see market.h.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "market.h"

static const char usage[] =
    "Usage: producer <segment> <price>...\n"
    "A price is an integer, or \"crash\": then the producer is killed while it holds the lock.\n";

/* Whether the text is a price. */
static int parse(const char *text, int64_t *price) {
    char *end;
    errno = 0;
    *price = strtoll(text, &end, 10);
    return errno == 0 && end != text && *end == '\0';
}

static void put(struct market *market, int64_t price, int crash) {
    market_lock(market);
    while (*market->sent - *market->taken == MARKET_PLACES)
        market_wait(market);
    market->prices[*market->sent % MARKET_PLACES] = price;
    if (crash)
        raise(SIGKILL);
    atomic_signal_fence(memory_order_release); /* a kill may come between any two instructions */
    ++*market->sent;
    market_unlock(market);
}

static void wait_until_taken(struct market *market) {
    market_lock(market);
    int64_t sent = *market->sent;
    while (*market->taken < sent)
        market_wait(market);
    market_unlock(market);
}

int main(int argc, char **argv) {
    struct market market;
    int64_t price;
    for (int i = 2; i < argc; i++) {
        if (!parse(argv[i], &price) && strcmp(argv[i], "crash") != 0) {
            fprintf(stderr, "producer: not a price: %s\n%s", argv[i], usage);
            return 2;
        }
    }
    if (argc < 3) {
        fputs(usage, stderr);
        return 2;
    }
    market_open(&market, argv[1]);
    for (int i = 2; i < argc; i++) {
        int crash = !parse(argv[i], &price);
        put(&market, price, crash);
        printf("sent %" PRId64 "\n", price);
    }
    wait_until_taken(&market);
    market_close(&market);
    return 0;
}
