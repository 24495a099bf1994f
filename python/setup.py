# SPDX-License-Identifier: Apache-2.0
"""Builds the C library into the package, and what Python has to know of it out of its header."""

import re
import subprocess
import sys
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.build_py import build_py

try:
    from setuptools.command.bdist_wheel import bdist_wheel
except ImportError:  # before setuptools 70.1
    from wheel.bdist_wheel import bdist_wheel

ROOT = Path(__file__).resolve().parent.parent


class BuildWithLibrary(build_py):
    def run(self) -> None:
        super().run()
        package = Path(self.build_lib, "polyshm")
        build = Path(self.get_finalized_command("build").build_temp).resolve() / "c"
        options = ["-DCMAKE_BUILD_TYPE=Release", "-DCMAKE_SHARED_LINKER_FLAGS=-s"]
        options += ["-DBUILD_TESTING=OFF", "-DPOLYSHM_WERROR=OFF"]
        subprocess.run(["cmake", "-S", ROOT, "-B", build, *options], check=True)
        subprocess.run(["cmake", "--build", build, "--target", "polyshm", "--parallel", "2"], check=True)
        self.copy_file(str(build / "native" / "libpolyshm.so"), str(package / "libpolyshm.so"))
        generate = [sys.executable, "tools/generate.py", ROOT / "native/include/polyshm.h", package / "_native.py"]
        subprocess.run(generate, check=True)


class PlatformWheel(bdist_wheel):
    """For one platform, and for every Python on it, as nothing is compiled against Python."""

    def get_tag(self):
        return "py3", "none", super().get_tag()[2]


class PlatformDistribution(Distribution):
    def has_ext_modules(self) -> bool:
        return True


setup(
    version=re.search(r"VERSION ([\d.]+)", (ROOT / "CMakeLists.txt").read_text().split("project(")[1])[1],
    distclass=PlatformDistribution,
    cmdclass={"build_py": BuildWithLibrary, "bdist_wheel": PlatformWheel},
)
