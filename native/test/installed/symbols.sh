#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# symbols.sh <header> <library> <nm>: a shared library exports what the header declares, and nothing
# else; a static one defines that, and beside it only what is called pshm__.
set -eu
header=$1 library=$2 nm=$3

declared=$(sed -n 's/^PSHM_API .*[ *]\(pshm_[a-z0-9_]*\)(.*/\1/p' "$header" | sort)
case $library in
    *.a) defined=$("$nm" -g --defined-only "$library" | awk 'NF == 3 && $3 !~ /^pshm__/ { print $3 }' | sort) ;;
    *) defined=$("$nm" -D --defined-only "$library" | awk '{ print $3 }' | sort) ;;
esac
[ -n "$declared" ]
for symbol in $declared $defined; do echo "$symbol"; done | sort | uniq -u | sed 's/^/only there or only here: /'
[ "$declared" = "$defined" ]
