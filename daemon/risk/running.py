"""`papertape risk`: a backtest that is run for its forecasts of loss alone, by all methods; it leaves no files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING, Any

from daemon.backtest import Processed, asynchronous, open_tape, replay
from daemon.bus import Bus, Overflow
from daemon.config.risk import least_scenarios
from daemon.risk.figures import method_name, risk_figures
from daemon.risk.log import RiskLog
from engine.engine import Engine
from engine.records import Method
from engine.spec import RiskSpec
from engine.spec_risk import TAIL_METHODS

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
    risk = with_all_methods(spec.risk, config.seed)
    for left_out in _left_out(risk):
        tell(left_out)
    engine = Engine(replace(spec, risk=risk), actors)
    log = RiskLog(len(spec.accounts))

    async def take(batch: Processed) -> None:
        log.add(batch.out)

    async with Bus() as bus, asynchronous(config, engine) as answers:
        bus.subscribe(Processed, take, name="grades", overflow=Overflow.BLOCK, bound=4, required=True)
        observe(bus)
        seen = await replay(engine, tape, bus, answers)
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


def with_all_methods(given: RiskSpec | None, seed: int) -> RiskSpec:
    """The forecasts of a backtest with every method graded; where it has none, those of the defaults.

    Without those that look for a quantile among fewer scenarios than it takes: they would be graded for what nobody can ask
    them.
    """
    risk = given or RiskSpec(seed=seed)
    least = least_scenarios(risk.confidence)
    able = tuple(method for method in Method if _scenarios(risk, method) >= least)
    return replace(risk, grading=replace(risk.grading, methods=able))


def _scenarios(risk: RiskSpec, method: Method) -> float:
    """The fewest among which a method looks for its quantile; infinitely many where it takes a distribution's."""
    if method == Method.MONTE_CARLO:
        return risk.draws
    return risk.min_history if method in TAIL_METHODS else inf


def _left_out(risk: RiskSpec) -> Iterator[str]:
    """In words, which methods are not graded, and what would change that."""
    for method in Method:
        if method not in risk.grading.methods:
            key = "draws" if method == Method.MONTE_CARLO else "min_history"
            yield (
                f"{method_name(method)} is left out: at a confidence of {risk.confidence:g} it takes "
                f"risk.{key}: {least_scenarios(risk.confidence)}, and it is {_scenarios(risk, method):g}"
            )


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
