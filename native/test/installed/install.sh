#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# install.sh <build folder> <prefix>: installs anew, elsewhere first: what is installed can be moved.
set -eu
build=$1 prefix=$2

rm -rf "$prefix" "$prefix.before"
cmake --install "$build" --prefix "$prefix.before"
mv "$prefix.before" "$prefix"
if grep -rF "$prefix.before" "$prefix"; then
    echo "The files above still name the prefix that they were installed to" >&2
    exit 1
fi
