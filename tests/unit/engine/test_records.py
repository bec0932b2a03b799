"""The records: their fields can be read as attributes, compiled and plain, and lie where the compiler expects them."""

import numpy as np
import pytest

from engine.records import DAY, N_CODES, NEVER, NO_TIME, RECORD_TYPES, SECOND, Code, State

RECORDS = [
    (name, dtype) for name, dtype in zip(State._fields, RECORD_TYPES, strict=True) if dtype.names is not None
]


@pytest.mark.parametrize(("name", "dtype"), RECORDS)
def test_no_field_is_hidden_by_a_method_of_numpys_records(name: str, dtype: np.dtype) -> None:
    # in plain Python `account.resize` would be a method, and true
    hidden = [f for f in dtype.names or () if hasattr(np.record, f) or hasattr(np.recarray, f)]
    assert hidden == []


@pytest.mark.parametrize(("name", "dtype"), RECORDS)
def test_each_field_is_aligned_and_the_record_a_multiple_of_eight_bytes(name: str, dtype: np.dtype) -> None:
    assert dtype.itemsize % 8 == 0
    for field, (kind, offset, *_) in (dtype.fields or {}).items():
        assert offset % kind.itemsize == 0, field


def test_codes_are_numbered_without_gaps() -> None:
    assert [int(c) for c in Code] == list(range(N_CODES))


def test_times() -> None:
    assert (SECOND, DAY) == (10**9, 86_400 * 10**9)
    assert (NEVER, NO_TIME) == (2**63 - 1, -(2**63))
