"""The file in which the outcomes of drills are exported: what Prometheus' textfile collector reads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from daemon.drill.textfile import Outcome, TextfileError, read_outcomes, record

FIRST = """\
# HELP papertape_drill_last_success_timestamp_seconds When the drill last passed, in seconds since 1970; 0: never.
# TYPE papertape_drill_last_success_timestamp_seconds gauge
papertape_drill_last_success_timestamp_seconds{config="sma"} 1700000000.5
# HELP papertape_drill_checks Checks that the last drill made.
# TYPE papertape_drill_checks gauge
papertape_drill_checks{config="sma"} 48
# HELP papertape_drill_failures Checks of the last drill that failed.
# TYPE papertape_drill_failures gauge
papertape_drill_failures{config="sma"} 0
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "drill.prom"


def test_first_success_is_written_in_prometheus_text_format(file: Path) -> None:
    record(file, "sma", 48, 0, 1_700_000_000.5)
    assert file.read_text() == FIRST
    assert [p.name for p in file.parent.iterdir()] == ["drill.prom"]


def test_failure_keeps_the_time_of_the_last_success(file: Path) -> None:
    record(file, "sma", 48, 0, 1_700_000_000.5)
    record(file, "sma", 47, 2, 1_700_000_999.0)
    assert read_outcomes(file) == {"sma": Outcome(1_700_000_000.5, 47, 2)}
    record(file, "sma", 48, 0, 1_700_001_000.0)
    assert read_outcomes(file) == {"sma": Outcome(1_700_001_000.0, 48, 0)}


def test_configuration_that_never_passed_has_the_time_0(file: Path) -> None:
    record(file, "sma", 1, 1, 1_700_000_000.0)
    assert 'papertape_drill_last_success_timestamp_seconds{config="sma"} 0.0\n' in file.read_text()


def test_outcomes_of_other_configurations_stay(file: Path) -> None:
    record(file, "one", 10, 0, 1.0)
    record(file, "two", 20, 3, 2.0)
    record(file, "one", 11, 1, 3.0)
    assert read_outcomes(file) == {"one": Outcome(1.0, 11, 1), "two": Outcome(0.0, 20, 3)}
    samples = [line for line in file.read_text().splitlines() if not line.startswith("#")]
    assert [line.partition("{")[0] for line in samples] == [  # those of one metric stand together
        *["papertape_drill_last_success_timestamp_seconds"] * 2,
        *["papertape_drill_checks"] * 2,
        *["papertape_drill_failures"] * 2,
    ]


def test_names_are_escaped_and_come_back_as_they_were(file: Path) -> None:
    names = ['a "b"', "back\\slash", "two\nlines", "\\n", 'x"} 1 # {']
    for name in names:
        record(file, name, 1, 0, 1.0)
    text = file.read_text()
    assert r'papertape_drill_checks{config="a \"b\""} 1' in text
    assert r'papertape_drill_checks{config="back\\slash"} 1' in text
    assert r'papertape_drill_checks{config="two\nlines"} 1' in text
    assert r'papertape_drill_checks{config="\\n"} 1' in text
    assert list(read_outcomes(file)) == names


def test_file_of_something_else_is_refused_and_left_as_it_is(file: Path) -> None:
    file.write_text("# HELP node_load1 1m load average.\nnode_load1 0.21\n")
    told = f"{file}:2: is no outcome of a drill; name another file with --metrics, or remove this one"
    with pytest.raises(TextfileError, match=f"^{re.escape(told)}$"):
        record(file, "sma", 1, 0, 1.0)
    assert file.read_text().endswith("node_load1 0.21\n")


def test_place_where_no_file_can_be_is_told_before_the_drill(tmp_path: Path) -> None:
    with pytest.raises(TextfileError, match=r"there is no folder .*nowhere; make it"):
        read_outcomes(tmp_path / "nowhere" / "drill.prom")
    with pytest.raises(TextfileError, match="is a folder; name a file in it"):
        read_outcomes(tmp_path)


@pytest.mark.parametrize(
    "line", ['papertape_drill_checks{config="sma"} many', 'papertape_drill_checks{config="sma} 1', "{}"]
)
def test_broken_line_is_named(file: Path, line: str) -> None:
    file.write_text(line + "\n")
    with pytest.raises(TextfileError, match=r"drill\.prom:1: "):
        read_outcomes(file)


def test_what_cannot_be_written_leaves_the_file_and_nothing_else(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(file, "sma", 48, 0, 1_700_000_000.5)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("daemon.drill.textfile.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        record(file, "sma", 1, 1, 2.0)
    assert file.read_text() == FIRST
    assert [p.name for p in file.parent.iterdir()] == ["drill.prom"]
