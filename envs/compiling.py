"""Where the compiled code of lanes and trainers is kept: below the engine's folder, by a hash of what it is made of."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numba

_COMPILED = (b"engine.jit", b"numba", b"IntEnum")  # what compiled functions, or the names in them, come from


@contextmanager
def own_folder() -> Iterator[None]:
    """Within it, numba keeps what it compiles apart from the engine, where it is told to keep anything.

    The engine's folder changes with the engine, whose functions are compiled into ours, too.
    """
    settings: Any = numba.config  # its names are made at run time
    folder = settings.CACHE_DIR
    if folder:
        settings.CACHE_DIR = str(Path(folder) / f"envs-{_sources()}")
    try:
        yield
    finally:
        settings.CACHE_DIR = folder


def _sources() -> str:
    digest = hashlib.blake2b(digest_size=8)
    root = Path(__file__).parent
    for source in sorted(root.rglob("*.py")):
        text = source.read_bytes()
        if any(word in text for word in _COMPILED):
            digest.update(str(source.relative_to(root)).encode() + b"\0" + text)
    return digest.hexdigest()
