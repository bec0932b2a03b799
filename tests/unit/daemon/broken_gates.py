"""Gates that are broken on purpose, as plain Python: run as a module, it prints what a drill of each of them finds.

The world is two instruments, one that trades around the clock and one on an exchange, and an account that limits all that
can be limited, with each of the actions.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import math
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from daemon.config.loader import load
from daemon.drill.checks import Result
from daemon.drill.running import Drilled, drill
from engine.records import N_LIMITS, Code, Limit

Broken = tuple[
    tuple[str, str, Callable[[Any], Any]], ...
]  # module, function, what takes its place, given the function


def world(method: str = "historical", **limits: Any) -> dict[str, Any]:
    """The configuration; further limits of the account stand beside or in place of its own."""
    stock = {"tick_size": 0.01, "lot_size": 1, "currency": "USD", "fees": {"bps": 5}}
    walk = {"source": "synthetic", "bar": "1d", "start": "2020-01-01", "days": 130, "volatility": 0.3}
    return {
        "name": "guarded",
        "seed": 1,
        "start": "2020-05-01",
        "warmup": "120d",
        "data": [{**walk, "instrument": "A", "price": 100}, {**walk, "instrument": "B", "price": 50}],
        "instruments": {"A": {**stock, "calendar": "24/7"}, "B": {**stock, "calendar": "XNYS"}},
        "execution": {"slippage_bps": 2},
        "risk": {
            "method": method,
            "confidence": 0.95,
            "window": 40,
            "min_history": 20,
            "draws": 200,
            "stress": [
                {"name": "spring", "from": "2020-02-15", "to": "2020-04-01"},
                {"name": "crash", "others": -0.2},
            ],
        },
        "accounts": [
            {
                "name": "a",
                "cash": 100_000,
                "limits": {
                    "max_order_notional": 50_000,
                    "max_position": 800,
                    "max_gross_exposure": 0.95,
                    "max_net_exposure": 0.8,
                    "max_concentration": 0.6,
                    "price_collar": 0.1,
                    "max_price_age": "2d",
                    "order_rate": {"orders": 10, "per": "1h"},
                    "var": {"warning": 0.03, "limit": 0.05, "action": "resize"},
                    "cvar": 0.06,
                    "stressed_var": {"limit": 0.15, "action": "halt"},
                    "drawdown": {"warning": 0.1, "limit": 0.2},
                    "daily_loss": {"limit": 0.05, "action": "deny"},
                    **limits,
                },
                "strategies": [
                    {
                        "use": "buy_and_hold",
                        "name": "s",
                        "instruments": ["A", "B"],
                        "timeframe": "1d",
                        "size": {"fraction": 0.9},
                        "limits": {
                            "var": {"limit": 0.04, "action": "flatten"},
                            "drawdown": {"limit": 0.15, "action": "flatten"},
                        },
                    }
                ],
            }
        ],
    }


def failed(drilled: Drilled) -> list[str]:
    """Names of the checks that failed, with that of the strategy where it is about one."""
    return [named(check) for check in drilled.checks if check.result == Result.FAILED]


def named(check: Any) -> str:
    """A check's name, with the strategy before it."""
    return f"{check.strategy}: {check.name}" if check.strategy else str(check.name)


def giving(value: Any) -> Callable[[Any], Any]:
    """In place of a function, one that always gives that."""
    return lambda _: lambda *_args: value


def late(watch: Any) -> Any:
    """The halt of a mark comes at the next one."""
    waiting: dict[int, int] = {}

    def later(s: Any, p: int, *rest: Any) -> int:
        code, waiting[p] = waiting.get(p, 0), watch(s, p, *rest)
        return code

    return later


def trusting(gauge: Any) -> Any:
    """What is no number counts as nothing."""

    def trust(s: Any, p: int, *rest: Any) -> int:
        code = gauge(s, p, *rest)
        if code != Code.NOT_FINITE:
            return int(code)
        for name in s.gauges.dtype.names:
            if s.gauges[name].dtype.kind == "f" and math.isnan(s.gauges[name][p]):
                s.gauges[name][p] = 0.0
        return int(Code.NONE)

    return trust


def favouring(judge: Any) -> Any:
    """An operator's order meets no gate."""

    def favour(s: Any, order: Any, closing: Any) -> int:
        operator = s.slots[order.slot].strategy >= len(s.portfolios) - len(s.accounts)
        return int(Code.NONE) if operator else int(judge(s, order, closing))

    return favour


def wasteful(accept: Any) -> Any:
    """Live orders are not counted."""

    def waste(s: Any, place: int) -> None:
        accept(s, place)
        s.clock[0].live_orders = 0

    return waste


def generous(bound: Any) -> Any:
    """Limits on CVaR are twice as high."""
    return lambda s, p, limit: bound(s, p, limit) * (2.0 if limit == Limit.CVAR else 1.0)


def deaf(operate: Any) -> Any:
    """An operator is not heard."""
    return lambda *_: None


def quiet(set_level: Any) -> Any:
    """Nobody is told of warnings and breaches."""

    def note(s: Any, p: int, limit: int, level: int, *_: Any) -> None:
        s.limits[p * N_LIMITS + limit].level = level

    return note


BROKEN: dict[str, Broken] = {
    "nothing": (),
    "no forecasts": (("risk", "check_losses", giving(0)),),
    "nan is nothing": (("limits", "take_gauge", trusting),),
    "no terms": (("risk", "well_formed", giving(True)),),
    "any row": (("loop", "HUGE", lambda _: math.inf),),
    "any price": (("risk", "price_trouble", giving(0)), ("portfolios", "price_trouble", giving(0))),
    "no exits": (("risk", "is_exit", giving(False)),),
    "no sizes": (("risk", "_limits", giving(Code.NONE)),),
    "no collar": (("risk", "_beyond_collar", giving(False)),),
    "no rate": (("risk", "_rate_allows", giving(True)),),
    "no count": (("submit", "accept_order", wasteful),),
    "no cuts": (("limits", "_largest", lambda _: lambda s, p, other, order, least: order.lots),),
    "higher limits": (("limits", "bound_of", generous),),
    "no watch": (("guards", "watch", giving(0)),),
    "late watch": (("guards", "watch", late),),
    "quiet levels": (("watch", "set_level", quiet), ("limits", "set_level", quiet)),
    "no cancels": (("guards", "cancel_account", deaf), ("guards", "cancel_strategy", deaf)),
    "no closing": (("guards", "_close_slot", giving(0)),),
    "no operators": (("actions", "operate", deaf),),
    "no new beginning": (("guards", "begin_afresh", deaf),),
    "free operators": (("submit", "judge", favouring),),
}


@contextlib.contextmanager
def breaking(broken: Broken) -> Iterator[None]:
    """Let functions of the engine be others in the block."""
    before = []
    for name, function, instead in broken:
        module = importlib.import_module(f"engine.{name}")
        before.append((module, function, getattr(module, function)))
        setattr(module, function, instead(getattr(module, function)))
    try:
        yield
    finally:
        for module, function, was in before:
            setattr(module, function, was)


def main() -> None:
    """Print {what is broken: [check that failed, ...]} as JSON."""
    warnings.simplefilter("ignore")  # a broken gate may divide by zero
    found = {}
    for name, broken in BROKEN.items():
        with breaking(broken):
            found[name] = failed(drill(load(world()).config))
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
