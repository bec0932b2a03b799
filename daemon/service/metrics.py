"""What Prometheus is told of a session: one registry, filled a commit at a time, read when it is asked for.

Counts and times come from what was committed (`Group`s and `Times`); what just is so, such as equity or the backlog, is
read from the session at each scrape (metrics_state.py). Names are papertape_<what>_<unit>; the process's own are process_*, as
everywhere. To add one: another group here, or another family there.
"""

from __future__ import annotations

import time
from collections import Counter as tally  # noqa: N813
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector

from daemon.bus import Bus, Overflow
from daemon.feeds.items import StatusKind
from daemon.live.controls import Controls
from daemon.live.health import Health
from daemon.live.messages import Committed, FeedStatus, Notice
from daemon.live.rows import from_feed
from daemon.service.metrics_state import Accounts, Build, State, Subscribers
from engine.records import N_CODES, Code, EventKind, Status

# Seconds: narrow where the promises lie, at 200 µs, 2 ms and 50 ms.
BUCKETS = (
    *(25e-6, 50e-6, 75e-6, 100e-6, 125e-6, 150e-6, 200e-6, 250e-6, 300e-6, 400e-6, 500e-6, 750e-6),
    *(1e-3, 1.5e-3, 2e-3, 3e-3, 5e-3, 7.5e-3, 10e-3, 15e-3, 20e-3, 30e-3, 40e-3, 50e-3, 75e-3),
    *(0.1, 0.25, 0.5, 1.0, 5.0, 30.0),
)
_QUEUE = 10_000  # commits that may wait to be counted


class Group(Protocol):
    """Metrics of one thing that commits tell of."""

    def committed(self, message: Committed) -> None:
        """Count a commit in."""


class Tape:
    """Rows and events."""

    def __init__(self, registry: CollectorRegistry) -> None:
        rows = Counter(
            "papertape_tape_rows", "Rows committed, by who entered them.", ["origin"], registry=registry
        )
        events = Counter("papertape_events", "What they caused, by kind.", ["kind"], registry=registry)
        self._commits = Counter("papertape_commits", "Batches committed.", registry=registry)
        self._feed, self._daemon = rows.labels("feed"), rows.labels("daemon")
        self._events = [events.labels(kind.name.lower()) for kind in EventKind]

    def committed(self, message: Committed) -> None:
        ticks = message.batch.ticks
        fed = from_feed(ticks)
        self._commits.inc()
        self._feed.inc(fed)
        self._daemon.inc(len(ticks.flags) - fed)
        events = message.batch.out.events
        if len(events):
            for kind, n in _counted(events["kind"]):
                self._events[kind].inc(n)


class Orders:
    """Orders, fills and denials by account, whose names are in the engine's order."""

    def __init__(self, registry: CollectorRegistry, accounts: Sequence[str]) -> None:
        self._accounts = accounts
        self._statuses = Counter(
            "papertape_order_events", "Orders that took a status.", ["account", "status"], registry=registry
        )
        self._fills = Counter("papertape_fills", "Fills.", ["account"], registry=registry)
        self._denials = Counter(
            "papertape_denials",
            "Orders that the gate denied, by its reason.",
            ["account", "code"],
            registry=registry,
        )
        for name in accounts:  # a rate needs a 0 to begin at
            self._fills.labels(name)
            for status in Status:
                self._statuses.labels(name, status.name.lower())

    def committed(self, message: Committed) -> None:
        events = message.batch.out.events
        if len(events) == 0:
            return
        for account, n in _counted(events["account"][events["kind"] == EventKind.FILL]):
            self._fills.labels(self._accounts[account]).inc(n)
        orders = events[np.isin(events["kind"], (EventKind.ORDER, EventKind.FILL))]
        of_account = orders["account"].astype(np.int64)
        for key, n in _counted(of_account * len(Status) + orders["status"]):
            of, status = divmod(key, len(Status))
            self._statuses.labels(self._accounts[of], Status(status).name.lower()).inc(n)
        denied = orders["status"] == Status.DENIED
        for key, n in _counted(of_account[denied] * N_CODES + orders["code"][denied]):
            of, code = divmod(key, N_CODES)
            self._denials.labels(self._accounts[of], Code(code).name.lower()).inc(n)


class Frame(Protocol):
    """What came in at once, and was decided at once. Times are ns, by the session's clock."""

    @property
    def received(self) -> int: ...

    @property
    def decided(self) -> int: ...


class Times:
    """How long frames took; those of one commit end together."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def histogram(name: str, text: str) -> Histogram:
            return Histogram(name, text, registry=registry, buckets=BUCKETS)

        self._decided = histogram("papertape_received_to_decided_seconds", "From frame received to decided.")
        self._committed = histogram(
            "papertape_received_to_committed_seconds", "From frame received to committed."
        )
        self._commit = histogram(
            "papertape_decided_to_committed_seconds", "From the first decision of a commit to its end."
        )

    def observe(self, frames: Sequence[Frame], committed_ns: int) -> None:
        """Take in what a commit held, in order."""
        for frame in frames:
            self._decided.observe((frame.decided - frame.received) * 1e-9)
            self._committed.observe((committed_ns - frame.received) * 1e-9)
        self._commit.observe((committed_ns - frames[0].decided) * 1e-9)


class Metrics:
    """A session's metrics, in a registry of their own.

    accounts: names, in the engine's order. now_ns: by the session's clock; monotonic: as `Health.progress` has it.
    """

    def __init__(
        self,
        accounts: Sequence[str],
        controls: Controls,
        health: Health,
        now_ns: Callable[[], int],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.registry = CollectorRegistry()
        self.groups: list[Group] = [
            Tape(self.registry),
            Orders(self.registry, accounts),
        ]
        self._times = Times(self.registry)
        self._statuses = Counter(
            "papertape_feed_status", "What became of the feed's connection.", ["kind"], registry=self.registry
        )
        self._notices = Counter(
            "papertape_notices", "What operators were told.", ["level", "kind"], registry=self.registry
        )
        for kind in StatusKind:
            self._statuses.labels(str(kind))
        self.registry.register(State(health, now_ns, monotonic))
        self.registry.register(Accounts(controls))
        self.registry.register(Build())
        ProcessCollector(registry=self.registry)

    def committed(self, message: Committed) -> None:
        """Count a commit in."""
        for group in self.groups:
            group.committed(message)

    def timed(self, frames: Sequence[Frame], committed_ns: int) -> None:
        """Take in how long each frame of a commit took."""
        self._times.observe(frames, committed_ns)

    def subscribe(self, bus: Bus) -> None:
        """Hear what is on the bus, and tell of those who listen there."""

        async def committed(message: Committed) -> None:
            self.committed(message)

        async def status(message: FeedStatus) -> None:
            self._statuses.labels(str(message.status.kind)).inc()

        async def notice(message: Notice) -> None:
            self._notices.labels(message.level, message.kind).inc()

        bus.subscribe(Committed, committed, name="metrics", overflow=Overflow.DROP_OLDEST, bound=_QUEUE)
        bus.subscribe(FeedStatus, status, name="metrics.feed", overflow=Overflow.DROP_OLDEST, bound=_QUEUE)
        bus.subscribe(Notice, notice, name="metrics.notices", overflow=Overflow.DROP_OLDEST, bound=_QUEUE)
        self.registry.register(Subscribers(bus))


def _counted(keys: np.ndarray) -> list[tuple[int, int]]:
    return list(tally(keys.tolist()).items())  # numpy's unique takes longer on the few that a commit has
