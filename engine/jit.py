"""The one way in which the engine's functions are compiled.

Functions are compiled when an entry of ``engine/kernel.py`` first needs them, never at import. With
``NUMBA_DISABLE_JIT=1`` they stay plain Python and give the same results, bit for bit.

Two things here make the first compilation more than twice as quick, and touch numba's inside for it. numba compiles a
function anew for each literal among its arguments: here a literal is the number that it is. And numba optimises each
function, with all that it calls, and turns it into machine code on its own, though only the entries are ever called from
Python: here the entries alone are, with everything in them.
"""

# numba's inside has no types
# mypy: disable-error-code="no-untyped-def, no-untyped-call, attr-defined, method-assign"

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numba
from numba import config
from numba.core import types
from numba.core.codegen import JITCodeLibrary
from numba.core.cpu import CPUContext


def setting(name: str) -> Any:
    """One of numba's settings; its module is filled at run time, which no type checker sees."""
    return getattr(config, name)


def _number(kind: Any) -> Any:
    kind = types.unliteral(kind)
    return types.int64 if isinstance(kind, types.IntEnumMember | types.Integer) else kind


def _without_literals(dispatcher: Any) -> Any:
    template_of = getattr(dispatcher, "get_call_template", None)
    if template_of is not None:  # with NUMBA_DISABLE_JIT it is a plain function
        dispatcher.get_call_template = lambda args, kws: template_of(tuple(_number(a) for a in args), kws)
    return dispatcher


# error_model="numpy": a division by zero gives inf or nan instead of an exception, which costs nothing in the
# loop; whoever divides checks the divisor where it can be zero.


def jit(function: Callable[..., Any]) -> Any:
    """Compile a function where an entry calls it."""
    # said, because a function that is first called in an inlined one would else be inlined everywhere, too
    return _without_literals(numba.njit(error_model="numpy", forceinline=False)(function))


def inline(function: Callable[..., Any]) -> Any:
    """Compile a function into each of those that call it."""
    return _without_literals(numba.njit(error_model="numpy", forceinline=True)(function))


def entry(signature: Any, function: Callable[..., Any], nogil: bool = False) -> Callable[..., Any]:
    """The function compiled now, or loaded from the cache folder where one is named.

    nogil: other threads go on while it runs.
    """
    with _only(function.__name__):
        compiler: Any = numba.njit(
            signature, error_model="numpy", cache=bool(setting("CACHE_DIR")), nogil=nogil
        )
        compiled: Callable[..., Any] = compiler(function)
    return compiled


@contextmanager
def _only(name: str) -> Iterator[None]:
    """While an entry of that name is compiled, nothing else is optimised or turned into machine code by itself."""
    optimise, finish = JITCodeLibrary._optimize_final_module, JITCodeLibrary._finalize_final_module
    executable = CPUContext.get_executable

    def optimise_entry(library: Any) -> None:
        if library.name == name:
            optimise(library)

    def finish_entry(library: Any) -> None:
        if library.name == name:
            finish(library)
        else:
            library._finalize_dynamic_globals()
            library._finalized = True

    def executable_entry(context: Any, library: Any, function: Any, environment: Any) -> Any:
        if library.name == name:
            return executable(context, library, function, environment)
        # numba keeps a callable for each function: one that fails, where a compiled function is called from Python
        return [f"{function.qualname} is compiled into the entries only"].index

    JITCodeLibrary._optimize_final_module = optimise_entry
    JITCodeLibrary._finalize_final_module = finish_entry
    CPUContext.get_executable = executable_entry
    try:
        yield
    finally:
        JITCodeLibrary._optimize_final_module = optimise
        JITCodeLibrary._finalize_final_module = finish
        CPUContext.get_executable = executable
