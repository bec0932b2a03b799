"""Files that are there when they are complete and on the disk, and not before."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from daemon.catalog.manifest import sync_folder


@contextmanager
def hidden(path: Path) -> Iterator[Path]:
    """A name beside `path` to write to; it takes the place of `path` at the end, or is removed if anything goes wrong.

    A process that is killed leaves it behind, which nobody takes for the file.
    """
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
        sync_folder(path.parent)
    finally:
        for suffix in ("", "-wal", "-shm"):  # an SQLite file's log, too
            Path(f"{partial}{suffix}").unlink(missing_ok=True)
