"""What is wrong in a configuration, and where."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Place:
    """Where a value was written. `line` counts from 1; 0: its source has no lines. Relative paths start in `folder`."""

    source: str  # a file as the user named it, "--set key=value", or "configuration" for a dict
    line: int
    folder: Path

    def __str__(self) -> str:
        return f"{self.source}:{self.line}" if self.line else self.source


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: ``FILE:LINE: dotted.key: what is wrong; what to do``."""

    place: Place
    key: str  # dotted; empty where the whole file is meant
    message: str

    def __str__(self) -> str:
        return ": ".join(part for part in (str(self.place), self.key, self.message) if part)


class ConfigError(Exception):
    """A configuration that cannot be used; `problems` are all that were found, in order of line."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        # what came with `--set` follows what stands in the file
        ordered = sorted(dict.fromkeys(problems), key=lambda p: (p.place.line == 0, p.place.line))
        self.problems = tuple(ordered)
        super().__init__("\n".join(map(str, ordered)))
