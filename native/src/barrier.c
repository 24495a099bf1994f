/* SPDX-License-Identifier: Apache-2.0
 *
 * Barriers.
 */
#include "internal.h"

void pshm__barrier_recover(const pshm__sync *sync) { (void)sync; }

void pshm__barrier_depart(const pshm__sync *sync, bool at_exit) { (void)sync, (void)at_exit; }
