"""What a training leaves on disk to go on from: one file of arrays, replaced whole.

Nothing in it is code: numbers, and a JSON text with what they belong to.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from engine.models import Array
from envs.errors import CheckpointError

FILE_NAME = "training.npz"


def write_checkpoint(folder: Path, about: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
    """Put arrays and what is to be said about them into a folder, in place of what was there.

    The file is complete at any moment. Raises OSError where it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{FILE_NAME}.partial"
    text = np.frombuffer(json.dumps(about).encode(), np.uint8)
    with partial.open("wb") as file:
        np.savez(file, allow_pickle=False, about=text, **arrays)
    partial.replace(folder / FILE_NAME)


def read_checkpoint(folder: Path) -> tuple[dict[str, Any], dict[str, Array]]:
    """What `write_checkpoint` wrote. Raises CheckpointError where there is none, or it is no such file."""
    path = folder / FILE_NAME
    try:
        # opened here, as numpy leaves a file open that it cannot read
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        about = json.loads(arrays.pop("about").tobytes())
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: there is no checkpoint; start without resuming") from error
    except (zipfile.BadZipFile, ValueError, TypeError, KeyError, EOFError) as error:
        raise CheckpointError(
            f"{path}: it is no checkpoint of a training, or damaged; start without resuming"
        ) from error
    return about, arrays


def check_same(path: Path, now: Mapping[str, Any], then: Mapping[str, Any]) -> None:
    """Raise CheckpointError, naming what differs, unless a checkpoint is of the training that is to go on."""
    wrong = [
        f"{name} was {then.get(name)!r}, now {value!r}"
        for name, value in now.items()
        if then.get(name) != value
    ]
    if wrong:
        raise CheckpointError(
            f"{path / FILE_NAME}: it is of another training: {'; '.join(wrong)}. "
            "Resume with the same configuration, or start without resuming"
        )


def checkpoint_step(folder: Path) -> int:
    """The step from which a training would go on: 0 where there is no checkpoint. Raises CheckpointError for a damaged one."""
    return int(read_checkpoint(folder)[0]["standing"]["step"]) if (folder / FILE_NAME).exists() else 0
