# shellcheck shell=bash
# Sourced by scripts/test: each function is one check, and fails if it finds anything.

java_log=build/test-java.log
jvm_warning='WARNING: |WARNING in native method|FATAL ERROR in native|[Ww]arning: |.* VM warning: '

formatting() {
    find native '(' -name '*.[ch]' -o -name '*.cpp' ')' -print0 | xargs -0 clang-format --dry-run -Werror &&
        find scripts .ci -type f -print0 | xargs -0 -n 1 bash -n &&
        mvn -B -ntp -q spotless:check
}

java_suite() { # java_suite <java home> [<maven option>...]: builds, then runs the tests on that JVM
    find java -name '*.dumpstream' -delete
    mvn -B -ntp verify -Dpolyshm.jvm="$1/bin/java" "${@:2}" \
        -Dpolyshm.jvm.args="--enable-native-access=ALL-UNNAMED -Xcheck:jni" 2>&1 | tee "$java_log" |
        grep -a --line-buffered -E '^\[ERROR\]|Tests run:|tests passed|Test +#.*\*\*\*' ||
        { echo "See $java_log" && return 1; }
    # Only what comes out of a test JVM counts: Maven's own JVM may have its warnings.
    if sed -n '/ T E S T S/,/\] Results:/p' "$java_log" | grep -anE "^($jvm_warning)"; then
        echo "The JVM of the tests warned: see $java_log"
        return 1
    fi
    if find java -name '*.dumpstream' | grep .; then
        echo "A test JVM wrote to the channel of Surefire: see the files above"
        return 1
    fi
}

c_suite() { # c_suite <sanitizer>
    local log=build/test-$1.log
    # Without address randomisation, which some kernels make too wide for ThreadSanitizer.
    {
        cmake -S . -B "build/$1" -DPOLYSHM_SANITIZE="$1" &&
            cmake --build "build/$1" --parallel 2 &&
            setarch -R ctest --test-dir "build/$1" --output-on-failure
    } >"$log" 2>&1 || { cat "$log" && return 1; }
    grep 'tests passed' "$log"
}

python_suite() { # tests what the wheel installs, on each Python >= 3.9 that has pytest
    local log=build/test-python.log site=$PWD/build/python-site version python
    read -r version python < <(pythons pip)
    rm -rf "$site"
    {
        scripts/wheel &&
            "$python" -m pip install --no-index --no-deps --target "$site" build/dist/polyshm-*.whl &&
            mypy --strict "$site/polyshm"
    } >"$log" 2>&1 || { cat "$log" && return 1; }
    while read -r version python; do
        echo "Python $version, $python"
        PYTHONPATH=$site PYTHONDONTWRITEBYTECODE=1 "$python" -m pytest -q -p no:cacheprovider python/tests \
            >"$log" 2>&1 </dev/null || { cat "$log" && return 1; }
        tail -n 1 "$log"
    done < <(pythons pytest)
}

shared_memory() { find /dev/shm -maxdepth 1 -name '*polyshm*' 2>/dev/null | sort; }

leftovers() { # leftovers <what shared_memory printed before>
    if diff <(echo "$1") <(shared_memory) | grep "^>"; then
        echo "The files above were left in /dev/shm"
        return 1
    fi
    # Every process of this run carries the mark in its environment, save this shell and its subshells.
    local pid running
    running=$(unset POLYSHM_TEST_RUN && grep -lz "^POLYSHM_TEST_RUN=$$\$" /proc/[0-9]*/environ 2>/dev/null)
    cut -d/ -f3 <<<"$running" | while read -r pid; do
        [ -z "$pid" ] || echo "Still running: $pid $(tr '\0' ' ' <"/proc/$pid/cmdline")"
    done
    [ -z "$running" ]
}
