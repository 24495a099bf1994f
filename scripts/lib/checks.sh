# shellcheck shell=bash
# Sourced by scripts/test: each function is one check, and fails if it finds anything.

java_log=build/test-java.log
python_site=$PWD/build/python-site # what the wheel installs
jvm_warning='WARNING: |WARNING in native method|FATAL ERROR in native|[Ww]arning: |.* VM warning: '

formatting() {
    find native '(' -name '*.[ch]' -o -name '*.cpp' ')' -print0 | xargs -0 clang-format --dry-run -Werror &&
        find scripts .ci -type f -print0 | xargs -0 -n 1 bash -n &&
        mvn -B -ntp -q spotless:check
}

# Builds, then runs the tests on that JVM; those of the modules that use the library two at a time.
java_suite() { # java_suite <java home> [<maven option>...]
    local version python
    read -r version python < <(pythons)
    find java -name '*.dumpstream' -delete
    PYTHONPATH=$python_site mvn -B -ntp -T 2 verify -Dpolyshm.jvm="$1/bin/java" -Dpolyshm.python="$python" "${@:2}" \
        -Dpolyshm.jvm.args="--enable-native-access=ALL-UNNAMED -Xcheck:jni" 2>&1 | tee "$java_log" |
        grep -a --line-buffered -E '^\[ERROR\]|Tests run:|tests passed|Test +#.*\*\*\*' ||
        { echo "See $java_log" && return 1; }
    # Only what comes out of a test JVM counts: Maven's own JVM may have its warnings.
    if sed '1,/ T E S T S/d' "$java_log" | grep -anE "^($jvm_warning)"; then
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
            setarch -R ctest --test-dir "build/$1" --parallel 2 --output-on-failure
    } >"$log" 2>&1 || { cat "$log" && return 1; }
    grep 'tests passed' "$log"
}

python_package() { # the wheel, installed for the tests of Java and of Python
    local log=build/test-python.log version python
    read -r version python < <(pythons pip)
    rm -rf "$python_site"
    {
        scripts/wheel &&
            "$python" -m pip install --no-index --no-deps --target "$python_site" build/dist/polyshm-*.whl &&
            mypy --strict "$python_site/polyshm"
    } >"$log" 2>&1 || { cat "$log" && return 1; }
}

python_suite() { # tests what the wheel installs, with C and Java, on each Python >= 3.9 that has pytest
    local log=build/test-python.log java=$PWD/java/polyshm/target examples=$PWD/java/polyshm-examples/target
    local version python
    export POLYSHM_NATIVE_TESTS=$java/cmake/native/test
    export POLYSHM_CLASSPATH=$java/classes:$java/test-classes:$(cat "$java/classpath")
    export CLASSPATH=$examples/classes:$(cat "$examples/classpath")
    while read -r version python; do
        echo "Python $version, $python"
        PYTHONPATH=$python_site PYTHONDONTWRITEBYTECODE=1 \
            "$python" -m pytest -q -p no:cacheprovider python/tests >"$log" 2>&1 </dev/null ||
            { cat "$log" && return 1; }
        tail -n 1 "$log"
    done < <(pythons pytest test._test_multiprocessing)
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
