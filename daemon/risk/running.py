"""`papertape risk`: a backtest that is run for its forecasts of loss alone, by all methods; it leaves no files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from daemon.backtest import Processed, open_tape, replay
from daemon.bus import Bus, Overflow
from daemon.risk.figures import risk_figures
from daemon.risk.log import RiskLog
from engine.engine import Engine
from engine.records import Method
from engine.spec import EngineSpec, RiskSpec

if TYPE_CHECKING:
    from daemon.config.loader import Loaded

LOSSES = ("tick_loss", "fissler_ziegel")


async def grade_methods(
    loaded: Loaded,
    *,
    observe: Callable[[Bus], None] = lambda bus: None,
    tell: Callable[[str], None] = lambda message: None,
) -> dict[str, Any]:
    """Replay a configuration's history, and grade the forecasts of every method for each account as it was held.

    Orders, limits and what comes of them are those of the backtest. Where the configuration has no `risk`, its defaults
    are used. Returns name, rows, and `accounts`: by name, figures as in a summary's `risk`, with currency,
    units_per_currency, `best` (of each loss that ranks methods, the method with the lowest) and `ungraded` (why nothing
    could be graded, or null).
    observe, tell, and what it raises: as `daemon.backtest.backtest`.
    """
    from daemon import compiled
    from daemon.config.spec import engine_spec
    from daemon.config.trained import learned_from

    config = loaded.config
    spec, actors = engine_spec(config)
    for warning in learned_from(config):
        tell(warning)
    tape = open_tape(config)
    compiled.prepare(tell)
    engine = Engine(with_all_methods(spec, config.seed), actors)
    log = RiskLog(len(spec.accounts))

    async def take(batch: Processed) -> None:
        log.add(batch.out)

    async with Bus() as bus:
        bus.subscribe(Processed, take, name="grades", overflow=Overflow.BLOCK, bound=4, required=True)
        observe(bus)
        seen = await replay(engine, tape, bus)
    figures = risk_figures(engine, log)
    return {
        "name": config.name,
        "rows": seen.rows,
        "accounts": {
            account.name: {
                "currency": account.currency,
                "units_per_currency": spec.scale(account.currency),
                **figures[account.name],
                "best": best(figures[account.name]["grades"]),
                "ungraded": _why_nothing(engine, k, figures[account.name]["grades"]),
            }
            for k, account in enumerate(spec.accounts)
        },
    }


def with_all_methods(spec: EngineSpec, seed: int) -> EngineSpec:
    """The engine of a backtest with every method graded: as it forecasts, or where it does not, by the defaults."""
    risk = spec.risk or RiskSpec(seed=seed)
    return replace(spec, risk=replace(risk, grading=replace(risk.grading, methods=tuple(Method))))


def best(grades: dict[str, dict[str, Any]]) -> dict[str, str | None]:
    """Of each loss, the method with the lowest mean, among those that were graded on all outcomes."""
    most = max((grade["n"] for grade in grades.values()), default=0)
    found: dict[str, str | None] = {}
    for loss in LOSSES:
        of = {
            name: grade[loss]
            for name, grade in grades.items()
            if grade["n"] == most
            and grade[loss] is not None
            and not (loss == "fissler_ziegel" and grade["without_tail"])  # which leaves these out
        }
        found[loss] = min(of, key=lambda name: of[name]) if len(of) > 1 else None
    return found


def _why_nothing(engine: Engine, account: int, grades: dict[str, Any]) -> str | None:
    """Why an account has no forecast with an outcome, and what would give it one; None where it has."""
    if any(grade["n"] for grade in grades.values()):
        return None
    risk = engine.state.risk[0]
    if engine.state.accounts[account].fills == 0:
        return "it never held anything, so there was nothing to lose"
    needed = int(risk.least) + 2  # a price, so many returns from there on, and an outcome
    if risk.rows < needed:
        return (
            f"its history is too short: the tape has {int(risk.rows):,} periods, and the first forecast has an outcome "
            f"in period {needed:,}; give a longer history, a shorter risk.period or a smaller risk.min_history"
        )
    return (
        f"it held nothing when a period ended of which {int(risk.least):,} returns were known; give a longer history or "
        "warm-up, a shorter risk.period or a smaller risk.min_history"
    )
