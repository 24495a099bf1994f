/* SPDX-License-Identifier: Apache-2.0
 *
 * Conditions.
 */
#include "internal.h"
