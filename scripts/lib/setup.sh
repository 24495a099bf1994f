# shellcheck shell=bash
# Sourced by the scripts: goes to the root of the checkout; `need` sees to tools, `build` and `run` to Java.

caller=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit

say() { printf '==> %s\n' "$*"; }

# One line "<major> <home>" for each major version >= 17 of the JDKs here, the default one first.
jdks() {
    local home major
    for home in "${JAVA_HOME:-}" "$(readlink -f "$(command -v javac)" | sed 's,/bin/javac$,,')" \
        /usr/lib/jvm/* "$HOME"/.sdkman/candidates/java/* "$HOME"/.jdks/*; do
        if [ -z "$home" ] || [ ! -x "$home/bin/javac" ]; then continue; fi
        major=$("$home/bin/javac" -version 2>&1 | sed -n 's/^javac \([0-9]*\).*/\1/p')
        [ "${major:-0}" -ge 17 ] && echo "$major $home"
    done | awk '!seen[$1]++'
}

# One line "<version> <path>" for each minor version >= 3.9 of Python here that has the modules, the default one first.
pythons() { # pythons <module>...
    local path
    for path in "$(command -v python3)" /usr/bin/python3 "$HOME"/.pyenv/versions/*/bin/python3; do
        if [ ! -x "$path" ]; then continue; fi
        "$path" - "$@" <<'END' 2>/dev/null || true
import importlib, sys
assert sys.version_info >= (3, 9)
for module in sys.argv[1:]:
    importlib.import_module(module)
print("%d.%d" % sys.version_info[:2], sys.executable)
END
    done | awk '!seen[$1]++'
}

at_least() { # at_least <version> <command>: is the first version number that the command prints so high?
    printf '%s\n' "$1" "$("$2" --version 2>/dev/null | grep -om1 '[0-9]\+\.[0-9.]*')" | sort -CV
}

has() {
    case $1 in
        jdk) [ -n "$(jdks)" ] ;;
        maven) at_least 3.8 mvn ;;
        cmake) at_least 3.22 cmake ;;
        python) [ -n "$(pythons setuptools wheel pycparser)" ] ;;
        pip) [ -n "$(pythons pip)" ] ;;
        pytest) [ -n "$(pythons pytest numpy test._test_multiprocessing)" ] ;;
        libfuzzer) ls "$(clang -print-resource-dir 2>/dev/null)"/lib/*/libclang_rt.fuzzer* >/dev/null 2>&1 ;;
        *) command -v "$1" >/dev/null ;;
    esac
}

package() { # package <tool>: what Debian and Ubuntu call it
    local version
    case $1 in
        cc | g++ | make) echo build-essential ;;
        jdk)
            for version in 17 21 25; do # the oldest that this release has
                apt-cache policy openjdk-$version-jdk-headless 2>/dev/null | grep -q 'Candidate: [0-9]' && break
            done
            echo openjdk-$version-jdk-headless
            ;;
        python) echo python3-setuptools python3-wheel python3-pycparser ;;
        pip) echo python3-pip ;;
        pytest)
            version=$(apt-cache policy python3 2>/dev/null | sed -n 's/.*Candidate: \(3\.[0-9]*\).*/\1/p')
            echo python3-pytest python3-numpy "libpython$version-testsuite"
            ;;
        libfuzzer) echo clang libclang-rt-dev ;;
        taskset) echo util-linux ;;
        *) echo "$1" ;;
    esac
}

packages() { for tool; do package "$tool"; done | sort -u | xargs; }

need() { # need <tool>...: installs what is missing, or names the line that does so and stops
    local tool missing=() packages install="apt-get install -y --no-install-recommends"
    for tool; do has "$tool" || missing+=("$tool"); done
    if [ ${#missing[@]} -gt 0 ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "Missing: ${missing[*]}. Updating the package lists"
        apt-get -qq update
        packages=$(packages "${missing[@]}")
        say "Installing $packages"
        # shellcheck disable=SC2086 # words, all of them
        DEBIAN_FRONTEND=noninteractive $install -qq $packages >/dev/null
    fi
    for tool in "${missing[@]}"; do
        has "$tool" && continue
        packages=$(packages "${missing[@]}")
        echo "Missing or too old: ${missing[*]} (wanted: JDK >= 17, Maven >= 3.8, CMake >= 3.22, Python >= 3.9). Run"
        echo "    sudo apt-get update && sudo $install $packages"
        echo "or install the same in another way, and start again."
        exit 1
    done >&2
    JAVA_HOME=$(jdks | sed -n '1s/^[0-9]* //p')
    export JAVA_HOME
}

build() { # build <module> [tests]: packages java/<module>, unless that is newer than every source
    local done=java/$1/target/classpath skip=-Dmaven.test.skip no_source='*/test/*'
    if [ "${2:-}" = tests ]; then # are compiled as well
        done+=-tests skip=-DskipTests no_source='*/target/*'
    fi
    if [ -f "$done" ] && ! find pom.xml CMakeLists.txt native java/polyshm "java/$1" -newer "$done" -type f \
        -not -path '*/target/*' -not -path "$no_source" -print -quit | grep -q .; then return; fi
    say "Building the C core, the library and $1 (log: build/$1.log)"
    mkdir -p build
    mvn -B -ntp -DskipTests "$skip" -pl "java/$1" -am package >"build/$1.log" 2>&1 || {
        grep -m 20 ERROR "build/$1.log" >&2
        exit 1
    }
    touch "$done" # Maven leaves it alone if the class path is the same
}

jvm_options=() # for run

# Becomes the program, which may stand among the tests; in another folder if run_in names one.
run() { # run <module> <main class> [<argument>...]
    local target=$PWD/java/$1/target classpath
    classpath=$target/classes:$target/test-classes:$(cat "$target/classpath")
    cd "${run_in:-.}"
    exec "$JAVA_HOME/bin/java" --enable-native-access=ALL-UNNAMED "${jvm_options[@]}" \
        -cp "$classpath" "${@:2}"
}
