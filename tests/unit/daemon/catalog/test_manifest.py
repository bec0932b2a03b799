"""The manifest as it lies in its file."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from daemon.catalog.manifest import Manifest, Part, Provenance, SourceFile, load, save
from daemon.catalog.store import Catalog
from engine.records import DAY
from tests.unit.daemon.catalog.shelf import days, put


@given(st.integers(-(8 * 10**18), 7 * 10**18))
def test_times_are_text_to_the_nanosecond(ns: int) -> None:
    part = Part(file="x", rows=1, first=ns, last=0, hash="")
    assert Part.model_validate_json(part.model_dump_json()) == part


def test_time_is_written_for_people() -> None:
    part = Part(file="x", rows=1, first=1_500_000_000_000_000_001, last=DAY, hash="")
    assert '"first":"2017-07-14T02:40:00.000000001Z","last":"1970-01-02T00:00:00Z"' in part.model_dump_json()


def test_manifest_read_back_is_the_one_that_was_saved(tmp_path: Path) -> None:
    source = Provenance(
        files=(SourceFile(name="a.csv", bytes=3, sha256="ab"),),
        arguments={"columns": {"time": "Date"}, "sort": True},
        timezone="America/New_York",
        stamp="end",
    )
    made = put(Catalog(tmp_path), days("2012-12-01", 2), source=source)
    assert made.source == source
    save(made, tmp_path)
    assert load(tmp_path) == made
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["manifest.json"]
    assert Manifest.model_validate_json((tmp_path / "manifest.json").read_text()) == made


def test_folder_without_manifest_has_none(tmp_path: Path) -> None:
    assert load(tmp_path) is None
    assert load(tmp_path / "nowhere") is None
