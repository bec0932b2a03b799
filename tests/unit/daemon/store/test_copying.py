"""Rows as PostgreSQL's COPY takes them, against the format's description, put together by hand."""

import struct

import numpy as np
import pytest
from sqlalchemy import BigInteger, Boolean, Column, Double, Integer, SmallInteger, Text

from daemon.store.copying import packed

HEADER = b"PGCOPY\n\xff\r\n\x00" + struct.pack(">ii", 0, 0)
END = struct.pack(">h", -1)


def test_row_of_each_type_is_big_endian_with_its_lengths():
    columns = [
        Column("a", Integer, nullable=False),
        Column("b", BigInteger, nullable=False),
        Column("c", SmallInteger, nullable=False),
        Column("d", Double, nullable=False),
        Column("e", Boolean, nullable=False),
    ]
    values = [
        np.array([7, -1]),
        np.array([2**62, -5]),
        np.array([300, 2], np.int16),
        np.array([0.1, -2.5]),
        np.array([True, False]),
    ]
    by_hand = b"".join(
        struct.pack(">hiiiqihidi?", 5, 4, a, 8, b, 2, c, 8, d, 1, e)
        for a, b, c, d, e in [(7, 2**62, 300, 0.1, True), (-1, -5, 2, -2.5, False)]
    )
    assert packed(columns, values) == HEADER + by_hand + END


def test_nan_of_a_column_that_may_be_null_is_null():
    columns = [Column("a", Double), Column("b", Integer, nullable=False), Column("c", Double)]
    nan = float("nan")
    values = [np.array([nan, 1.5, 2.5]), np.array([1, 2, 3]), np.array([nan, nan, 4.5])]
    by_hand = (
        struct.pack(">hiiii", 3, -1, 4, 1, -1)
        + struct.pack(">hidiii", 3, 8, 1.5, 4, 2, -1)
        + struct.pack(">hidiiid", 3, 8, 2.5, 4, 3, 8, 4.5)
    )
    assert packed(columns, values) == HEADER + by_hand + END


def test_column_without_a_fixed_width_is_a_mistake():
    with pytest.raises(TypeError, match="no fixed width"):
        packed([Column("a", Text)], [np.array(["x"])])
