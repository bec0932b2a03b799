"""Where a database is, as users write it."""

import asyncio
from pathlib import Path

import pytest

from daemon.store.address import parse
from daemon.store.errors import StoreUseError
from daemon.store.migrating import upgrade
from daemon.store.store import Store


@pytest.mark.parametrize(
    ("url", "file", "shown"),
    [
        ("sqlite:///a/b.db", Path("a/b.db"), "sqlite:///a/b.db"),
        ("sqlite:////var/lib/x.db", Path("/var/lib/x.db"), "sqlite:////var/lib/x.db"),
        ("postgresql://me:hidden@db:5433/tape", None, "postgresql://me:***@db:5433/tape"),
        ("postgres://me@db/tape", None, "postgresql://me@db/tape"),
    ],
)
def test_address_is_read_and_shown_without_its_password(url, file, shown):
    address = parse(url)
    assert (address.file, str(address)) == (file, shown)
    assert "hidden" not in repr(address)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nothing", "cannot be read; write sqlite:///FILE or postgresql://USER@HOST/NAME"),
        ("mysql://me:hidden@db/tape", "'mysql' is no database that can be used here"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite://host/x.db", "three slashes"),
        ("postgresql://me:hidden@db", "names no database"),
        ("postgresql://me:hidden@db:port/x", "cannot be read"),
    ],
)
def test_address_that_cannot_be_used_is_refused_without_its_password(url, said):
    with pytest.raises(StoreUseError, match=said) as error:
        parse(url)
    assert "hidden" not in str(error.value)


def test_file_in_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(StoreUseError, match=r"there is no folder .*; create it"):
        asyncio.run(upgrade(f"sqlite:///{tmp_path}/nowhere/x.db"))
    with pytest.raises(StoreUseError, match="there is no such file; correct the address"):
        asyncio.run(Store.open(f"sqlite:///{tmp_path}/nowhere/x.db"))
    assert not (tmp_path / "nowhere").exists()
