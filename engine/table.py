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
from numba.core import cgutils, types
from numba.core.datamodel import models, register_default
from numba.core.imputils import lower_getattr_generic
from numba.core.typing.templates import AttributeTemplate
from numba.extending import infer_getattr, intrinsic, overload, register_model

from engine.records import RECORD_TYPES, TICK_DTYPES, State, Ticks

N_STATE = len(State._fields)
TABLE_LENGTH = 2 * (N_STATE + len(Ticks._fields))  # address and length of each array


def fill_table(table: np.ndarray[Any, Any], state: State, ticks: Ticks) -> None:
    """Write where the arrays are; the caller keeps them alive."""
    for i, array in enumerate((*state, *ticks)):
        table[2 * i] = array.ctypes.data
        table[2 * i + 1] = len(array)


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


def _fields(names: tuple[str, ...], dtypes: Any, first: int) -> dict[str, tuple[int, Any]]:
    return {
        name: (first + i, numba.from_dtype(np.dtype(dtype)))
        for i, (name, dtype) in enumerate(zip(names, dtypes, strict=True))
    }


STATE_TYPE = TableType("State", _fields(State._fields, RECORD_TYPES, 0))
TICKS_TYPE = TableType("Ticks", _fields(Ticks._fields, TICK_DTYPES, N_STATE))

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


@intrinsic
def _get(typing_context: Any, column: Any, index: Any) -> Any:
    element = column.element

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        at = context.cast(builder, args[1], signature.args[1], types.int64)
        pointer = _element_pointer(context, builder, column, args[0], at)
        if isinstance(element, types.Record):
            return builder.bitcast(pointer, context.get_value_type(element))
        return context.unpack_value(
            builder, element, builder.bitcast(pointer, context.get_data_type(element).as_pointer())
        )

    return element(column, index), generate


@intrinsic
def _set(typing_context: Any, column: Any, index: Any, item: Any) -> Any:
    element = column.element

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        at = context.cast(builder, args[1], signature.args[1], types.int64)
        pointer = _element_pointer(context, builder, column, args[0], at)
        item_value = context.cast(builder, args[2], signature.args[2], element)
        context.pack_value(
            builder,
            element,
            item_value,
            builder.bitcast(pointer, context.get_data_type(element).as_pointer()),
        )
        return context.get_dummy_value()

    return types.void(column, index, item), generate


@intrinsic
def _length(typing_context: Any, column: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return cgutils.create_struct_proxy(column)(context, builder, value=args[0]).length

    return types.int64(column), generate


@overload(len)
def _overload_len(column):
    if isinstance(column, ColumnType):
        return lambda column: _length(column)
    return None


@overload(operator.getitem)
def _overload_get(column, index):
    if not isinstance(column, ColumnType):
        return None
    if numba.config.BOUNDSCHECK:

        def checked(column, index):
            if index < 0 or index >= len(column):
                raise IndexError("index is out of bounds")
            return _get(column, index)

        return checked
    return lambda column, index: _get(column, index)


@overload(operator.setitem)
def _overload_set(column, index, item):
    if not isinstance(column, ColumnType):
        return None
    if numba.config.BOUNDSCHECK:

        def checked(column, index, item):
            if index < 0 or index >= len(column):
                raise IndexError("index is out of bounds")
            _set(column, index, item)

        return checked
    return lambda column, index, item: _set(column, index, item)


def _table_at(table: TableType) -> Any:
    @intrinsic
    def at(typing_context: Any, address: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.inttoptr(args[0], context.get_value_type(table))

        return table(types.int64), generate

    return at


state_at = _table_at(STATE_TYPE)  # the State, or the Ticks, of the table at an int64 address
ticks_at = _table_at(TICKS_TYPE)
