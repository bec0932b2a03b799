"""The drill: a sound gate passes all of it, and one that is broken in any way does not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from daemon.config.loader import load
from daemon.drill.checks import Check, Result
from daemon.drill.running import Drilled, drill
from daemon.drill.showing import print_drill
from daemon.drill.warming import drill_spec
from engine.records import LimitAction
from engine.spec import EngineSpec, LimitSpec
from tests.unit.daemon.broken_gates import BROKEN, failed, named, world

ROOT = Path(__file__).parents[3]
METHODS = ("historical", "gaussian", "cornish_fisher", "ewma", "filtered", "monte_carlo")
OF_ACCOUNT = [  # each once for each thing that is done
    "usual order", "rows that are no price", "absurd price", "order at no price", "missing price", "stale price",
    "full buffer", "nan in the scenarios", "singular covariance", "short history", "stale mark", "cash",
    "selling short", "max_order_notional", "max_position", "max_gross_exposure", "max_net_exposure",
    "max_concentration", "price_collar", "order_rate",
    "var warning 0.03", *["var 0.05"] * 2,
    *["cvar 0.06"] * 2,
    *["stressed_var 0.15"] * 5,
    "drawdown warning 0.1", *["drawdown 0.2"] * 4,
    "daily_loss 0.05",
]  # fmt: skip
OPERATOR = ["operator: reduce-only", "operator: flatten", "operator: halt", "operator: reset"]
OF_STRATEGY = [
    "nan in the scenarios", "singular covariance", "short history", "stale mark", *["var 0.04"] * 5,
    *["drawdown 0.15"] * 4, *OPERATOR,
]  # fmt: skip


def of(config: dict[str, Any], of_config: Callable[[Any], EngineSpec] = drill_spec) -> Drilled:
    return drill(load(config).config, of_config)


def results(drilled: Drilled, result: Result) -> list[Check]:
    return [check for check in drilled.checks if check.result == result]


@pytest.fixture(scope="module")
def sound() -> Drilled:
    return of(world())


def test_sound_gate_passes_each_check_and_none_is_left_out(sound: Drilled) -> None:
    assert failed(sound) == []
    names = [named(c) for c in results(sound, Result.PASSED)]
    assert names == [*OF_ACCOUNT, *OPERATOR, *(f"s: {name}" for name in OF_STRATEGY)]
    assert len(sound.checks) == sound.done == len(names)


@pytest.mark.parametrize("method", METHODS[1:])
@pytest.mark.parametrize("action", ["deny", "resize", "halt", "flatten"])
def test_sound_gate_passes_by_each_method_and_action(method: str, action: str) -> None:
    lost = "flatten" if action == "resize" else action
    limits = {name: {"limit": 0.05, "action": action} for name in ("var", "cvar", "stressed_var")}
    losses = {name: {"limit": 0.1, "action": lost} for name in ("drawdown", "daily_loss")}
    drilled = of(world(method, **limits, **losses))
    assert failed(drilled) == []
    # by an order, and where beyond already; by the market, while halted, the reset
    assert [c.name for c in drilled.checks].count("cvar 0.05") == (5 if action in ("halt", "flatten") else 2)


def test_cut_order_is_told_with_what_it_was_cut_to_and_both_figures(sound: Drilled) -> None:
    (check,) = [c for c in sound.checks if (c.name, c.injected) == ("var 0.05", "an order beyond it")]
    assert check.expected == "cut: VAR"
    assert "cut to" in check.happened
    assert "against 5.00%" in check.happened
    assert "operator's too" in check.happened


def test_what_a_configuration_does_not_ask_for_is_listed_and_not_passed() -> None:
    config = world()
    config["accounts"][0]["limits"] = {"max_position": 800}
    config["accounts"][0]["strategies"][0].pop("limits")
    drilled = of(config)
    assert failed(drilled) == []
    assert [named(c) for c in results(drilled, Result.NOT_CONFIGURED)] == [
        "stale price", "nan in the scenarios", "singular covariance", "short history", "stale mark",
        "max_order_notional", "max_gross_exposure", "max_net_exposure", "max_concentration", "price_collar",
        "order_rate", "var", "cvar", "stressed_var", "drawdown", "daily_loss",
    ]  # fmt: skip
    assert drilled.done == len(drilled.checks) - 16


def test_limit_that_nothing_reaches_is_said_to_be_out_of_reach() -> None:
    far: dict[str, Any] = {"var": {"limit": 0.95}, "drawdown": {"limit": 0.9}, "max_gross_exposure": 1.0}
    assert [c.name for c in results(of(world(**far)), Result.OUT_OF_REACH)] == [
        "max_gross_exposure",
        "var 0.95",
        "drawdown 0.9",
    ]


def test_gate_that_denies_the_usual_order_fails_and_nothing_else_is_tried() -> None:
    config = world(max_order_notional=1)
    config["accounts"][0]["strategies"][0].pop("limits")
    (check,) = of(config).checks
    assert check.result == Result.FAILED
    assert check.happened == "but denied: ORDER_NOTIONAL"


def test_too_short_a_tape_fails_with_a_hint() -> None:
    config = world()
    config |= {"start": "2020-01-10", "warmup": "1d", "end": "2020-01-20"}
    config["risk"]["stress"] = [{"name": "crash", "others": -0.2}]
    config["accounts"][0]["strategies"][0].pop("limits")
    (check,) = of(config).checks
    assert check.happened == "but denied: HISTORY; the tape is too short for it"


def test_prior_volatility_counts_where_there_is_no_history() -> None:
    config = world()
    config["risk"]["short_history"] = {"prior_volatility": 0.02}
    drilled = of(config)
    assert failed(drilled) == []
    # VaR of a normal at 95 %: 1.645 x 2 %
    told = [c.happened for c in drilled.checks if c.name in ("short history", "singular covariance")]
    assert told == ["it may lose 3.29%; exit passed"] * 4


def test_margin_account_is_drilled_by_its_leverage() -> None:
    config = world(max_gross_exposure=1.5, on_breach="resize")
    config["accounts"][0]["margin"] = {"leverage": 2}
    drilled = of(config)
    assert failed(drilled) == []
    told = {c.name: c.happened for c in drilled.checks}
    assert "selling short" not in told
    assert "MARGIN" in told["leverage"]
    assert "GROSS_EXPOSURE" in told["max_gross_exposure"]


def test_what_operators_do_on_the_tape_and_what_strategies_want_changes_nothing(sound: Drilled) -> None:
    config = world()
    config["accounts"][0]["operator"] = [{"at": "2020-05-01", "do": "halt", "reason": "holiday"}]
    config["accounts"][0]["strategies"][0]["use"] = "momentum"
    assert of(config).checks == sound.checks


def test_latency_of_more_than_a_day_is_waited_for() -> None:
    config = world()
    config["execution"] = {"latency_ms": 130_000_000}
    assert failed(of(config)) == []


def changed(spec: EngineSpec, **limits: Any) -> EngineSpec:
    account = spec.accounts[0]
    return replace(spec, accounts=(replace(account, limits=replace(account.limits, **limits)),))


def losing(spec: EngineSpec, **limits: LimitSpec) -> EngineSpec:
    return changed(spec, risk=replace(spec.accounts[0].limits.risk, **limits))


def of_strategy(spec: EngineSpec, **limits: LimitSpec) -> EngineSpec:
    (strategy,) = spec.strategies
    return replace(spec, strategies=(replace(strategy, limits=replace(strategy.limits, **limits)),))


LOST: dict[str, tuple[Callable[[EngineSpec], EngineSpec], set[str]]] = {
    "max_order_notional": (lambda s: changed(s, max_order_notional=0.0), {"max_order_notional"}),
    "max_position": (lambda s: changed(s, max_position=0.0), {"max_position"}),
    "max_gross": (lambda s: changed(s, max_gross=0.0), {"max_gross_exposure"}),
    "max_net": (lambda s: changed(s, max_net=0.0), {"max_net_exposure"}),
    "max_concentration": (lambda s: changed(s, max_concentration=0.0), {"max_concentration"}),
    "collar": (lambda s: changed(s, collar=0.0), {"price_collar"}),
    "max_stale_ns": (lambda s: changed(s, max_stale_ns=0), {"stale price", "stale mark", "s: stale mark"}),
    "rate_orders": (lambda s: changed(s, rate_orders=0), {"order_rate"}),
    "one order too many": (lambda s: changed(s, rate_orders=11), {"order_rate"}),
    "on_breach": (lambda s: changed(s, resize=True), {"max_order_notional", "max_position", "cash"}),
    "var": (lambda s: losing(s, var=LimitSpec()), {"var 0.05", "var warning 0.03"}),
    "half of var": (lambda s: losing(s, var=LimitSpec(0.025, 0.02, LimitAction.RESIZE)), {"var 0.05"}),
    "action of var": (lambda s: losing(s, var=LimitSpec(0.05, 0.03, LimitAction.DENY)), {"var 0.05"}),
    "warning of var": (lambda s: losing(s, var=LimitSpec(0.05, 0.0, LimitAction.RESIZE)), {"var warning 0.03"}),
    "cvar": (lambda s: losing(s, cvar=LimitSpec()), {"cvar 0.06"}),
    "twice cvar": (lambda s: losing(s, cvar=LimitSpec(0.12)), {"cvar 0.06"}),
    "stressed_var": (lambda s: losing(s, stressed_var=LimitSpec()), {"stressed_var 0.15"}),
    "halt of stressed_var": (lambda s: losing(s, stressed_var=LimitSpec(0.15)), {"stressed_var 0.15"}),
    "drawdown": (lambda s: losing(s, drawdown=LimitSpec()), {"drawdown 0.2", "drawdown warning 0.1"}),
    "drawdown too early": (
        lambda s: losing(s, drawdown=LimitSpec(0.18, 0.1, LimitAction.HALT)),
        {"drawdown 0.2"},
    ),
    "drawdown a little lower": (
        lambda s: losing(s, drawdown=LimitSpec(0.199, 0.1, LimitAction.HALT)),
        {"drawdown 0.2"},
    ),
    "drawdown denies": (lambda s: losing(s, drawdown=LimitSpec(0.2, 0.1)), {"drawdown 0.2"}),
    "daily_loss": (lambda s: losing(s, daily_loss=LimitSpec()), {"daily_loss 0.05"}),
    "daily_loss halts": (lambda s: losing(s, daily_loss=LimitSpec(0.05, 0.0, LimitAction.HALT)), {"daily_loss 0.05"}),
    "a strategy's var": (lambda s: of_strategy(s, var=LimitSpec()), {"s: var 0.04"}),
    "a strategy's flatten": (
        lambda s: of_strategy(s, drawdown=LimitSpec(0.15, 0.0, LimitAction.HALT)),
        {"s: drawdown 0.15"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("lost", LOST)
def test_limit_that_did_not_reach_the_engine_as_configured_fails_its_checks(lost: str) -> None:
    change, names = LOST[lost]
    found = failed(of(world(), lambda config: change(drill_spec(config))))
    assert names <= set(found)


def test_limit_that_is_not_the_configured_one_is_told_with_what_was_seen() -> None:
    def of(bound: float) -> Check:
        limit = LimitSpec(bound, 0.1, LimitAction.HALT)
        drilled = drill(load(world()).config, lambda config: losing(drill_spec(config), drawdown=limit))
        return next(c for c in drilled.checks if c.name == "drawdown 0.2")

    assert "kept at first; but 21.000% was held against 19.900%; halted at that row" in of(0.199).happened
    assert "but halted too early" in of(0.18).happened
    assert "kept at first; but 0 events told of it; but the switches were none" in of(0.25).happened


def test_prior_volatility_that_did_not_reach_the_engine_fails() -> None:
    config = world()
    config["risk"]["short_history"] = {"prior_volatility": 0.02}

    def halved(given: Any) -> EngineSpec:
        spec = drill_spec(given)
        assert spec.risk
        return replace(spec, risk=replace(spec.risk, prior_volatility=0.01))

    names = ["singular covariance", "short history", "s: singular covariance", "s: short history"]
    assert failed(of(config, halved)) == names


HALTED = {"stressed_var 0.15", "drawdown 0.2", "s: var 0.04", "s: drawdown 0.15"}
BY_HAND = {f"{whose}{name}" for whose in ("", "s: ") for name in OPERATOR}
ORDERED = {
    "cash", "selling short", "max_order_notional", "max_position", "max_gross_exposure", "max_net_exposure",
    "max_concentration",
}  # fmt: skip
MEASURED = {"var 0.05", "cvar 0.06", "stressed_var 0.15"}
FOUND: dict[str, set[str]] = {
    "nothing": set(),
    "no forecasts": {
        "nan in the scenarios", "singular covariance", "short history", "stale mark", "var warning 0.03", *MEASURED,
        "s: nan in the scenarios", "s: singular covariance", "s: short history", "s: stale mark", "s: var 0.04",
    },
    "nan is nothing": {"nan in the scenarios", "s: nan in the scenarios"},
    "no terms": {"order at no price"},
    "any row": {"rows that are no price"},
    "any price": {"missing price", "stale price", "stale mark", "s: stale mark"},
    "no exits": {
        "absurd price", "stale price", "full buffer", "nan in the scenarios", "singular covariance", "daily_loss 0.05",
        "drawdown 0.2", "operator: halt", "operator: reduce-only", "s: operator: halt", "s: operator: reduce-only",
    },
    "no sizes": ORDERED,
    "no collar": {"price_collar"},
    "no rate": {"order_rate"},
    "no count": {"full buffer"},
    "no cuts": {"var 0.05"},
    "higher limits": {"cvar 0.06"},
    "no watch": HALTED | {"drawdown warning 0.1", "daily_loss 0.05"},
    "late watch": HALTED,
    "quiet levels": HALTED | {"var warning 0.03", "drawdown warning 0.1", "daily_loss 0.05"},
    "no cancels": HALTED | BY_HAND - {f"{s}operator: {n}" for s in ("", "s: ") for n in ("reduce-only", "reset")},
    "no closing": {"operator: flatten", "s: var 0.04", "s: drawdown 0.15", "s: operator: flatten"},
    "no operators": HALTED | BY_HAND,
    "no new beginning": {"drawdown 0.2", "s: drawdown 0.15"},
    "free operators": {
        *ORDERED, *MEASURED, "price_collar", "order_rate", "missing price", "full buffer", "nan in the scenarios",
        "daily_loss 0.05", "drawdown 0.2", "operator: halt", "operator: reduce-only",
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def broken() -> dict[str, list[str]]:
    """What drills of the broken gates find, in a process without compilation: compiled functions cannot be replaced."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.unit.daemon.broken_gates"],
        cwd=ROOT, env={**os.environ, "NUMBA_DISABLE_JIT": "1"}, capture_output=True, text=True, check=True, timeout=600,
    )  # fmt: skip
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("gate", BROKEN)
def test_broken_gate_fails_the_checks_that_look_at_it(gate: str, broken: dict[str, list[str]]) -> None:
    assert FOUND[gate] <= set(broken[gate])
    assert bool(FOUND[gate]) == bool(broken[gate])


def test_table_says_of_each_check_how_it_ended(capsys: pytest.CaptureFixture[str]) -> None:
    config = world(max_position=None, var={"limit": 0.95})

    def forgetful(given: Any) -> EngineSpec:
        return changed(drill_spec(given), collar=0.0)

    print_drill(of(config, forgetful))
    lines = capsys.readouterr().out.splitlines()
    told = {line.split("  ")[0].strip(): line for line in lines}
    assert "passed" in told["order_rate"]
    assert "FAILED" in told["price_collar"]
    assert "but 1 passed" in told["price_collar"]
    assert "out of reach" in told["var 0.95"]
    assert "not configured: max_position (not set)" in lines
    assert lines[-1].endswith(", 1 failed")
