"""A backtest: history through the engine, what it causes onto the bus, results into a folder.

The runner knows three things: a feed gives batches, the engine takes them, the bus carries on what came of them.
Results, hash, figures and progress are subscribers like any other.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import tempfile
import time
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from daemon.bus import Bus, Overflow
from daemon.data.merge import cut
from daemon.folder import new_run_id, result_folder
from engine.engine import Engine, Events
from engine.records import RowKind, Ticks

if TYPE_CHECKING:
    import pandas as pd

    from daemon.actors.answers import Answers
    from daemon.config.loader import Loaded
    from daemon.config.models import BacktestConfig
    from daemon.data.feed import Feed

BATCH_ROWS = 131_072  # rows a batch: enough to make its fixed cost vanish, few enough to stay in the caches
ACTOR_ROWS = (
    4_096  # where Python decides rows are slower: shorter batches keep the bus, and its progress, alive
)
BATCHES_AHEAD = 4  # batches of events that may wait for a slow writer


class EmptyTapeError(Exception):
    """There is not one row to replay."""


@dataclass(frozen=True)
class Processed:
    """On the bus: a batch that the engine has taken in, and what it caused; read-only."""

    ticks: Ticks
    out: Events


@dataclass(frozen=True)
class Progress:
    """On the bus: how far the run is. fraction: 0 to 1. ts: engine time, ns UTC."""

    fraction: float
    rows: int
    ts: int


@dataclass(frozen=True)
class Replayed:
    """What `replay` saw: rows of the tape, and the times of the first and the last, ns UTC."""

    rows: int
    first_ts: int
    last_ts: int


async def replay(
    engine: Engine, feed: Feed | Iterable[Ticks], bus: Bus, answers: Answers | None = None
) -> Replayed:
    """Put the whole feed through a new engine; Processed and Progress go onto the bus.

    answers: of asynchronous actors, which it waits for and enters.
    After the last row it enters a timer row, a nanosecond (and the grace of time bars) later: a bar whose path has come
    whole is closed, though no row follows it. Raises EmptyTapeError, and what feed, actors and required subscribers do.
    """
    take = answers.take if answers else partial(_take, engine)
    engine.start()
    rows = first_ts = last_ts = 0
    most = ACTOR_ROWS if engine.actors else BATCH_ROWS
    for batch in feed:
        for ticks in cut(batch, most):
            if rows == 0:
                first_ts = int(ticks.ts_event[0])
            rows += len(ticks.price)
            last_ts = int(ticks.ts_event[-1])
            async for taken in take(ticks):
                await bus.publish(_processed(*taken))
            await bus.publish(Progress(getattr(feed, "progress", 0.0), rows, engine.now))
    if rows == 0:
        raise EmptyTapeError("the data has no rows in the time that the configuration asks for")
    timer = timer_row(engine.now + 1 + engine.spec.grace_ns)
    async for taken in take(timer):
        await bus.publish(_processed(*taken))
    await bus.publish(_processed(timer, engine.stop()))
    await bus.publish(Progress(1.0, rows, engine.now))
    return Replayed(rows, first_ts, last_ts)


async def _take(engine: Engine, ticks: Ticks) -> AsyncIterator[tuple[Ticks, Events]]:
    yield ticks, engine.process(ticks)


def _processed(ticks: Ticks, out: Events) -> Processed:
    # all subscribers see the same arrays: none can change what the others see
    for array in (*ticks, *out):
        array.flags.writeable = False
    return Processed(ticks, out)


def timer_row(ts: int) -> Ticks:
    """A batch of one row that only moves the time to ts (ns UTC)."""
    at = np.array([ts], np.int64)
    return Ticks(
        at,
        at,
        np.zeros(1, np.int32),
        np.zeros(1, np.float64),
        np.zeros(1, np.float64),
        np.array([RowKind.TIMER], np.uint8),
    )


async def backtest(
    loaded: Loaded,
    folder: Path,
    *,
    run_id: str | None = None,
    observe: Callable[[Bus], None] = lambda bus: None,
    tell: Callable[[str], None] = lambda message: None,
    batch_rows: int = BATCH_ROWS,
) -> dict[str, Any]:
    """Run the backtest of a configuration and write its results into `folder`, which must not be there yet; its summary.

    observe: may subscribe to Processed and Progress. tell: hears what a user should know. batch_rows: changes no result.
    Raises ConfigError, DataError, StrategyError, SpecError, EmptyTapeError, ResultFolderError, ObserverError; the folder
    is then not there.
    """
    from daemon import compiled
    from daemon.config.spec import complete, engine_spec
    from daemon.config.trained import learned_from
    from daemon.metrics import Metrics
    from daemon.results import ResultFiles, ResultHash
    from daemon.risk.log import RiskLog
    from daemon.summary import Run, summarise

    run_id = run_id or new_run_id()
    config = loaded.config
    with result_folder(folder) as hidden:
        spec, actors = engine_spec(config)
        for warning in learned_from(config):
            tell(warning)
        feed = open_tape(config, batch_rows)
        (hidden / "config.yaml").write_text(complete(config), encoding="utf-8")
        compiled.prepare(tell)
        engine = Engine(spec, actors)
        metrics = Metrics([int(account.initial) for account in engine.state.accounts])
        result_hash = ResultHash(spec)
        risk = RiskLog(len(spec.accounts))
        begun = time.perf_counter()
        with contextlib.closing(ResultFiles(hidden, spec)) as files:

            async def take(batch: Processed) -> None:
                files.add(batch.out)
                result_hash.add(batch.out)
                metrics.add(batch.out.events, batch.out.equity)
                risk.add(batch.out)

            async with Bus() as bus, asynchronous(config, engine) as answers:
                bus.subscribe(
                    Processed,
                    take,
                    name="results",
                    overflow=Overflow.BLOCK,
                    bound=BATCHES_AHEAD,
                    required=True,
                )
                observe(bus)
                seen = await replay(engine, feed, bus, answers)
            working = files.finish()
        for failed in bus.failures:
            tell(f"{failed.name} failed and was left out: {failed.error!r}")
        run = Run(
            run_id=run_id,
            name=config.name,
            result_hash=result_hash.hexdigest(engine.state_hash()),
            rows=seen.rows,
            first_ts=seen.first_ts,
            last_ts=seen.last_ts,
            wall_s=time.perf_counter() - begun,
            refused_rows=sum(feed.refused.values()),
            working_orders=working,
            refused=feed.refused,
            outside_hours=feed.outside_hours,
        )
        summary = summarise(run, engine, metrics, days_per_year(config), risk)
        text = json.dumps(summary, indent=2, allow_nan=False)
        (hidden / "summary.json").write_text(text + "\n", encoding="utf-8")
    return summary


def open_tape(config: BacktestConfig, batch_rows: int = BATCH_ROWS) -> Feed:
    """All that a run of that configuration puts before the engine: prices, corporate actions, payments, operations.

    Raises DataError.
    """
    from daemon.config.spec import inputs, sources
    from daemon.data.feed import open_feed

    return open_feed(sources(config), batch_rows, inputs(config))


@contextlib.asynccontextmanager
async def asynchronous(config: BacktestConfig, engine: Engine) -> AsyncIterator[Answers | None]:
    """The asynchronous actors of a configuration, for `replay`; None where it has none."""
    if not config.actors:
        yield None
        return
    from daemon.actors.answers import Answers

    async with Answers(engine, config.actors, config.seed, config.strategy_folder) as answers:
        yield answers


def days_per_year(config: BacktestConfig) -> dict[str, int]:
    """By account, how many days make a year: those of its instrument that trades on the most, such as 365 for 24/7."""
    from daemon.calendars import days_per_year as of_calendar

    return {
        account.name: max(
            of_calendar(config.instruments[i].calendar) for s in account.strategies for i in s.instruments
        )
        for account in config.accounts
    }


class BacktestResult:
    """A finished run: `summary`, and its files as pandas frames, read when asked for.

    folder: where its files are. A folder that nobody named is removed together with the result.
    """

    def __init__(self, summary: dict[str, Any], folder: Path, temporary: Path | None = None) -> None:
        self.summary = summary
        self.folder = folder
        if temporary:
            weakref.finalize(self, shutil.rmtree, temporary, ignore_errors=True)

    @cached_property
    def orders(self) -> pd.DataFrame:
        """One row an order; columns as in orders.parquet."""
        return self._frame("orders")

    @cached_property
    def fills(self) -> pd.DataFrame:
        """One row a fill; columns as in fills.parquet."""
        return self._frame("fills")

    @cached_property
    def equity(self) -> pd.DataFrame:
        """One row an account and bar close; columns as in equity.parquet."""
        return self._frame("equity")

    @cached_property
    def cash(self) -> pd.DataFrame:
        """One row for all cash that moved otherwise than by a fill; columns as in cash.parquet."""
        return self._frame("cash")

    @cached_property
    def actions(self) -> pd.DataFrame:
        """One row a corporate action; columns as in actions.parquet."""
        return self._frame("actions")

    @cached_property
    def risk(self) -> pd.DataFrame:
        """One row whenever a limit on risk, a model or a trading state changed; columns as in risk.parquet."""
        return self._frame("risk")

    @cached_property
    def grades(self) -> pd.DataFrame:
        """One row a forecast of loss, with its outcome; columns as in grades.parquet."""
        return self._frame("grades")

    def _frame(self, name: str) -> pd.DataFrame:
        import pandas as pd

        return pd.read_parquet(self.folder / f"{name}.parquet")

    def __repr__(self) -> str:
        returns = ((a["name"], a["return"]) for a in self.summary["accounts"])
        accounts = ", ".join(f"{name} {'–' if r is None else f'{r:+.2%}'}" for name, r in returns)
        return f"<BacktestResult {self.summary['run_id']}: {accounts}>"


def run_backtest(
    config: str | Path | Mapping[str, Any],
    overrides: Iterable[str] = (),
    out: str | Path | None = None,
    *,
    tell: Callable[[str], None] = lambda message: None,
    batch_rows: int = BATCH_ROWS,
) -> BacktestResult:
    """Run a backtest and return its results; also from inside a running event loop, as in a notebook.

    config: a YAML file, or its content as a dict. overrides: "dotted.key=value", as with --set. out: a folder for the
    result files, not there yet; without one they are kept only as long as the result. Raises what `backtest` does.
    """
    from daemon.config.loader import load

    loaded = load(config, tuple(overrides))
    temporary = None if out else Path(tempfile.mkdtemp(prefix="papertape-"))
    folder = Path(out) if out else Path(str(temporary)) / "results"
    try:
        summary = run_blocking(backtest(loaded, folder, tell=tell, batch_rows=batch_rows))
    except BaseException:
        if temporary:
            shutil.rmtree(temporary, ignore_errors=True)
        raise
    return BacktestResult(summary, folder, temporary)


def run_blocking(work: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any]:
    """Run a coroutine to its end: here, or in a thread of its own where an event loop is running already."""
    if not _loop_is_running():
        return asyncio.run(work)
    running: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = []

    async def cancellable() -> dict[str, Any]:
        task = asyncio.current_task()
        if task is not None:
            running.append((asyncio.get_running_loop(), task))
        return await work

    with ThreadPoolExecutor(1, "backtest") as pool:
        future = pool.submit(asyncio.run, cancellable())
        try:
            return future.result()
        except KeyboardInterrupt:
            for loop, task in running:
                loop.call_soon_threadsafe(task.cancel)
            raise


def _loop_is_running() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
