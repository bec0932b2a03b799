"""The house keeps its floors, and its ground floor touches nothing outside: read from the sources, not from a run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FLOORS = ("engine", "strategies", "envs", "daemon")  # each imports only from those before it

# Of the standard library, what computes or describes, and neither waits nor looks out of the window.
PURE = {
    "__future__", "abc", "bisect", "collections", "contextlib", "copy", "dataclasses", "decimal", "enum", "fractions",
    "functools", "hashlib", "heapq", "itertools", "json", "math", "numbers", "operator", "re", "string", "struct",
    "textwrap", "types", "typing",
}  # fmt: skip
LIBRARIES = {"numpy", "numba", "llvmlite"}  # llvmlite is the part of numba that writes the machine code

# Names of builtins and of numpy that reach a file, a clock, global random state or the program's input and output.
OUTSIDE = {"open", "input", "print", "exec", "eval", "compile", "__import__", "breakpoint"}
OUTSIDE_ATTRIBUTES = {
    "numpy.random": "global random state",
    "numpy.load": "file",
    "numpy.save": "file",
    "numpy.savez": "file",
    "numpy.savez_compressed": "file",
    "numpy.loadtxt": "file",
    "numpy.savetxt": "file",
    "numpy.fromfile": "file",
    "numpy.memmap": "file",
    "numpy.genfromtxt": "file",
}
OUTSIDE_METHODS = {"tofile", "dump", "now", "today", "utcnow"}  # of an array, and of datetime


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, module) of each import, wherever it stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute"
            yield node.lineno, str(node.module)
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def upward(floor: str, source: str) -> list[str]:
    """Imports of a floor from itself are fine, from one above are not."""
    above = FLOORS[FLOORS.index(floor) + 1 :]
    return [
        f"{line}: {module}" for line, module in imports(ast.parse(source)) if module.split(".")[0] in above
    ]


def impure(source: str) -> list[str]:
    """What breaks the first rule of the house's style in a source of the engine."""
    tree = ast.parse(source)
    found = []
    names: dict[str, str] = {}
    for line, module in imports(tree):
        top = module.split(".")[0]
        if top not in PURE | LIBRARIES | {"engine"}:
            found.append(f"{line}: imports {module}")
        if any(module == name or module.startswith(f"{name}.") for name in OUTSIDE_ATTRIBUTES):
            found.append(f"{line}: imports {module}")
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.asname or alias.name: alias.name for alias in node.names}
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith):
            found.append(f"{line}: async")
        elif isinstance(node, ast.Global):
            found.append(f"{line}: global {', '.join(node.names)}")
        elif isinstance(node, ast.Name) and node.id in OUTSIDE and isinstance(node.ctx, ast.Load):
            found.append(f"{line}: {node.id}")
        elif isinstance(node, ast.Attribute):
            if isinstance(node.value, ast.Name) and node.value.id in names:
                full = f"{names[node.value.id]}.{node.attr}"
                if full in OUTSIDE_ATTRIBUTES:
                    found.append(f"{line}: {full}: {OUTSIDE_ATTRIBUTES[full]}")
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr in OUTSIDE_METHODS:
                found.append(f"{line}: calls {node.func.attr}()")
    return found


def sources(floor: str) -> list[Path]:
    """Every Python file of a floor."""
    return sorted((ROOT / floor).rglob("*.py"))


@pytest.mark.parametrize("floor", FLOORS)
def test_floor_imports_from_no_floor_above_it(floor: str) -> None:
    assert sources(floor)
    wrong = {
        str(p.relative_to(ROOT)): found for p in sources(floor) if (found := upward(floor, p.read_text()))
    }
    assert wrong == {}


@pytest.mark.parametrize("floor", FLOORS)
def test_floor_imports_nothing_of_the_tests_or_benchmarks(floor: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in sources(floor)
        for line, module in imports(ast.parse(path.read_text()))
        if module.split(".")[0] in ("tests", "benchmarks")
        # the command that measures may start the measurement
        and (floor, module.split(".")[0]) != ("daemon", "benchmarks")
    ]
    assert wrong == []


@pytest.mark.parametrize("path", sources("engine"), ids=lambda path: path.name)
def test_engine_has_no_async_clock_random_state_log_file_or_environment(path: Path) -> None:
    assert impure(path.read_text()) == []


@pytest.mark.parametrize(
    ("floor", "source"),
    [
        ("engine", "import strategies"),
        ("engine", "from daemon.config import load"),
        ("strategies", "def f():\n    import envs.arena"),
        ("strategies", "from daemon import bus"),
        ("envs", "if True:\n    from daemon.bus import Bus as B"),
    ],
)
def test_import_from_a_floor_above_is_found_wherever_it_stands(floor: str, source: str) -> None:
    assert upward(floor, source)


def test_imports_from_the_own_floor_and_those_below_are_fine() -> None:
    source = "import engine.spec\nfrom strategies.base import Strategy\nimport numpy"
    assert upward("envs", source) == upward("strategies", source) == []


@pytest.mark.parametrize(
    "source",
    [
        "async def f(): ...",
        "import asyncio",
        "import time",
        "from time import monotonic",
        "import datetime",
        "import logging",
        "import structlog",
        "import os",
        "from pathlib import Path",
        "import sys",
        "import random",
        "import secrets",
        "import uuid",
        "import threading",
        "import socket",
        "import pandas",
        "import pyarrow",
        "from numpy.random import default_rng",
        "from numpy import random",
        "import numpy as np\nx = np.random.rand()",
        "import numpy\nx = numpy.random.default_rng()",
        "import numpy as np\nnp.save('x', [])",
        "import numpy as np\nfrom numpy import load",
        "x = open('file')",
        "print('here')",
        "def f(a):\n    a.tofile('x')",
        "def f(datetime):\n    return datetime.now()",
        "n = 0\ndef f():\n    global n\n    n += 1",
        "exec('import os')",
        "__import__('os')",
    ],
)
def test_what_the_engine_must_not_touch_is_found(source: str) -> None:
    assert impure(source)


def test_what_the_engine_is_made_of_is_fine() -> None:
    source = (
        "import math\nimport numpy as np\nfrom numba import njit\nfrom engine.records import State\n"
        "def f(engine, a):\n    return engine.now + math.floor(np.rint(a).sum())"
    )
    assert impure(source) == []
