"""What a verification can find: where a session is not what its tape gives, and why."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from daemon.verify.comparing import Difference


class Kind(StrEnum):
    """Why a replay gives something else than was recorded."""

    CONFIGURATION = "configuration"
    MODEL = "model"
    BUILD = "code version"
    STRATEGY = "strategy code"
    TAPE = "tape"
    GAP = "gap on the tape"
    SNAPSHOT = "snapshot"
    ROWS = "rows of the database"
    UNKNOWN = "tape or rows of the database"


@dataclass(frozen=True)
class Cause:
    """A likely cause, and what speaks for it."""

    kind: Kind
    why: str


@dataclass(frozen=True)
class Failure:
    """The first row that differs, or what else the replay stopped at.

    seq: of the input it belongs to, where that is known. difference: None where it is no row.
    """

    epoch: int
    seq: int | None
    what: str
    cause: Cause
    difference: Difference | None = None


class NotReplayable(Exception):
    """An epoch cannot be replayed at all; the cause says why."""

    def __init__(self, kind: Kind, why: str) -> None:
        super().__init__(why)
        self.cause = Cause(kind, why)
