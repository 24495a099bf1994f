# SPDX-License-Identifier: Apache-2.0
"""What docs/cross-language.md shows: its three programs do together what it says, and each of the outcomes is listed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from environment import native_test, needed
from polyshm import SharedMemory
from peers import await_that
from processes import die_with_parent
from test_outcomes import CLASSES

GUIDE = Path(__file__).parents[3] / "docs" / "cross-language.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE.read_text(), re.S | re.M)


def test_should_do_what_the_guide_says(name: str, tmp_path: Path) -> None:
    for file, language in (("Visit.java", "java"), ("visit.c", "c"), ("visit.py", "python")):
        program = blocks(language)[0]
        assert program.count('"visitors"') == 1
        (tmp_path / file).write_text(program.replace('"visitors"', f'"{name}"'))
    native = native_test("..").resolve()
    options = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror", f"-I{GUIDE.parents[1]}/native/include"]
    libraries = [native / "libpolyshm.a", "-pthread", "-lrt"]
    subprocess.run(["cc", *options, "-o", "visit", "visit.c", *libraries], cwd=tmp_path, check=True)
    classpath = needed("POLYSHM_CLASSPATH", "classes of java/polyshm, and the jars they need")
    java = Path(needed("JAVA_HOME", "the home of a JDK"), "bin", "java")
    commands = (
        [java, "--enable-native-access=ALL-UNNAMED", "-cp", classpath, "Visit.java"],
        ["./visit"],
        [sys.executable, "visit.py"],
    )
    visitors = [
        subprocess.Popen(each, cwd=tmp_path, stdout=subprocess.PIPE, text=True, preexec_fn=die_with_parent)
        for each in commands
    ]
    # One that fails is not waited for in vain by the others' wait for it.
    await_that(lambda: any(each.poll() for each in visitors) or all(each.poll() == 0 for each in visitors))
    for each in visitors:
        each.kill()
    assert [each.communicate()[0] for each in visitors] == ["3 30\n"] * 3
    SharedMemory.unlink(name)


def test_should_list_every_outcome() -> None:
    rows = [line for line in GUIDE.read_text().splitlines() if line.startswith("| ")]
    for code, classes in CLASSES.items():
        assert any(all(f"`{each}`" in row or f"`{each}," in row for each in (code, *classes)) for row in rows), code
