# SPDX-License-Identifier: Apache-2.0
"""Writes polyshm/_native.py from polyshm.h: its constants, structs and functions for ctypes.

Run by the build of the package, so that no fact of the header stands in Python a second time.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from pycparser import c_ast, c_parser

HEAD = '''\
# Generated from polyshm.h by tools/generate.py.
"""Constants, structs and functions of polyshm.h; `bind` puts the functions on a library."""

import ctypes

'''

TYPES = {
    "void": "None",
    "char": "ctypes.c_char",
    "int": "ctypes.c_int",
    "size_t": "ctypes.c_size_t",
    **{f"{sign}int{bits}_t": f"ctypes.c_{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
}


def preprocess(header: Path, *options: str) -> str:
    libc = Path(__file__).with_name("libc")
    command = ["cc", "-E", "-P", "-DPSHM_API=", "-nostdinc", "-isystem", libc, *options, header]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


class Writer:
    """Goes through the header from top to bottom."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.functions: list[str] = []
        self.known = dict(TYPES)  # C name -> what ctypes calls it

    def type_of(self, node: c_ast.Node) -> str:
        if isinstance(node, c_ast.TypeDecl):
            return self.type_of(node.type)
        if isinstance(node, c_ast.IdentifierType):
            return self.known[" ".join(node.names)]
        if isinstance(node, c_ast.ArrayDecl):
            return f"{self.type_of(node.type)} * {self.value(node.dim)}"
        if isinstance(node, c_ast.PtrDecl):
            return self.pointer_to(node.type)
        raise NotImplementedError(node)

    def pointer_to(self, node: c_ast.Node) -> str:
        """Strings are bytes; all other pointers may be None, an address or byref()."""
        if isinstance(node, c_ast.FuncDecl):
            return f"ctypes.CFUNCTYPE({', '.join(self.signature(node))})"
        return "ctypes.c_char_p" if self.type_of(node) == "ctypes.c_char" else "ctypes.c_void_p"

    def signature(self, node: c_ast.FuncDecl) -> list[str]:
        parameters = [self.type_of(each.type) for each in node.args.params]
        return [self.type_of(node.type), *(each for each in parameters if each != "None")]

    @staticmethod
    def value(node: c_ast.Node) -> int:
        if isinstance(node, c_ast.UnaryOp) and node.op == "-":
            return -Writer.value(node.expr)
        return int(node.value, 0)

    def typedef(self, node: c_ast.Typedef) -> None:
        kind = node.type.type
        if isinstance(kind, c_ast.Enum):
            self.known[node.name] = "ctypes.c_int"
            for each in kind.values.enumerators:
                self.lines.append(f"{each.name} = {self.value(each.value)}")
        elif isinstance(kind, c_ast.Struct) and kind.decls:
            self.known[node.name] = node.name
            fields = [f'        ("{each.name}", {self.type_of(each.type)}),' for each in kind.decls]
            self.lines += ["", "", f"class {node.name}(ctypes.Structure):", "    _fields_ = (", *fields, "    )", "", ""]
        elif isinstance(kind, c_ast.Struct):
            self.known[node.name] = "None"  # opaque: only pointers to it

    def function(self, node: c_ast.Decl) -> None:
        result, *parameters = self.signature(node.type)
        self.functions.append(f"    library.{node.name}.restype = {result}")
        self.functions.append(f"    library.{node.name}.argtypes = [{', '.join(parameters)}]")

    def write(self, header: Path) -> str:
        for name, value in re.findall(r"^#define (PSHM_\w+) (\d+|INT32_MAX)$", preprocess(header, "-dM"), re.M):
            self.lines.append(f"{name} = {2**31 - 1 if value == 'INT32_MAX' else value}")
        for node in c_parser.CParser().parse(preprocess(header)).ext:
            if isinstance(node, c_ast.Typedef) and node.name not in TYPES:
                self.typedef(node)
            elif isinstance(node, c_ast.Decl) and isinstance(node.type, c_ast.FuncDecl):
                self.function(node)
        text = "\n".join([*self.lines, "", "", "def bind(library: ctypes.CDLL) -> None:", *self.functions, ""])
        return HEAD + re.sub(r"\n{4,}", "\n\n\n", text)


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:])
    target.write_text(Writer().write(source))
