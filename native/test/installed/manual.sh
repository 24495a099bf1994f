#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# manual.sh <cmake> <build folder> <header> <man3>: the manual renders without a complaint of Doxygen, and
# tells of each function that the header declares.
set -eu
cmake=$1 build=$2 header=$3 man=$4

"$cmake" --build "$build" --target doc
status=0
for function in $(sed -n 's/^PSHM_API .*[ *]\(pshm_[a-z0-9_]*\)(.*/\1/p' "$header"); do
    # Its page shows that of its group, where it has a heading and, below, a text.
    group=$(sed -n 's/^[.]so //p' "$man/$function.3")
    if ! grep -A 3 "^[.]SS .*[ *]$function (" "$man/${group##*/}" | tail -n 1 | grep -q '^[A-Za-z0-9\\]'; then
        echo "The manual says nothing of $function" >&2
        status=1
    fi
done
exit $status
