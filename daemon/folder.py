"""The folder of a run's results: there when it is complete, and not before."""

from __future__ import annotations

import contextlib
import secrets
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path


class ResultFolderError(Exception):
    """The results cannot be written where they should go."""


def new_run_id() -> str:
    """A name for a run: later runs sort after earlier ones, and no two are the same."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"


@contextlib.contextmanager
def result_folder(path: Path) -> Iterator[Path]:
    """A folder beside `path` to write into; it becomes `path` at the end, or is removed if anything goes wrong.

    Raises ResultFolderError where `path` holds something already or cannot be made.
    """
    path = path.absolute()
    check_free(path)
    first_made = next((p for p in reversed((path, *path.parents)) if not p.exists()), path)
    hidden = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        hidden.mkdir(parents=True)
    except OSError as error:
        raise ResultFolderError(
            f"cannot write results to {path}: {error.strerror}; name another folder with --out"
        ) from error
    try:
        yield hidden
        check_free(path)
        hidden.replace(path)  # an empty folder gives way
    except BaseException:
        shutil.rmtree(hidden, ignore_errors=True)
        with contextlib.suppress(OSError):  # what others have written into it meanwhile stays
            for parent in path.parents:
                if not parent.is_relative_to(first_made):
                    break
                parent.rmdir()
        raise


def check_free(path: Path) -> None:
    """Raise ResultFolderError where `path` is something else than an empty folder or nothing."""
    try:
        taken = path.exists() and not (path.is_dir() and not any(path.iterdir()))
    except OSError as error:
        raise ResultFolderError(f"cannot look into {path}: {error.strerror}") from error
    if taken:
        raise ResultFolderError(
            f"{path} is there already and not empty; remove it, or name another with --out"
        )
