"""Where the compiled engine is kept between runs.

numba looks at a function's own file only when it decides whether what it kept is still good, and the engine is many
files: so the folder's name is a hash of everything that the machine code depends on. Another engine, another folder.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import shutil
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

KEPT_FOLDERS = 3  # plain, with bounds checked, and the last version before an upgrade
COMPILED_SUFFIX = ".nbc"  # numba keeps each entry's code in a file of its own

_told: set[str] = set()


def prepare(tell: Callable[[str], None] = lambda message: None) -> None:
    """Name the folder in which numba keeps the compiled engine; before the first Engine is built in this process.

    tell: hears, once each, that the engine is about to be compiled, and that there is no folder to keep it in.
    Without one it compiles anew in each process. Later calls change nothing.
    """
    import numba

    from engine.kernel import ENTRIES

    settings: Any = numba.config  # its names are made at run time

    if settings.DISABLE_JIT:
        return
    folder = cache_root() / key()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()  # permissions alone do not say whether it can be written
        os.utime(folder)  # the age by which `prune` goes is that of the last use
        prune(folder)
    except OSError as error:
        settings.CACHE_DIR = ""
        _tell_once(
            tell,
            f"the compiled engine cannot be kept in {folder} ({error.strerror}): it is compiled anew each time; "
            "set XDG_CACHE_HOME to a folder that can be written",
        )
    else:
        settings.CACHE_DIR = str(folder)
        if len(list(folder.rglob(f"*{COMPILED_SUFFIX}"))) >= ENTRIES:
            return
    _tell_once(tell, "compiling the engine, once: about 20 s")


def cache_root() -> Path:
    """The folder of all compiled engines: systemd's $CACHE_DIRECTORY, $XDG_CACHE_HOME/papertape or ~/.cache/papertape."""
    if given := os.environ.get("CACHE_DIRECTORY"):
        base = Path(given.split(":")[0])  # systemd separates several by colons
    else:
        home = os.environ.get("XDG_CACHE_HOME")
        base = (Path(home) if home else Path("~/.cache").expanduser()) / "papertape"
    return base / "compiled"


def key() -> str:
    """A hash of what the machine code depends on: sources, versions, processor, numba's settings."""
    import numba
    import numpy as np
    from numba.core.registry import cpu_target

    digest = hashlib.blake2b(digest_size=10)
    settings = {k: v for k, v in os.environ.items() if k.startswith("NUMBA_") and "CACHE" not in k}
    versions = (numba.__version__, version("llvmlite"), np.__version__, platform.python_version())
    processor = (
        cpu_target.target_context.codegen().magic_tuple()
    )  # by which numba, too, tells one from another
    digest.update(repr((versions, processor, sorted(settings.items()))).encode())
    found = importlib.util.find_spec("engine")
    if found is None or not found.submodule_search_locations:
        raise ImportError("the engine package is not installed")
    sources = Path(found.submodule_search_locations[0])
    for source in sorted(sources.glob("*.py")):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    # numba itself goes by place and time of the entries' file: what it would not take must not count as there
    digest.update(repr((str(sources), (sources / "kernel.py").stat().st_mtime_ns)).encode())
    return digest.hexdigest()


def prune(current: Path) -> None:
    """Remove the folders of other engines beside `current`, but for those last used."""
    others = [f for f in current.parent.iterdir() if f.is_dir() and f != current]
    others.sort(key=lambda f: f.stat().st_mtime, reverse=True)
    for folder in others[KEPT_FOLDERS - 1 :]:
        shutil.rmtree(folder, ignore_errors=True)


def _tell_once(tell: Callable[[str], None], message: str) -> None:
    if message not in _told:
        _told.add(message)
        tell(message)
