"""A session with strategies in Python, an asynchronous actor, limits, and a tape with payloads of each kind."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from daemon.config.paper import PaperConfig, load_paper
from daemon.live import rows
from daemon.live.content import Content
from daemon.live.core import Core
from daemon.store.batch import Batch, Payload
from daemon.store.store import Taped
from engine.records import SECOND, OperatorAction, Ticks
from tests.service.taped import MINUTE, T0

CODE = """
from pydantic import BaseModel

from strategies import AsyncActor, Strategy


class Drift(AsyncActor):
    async def on_bar(self, bar):
        return None


class Listener(Strategy):
    '''Trades on signals, keeps what it heard, and draws random numbers.'''

    class Params(BaseModel):
        units: int = 3
        fail_at: int = 0

    def __init__(self, params):
        super().__init__(params)
        self.heard = 0

    def on_start(self, ctx):
        self.begun = True

    def on_timer(self, ctx, timer_id):
        ctx.cancel_all()

    def on_signal(self, ctx, signal):
        self.heard += 1
        if signal.value > 0:
            ctx.buy(signal.instrument or "A", self.params.units, limit=round(ctx.price("A") * 0.999, 2))
        else:
            ctx.sell(signal.instrument or "A", 1)

    def on_bar(self, ctx, bar):
        self.heard += 1
        if self.heard % 5 == 1:
            ctx.set_timer(7, ctx.now + 1, every=90 * 10**9)
        if self.heard == self.params.fail_at:
            raise ValueError("one too many")
        if ctx.rng.random() < 0.3:
            ctx.buy(bar.instrument, 1)

    def state_dict(self):
        return {"heard": self.heard}

    def load_state_dict(self, state):
        self.heard = state["heard"]


class Forgetful(Strategy):
    '''Buys at each third bar that it has seen, and has no state_dict.'''

    def __init__(self, params):
        super().__init__(params)
        self.seen = 0

    def on_bar(self, ctx, bar):
        self.seen += 1
        if self.seen % 3 == 0:
            ctx.buy(bar.instrument, 1)
"""


def written(folder: Path, code: str = CODE, module: str = "mine") -> Path:
    """A folder with that module, as it is now."""
    forget(module)
    (folder / f"{module}.py").write_text(code)
    return folder


def forget(module: str = "mine") -> None:
    """Let the next import read the file."""
    sys.modules.pop(module, None)


def given(folder: Path, **changed: Any) -> dict[str, Any]:
    """The configuration: a rule, and a strategy in Python that hears an actor, in one account with limits."""
    instrument = {"tick_size": 0.01, "lot_size": 1, "currency": "USD", "fees": {"bps": 10}}
    return {
        "name": "desk",
        "feed": {"source": "finnhub"},
        "strategy_folder": str(folder),
        "instruments": {"A": instrument, "B": instrument},
        "actors": [{"name": "drift", "use": "mine:Drift", "instruments": ["A"], "timeframe": "1m"}],
        "accounts": [
            {
                "name": "desk",
                "cash": 100_000,
                "limits": {"max_position": 5_000, "drawdown": {"limit": 0.5, "action": "halt"}},
                "strategies": [
                    {
                        "use": "sma_cross", "name": "cross", "instruments": ["A", "B"], "timeframe": "1m",
                        "params": {"fast": 2, "slow": 3}, "size": {"units": 100},
                    },
                    {
                        "use": "mine:Listener", "name": "listener", "instruments": ["A", "B"], "timeframe": "1m",
                        "signals": ["drift"],
                    },
                ],
            }
        ],
    } | changed  # fmt: skip


def config(folder: Path, **changed: Any) -> PaperConfig:
    return load_paper(given(folder, **changed)).config


def with_limits(folder: Path, units: int = 100, **changed: Any) -> dict[str, Any]:
    """The same with another size of the rule."""
    made = given(folder, **changed)
    made["accounts"][0]["strategies"][0]["size"] = {"units": units}
    return made


def fresh(folder: Path, **changed: Any) -> Core:
    return Core.fresh(config(folder, **changed), T0)


def settings(made: dict[str, Any]) -> dict[str, Any]:
    """The content of a payload with that configuration."""
    content = Content.of(load_paper(made).config)
    return {"config": content.text, **content.described()}


def signal(value: float, instrument: str | None = "A", actor: str = "drift") -> dict[str, Any]:
    return {
        "actor": actor, "instrument": instrument, "ts": T0, "until": T0 + MINUTE, "value": value, "low": None, "high": None,
        "data": {"x": [1, 2]},
    }  # fmt: skip


def kinds(folder: Path) -> list[tuple[str, Callable[[int], Ticks], dict[str, Any]]]:
    """A payload of each kind with its row, in an order that makes sense anywhere."""
    command = {"portfolio": "desk", "reason": "looked into it", "who": "me"}
    gap = {"instruments": ["A", "B"], "since": T0, "why": "the stream was down"}
    return [
        ("start", rows.timer, {"epoch": 1, "why": "new", "version": "0"}),
        ("signal", rows.timer, signal(1.0)),
        ("gap", rows.timer, gap | {"until": None}),
        ("signal", rows.timer, signal(-1.0, "B")),
        (
            "command",
            lambda ts: rows.command(ts, 0, OperatorAction.REDUCE_ONLY),
            command | {"action": "reduce_only"},
        ),
        ("gap", rows.timer, gap | {"until": T0 + MINUTE}),
        ("settings", rows.timer, settings(with_limits(folder, 150))),
        ("command", lambda ts: rows.command(ts, 0, OperatorAction.RESET), command | {"action": "reset"}),
        ("signal", rows.timer, signal(2.0, None)),
        ("actor", rows.timer, {"actor": "drift", "event": "lost", "why": "it hangs"}),
        ("signal", rows.timer, signal(1.0)),
        ("actor", rows.timer, {"actor": "drift", "event": "back", "why": ""}),
        ("settings", rows.timer, settings(with_limits(folder, 200))),
        ("command", lambda ts: rows.command(ts, 0, OperatorAction.FLATTEN), command | {"action": "flatten"}),
        ("stop", rows.timer, {"epoch": 1, "why": "SIGTERM", "version": "0"}),
        ("start", rows.timer, {"epoch": 1, "why": "recovered", "version": "0"}),
    ]


def prints(n: int, seed: int = 1, every: int = 5 * SECOND) -> Ticks:
    """Prints of A and B that wander in cents around 100, now and then late, some of them marks."""
    rng = np.random.default_rng(seed)
    event = T0 + np.arange(n) * every
    received = event + rng.choice([20, 40, 700], n) * 1_000_000
    which = rng.integers(0, 2, n)
    price = np.round(100 + np.cumsum(rng.integers(-30, 31, n)) / 100, 2)
    kind = rng.choice([0, 0, 0, 0, 10], n)
    size = np.where(kind == 0, rng.integers(1, 50, n), 0)
    types = (np.int64, np.int64, np.int32, np.float64, np.float64, np.uint8)
    columns = (event, received, which, price, size, kind)
    order = np.argsort(received, kind="stable")
    return Ticks(*(np.ascontiguousarray(c[order].astype(t)) for c, t in zip(columns, types, strict=True)))


def tape(folder: Path, first: int, n: int = 400) -> Taped:
    """Prints, and evenly among them a payload of each kind."""
    feed, given_ = prints(n), kinds(folder)
    parts: list[Ticks] = []
    payloads: list[Payload] = []
    at, seq = 0, first - 1
    for i, (kind, row, content) in enumerate(given_):
        end = (i + 1) * n // (len(given_) + 1)
        parts.append(Ticks(*(c[at:end] for c in feed)))
        seq += end - at + 1
        at = end
        parts.append(row(int(feed.ts_recv[at - 1])))
        payloads.append(Payload(seq, kind, content))
    parts.append(Ticks(*(c[at:] for c in feed)))
    return Taped(first, rows.joined(parts), tuple(payloads))


def cut(taped: Taped, begin: int, end: int) -> Taped:
    """Rows [begin, end) of the stretch."""
    first = taped.first + begin
    ticks = Ticks(*(c[begin:end] for c in taped.ticks))
    return Taped(first, ticks, tuple(p for p in taped.payloads if first <= p.seq < taped.first + end))


def pieces(taped: Taped, cuts: Sequence[int]) -> Iterator[Taped]:
    """The stretch cut before those rows."""
    n = len(taped.ticks.price)
    edges = sorted({0, n, *(c for c in cuts if 0 < c < n)})
    for begin, end in pairwise(edges):
        yield cut(taped, begin, end)


def taken(core: Core, taped: Taped) -> list[Batch]:
    """The stretch through `take`, a row of ours at a time, as a session that runs slowly has it."""
    batches = []
    ours = {p.seq: p for p in taped.payloads}
    at = 0
    for i in range(len(taped.ticks.price)):
        payload = ours.get(taped.first + i)
        if payload is not None or i + 1 == len(taped.ticks.price):
            batches.append(
                core.take(Ticks(*(c[at : i + 1] for c in taped.ticks)), [payload] if payload else [])
            )
            at = i + 1
    return batches


def told(batches: Sequence[Batch]) -> dict[str, Any]:
    """All that batches caused, as one, without what depends on where they are cut."""
    events, observations, offset = [], [], 0
    for batch in batches:
        own = np.array(batch.out.events)
        own["observation"][own["observation"] >= 0] += offset
        offset += len(batch.out.observations)
        events.append(own)
        observations.append(batch.out.observations)
    whole = np.concatenate(events)
    return {
        "events": whole.tobytes(),
        "observations": b"".join(o.tobytes() for o in observations),
        "equity": b"".join(b.out.equity.tobytes() for b in batches),
        "bars": np.sort(np.concatenate([b.bars for b in batches]), order=["end", "series"]).tobytes(),
        "payloads": [p for b in batches for p in b.payloads],
        "gaps": [g for b in batches for g in b.gaps],
        "models": [m for b in batches for m in [list(b.models)] * len(b.ticks.price)],
        "rows": sum(len(b.ticks.price) for b in batches),
        "fills": int((whole["kind"] == 1).sum()),
    }


def stands(core: Core) -> dict[str, Any]:
    """All that a core is."""
    return {
        "hash": core.engine.state_hash(),
        "seq": core.seq,
        "feed_rows": core.feed_rows,
        "gaps": dict(core.gaps),
        "lost_actors": dict(core.lost_actors),
        "lost": core.lost,
        "content": core.content.hash,
        "ended": core.ended,
        "actors": {name: actor.save() for name, actor in core.engine.actors.items()},
    }
