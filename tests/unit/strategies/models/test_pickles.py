"""The oracle is `pickle`, where it may be trusted: with what these tests have pickled themselves."""

import os
import pickle
import subprocess
import time
from collections import OrderedDict, defaultdict

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from strategies.errors import RegistryError
from strategies.models import pickles
from strategies.models.pickles import read_pickle

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


@pytest.fixture
def read(tmp_path):
    def read(data):
        path = tmp_path / "q.pkl"
        path.write_bytes(data)
        return read_pickle(path)

    return read


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_arrays_of_all_numbers_orders_and_shapes_are_read(read, protocol):
    plain = np.arange(24.0).reshape(2, 3, 4)
    arrays = [plain, plain.T, plain[:, ::2], plain[:0], np.array(1.5), np.asfortranarray(plain)]
    arrays += [plain.astype(t) for t in ("f4", ">f8", "f2", "i1", "<i8", ">u2", "u8", "?")]
    for array, there in zip(arrays, read(pickle.dumps(arrays, protocol)), strict=True):
        np.testing.assert_array_equal(there, array, strict=True)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_dicts_of_all_kinds_and_numpy_scalars_are_read_as_plain_ones(read, protocol):
    zeros = defaultdict(list, {(0, 1): [0.0, 1.0]})
    given = [zeros, OrderedDict(b=1, a=2), {1, 2}, frozenset({3}), np.float64(0.1), np.int32(-7), np.True_]
    there = read(pickle.dumps(given, protocol))
    assert there == [{(0, 1): [0.0, 1.0]}, {"b": 1, "a": 2}, {1, 2}, frozenset({3}), 0.1, -7, True]
    assert [type(value) for value in there[:3] + there[4:]] == [dict, dict, set, float, int, bool]
    assert list(there[1]) == ["b", "a"]


def test_array_that_stands_in_two_places_is_read_in_both(read):
    array = np.array([1.0, 2.0], ">f8")
    for protocol in PROTOCOLS:
        first, [second] = read(pickle.dumps([array, [array]], protocol))
        assert first is second
        assert first.tolist() == [1.0, 2.0]


def test_older_numpy_is_read(read):
    for protocol in (0, 2):
        data = pickle.dumps({0: np.array([1.0, 2.0]), 1: np.float32(3)}, protocol)
        assert b"numpy._core" in data
        there = read(data.replace(b"numpy._core", b"numpy.core"))
        assert there[0].tolist() == [1.0, 2.0]
        assert there[1] == 3.0


def test_array_of_python_2_is_read(read):
    # as its protocol 2 writes array([1.5]): the bytes are a string (U)
    head = b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR"
    state = b"(K\x01(K\x01tcnumpy\ndtype\n(U\x02f8K\x00K\x01tR(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
    assert read(head + state + b"U\x08\x00\x00\x00\x00\x00\x00\xf8?tb.").tolist() == [1.5]


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
)
small = st.integers(-(2**63), 2**63 - 1) | st.text(max_size=9)
plain = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(small | st.tuples(small, small), inner)
        | st.tuples(inner, inner)
        | st.sets(small)
    ),
    max_leaves=20,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plain, st.sampled_from(PROTOCOLS))
def test_plain_data_is_read_as_pickle_reads_it(read, value, protocol):
    data = pickle.dumps(value, protocol)
    assert read(data) == pickle.loads(data) == value


whole = pickle.dumps(
    [{(1, 2): np.arange(3.0), "a": [1, 2.5, None]}, {3}, np.float32(1), defaultdict(list)], 4
)


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damaged_file_is_read_or_refused_and_nothing_else(read, data):
    protocol = data.draw(st.sampled_from([whole, pickle.dumps(pickle.loads(whole), 0)]))
    at = data.draw(st.integers(0, len(protocol) - 1))
    put = data.draw(st.binary(max_size=3))
    try:
        read(protocol[:at] + put + protocol[at + data.draw(st.integers(0, 3)) :])
    except RegistryError as error:
        assert "q.pkl: byte " in str(error)  # noqa: PT017 - most are refused, some still mean something


def test_truncated_file_is_refused_wherever_it_ends(read):
    for end in range(len(whole)):
        with pytest.raises(RegistryError, match="byte"):
            read(whole[:end])


class Calls:
    def __init__(self, function, *arguments):
        self.reduced = function, arguments

    def __reduce__(self):
        return self.reduced


class Plain:
    pass


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_would_run_code_is_refused_by_name_and_not_run(read, tmp_path, protocol):
    canary = tmp_path / "canary"
    for function, arguments, name in (
        (os.system, (f"touch {canary}",), "posix.system"),
        (subprocess.check_call, (["touch", str(canary)],), "check_call"),
        (eval, (f"open({str(canary)!r}, 'w')",), "eval"),
        (np.load, (str(canary),), "numpy.load"),
        (np.zeros, ((10**6, 10**6),), "numpy.zeros"),
        (getattr, (1, "real"), "getattr"),
    ):
        with pytest.raises(RegistryError, match=f"wants '[a-z_.]*{name}', which is no plain container"):
            read(pickle.dumps({0: Calls(function, *arguments)}, protocol))
    with pytest.raises(RegistryError, match="wants '"):
        read(pickle.dumps(Plain(), protocol))
    assert not canary.exists()


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"(S'touch x'\niposix\nsystem\n.", "INST 'posix system'"),
        (b"(cbuiltins\nlist\no.", "OBJ"),
        (b"cbuiltins\nlist\n)\x81.", "NEWOBJ"),
        (b"cbuiltins\nlist\n)R.", "calls builtins.list, which is not looked at"),
        (b"Pposix\n.", "PERSID 'posix'"),
        (b"\x82\x01.", "EXT1"),
        (b"\x80\x04K\x01K\x02R.", "calls what is no function"),
        (b"\x80\x04}}b.", "fills in an object that is no numpy array"),
        (b"\x80\x04)K\x01a.", "adds to what is no container"),
        (b"\x80\x04}]K\x01s.", r"a key that is neither number, text nor tuple of them \(list\)"),
        (b"\x80\x04K\x01K\x02\x93.", "wants 'something'"),
        (b"c_codecs\nencode\n(K\x01X\x06\x00\x00\x00latin1tR.", "wants bytes"),
        (b"cnumpy\ndtype\n(X\x02\x00\x00\x00O8tR.", "an array of 'O8', not of numbers"),
        (
            b"cnumpy._core.multiarray\n_reconstruct\n(cbuiltins\nlist\n)X\x01\x00\x00\x00btR.",
            "class builtins.list",
        ),
        (b"cnumpy\ndtype\n(X\x02\x00\x00\x00f8tR(K\x03tb.", "byte"),
        (b"c__builtin__\nbytes\n(J\xff\xff\xff\x7ftR.", "byte"),
        (b"cbuiltins\nset\n(C\x02abtR.", "a set of what is no list"),
        (b"h\x05.", "remembers nothing under 5"),
        (b"R.", "takes from an empty stack"),
        (b"t.", "looks for a mark"),
        (b"2.", "looks at an empty stack"),
        (b"K\x01.K\x02.", "something follows the end"),
        (b"hello", "byte 0"),
        (b"", "byte 0: no whole pickle"),
    ],
)
def test_what_no_plain_pickle_has_is_refused(read, data, what):
    with pytest.raises(RegistryError, match=what):
        read(data)


def test_array_of_objects_is_refused(read):
    for protocol in PROTOCOLS:
        with pytest.raises(RegistryError, match="not of numbers"):
            read(pickle.dumps(np.array([1, None]), protocol))


@pytest.mark.parametrize(
    ("bomb", "what"),
    [
        (
            b"K\x01" + b"2\x86" * 100 + b"Ns.",
            "a key of more than 64 parts",
        ),  # the hash would take 2^100 steps
        (b"(" * 50_000 + b"t" * 50_000 + b"Ns.", "a key of more than 64 parts"),  # or overflow the stack
        (b"\x8a\x09" + b"\xff" * 8 + b"\x7f.", "a number of more than 64 bits"),
        (b"X\x00\x02\x00\x00" + b"a" * 512 + b"Ns.", "a key of more than .* 256 letters"),
        (b"B\xff\xff\xff\x7f.", "expected 2147483647 bytes"),
        (b"\x8e" + b"\xff" * 7 + b"\x7f.", "expected 9223372036854775807 bytes"),
    ],
)
def test_small_file_that_would_build_something_huge_is_refused_at_once(read, bomb, what):
    began = time.monotonic()
    with pytest.raises(RegistryError, match=what):
        read(b"\x80\x04}" + bomb)
    assert time.monotonic() - began < 5


def test_memo_with_a_huge_index_takes_no_room(read):
    assert read(b"\x80\x04K\x01r\xff\xff\xff\xff.") == 1


def test_what_a_file_builds_is_counted_copies_included(read, monkeypatch):
    monkeypatch.setattr(pickles, "MOST_STEPS", 1000)
    assert len(read(b"]" + b"]a" * 400 + b".")) == 400
    with pytest.raises(RegistryError, match="builds more than 1,000 things"):
        read(b"]" + b"]a" * 500 + b".")
    numbers = b"](" + b"K\x01" * 200 + b"e\x94"
    again = b"cbuiltins\nset\nh\x00\x85R"
    with pytest.raises(RegistryError, match="builds more than 1,000 things"):
        read(b"\x80\x04" + numbers + again * 5 + b".")


def test_file_that_is_too_large_or_missing_is_refused(read, tmp_path, monkeypatch):
    monkeypatch.setattr(pickles, "MOST_BYTES", 10)
    assert read(b"]" * 9 + b".") == []
    with pytest.raises(RegistryError, match="more than 10 bytes"):
        read(b"]" * 10 + b".")
    with pytest.raises(RegistryError, match="cannot be read: No such file"):
        read_pickle(tmp_path / "none.pkl")
