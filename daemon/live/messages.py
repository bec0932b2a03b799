"""What a running session puts onto the bus. All of it is of committed facts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from daemon.feeds.items import Status
    from daemon.store.batch import Batch

Level: TypeAlias = Literal["info", "warning", "error"]


@dataclass(frozen=True)
class Committed:
    """A stretch of the tape and what it caused, now in the database.

    Times are ns of the process's monotonic clock. received_ns: of the oldest row in it.
    """

    batch: Batch
    received_ns: int
    decided_ns: int
    committed_ns: int


@dataclass(frozen=True)
class FeedStatus:
    """What became of the feed's connection."""

    status: Status


@dataclass(frozen=True)
class Notice:
    """Something that an operator should know. kind: what it is about, such as gap, database or strategy."""

    level: Level
    kind: str
    text: str
    ts: int  # ns UTC
