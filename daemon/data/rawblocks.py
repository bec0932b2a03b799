"""What a reader hands on: a piece of a file as it stands there, and how its columns become numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from daemon.data.errors import Fault
from daemon.data.formats import Layout

Convert = Callable[[Any], np.ndarray[Any, Any]]


@dataclass(frozen=True)
class RawBlock:
    """Consecutive rows of a file."""

    lines: Sequence[int] | np.ndarray[Any, Any]  # (n,) the line of each row, from 1
    columns: dict[str, Any]  # our name -> Arrow array of n values
    broken: list[Fault]  # lines that are no rows


class Reader(Protocol):
    """A file of market data; reading it is what `blocks` does, and it can be done again."""

    path: Path
    layout: Layout
    rows: int | None  # where the file says it
    weight: int  # its size, for progress
    done: float  # how much of it was read, 0 to 1

    def blocks(self, block_rows: int) -> Iterator[RawBlock]:
        """The rows, about so many at a time. Raises DataError where the file itself is broken."""


def to_floats(column: Any) -> np.ndarray[Any, Any]:
    """(n,) float64, without a copy where they are that already. Raises ValueError where a value is no number."""
    if column.null_count:
        raise ValueError("a value is missing")
    # unsafe: an integer above 2^53 is rounded, as any reader of it would
    return np.asarray(column.cast(pa.float64(), safe=False).to_numpy())


def convert(column: Any, how: Convert, dtype: type) -> tuple[np.ndarray[Any, Any], list[int]]:
    """All values of a column, and where those stand that cannot be converted (their place holds a zero).

    The column is converted at once; where that fails it is halved, until what fails is a single value.
    """
    n = len(column)
    if n == 0:
        return np.zeros(0, dtype), []
    try:
        return how(column), []
    except ValueError:
        if is_text(column):
            try:
                return how(pc.utf8_trim_whitespace(column)), []
            except ValueError:
                pass
    if n == 1:
        return np.zeros(1, dtype), [0]
    left, bad_left = convert(column[: n // 2], how, dtype)
    right, bad_right = convert(column[n // 2 :], how, dtype)
    return np.concatenate([left, right]), bad_left + [n // 2 + i for i in bad_right]


def join_text(parts: Sequence[Any]) -> Any:
    """Arrow columns as one; several (a date and a time of day) as text, with a space between."""
    if len(parts) == 1:
        return parts[0]
    return pc.binary_join_element_wise(*(part.cast(pa.string()) for part in parts), " ")


def is_text(column: Any) -> bool:
    """Whether an Arrow array holds strings."""
    return bool(pa.types.is_string(column.type) or pa.types.is_large_string(column.type))
