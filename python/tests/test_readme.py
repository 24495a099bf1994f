# SPDX-License-Identifier: Apache-2.0
"""The first program of README.md prints what it says."""

from __future__ import annotations

import re
from pathlib import Path

import processes


def test_should_print_what_the_readme_says(tmp_path):
    text = Path(__file__).parent.with_name("README.md").read_text()
    program = re.search(r"```python\n(.*?)```", text, re.S)[1]
    said = re.findall(r"print\(.*#  *(.*)", program)
    assert len(said) == 2
    file = tmp_path / "program.py"
    file.write_text(program)
    printed = processes.python(f"import runpy; runpy.run_path({str(file)!r}, run_name='__main__')")
    assert printed.splitlines() == said
