import asyncio
import sqlite3
from pathlib import Path

import pytest

from daemon.doctor import database as doctor
from daemon.doctor.findings import Finding
from daemon.store.migrating import upgrade


def looked(url: str) -> Finding:
    looked = asyncio.run(doctor.database(url))
    assert looked.ahead is None  # SQLite has no clock of its own
    # where the tables are, a session may be
    assert looked.ready == looked.found.text.endswith("has this program's tables, and can be written")
    return looked.found


@pytest.fixture
def url(tmp_path: Path) -> str:
    made = f"sqlite:///{tmp_path}/papertape.db"
    asyncio.run(upgrade(made))
    return made


def rows(url: str) -> list[tuple[str, int]]:
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        tables = [
            name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        return [(t, *connection.execute(f"SELECT count(*) FROM {t}").fetchone()) for t in sorted(tables)]


def test_database_that_is_not_there_is_made_at_the_start(tmp_path: Path) -> None:
    found = looked(f"sqlite:///{tmp_path}/new.db")
    assert (found.state, list(tmp_path.iterdir())) == ("ok", [])
    assert "is not there yet; the first start makes it" in found.text


def test_database_is_written_to_and_left_as_it_was(url: str) -> None:
    before = rows(url)
    assert looked(url).text.endswith("has this program's tables, and can be written")
    assert rows(url) == before


def test_empty_database_gets_its_tables_at_the_start(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/empty.db"
    sqlite3.connect(tmp_path / "empty.db").close()
    found = looked(url)
    assert (found.state, rows(url)) == ("ok", [])
    assert "has no tables yet; the first start makes them" in found.text


def test_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_text("This is no database, though it is long enough to have been one." * 20)
    found = looked(f"sqlite:///{tmp_path}/a.db")
    assert found.state == "failed"
    assert "the file is no SQLite database; name another one" in found.text


def test_database_of_a_newer_program_is_told(url: str) -> None:
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        connection.execute("UPDATE papertape_revision SET version_num = '9999'")
    found = looked(url)
    assert found.state == "failed"
    assert "has revision 9999, which this program does not know" in found.text


def test_tables_that_are_not_ours_are_told(url: str) -> None:
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        connection.execute("ALTER TABLE fills DROP COLUMN seq")
    found = looked(url)
    assert found.state == "failed"
    assert "its tables are not this program's: " in found.text
    assert "fills.seq" in found.text


def test_database_that_another_process_writes_to_is_a_warning(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "_PATIENCE_S", 0.2)
    with sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        found = looked(url)
    assert found.state == "warning"
    assert "another process is writing" in found.text


def test_address_that_is_none_is_told_without_its_password() -> None:
    found = looked("mysql://me:s3cret@host/x")
    assert found.state == "failed"
    assert "s3cret" not in found.text


def test_server_that_is_not_there_is_told_without_its_password() -> None:
    found = looked("postgresql://me:s3cret@127.0.0.1:1/x")
    assert found.state == "failed"
    assert "is the server running" in found.text
    assert "s3cret" not in found.text
