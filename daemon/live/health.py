"""How a session is: facts that its parts write, and what follows from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Stage(StrEnum):
    """What the process is about."""

    STARTING = "starting"
    WARMING = "warming up"
    RECOVERING = "recovering"
    RUNNING = "running"
    STOPPING = "stopping"


@dataclass
class Health:
    """Facts. Times are ns UTC by the session's clock, but for `progress`, which is of the process's monotonic clock."""

    stage: Stage = Stage.STARTING
    session: str = ""
    epoch: int = 0
    seq: int = 0  # rows of the tape that were decided
    committed_seq: int = 0
    now: int = 0  # engine time
    progress: float = 0.0  # monotonic seconds at which the engine last did something, or had nothing to do
    feed: str = ""  # what its last status said
    feed_down_since: int | None = None
    last_print: int | None = None  # ts_recv
    backlog_rows: int = 0  # decided and not committed
    backlog_since: int | None = None
    backlog_full: bool = False  # nothing is decided until there is room
    database_error: str | None = None  # while it cannot be written
    warming: list[str] = field(default_factory=list)  # what is still missing, such as scenarios
    gaps_open: set[str] = field(default_factory=set)  # instruments
    gaps: int = 0
    lost: dict[str, str] = field(default_factory=dict)  # actors and strategies that are out, and why
    counters: dict[str, int] = field(default_factory=dict)  # of the feed, the inbox and the journal

    def reasons(self) -> list[str]:
        """Why it is not ready; empty: it is."""
        found = []
        if self.stage is not Stage.RUNNING:
            found.append(f"it is {self.stage}")
        if self.database_error is not None:
            found.append(f"the database cannot be written: {self.database_error}")
        if self.backlog_full:
            found.append(
                f"{self.backlog_rows:,} rows wait for the database; nothing is decided until they are written"
            )
        if self.feed_down_since is not None:
            found.append(f"the feed is down: {self.feed}")
        return found

    @property
    def ready(self) -> bool:
        """Whether it trades on live prices, and what it does is kept."""
        return not self.reasons()

    def stuck_s(self, monotonic_s: float) -> float:
        """Seconds since the engine last made progress."""
        return max(0.0, monotonic_s - self.progress)
