"""The deterministic half of a session: the tape in, what it causes out.

The same inputs give the same batches, whether they come live, at recovery or when a session is verified, and however they
are cut. No clock, no database, no socket.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from daemon.actors.delivering import deliver
from daemon.config.spec import engine_spec
from daemon.live import rows
from daemon.live.bars import Closing
from daemon.live.content import Content, strategies
from daemon.live.errors import CoreError
from daemon.live.guarded import Guarded
from daemon.live.snapshots import ContentError, pack, unpack
from daemon.store.batch import Batch, Gap, Payload, Saved, joined
from engine.engine import Engine, Events, SnapshotError
from engine.owned import differing
from engine.spec import SpecError

if TYPE_CHECKING:
    from daemon.config.paper import PaperConfig
    from daemon.store.store import Taped
    from engine.records import Ticks
    from engine.spec import EngineSpec


# what a snapshot has beside the engine's state
_BESIDE = {
    "config", "models", "code", "trade_from", "feed_rows", "complete", "history_until", "actions", "gaps", "lost_actors",
    "ended",
}  # fmt: skip


class Core:
    """An engine with its strategies, and what payloads mean to them.

    seq: rows of the tape that it has taken, warm-up included. feed_rows: those of the session that came from the feed.
    """

    def __init__(self, content: Content, trade_from: int, new: bool = True) -> None:
        """A new one; strategies decide from trade_from (ns UTC) on. Raises what `engine_spec` does.

        new: of a session that begins: a strategy that cannot begin raises; else it is out, until its state is taken on.
        """
        self.content = content
        self.trade_from = trade_from
        spec, actors = _made(content, trade_from)
        self.engine = Engine(spec, {name: Guarded(name, actor, new) for name, actor in actors.items()})
        self._closing = Closing(self.engine)
        self.feed_rows = 0
        self.history_until = trade_from  # what came before is in its history
        self.actions: set[tuple[int, int, int]] = (
            set()
        )  # corporate ones that it took: instrument, RowKind, ts_event
        self.gaps: dict[str, int] = {}  # instruments whose prices are missing now, since when
        self.lost_actors: dict[str, str] = {}  # asynchronous ones that are out, and why
        self.complete = True  # whether the snapshot that it was loaded from held the state of each strategy
        self.ended = False  # its tape is over, and the strategies have heard so
        self._started = False

    @classmethod
    def fresh(cls, config: PaperConfig, trade_from: int) -> Core:
        """A new one of a configuration, with its models and code as they are now."""
        return cls(Content.of(config), trade_from)

    @classmethod
    def load(cls, content: bytes) -> Core:
        """One as it was saved. Raises CoreError, ConfigError."""
        try:
            snapshot, beside = unpack(content)
        except ContentError as error:
            raise CoreError(str(error)) from error
        if missing := _BESIDE - beside.keys():
            raise CoreError(
                f"the session's snapshot is of another version, without {', '.join(sorted(missing))}; go on with that "
                "version, or give this one another `session`"
            )
        content_then = Content.stored(beside["config"], beside["models"], beside["code"])
        core = cls(content_then, beside["trade_from"], new=False)
        core.start()
        try:
            core.engine.restore(snapshot)
        except SnapshotError as error:
            raise CoreError(f"the session cannot go on from its snapshot: {error}") from error
        core.complete = beside["complete"]
        core.feed_rows = beside["feed_rows"]
        core.history_until = beside["history_until"]
        core.actions = {(instrument, kind, ts) for instrument, kind, ts in beside["actions"]}
        core.gaps = dict(beside["gaps"])
        core.lost_actors = dict(beside["lost_actors"])
        core.ended = beside["ended"]
        return core

    @property
    def spec(self) -> EngineSpec:
        """The engine's specification."""
        return self.engine.spec

    @property
    def seq(self) -> int:
        """Rows of the tape that it has taken."""
        return self.engine.seq

    @property
    def can_save(self) -> bool:
        """Whether a snapshot holds all: each strategy in Python has a state_dict, or is out. Else those begin anew from it."""
        return all(actor.keeps_state for actor in self.engine.actors.values() if isinstance(actor, Guarded))

    @property
    def forgetful(self) -> list[str]:
        """Strategies without a state_dict, those that are out among them."""
        return [n for n, actor in self.engine.actors.items() if isinstance(actor, Guarded) and actor.forgets]

    @property
    def lost(self) -> dict[str, str]:
        """Strategies that raised, and asynchronous actors that are gone, and why."""
        found = {
            n: a.lost for n, a in self.engine.actors.items() if isinstance(a, Guarded) and a.lost is not None
        }
        return found | self.lost_actors

    def start(self) -> None:
        """Let the strategies begin; once, before the first row. Raises what their on_start raises."""
        if not self._started:
            self._started = True
            self.engine.start()

    def warm_up(self, ticks: Ticks) -> None:
        """Take rows of history, which are not on the session's tape, and on which nobody decides."""
        self.start()
        self.engine.process(ticks)
        self.history_until = self.engine.now

    def take(self, ticks: Ticks, payloads: Sequence[Payload] = ()) -> Batch:
        """Take at least one row; what that caused. A payload is carried out right behind its row.

        payloads: in the order of their seq, each that of one of the rows. Behind new settings no row may follow: see `replay`.
        """
        self.start()
        batches, at, n = [], 0, len(ticks.price)
        before = self.seq
        for payload in payloads:
            end = payload.seq - before
            batches.append(self._take(_piece(ticks, at, end), payload))
            at = end
        if at < n:
            batches.append(self._take(_piece(ticks, at, n), None))
        return joined(batches)

    def replay(self, taped: Taped) -> Iterator[Batch]:
        """Take a stretch of a tape that was kept."""
        at, done = 0, 0
        for i, payload in enumerate(taped.payloads):
            if payload.kind == "settings":
                end = payload.seq - taped.first + 1
                yield self.take(_piece(taped.ticks, at, end), taped.payloads[done : i + 1])
                at, done = end, i + 1
        if at < len(taped.ticks.price):
            yield self.take(_piece(taped.ticks, at, len(taped.ticks.price)), taped.payloads[done:])

    def save(self) -> Saved:
        """A snapshot after the last row. Raises CoreError where a strategy keeps what is no plain value."""
        beside = {
            "config": self.content.text, "models": self.content.models, "code": self.content.code,
            "trade_from": self.trade_from, "feed_rows": self.feed_rows, "complete": self.can_save,
            "history_until": self.history_until, "actions": sorted(self.actions), "gaps": self.gaps, "lost_actors": self.lost_actors, "ended": self.ended,
        }  # fmt: skip
        try:
            content = pack(self.engine.snapshot(), beside)
        except ContentError as error:
            raise CoreError(str(error)) from error
        return Saved(self.seq, self.engine.state_hash(), content)

    # -- inside ---------------------------------------------------------------------------------------------------

    def _take(self, ticks: Ticks, payload: Payload | None) -> Batch:
        engine, first = self.engine, self.seq + 1
        parts, bars = [], []
        for out, closed in self._closing.process(ticks):
            parts.append(out)
            bars.append(closed)
        self.feed_rows += rows.from_feed(ticks)
        self.actions |= rows.actions(ticks)
        models = self._models()  # what decided at these rows; settings change it behind them
        gaps: list[Gap] = []
        if payload is not None:
            parts.append(self._carry_out(payload, gaps))
        return Batch(
            first, ticks, _joined(parts), np.array(engine.state.slots), models,
            [payload] if payload else [], gaps, bars=bars[0] if len(bars) == 1 else np.concatenate(bars),
        )  # fmt: skip

    def _models(self) -> list[str | None]:
        models = self.content.models
        return [models.get(s.name) for s in self.spec.strategies]

    def _carry_out(self, payload: Payload, gaps: list[Gap]) -> Events:
        content = payload.content
        if payload.kind == "signal":
            return self._signal(content)
        if payload.kind == "actor":
            return self._actor(content)
        if payload.kind == "settings":
            self.change(Content.stored(content["config"], content["models"], content["code"]))
        elif payload.kind == "gap":
            self._gap(content, gaps)
        elif payload.kind == "stop" and content.get("end") and not self.ended:
            self.ended = True
            return self.engine.stop()
        return self.engine.take_events()

    def _signal(self, content: dict[str, Any]) -> Events:
        listeners = [self.engine.actors[name] for name in self._listening(content["actor"])]
        return deliver(self.engine, [a for a in listeners if isinstance(a, Guarded)], content)

    def _actor(self, content: dict[str, Any]) -> Events:
        name = content["actor"]
        if content["event"] == "back":
            self.lost_actors.pop(name, None)
        else:
            self.lost_actors[name] = content["why"]
            keeps = any(a.name == name and a.on_crash == "keep" for a in self.content.config.actors)
            for listening in () if keeps else self._listening(name):
                self.engine.disconnect(listening)
        return self.engine.take_events()

    def _listening(self, actor: str) -> list[str]:
        return [name for name, given in strategies(self.content.config) if actor in given.signals]

    def _gap(self, content: dict[str, Any], gaps: list[Gap]) -> None:
        for name in content["instruments"]:
            since, until = content["since"], content["until"]
            gaps.append(Gap(self.engine.instrument_index[name], since, until, content["why"]))
            if until is None:
                self.gaps[name] = since
            else:
                self.gaps.pop(name, None)

    def fitting(self, content: Content) -> tuple[EngineSpec, dict[str, Any]]:
        """The specification of another configuration, and its new actors; raises CoreError where it is of another shape."""
        try:
            spec, actors = _made(content, self.trade_from)
        except SpecError as error:
            raise CoreError(str(error)) from error
        if found := differing(self.spec, spec):
            raise CoreError(
                f"the session cannot go on with this configuration: {'; '.join(found)}; give it another `session`, or "
                "change it back"
            )
        return spec, actors

    def change(self, content: Content) -> None:
        """Go on by another configuration. Strategies in Python of other code or parameters begin anew.

        Raises CoreError, changing nothing, where the engine would be of another shape.
        """
        spec, actors = self.fitting(content)
        self.engine.reconfigure(spec)
        was = dict(strategies(self.content.config))
        now = dict(strategies(content.config))
        for name, actor in actors.items():
            same = (was[name].use, was[name].params) == (now[name].use, now[name].params)
            if not same or self.content.code.get(name) != content.code.get(name):
                self.engine.replace_actor(name, Guarded(name, actor))
        self.content = content


def _made(content: Content, trade_from: int) -> tuple[EngineSpec, dict[str, Any]]:
    spec, actors = engine_spec(content.config)
    return replace(spec, trade_from=trade_from), actors


def _piece(ticks: Ticks, begin: int, end: int) -> Ticks:
    return ticks if end - begin == len(ticks.price) else type(ticks)(*(column[begin:end] for column in ticks))


def _joined(parts: list[Events]) -> Events:
    parts = [p for p in parts if any(len(a) for a in p)] or parts[:1]
    if len(parts) == 1:
        return parts[0]
    offset, events = 0, []
    for part in parts:  # an event points at its row of the joined observations
        own = np.array(part.events)
        own["observation"][own["observation"] >= 0] += offset
        offset += len(part.observations)
        events.append(own)
    rest = (np.concatenate(column) for column in zip(*(p[1:] for p in parts), strict=True))
    return Events(np.concatenate(events), *rest)
