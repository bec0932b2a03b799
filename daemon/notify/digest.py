"""What waits for a target's next message. It holds a few lines of each event and counts the others: it cannot grow."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain

from daemon.config.notify import EVENTS, Event
from daemon.notify import words
from daemon.notify.telling import MOST_LINES, Line, Told

# where there is no room for all: these first
_FIRST: tuple[Event, ...] = ("halts", "notices", "drift", "gaps", "feed", "denials", "fills")
_RANK = {event: rank for rank, event in enumerate(_FIRST)}
_CALLED: dict[Event, tuple[str, str]] = {
    "fills": ("fill", "fills"),
    "denials": ("denial", "denials"),
    "halts": ("change of trading state", "changes of trading state"),
    "drift": ("change of risk", "changes of risk"),
    "gaps": ("gap or end of one", "gaps or ends of them"),
    "feed": ("change of the feed", "changes of the feed"),
    "notices": ("notice", "notices"),
}


@dataclass(frozen=True)
class Message:
    """What is sent at once. lines: in the order of time. counts: of all that happened, also what has no line."""

    id: str  # the same when it is sent again
    session: str
    ts: int  # ns UTC, the session's time
    lines: tuple[Line, ...]
    counts: dict[Event, int]

    @property
    def total(self) -> int:
        """How many things it tells of."""
        return sum(self.counts.values())

    @property
    def subject(self) -> str:
        """The session, and how much of what happened."""
        return f"{self.session}: {_counted(self.counts)}"

    def text(self, most: int, shown: Callable[[str], str] = str, length: Callable[[str], int] = len) -> str:
        """All of it as a text of at most that length: the lines that fit, the more important first, the others counted.

        shown: how a line is written where some characters mean something. most: at least 500.
        """
        head = shown(self.subject)
        ranked = sorted(range(len(self.lines)), key=lambda i: (_RANK[self.lines[i].event], i))
        written = [shown(f"{words.time(line.ts)}  {line.text}") for line in self.lines]
        room = most - length(head) - 200  # for what is said of the others
        chosen = []
        for i in ranked:
            room -= length(written[i]) + 1
            if room < 0:
                break
            chosen.append(i)
        others = Counter(self.counts)
        others.subtract(Counter(self.lines[i].event for i in chosen))
        rest = (
            [shown(f"and {_counted(left)} more")]
            if (left := {e: n for e, n in others.items() if n > 0})
            else []
        )
        return "\n".join([head, *(written[i] for i in sorted(chosen)), *rest])


class Digest:
    """Gathers lines until a message is made of them."""

    def __init__(self) -> None:
        self._lines: dict[Event, list[Line]] = {}
        self._counts: Counter[Event] = Counter()

    @property
    def total(self) -> int:
        """How many things wait."""
        return self._counts.total()

    def add(self, told: Told) -> None:
        """Take in what there is to tell."""
        lines = self._lines.setdefault(told.event, [])
        lines.extend(told.first(MOST_LINES - len(lines)))
        self._counts[told.event] += told.count

    def take(self, session: str, ts: int) -> Message:
        """A message of all that waits; nothing waits afterwards."""
        lines = tuple(sorted(chain(*self._lines.values()), key=lambda line: line.ts))
        counts = {event: self._counts[event] for event in EVENTS if self._counts[event]}
        self._lines, self._counts = {}, Counter()
        return Message(str(uuid.uuid4()), session, ts, lines, counts)


def _counted(counts: dict[Event, int]) -> str:
    ranked = sorted(counts, key=_RANK.__getitem__)
    return ", ".join(f"{counts[event]:,} {_CALLED[event][counts[event] != 1]}" for event in ranked)
