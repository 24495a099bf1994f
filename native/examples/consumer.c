/* SPDX-License-Identifier: Apache-2.0
 *
 * Takes prices, whoever produces them, and prints them: see market.h.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "market.h"

static int64_t take(struct market *market) {
    market_lock(market);
    while (*market->taken == *market->sent)
        market_wait(market);
    int64_t price = market->prices[*market->taken % MARKET_PLACES];
    ++*market->taken;
    market_unlock(market);
    return price;
}

int main(int argc, char **argv) {
    struct market market;
    char *end = "";
    errno = 0;
    int64_t count = argc == 3 ? strtoll(argv[2], &end, 10) : 0;
    if (count <= 0 || *end != '\0' || errno != 0) {
        fputs("Usage: consumer <segment> <count>\nTakes so many prices, and ends.\n", stderr);
        return 2;
    }
    market_open(&market, argv[1]);
    while (count-- > 0) {
        printf("got %" PRId64 "\n", take(&market));
        fflush(stdout);
    }
    market_close(&market);
    return 0;
}
