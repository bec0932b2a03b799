"""Reads pickles of plain data, and calls nothing that they name.

A pickle is a program for a stack machine, some of whose instructions import and call what the file says. This is another
machine for the same programs: it has the instructions that build numbers, texts and containers, and its own code for the
few functions by which numpy arrays are pickled; nothing else can be asked of it. So there is no list of dangerous names.

What a small file can build is bounded too: its instructions are counted, keys are short (the hash of nested tuples takes
time that doubles with each level), numbers fit into 64 bits. Standards: PEP 307, PEP 3154, PEP 574.
"""

from __future__ import annotations

import pickletools
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from strategies.errors import RegistryError

MOST_BYTES = 64 * 2**20
MOST_STEPS = 4_000_000
MOST_IN_KEY = 64
LONGEST_KEY = 256

_NUMBERS = ("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT")
_TEXTS = (
    "STRING",
    "BINSTRING",
    "SHORT_BINSTRING",
    "UNICODE",
    "BINUNICODE",
    "SHORT_BINUNICODE",
    "BINUNICODE8",
)
_BYTES = ("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8")
_CONSTANTS = frozenset((*_NUMBERS, *_TEXTS, *_BYTES))
_EMPTY: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_DICT": dict,
    "EMPTY_SET": set,
}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_DTYPE = re.compile(r"[<>=|]?(b1|[iu][1248]|f[248])")


class _Broken(Exception):
    """The program asks for what this machine does not do."""


@dataclass(frozen=True)
class _Named:
    """Something of another module, by name only."""

    name: str


@dataclass(eq=False)
class _Unfinished:
    """What a BUILD instruction completes; keys: where it stands in the memo."""

    finish: Callable[[Any], Any]
    keys: list[int] = field(default_factory=list)


def read_pickle(path: Path) -> Any:
    """The plain data in a pickle: dict, list, tuple, set, str, bytes, int, float, bool, None, numeric numpy arrays.

    An OrderedDict or defaultdict comes as a dict, a numpy scalar as a Python one. Raises RegistryError where the file is
    broken, is too large (64 MiB, four million instructions) or holds anything else, with what it wanted.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise RegistryError(f"{path}: cannot be read: {error.strerror}") from None
    if len(data) > MOST_BYTES:
        raise RegistryError(
            f"{path}: has more than {MOST_BYTES:,} bytes, which is the limit; save a smaller table"
        )
    machine = _Machine()
    try:
        with warnings.catch_warnings(action="error"):  # texts with escapes that mean nothing
            return machine.run(data)
    except (_Broken, ValueError, TypeError, OverflowError, Warning) as error:
        what = str(error) if isinstance(error, _Broken) else f"no whole pickle ({error})"
        raise RegistryError(
            f"{path}: byte {machine.at}: {what}; save the table again as a dict or numpy array of plain numbers"
        ) from None


class _Machine:
    def __init__(self) -> None:
        self.at = 0
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []  # the stacks under each mark
        self.memo: dict[int, Any] = {}
        self.left = MOST_STEPS

    def run(self, data: bytes) -> Any:
        for opcode, argument, position in pickletools.genops(data):
            self.at = position or 0
            self.spend(1)
            if opcode.name == "STOP":
                break
            self.step(opcode.name, argument)
        if self.at != len(data) - 1:
            raise _Broken("something follows the end of the pickle")
        return self.pop()

    def spend(self, n: int) -> None:
        self.left -= n
        if self.left < 0:
            raise _Broken(f"builds more than {MOST_STEPS:,} things, which is the limit")

    def spend_copies(self, arguments: tuple[Any, ...]) -> None:
        # what a call copies, which a few bytes can ask for again and again; a thing takes about as much as 64 letters
        for argument in arguments:
            if isinstance(argument, str):
                self.spend(len(argument) // 64)
            elif isinstance(argument, list | tuple | dict | set | frozenset):
                self.spend(len(argument))

    def pop(self) -> Any:
        if not self.stack:
            raise _Broken("takes from an empty stack")
        return self.stack.pop()

    def top(self) -> Any:
        if not self.stack:
            raise _Broken("looks at an empty stack")
        return self.stack[-1]

    def pop_mark(self) -> list[Any]:
        if not self.below:
            raise _Broken("looks for a mark that is not there")
        above, self.stack = self.stack, self.below.pop()
        return above

    def step(self, op: str, argument: Any) -> None:
        if op in _CONSTANTS:
            if isinstance(argument, int) and not -(2**63) <= argument < 2**64:
                raise _Broken("a number of more than 64 bits")
            self.stack.append(argument)
        elif op in _EMPTY:
            self.stack.append(_EMPTY[op]())
        elif op in _TUPLES:
            self.stack.append(tuple(reversed([self.pop() for _ in range(_TUPLES[op])])))
        elif op in ("MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT"):
            self.remember(len(self.memo) if op == "MEMOIZE" else argument)
        elif op in ("GET", "BINGET", "LONG_BINGET"):
            if argument not in self.memo:
                raise _Broken(f"no pickle, or a broken one: it remembers nothing under {argument}")
            self.stack.append(self.memo[argument])
        elif op in ("APPEND", "SETITEM"):
            taken = [self.pop() for _ in range(1 if op == "APPEND" else 2)]
            self.extend(taken[::-1])
        elif op in ("APPENDS", "SETITEMS", "ADDITEMS"):
            self.extend(self.pop_mark())
        elif op in ("LIST", "TUPLE", "DICT", "FROZENSET"):
            self.gather(op, self.pop_mark())
        elif op == "GLOBAL":
            self.name(argument.replace(" ", "."))
        elif op == "STACK_GLOBAL":
            name, module = self.pop(), self.pop()
            self.name(
                f"{module}.{name}" if isinstance(module, str) and isinstance(name, str) else "something"
            )
        elif op == "REDUCE":
            arguments, function = self.pop(), self.pop()
            self.stack.append(self.made(function, arguments))
        elif op == "BUILD":
            state, unfinished = self.pop(), self.pop()
            self.stack.append(self.finished(unfinished, state))
        elif op == "MARK":
            self.below.append(self.stack)
            self.stack = []
        elif op == "POP_MARK":
            self.pop_mark()
        elif op == "POP":
            self.pop_mark() if not self.stack else self.pop()
        elif op == "DUP":
            self.stack.append(self.top())
        elif op not in ("PROTO", "FRAME"):
            what = f"{op} {argument[:100]!r}" if isinstance(argument, str) else op
            raise _Broken(f"wants an object that is no plain data ({what})")

    def remember(self, key: int) -> None:
        top = self.top()
        self.memo[key] = top
        if isinstance(top, _Unfinished):
            top.keys.append(key)

    def extend(self, items: list[Any]) -> None:
        container = self.top()
        if isinstance(container, list):
            container.extend(items)
        elif isinstance(container, dict):
            container.update(zip(map(_key, items[::2]), items[1::2], strict=True))
        elif isinstance(container, set):
            container.update(map(_key, items))
        else:
            raise _Broken(f"adds to what is no container ({_kind(container)})")

    def gather(self, op: str, items: list[Any]) -> None:
        if op == "DICT":
            self.stack.append({})
            self.extend(items)
        else:
            kinds: dict[str, Callable[[list[Any]], Any]] = {
                "LIST": list,
                "TUPLE": tuple,
                "FROZENSET": _frozen,
            }
            self.stack.append(kinds[op](items))

    def name(self, name: str) -> None:
        if name not in _FUNCTIONS and name not in _NAMES:
            raise _Broken(
                f"wants {name[:100]!r}, which is no plain container or numpy array and is not looked at"
            )
        self.stack.append(_Named(name))

    def made(self, function: Any, arguments: Any) -> Any:
        if not isinstance(function, _Named) or not isinstance(arguments, tuple):
            raise _Broken(f"calls what is no function ({_kind(function)})")
        if function.name not in _FUNCTIONS:
            raise _Broken(f"calls {function.name}, which is not looked at")
        self.spend_copies(arguments)
        return _FUNCTIONS[function.name](*arguments)

    def finished(self, unfinished: Any, state: Any) -> Any:
        if not isinstance(unfinished, _Unfinished):
            raise _Broken(f"fills in an object that is no numpy array ({_kind(unfinished)})")
        if not isinstance(state, tuple):
            raise _Broken(f"fills in a numpy array from what is no state of one ({_kind(state)})")
        self.spend_copies(state)
        value = unfinished.finish(state)
        for key in unfinished.keys:
            self.memo[key] = value
        return value


def _kind(value: Any) -> str:
    return value.name if isinstance(value, _Named) else type(value).__name__


def _key(key: Any, budget: list[int] | None = None) -> Any:
    # a key whose hash takes no time: counted over all that it holds, however often it holds the same
    budget = [MOST_IN_KEY] if budget is None else budget
    budget[0] -= 1
    if budget[0] < 0 or (isinstance(key, str | bytes) and len(key) > LONGEST_KEY):
        raise _Broken(f"a key of more than {MOST_IN_KEY} parts or {LONGEST_KEY} letters")
    if isinstance(key, tuple):
        for part in key:
            _key(part, budget)
    elif not isinstance(key, str | bytes | int | float | None):
        raise _Broken(f"a key that is neither number, text nor tuple of them ({_kind(key)})")
    return key


def _frozen(items: Any) -> frozenset[Any]:
    if not isinstance(items, list):
        raise _Broken(f"makes a set of what is no list ({_kind(items)})")
    return frozenset(map(_key, items))


def _encode(text: Any, encoding: Any) -> bytes:
    # how bytes are written where a protocol has none
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise _Broken("wants bytes in a way that pickles do not write them")
    return text.encode("latin-1")


def _dict(*arguments: Any) -> dict[Any, Any]:
    # of OrderedDict: nothing, or pairs; of defaultdict: what makes a missing value, which is of no use here
    pairs = arguments[0] if arguments and isinstance(arguments[0], list) else []
    return {_key(key): value for key, value in pairs}


def _dtype(name: Any, *_: Any) -> _Unfinished:
    if not isinstance(name, str) or not _DTYPE.fullmatch(name):
        raise _Broken(f"an array of {str(name)[:20]!r}, not of numbers")

    def finish(state: Any) -> np.dtype[Any]:
        _, order, *_ = state
        if order not in ("<", ">", "=", "|"):
            raise _Broken("an array of unknown byte order")
        return np.dtype(name).newbyteorder(order)

    return _Unfinished(finish)


def _reconstruct(kind: Any, *_: Any) -> _Unfinished:
    if kind != _Named("numpy.ndarray"):
        raise _Broken(f"an array of class {_kind(kind)}")

    def finish(state: Any) -> Any:
        _, shape, dtype, by_columns, data = state
        return _frombuffer(data, dtype, shape, "F" if by_columns else "C")

    return _Unfinished(finish)


def _frombuffer(data: Any, dtype: Any, shape: Any, order: Any) -> Any:
    if not isinstance(dtype, np.dtype):
        raise _Broken("an array of unknown numbers")
    if isinstance(data, str):  # Python 2 had no other bytes
        data = data.encode("latin-1")
    if not isinstance(data, bytes | bytearray) or order not in ("C", "F"):
        raise _Broken("an array of objects, or without its numbers")
    return np.frombuffer(data, dtype).reshape(shape, order=order)


def _scalar(dtype: Any, data: Any) -> Any:
    return _frombuffer(data, dtype, (), "C").item()


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "_codecs.encode": _encode,
    "collections.OrderedDict": _dict,
    "collections.defaultdict": _dict,
    "numpy.dtype": _dtype,
    **{
        f"numpy.{core}.{name}": function
        for core in ("core", "_core")
        for name, function in (
            ("multiarray._reconstruct", _reconstruct),
            ("multiarray.scalar", _scalar),
            ("numeric._frombuffer", _frombuffer),
        )
    },
    **{
        f"{builtins}.{name}": function
        for builtins in ("builtins", "__builtin__")
        for name, function in (("set", lambda items: set(_frozen(items))), ("frozenset", _frozen))
    },
    "__builtin__.bytes": lambda: b"",  # what is not empty comes through _codecs
}
# May be named, and are never called: numpy's class of arrays, and what a defaultdict makes of a missing key
_NAMES = frozenset({"numpy.ndarray"}) | {
    f"{builtins}.{name}"
    for builtins in ("builtins", "__builtin__")
    for name in ("list", "dict", "tuple", "str", "int", "float", "bool")
}
