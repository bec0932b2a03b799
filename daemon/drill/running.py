"""A drill from its configuration to its checks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from daemon.drill.blind import blind
from daemon.drill.checks import Check, Result
from daemon.drill.desk import FORECASTS, Desk
from daemon.drill.faults import faults, usual_order
from daemon.drill.forecasts import forecast_limit
from daemon.drill.limits import Given, given_limits
from daemon.drill.losses import loss_limit
from daemon.drill.operating import operating
from daemon.drill.sizes import NOT_SET, sizes
from daemon.drill.warming import Warm, drill_spec, warm_up
from engine.records import Limit

if TYPE_CHECKING:
    from daemon.config.models import BacktestConfig
    from engine.spec import EngineSpec


@dataclass(frozen=True)
class Drilled:
    """What a drill found."""

    name: str  # the configuration's
    rows: int  # of the tape, that were replayed first
    checks: tuple[Check, ...]

    @property
    def done(self) -> int:
        """Checks for which there was an occasion."""
        return sum(check.made for check in self.checks)

    @property
    def failures(self) -> int:
        """Checks that failed."""
        return sum(check.result == Result.FAILED for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it for JSON, account by account."""
        accounts = dict.fromkeys(check.account for check in self.checks)
        return {
            "name": self.name,
            "passed": self.failures == 0,
            "rows": self.rows,
            "checks": self.done,
            "failures": self.failures,
            "accounts": [
                {"name": name, "checks": [c.to_dict() for c in self.checks if c.account == name]}
                for name in accounts
            ],
        }


def drill(config: BacktestConfig, of_config: Callable[[BacktestConfig], EngineSpec] = drill_spec) -> Drilled:
    """Put faults and breaches before the gate of a configuration, each from the same state.

    of_config: makes the engine's specification; what must happen is read from the configuration alone. Raises what
    `engine_spec` does, DataError and EmptyTapeError.
    """
    warm = warm_up(config, of_config(config))
    checks = [check for a in range(len(config.accounts)) for check in _account(warm, config, a)]
    return Drilled(config.name, warm.rows, tuple(checks))


def _account(warm: Warm, config: BacktestConfig, a: int) -> Iterator[Check]:
    """The checks of an account, then those of its strategies that have limits of their own."""
    account = config.accounts[a]
    spec = warm.engine.spec
    mine = [i for i, s in enumerate(spec.strategies) if s.account == account.name]
    desk = _desk(warm, config, a, mine)
    if desk is None:
        yield Check(
            account.name, None, "usual order", "the smallest order", "passes, fills",
            "nothing that it trades has a price after all of the tape", Result.FAILED,
        )  # fmt: skip
        return
    first = usual_order(desk)
    yield first
    if first.result == Result.FAILED:  # a gate that denies everything proves nothing
        return
    limits = given_limits(account.limits)
    yield from faults(desk)
    yield from blind(desk, limits)
    yield from sizes(desk)
    yield from _losses(desk, limits)
    yield from operating(desk)
    for i, given in zip(mine, account.strategies, strict=True):
        limits = given_limits(given.limits)
        own = _desk(warm, config, len(spec.accounts) + i, [i]) if limits else None
        if own is None:
            continue
        if any(limit.limit in FORECASTS for limit in limits):
            yield from blind(own, limits)
        yield from _losses(own, limits)
        yield from operating(own)


def _losses(desk: Desk, limits: list[Given]) -> Iterator[Check]:
    given = {limit.limit: limit for limit in limits}
    for limit in Limit:
        if limit not in given:
            if not desk.own:
                yield desk.not_configured(limit.name.lower(), "what breaks it", "denied or halted", NOT_SET)
        elif limit in FORECASTS:
            yield from forecast_limit(desk, given[limit])
        else:
            yield from loss_limit(desk, given[limit])


def _desk(warm: Warm, config: BacktestConfig, p: int, strategies: list[int]) -> Desk | None:
    """A desk for a portfolio, in the first of its instruments that has a price and, best of all, a history."""
    warm.engine.restore(warm.base)
    s = warm.engine.state
    priced = []
    for slot, row in enumerate(s.slots):
        if int(row.strategy) in strategies:
            instrument = s.instruments[row.instrument]
            if instrument.price > 0.0 and not instrument.delisted:
                history = s.histories[row.instrument]
                known = len(s.risk) == 0 or (history.rows >= s.risk[0].least and history.moved > 0)
                priced.append((not known, slot, int(row.strategy)))
    if not priced:
        return None
    _, slot, strategy = min(priced)
    return Desk(warm, config, p, strategy, slot)
