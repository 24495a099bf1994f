#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# example.sh <cmake|pkg-config> <shared|static> <prefix> <libdir> <examples> <scratch> <cc>: builds the
# examples with what is installed under the prefix, and nothing else; then they have to work.
set -eu
how=$1 kind=$2 prefix=$3 libdir=$3/$4 source=$5 scratch=$6 cc=$7
name=example.$$ skipped=77 killed=137

rm -rf "$scratch" && mkdir -p "$scratch"
fail() { echo "$*" >&2; tail -n 20 "$scratch"/*.out "$scratch"/*.err >&2; exit 1; }

# ---- build ----

warnings="-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror"
if [ "$how" = cmake ]; then
    library=polyshm::polyshm
    [ "$kind" = shared ] || library=polyshm::polyshm_static
    cmake -S "$source" -B "$scratch" -DCMAKE_C_COMPILER="$cc" -DCMAKE_C_FLAGS="$warnings" \
        -DCMAKE_PREFIX_PATH="$prefix" -DPOLYSHM_LIBRARY=$library
    grep -q "^polyshm_DIR:PATH=$libdir/" "$scratch/CMakeCache.txt" || fail "another polyshm was found"
    cmake --build "$scratch"
else
    export PKG_CONFIG_LIBDIR="$libdir/pkgconfig" LD_LIBRARY_PATH="$libdir"
    options=
    if [ "$kind" = static ]; then
        echo 'int main(void) { return 0; }' >"$scratch/any.c"
        "$cc" -static -o "$scratch/any" "$scratch/any.c" || exit $skipped # the C library is not there
        options=--static
    fi
    flags=$(pkg-config $options --cflags --libs polyshm)
    for program in producer consumer; do
        # shellcheck disable=SC2086 # words, all of them
        "$cc" ${options:+-static} $warnings -o "$scratch/$program" "$source/$program.c" "$source/market.c" $flags
    done
fi
case $kind-$(ldd "$scratch/producer" 2>&1) in
    shared-*"$libdir"/libpolyshm.so.*) ;;
    shared-* | *libpolyshm*) fail "producer is not $kind: $(ldd "$scratch/producer")" ;;
esac

# ---- run: none outlives this test, or, if it is killed, its time ----

cd "$scratch"
consumer=
trap '[ -z "$consumer" ] || kill $consumer || :; rm -f /dev/shm/polyshm.$name' EXIT
consume() { timeout 60 ./consumer $name "$@" & consumer=$!; }
consumed() {
    code=0 && wait $consumer || code=$?
    consumer=
    [ $code = 0 ] || fail "consumer: $code"
}
produce() { timeout 60 ./producer $name "$@"; }
numbers() { awk -v word="$1" -v n="$2" 'BEGIN { for (i = 1; i <= n; i++) print word, 100 + i }'; }

consume 20 >all.out 2>all.err
# shellcheck disable=SC2046 # words, all of them: more prices than there are places
produce $(numbers '' 20) >producer.out 2>producer.err || fail "producer: $?"
consumed
numbers sent 20 | cmp - producer.out || fail "producer did not send what it was told to"
numbers got 20 | cmp - all.out || fail "consumer did not get what was sent"
cat ./*.err | grep . && fail "complaints without a reason"

# A producer that is killed in the lock: somebody is told, and all goes on. The first has to be there
# until the consumer is, as the segment goes with the last of them.
consume 3 >rest.out 2>rest.err
produce 101 >first.out 2>first.err || fail "the first producer: $?"
code=0 && produce 102 crash >crash.out 2>crash.err || code=$?
[ $code = $killed ] || fail "crash: $code"
produce 103 >next.out 2>next.err || fail "the next producer: $?"
consumed
numbers got 3 | cmp - rest.out || fail "consumer did not get what was sent"
[ "$(cat rest.err next.err | grep -c 'died at its work')" = 1 ] || fail "the death was not told once"

# What cannot work is refused, with a reason.
code=0 && timeout 60 ./consumer no/name 1 >bad.out 2>bad.err || code=$?
[ $code = 1 ] && grep -q 'PSHM_ENAME: .*no/name' bad.err || fail "a bad name: $code"
code=0 && produce 1o1 >bad.out 2>bad.err || code=$?
[ $code = 2 ] && grep -q 'not a price: 1o1' bad.err || fail "a bad price: $code"

[ ! -e /dev/shm/polyshm.$name ] || fail "/dev/shm/polyshm.$name is still there"
