"""How compiled code sees the engine's arrays: one pointer to a table of their addresses and lengths.

Passed as numba's own arrays, the state's arrays would cost more than the functions that use them: each is seven words
and is reference-counted at each call. Here a `State` or `Ticks` is one pointer, ``s.orders`` is an address and a length
read from the table, and ``s.orders[i]`` is a record in place. In plain Python the same code reads the NamedTuples
themselves, so nothing in the engine's other files knows of this one. All arrays are one-dimensional and contiguous.

With NUMBA_BOUNDSCHECK=1 each index is checked.
"""

# numba's interface for extensions has no types, and its overloads must not have annotations.
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator, call-arg, attr-defined, override"

from __future__ import annotations

import operator
from typing import Any

import numba
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]  # comes with numba
from numba.core import cgutils, config, types
from numba.core.datamodel import models, register_default
from numba.core.imputils import lower_getattr_generic
from numba.core.typing.templates import AbstractTemplate, AttributeTemplate, infer_global, signature
from numba.extending import infer_getattr, intrinsic, lower_builtin, overload, register_model

from engine.records import RECORD_TYPES, TICK_DTYPES, State, Ticks

N_STATE = len(State._fields)
TABLE_LENGTH = 2 * (N_STATE + len(Ticks._fields))  # address and length of each array


def fill_table(table: np.ndarray[Any, Any], state: State, ticks: Ticks) -> None:
    """Write where the arrays are; the caller keeps them alive."""
    for i, array in enumerate(state):
        table[2 * i] = array.ctypes.data
        table[2 * i + 1] = len(array)
    fill_ticks(table, ticks)


def fill_ticks(table: np.ndarray[Any, Any], ticks: Ticks) -> None:
    """Write where the columns of a batch are."""
    for i, column in enumerate(ticks, N_STATE):
        table[2 * i] = column.ctypes.data
        table[2 * i + 1] = len(column)


class TableType(types.Type):
    """A State or Ticks: a pointer to the table. fields: name -> (place in the table, element type)."""

    def __init__(self, name: str, fields: dict[str, tuple[int, Any]]) -> None:
        self.fields = fields
        super().__init__(name=f"Table({name})")


class ColumnType(types.Type):
    """One array of the table: where it is, and how long."""

    def __init__(self, element: Any) -> None:
        self.element = element
        super().__init__(name=f"Column({element})")


def columns(names: tuple[str, ...], dtypes: Any, first: int) -> dict[str, tuple[int, Any]]:
    """The columns of a table: name -> (place, element type), from place `first` on."""
    return {
        name: (first + i, numba.from_dtype(np.dtype(dtype)))
        for i, (name, dtype) in enumerate(zip(names, dtypes, strict=True))
    }


STATE_TYPE = TableType("State", columns(State._fields, RECORD_TYPES, 0))
TICKS_TYPE = TableType("Ticks", columns(Ticks._fields, TICK_DTYPES, N_STATE))

register_default(TableType)(models.OpaqueModel)


@register_model(ColumnType)
class _ColumnModel(models.StructModel):
    def __init__(self, manager: Any, fe_type: Any) -> None:
        super().__init__(manager, fe_type, [("data", types.voidptr), ("length", types.int64)])


@infer_getattr
class _TableAttributes(AttributeTemplate):
    key = TableType

    def generic_resolve(self, table: Any, name: str) -> Any:
        return ColumnType(table.fields[name][1]) if name in table.fields else None


@lower_getattr_generic(TableType)
def _column(context: Any, builder: Any, table: Any, value: Any, name: str) -> Any:
    place, element = table.fields[name]
    word = ir.IntType(64)
    words = builder.bitcast(value, word.as_pointer())
    address = builder.load(builder.gep(words, [ir.Constant(word, 2 * place)]))
    length = builder.load(builder.gep(words, [ir.Constant(word, 2 * place + 1)]))
    for load in (address, length):  # the table does not change while compiled code runs: read each place once
        load.set_metadata("invariant.load", builder.module.add_metadata([]))
    column = cgutils.create_struct_proxy(ColumnType(element))(context, builder)
    column.data = builder.inttoptr(address, cgutils.voidptr_t)
    column.length = length
    return column._getvalue()


def _element_pointer(context: Any, builder: Any, column: Any, value: Any, index: Any) -> Any:
    data = cgutils.create_struct_proxy(column)(context, builder, value=value).data
    size = ir.Constant(ir.IntType(64), context.get_abi_sizeof(context.get_data_type(column.element)))
    return builder.gep(data, [builder.mul(index, size)])


def _check_bounds(context: Any, builder: Any, column: Any, value: Any, index: Any) -> None:
    if config.BOUNDSCHECK:
        length = cgutils.create_struct_proxy(column)(context, builder, value=value).length
        outside = builder.icmp_unsigned(">=", index, length)  # a negative index is a large unsigned one
        with builder.if_then(outside, likely=False):
            context.call_conv.return_user_exc(builder, IndexError, ("index is out of bounds",))


# Typed and lowered directly instead of by numba's overloads, each of which would be compiled for each type of element.


@infer_global(operator.getitem)
class _GetItem(AbstractTemplate):
    def generic(self, args: Any, kws: Any) -> Any:
        column, index = args
        if isinstance(column, ColumnType) and isinstance(index, types.Integer):
            return signature(column.element, column, types.int64)
        return None


@infer_global(operator.setitem)
class _SetItem(AbstractTemplate):
    def generic(self, args: Any, kws: Any) -> Any:
        column, index, _ = args
        if isinstance(column, ColumnType) and isinstance(index, types.Integer):
            return signature(types.void, column, types.int64, column.element)
        return None


@infer_global(len)
class _Len(AbstractTemplate):
    def generic(self, args: Any, kws: Any) -> Any:
        (column,) = args
        return signature(types.int64, column) if isinstance(column, ColumnType) else None


@lower_builtin(operator.getitem, ColumnType, types.int64)
def _get(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    column = sig.args[0]
    _check_bounds(context, builder, column, *args)
    pointer = _element_pointer(context, builder, column, *args)
    if isinstance(column.element, types.Record):
        return builder.bitcast(pointer, context.get_value_type(column.element))
    typed = builder.bitcast(pointer, context.get_data_type(column.element).as_pointer())
    return context.unpack_value(builder, column.element, typed)


@lower_builtin(operator.setitem, ColumnType, types.int64, types.Any)
def _set(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    column = sig.args[0]
    _check_bounds(context, builder, column, *args[:2])
    pointer = _element_pointer(context, builder, column, *args[:2])
    typed = builder.bitcast(pointer, context.get_data_type(column.element).as_pointer())
    context.pack_value(builder, column.element, args[2], typed)
    return context.get_dummy_value()


@lower_builtin(len, ColumnType)
def _len(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    return cgutils.create_struct_proxy(sig.args[0])(context, builder, value=args[0]).length


def pointer_to(table: TableType) -> Any:
    """An intrinsic that takes a table's address for the table."""

    @intrinsic
    def at(typing_context: Any, address: Any) -> Any:
        def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            return builder.inttoptr(args[0], context.get_value_type(table))

        return table(types.int64), generate

    return at


_state_pointer = pointer_to(STATE_TYPE)
_ticks_pointer = pointer_to(TICKS_TYPE)


def state_at(at: Any) -> State:
    """The State of a table, given by its address; uncompiled, of the pair (State, Ticks) that stands for it."""
    state: State = at[0]
    return state


def ticks_at(at: Any) -> Ticks:
    """The Ticks of a table, given by its address; uncompiled, of the pair that stands for it."""
    ticks: Ticks = at[1]
    return ticks


@overload(state_at)
def _state_at(at):
    return lambda at: _state_pointer(at)


@overload(ticks_at)
def _ticks_at(at):
    return lambda at: _ticks_pointer(at)


# What else compiled code outside of the entry needs: to call it, and to copy state.


def call(run: Any, at: Any) -> int:
    """Call an entry of one argument: `run` is its address as `address_of` gives it, or, uncompiled, itself."""
    return int(run(at))


def copy_bytes(target: Any, to: int, source: Any, start: int, n: int) -> None:
    """Copy n bytes from place `start` of a uint8 column to place `to` of another."""
    target[to : to + n] = source[start : start + n]


def address_of(compiled: Any) -> int:
    """Where the machine code of an entry begins that takes and gives an int64."""
    (result,) = compiled.overloads.values()
    address: int = result.library.get_pointer_to_function(result.fndesc.llvm_func_name)
    if not address:
        raise RuntimeError(f"numba keeps no machine code of {compiled.__name__}")
    return address


@intrinsic
def _call(typing_context: Any, run: Any, at: Any) -> Any:
    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        convention = context.call_conv
        function_type = convention.get_function_type(types.int64, (types.int64,))
        pointer = builder.inttoptr(args[0], function_type.as_pointer())
        status, result = convention.call_function(builder, pointer, types.int64, (types.int64,), [args[1]])
        with cgutils.if_unlikely(builder, status.is_error):
            convention.return_status_propagate(builder, status)
        return result

    return types.int64(types.int64, types.int64), generate


@overload(call)
def _call_address(run, at):
    return lambda run, at: _call(run, at)


@intrinsic
def _copy(typing_context: Any, target: Any, to: Any, source: Any, start: Any, n: Any) -> Any:
    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointers = (
            builder.gep(cgutils.create_struct_proxy(kind)(context, builder, value=column).data, [place])
            for kind, column, place in ((sig.args[0], args[0], args[1]), (sig.args[2], args[2], args[3]))
        )
        cgutils.raw_memcpy(builder, *pointers, args[4], 1)
        return context.get_dummy_value()

    return types.void(target, types.int64, source, types.int64, types.int64), generate


@overload(copy_bytes)
def _copy_bytes(target, to, source, start, n):
    return lambda target, to, source, start, n: _copy(target, to, source, start, n)


def prefetch(column: Any, place: int) -> None:
    """Have the processor fetch what lies at that place of a column into its caches, if it lies in memory; no more than that."""


@intrinsic
def _prefetch(typing_context: Any, column: Any, place: Any) -> Any:
    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointer = _element_pointer(context, builder, sig.args[0], args[0], args[1])
        byte, flag = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, flag, flag, flag])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        # to be read, to be kept in all caches, data
        builder.call(function, [pointer, *(ir.Constant(flag, n) for n in (0, 3, 1))])
        return context.get_dummy_value()

    return types.void(column, types.int64), generate


@overload(prefetch)
def _prefetch_place(column, place):
    return lambda column, place: _prefetch(column, place)
