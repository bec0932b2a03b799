from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.config.document import dump, from_python, parse, plain
from daemon.config.errors import ConfigError, Place

HERE = Path("/here")
FILE = Place("a.yaml", 1, HERE)


def read(text: str) -> Any:
    node, problems = parse(text, FILE)
    assert not problems
    return plain(node)


def wrong(text: str) -> list[str]:
    return [str(p) for p in parse(text, FILE)[1]]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("yes", "yes"),
        ("NO", "NO"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("10", 10),
        ("-1_000", -1000),
        ("007", 7),
        ("1e5", 1e5),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1_000.5", 1000.5),
        ("-.inf", float("-inf")),
        ("1:30", "1:30"),
        ("0x10", "0x10"),
        ("1_", "1_"),
        ("2001-01-01", "2001-01-01"),
        ("1.2.3", "1.2.3"),
        ("'10'", "10"),
        ("!!str 10", "10"),
    ],
)
def test_scalar_is_read_as_yaml_1_2_has_it(text: str, value: object) -> None:
    got = read(f"key: {text}")
    assert got == {"key": value}
    assert type(got["key"]) is type(value)


def test_each_value_has_the_line_of_its_key() -> None:
    root, _ = parse("a: 1\nb:\n  c:\n    - 2\n    - d: 3\n", FILE)
    c = root.value["b"].value["c"]
    assert [root.value["a"].place.line, root.value["b"].place.line, c.place.line] == [1, 2, 3]
    assert c.value[0].place.line == 4
    assert c.value[1].value["d"].place == Place("a.yaml", 5, HERE)


def test_key_given_twice_is_named_with_both_lines() -> None:
    assert wrong("a: 1\nb: {c: 1,\n    c: 2}\na: 3\n") == [
        "a.yaml:3: b.c: is given twice, first in line 2; remove one of them",
        "a.yaml:4: a: is given twice, first in line 1; remove one of them",
    ]


def test_key_that_looks_like_a_number_is_text() -> None:
    assert read("600519: {on: 1}") == {"600519": {"on": 1}}


def test_aliases_and_merges_are_taken_in_and_own_keys_win() -> None:
    assert read("a: &a {x: 1, y: 2}\nb: *a\nc: {<<: *a, y: 3}\nd: {y: 4, <<: [*a, {z: 5}]}") == {
        "a": {"x": 1, "y": 2},
        "b": {"x": 1, "y": 2},
        "c": {"x": 1, "y": 3},
        "d": {"x": 1, "y": 4, "z": 5},
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: !!python/object/apply:os.system [ls]", "a.yaml:1: a: the tag tag:yaml.org,2002:python/object"),
        ("a:\n  - !mine x", "a.yaml:2: a.0: the tag !mine is not allowed"),
        ("a: !!int x", "a.yaml:1: a: 'x' is not of the type of its tag"),
        ("a: &a [*a]", "a.yaml:1: a.0: holds itself"),
        ("? [1]\n: 2", "a.yaml:1: a key is a list or a mapping"),
        ("a: {<<: 5}", "a.yaml:1: a: `<<` takes in a mapping"),
    ],
)
def test_what_is_no_plain_data_is_refused(text: str, message: str) -> None:
    (said,) = wrong(text)
    assert said.startswith(message)


@pytest.mark.parametrize(
    ("text", "line", "hint"),
    [
        ("a: 1\nb: [1, 2\nc: 3\n", 3, "brackets"),
        ("a: 1\n\tb: 2\n", 2, "never tabs"),
        ("a: 'x\n", 2, "quotes"),
        ("a: 1\n---\nb: 2\n", 2, "single document"),
        ("a: 1\nb: \x00\n", 2, "control character"),
        ("a: *nowhere\n", 1, "undefined alias"),
    ],
)
def test_broken_yaml_is_named_by_its_line(text: str, line: int, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, FILE)
    (problem,) = caught.value.problems
    assert problem.place.line == line
    assert hint in str(problem)


def test_yaml_nested_without_end_is_refused() -> None:
    with pytest.raises(ConfigError, match="nested too deeply"):
        parse("[" * 2000, FILE)


def test_python_values_become_plain_ones() -> None:
    given_ = {"a": (np.int64(3), np.float64(0.5), np.bool_(True)), "p": Path("/x"), 5: None, "t": True}
    assert plain(from_python(given_, FILE)) == {"a": [3, 0.5, True], "p": "/x", "5": None, "t": True}
    assert [type(v) for v in plain(from_python([np.int64(3), np.bool_(True), True], FILE))] == [
        int,
        bool,
        bool,
    ]


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs", "Cc"]))
    | st.sampled_from(
        ["on", "1e5", "0x1", "2001-01-01", "<<", "~", "", "1_0", "1:30", "true", "=", ".inf", "- a"]
    )
)


@given(
    st.recursive(
        scalars, lambda s: st.lists(s) | st.dictionaries(st.text("ab1~<.", min_size=1), s), max_leaves=8
    )
)
def test_what_is_dumped_is_read_back(value: object) -> None:
    assert read(dump({"key": value})) == {"key": value}
