"""One tape through the session's agents, from the state in which it began."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from daemon.config.spec import complete
from daemon.live.content import Content
from daemon.live.core import Core
from daemon.store.batch import Payload
from daemon.store.store import Taped
from daemon.store.tape import cut
from engine.build import worth
from engine.records import NEVER, BarKind, EventKind

if TYPE_CHECKING:
    from daemon.compare.tapes import Tape
    from engine.engine import Engine

Array = np.ndarray[Any, Any]
CHUNK = 65_536  # rows taken at once, at most


class Executed(NamedTuple):
    """An order that filled, whole or in part. Money in units of the account's currency."""

    strategy: int
    instrument: int
    side: int
    submitted: int  # ns UTC
    lots: int
    notional: int
    fee: int
    gain: int  # what it has come to by the end, at the last price


@dataclass(frozen=True)
class Run:
    """What came of a tape. accounts, strategies: profit by name, in money units; fills: by strategy."""

    accounts: dict[str, int]
    strategies: dict[str, int]
    fills: dict[str, int]
    executed: tuple[Executed, ...]
    late: int  # prints that came too late for their bar


def run(core: Core, tape: Tape) -> Run:
    """Put a tape through a core, which is as the session began."""
    before = _profits(core.engine)
    late = int(core.engine.state.clock[0].late_rows)
    fills = []
    for taped, anew in _stretches(core.seq + 1, tape):
        if anew:  # as a new process does: strategies that cannot be saved begin anew
            core = Core.load(core.save().content)
        for batch in core.replay(taped):
            events = batch.out.events
            fills.append(events[events["kind"] == EventKind.FILL])
    accounts, strategies = (
        {name: now[name] - was[name] for name in now}
        for now, was in zip(_profits(core.engine), before, strict=True)
    )
    filled = np.concatenate(fills)
    counts = np.bincount(filled["strategy"], minlength=len(strategies))
    return Run(
        accounts,
        strategies,
        {name: int(n) for name, n in zip(strategies, counts, strict=True)},
        tuple(_executed(core.engine, filled)),
        int(core.engine.state.clock[0].late_rows) - late,
    )


def prompt(core: Core) -> Core:
    """The core without a grace: its time bars close at their end."""
    core.content = without_grace(core.content)
    engine = core.engine
    engine.spec = replace(engine.spec, grace_ns=0)
    series, clock = engine.state.series, engine.state.clock[0]
    going = (series["kind"] == BarKind.TIME) & (series["count"] > 0)
    clock.grace_ns = 0
    clock.series_due = series["end"][going].min(initial=NEVER)
    clock.due = min(clock.series_due, clock.order_due, clock.timer_due, clock.accrual_due, clock.risk_due)
    return core


def without_grace(content: Content) -> Content:
    """The same content but for the grace."""
    execution = content.config.execution.model_copy(update={"grace_ms": 0.0})
    config = content.config.model_copy(update={"execution": execution})
    return replace(content, config=config, text=complete(config))


def promptly(payload: Payload) -> Payload:
    """A payload for a core without a grace: settings must not bring one in."""
    if payload.kind != "settings":
        return payload
    given = payload.content
    content = without_grace(Content.stored(given["config"], given["models"], given["code"]))
    return payload._replace(content=given | {"config": content.text})


def _stretches(first: int, tape: Tape) -> Iterator[tuple[Taped, bool]]:
    """The tape in pieces, and whether a new epoch begins with it; a row's seq counts from `first`."""
    n = len(tape.ticks.price)
    begins: dict[int, int] = {}
    for i, p in tape.payloads:
        if p.kind == "start":
            begins.setdefault(p.content["epoch"], i)
    later = set(sorted(begins.values())[1:])
    for at, end in pairwise(sorted({*range(0, n, CHUNK), *later, n})):
        told = tuple(p._replace(seq=first + i) for i, p in tape.payloads if at <= i < end)
        yield Taped(first + at, cut(tape.ticks, at, end), told), at in later


def _profits(engine: Engine) -> tuple[dict[str, int], dict[str, int]]:
    """Profit so far, by account and by strategy, at the last prices; operators are strategies, too."""
    s, spec = engine.state, engine.spec
    accounts = {
        a.name: engine.equity(a.name) - int(row.initial) - int(row.deposits)
        for a, row in zip(spec.accounts, s.accounts, strict=True)
    }
    names = [x.name for x in spec.strategies] + [f"operator:{a.name}" for a in spec.accounts]
    strategies = dict.fromkeys(names, 0)
    for slot in s.slots:
        instrument = s.instruments[slot.instrument]
        held = (
            round(worth(instrument, int(slot.lots), float(instrument.price))) - int(slot.cost)
            if slot.lots
            else 0
        )
        strategies[names[slot.strategy]] += int(slot.realized) - int(slot.fees) + int(slot.income) + held
    return accounts, strategies


def _executed(engine: Engine, fills: Array) -> Iterator[Executed]:
    # sums by order, in the order of their first fills
    ids, first, of = np.unique(fills["order_id"], return_index=True, return_inverse=True)
    lots, notional, fee = (np.zeros(len(ids), np.int64) for _ in range(3))
    for total, name in ((lots, "last_lots"), (notional, "last_notional"), (fee, "last_fee")):
        np.add.at(total, of, fills[name])
    for k in np.argsort(first):
        e = fills[first[k]]
        side, instrument = int(e["side"]), engine.state.instruments[e["instrument"]]
        held = round(worth(instrument, side * int(lots[k]), float(instrument.price)))
        gain = held - side * int(notional[k]) - int(fee[k])
        yield Executed(
            int(e["strategy"]), int(e["instrument"]), side, int(e["submitted"]),
            int(lots[k]), int(notional[k]), int(fee[k]), gain,
        )  # fmt: skip
