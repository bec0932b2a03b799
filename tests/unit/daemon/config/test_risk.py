"""Limits on losses and how losses are forecast: what they mean to the engine, and what is told where they make no sense."""

from pathlib import Path
from typing import get_args

import pytest
import yaml

from daemon.config.arena import load_arena
from daemon.config.errors import ConfigError
from daemon.config.limits import STATISTICAL, RiskLimits
from daemon.config.loader import load
from daemon.config.risk import Method, RiskConfig
from daemon.config.risk_specs import risk_limits, risk_spec
from daemon.config.schema import schema
from daemon.config.spec import complete, engine_spec, market_spec
from daemon.config.training import load_training
from daemon.config.training_spec import engine_spec as training_spec
from daemon.config.training_spec import markets, task
from engine import records
from engine.records import LimitAction
from engine.spec import EngineSpec, GradingSpec, LimitSpec, RiskSpec, ShockSpec, WindowSpec
from engine.spec import RiskLimits as RiskLimitsSpec

DAY = 86_400 * 10**9
LIMITS = "accounts.0.limits"
OWN = "accounts.0.strategies.0.limits"
CRASH = "{name: crash, shocks: {AAPL: -0.1}}"
CRISIS = "{name: crisis, from: 2008-09-01, to: 2008-12-01}"


def spec_of(file: Path, *overrides: str) -> EngineSpec:
    spec = engine_spec(load(file, overrides).config)[0]
    spec.check()
    return spec


def wrong(file: Path, *overrides: str) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        load(file, overrides)
    return {p.key: p.message for p in caught.value.problems}


# -- limits --------------------------------------------------------------------------------------------------------


def test_bare_number_is_the_limit_with_the_usual_action(file: Path) -> None:
    given = "{var: 0.05, cvar: 0.06, stressed_var: 1, drawdown: 0.2, daily_loss: 0.03}"
    spec = spec_of(file, f"{LIMITS}={given}", f"risk={{stress: [{CRASH}]}}")
    assert spec.accounts[0].limits.risk == RiskLimitsSpec(
        var=LimitSpec(0.05, 0.0, LimitAction.DENY),
        cvar=LimitSpec(0.06, 0.0, LimitAction.DENY),
        stressed_var=LimitSpec(1.0, 0.0, LimitAction.DENY),
        drawdown=LimitSpec(0.2, 0.0, LimitAction.HALT),
        daily_loss=LimitSpec(0.03, 0.0, LimitAction.HALT),
    )
    assert spec.strategies[0].limits == RiskLimitsSpec()


@pytest.mark.parametrize(
    ("key", "action"),
    [
        *((key, action) for key in STATISTICAL for action in ("deny", "resize", "halt", "flatten")),
        *((key, action) for key in ("drawdown", "daily_loss") for action in ("deny", "halt", "flatten")),
    ],
)
def test_action_of_each_limit_reaches_the_engine_for_accounts_and_strategies(
    file: Path, key: str, action: str
) -> None:
    given = f"{{{key}: {{warning: 0.1, limit: 0.2, action: {action}}}}}"
    spec = spec_of(file, f"{LIMITS}={given}", f"{OWN}={given}", f"risk={{stress: [{CRASH}]}}")
    expected = LimitSpec(0.2, 0.1, LimitAction[action.upper()])
    for limits in (spec.accounts[0].limits.risk, spec.strategies[0].limits):
        assert limits == RiskLimitsSpec(**{key: expected})


def test_limit_that_only_warns_has_none(file: Path) -> None:
    spec = spec_of(file, f"{LIMITS}={{var: {{warning: 0.1}}, drawdown: {{warning: 0.3}}}}", "risk={}")
    risk = spec.accounts[0].limits.risk
    assert (risk.var, risk.drawdown) == (
        LimitSpec(0.0, 0.1, LimitAction.DENY),
        LimitSpec(0.0, 0.3, LimitAction.HALT),
    )


def test_sizes_are_cut_by_on_breach_and_risk_by_its_own_action(file: Path) -> None:
    spec = spec_of(file, f"{LIMITS}={{on_breach: resize, var: 0.05}}", "risk={}")
    assert spec.accounts[0].limits.resize
    assert spec.accounts[0].limits.risk.var.action == LimitAction.DENY


@pytest.mark.parametrize(
    ("given", "key", "message"),
    [
        ("{drawdown: 20}", "drawdown.limit", "is 20; it must be at most 1"),
        ("{drawdown: 0}", "drawdown.limit", "is 0; it must be more than 0"),
        ("{drawdown: -0.2}", "drawdown.limit", "is -0.2; it must be more than 0"),
        ("{drawdown: .nan}", "drawdown.limit", "is nan; write a number that is finite"),
        ("{drawdown: true}", "drawdown", "is no limit; write a share such as 0.05, or {warning: 0.04, limit: 0.05}"),
        ("{drawdown: 20%}", "drawdown", "is no limit; write a share"),
        ("{drawdown: [0.2]}", "drawdown", "is no limit; write a share"),
        ("{drawdown: {}}", "drawdown", "limits nothing; write a share such as 0.05"),
        ("{drawdown: {action: deny}}", "drawdown", "limits nothing; write a share such as 0.05"),
        ("{drawdown: {warning: 0.2, limit: 0.2}}", "drawdown", "warns at 0.2, not below its limit of 0.2; warn earlier"),
        ("{drawdown: {warning: 0.3, limit: 0.2}}", "drawdown", "warns at 0.3, not below its limit of 0.2"),
        ("{drawdown: {warning: 0.2, action: flatten}}", "drawdown.action", "is for a limit, and there is only a warning; add limit"),
        ("{drawdown: {limit: 0.2, action: resize}}", "drawdown.action", "is 'resize'; write one of 'halt', 'flatten' or 'deny'"),
        ("{daily_loss: {limit: 0.2, action: resize}}", "daily_loss.action", "is 'resize'; write one of 'halt', 'flatten' or 'deny'"),
        ("{var: {limit: 0.2, action: cut}}", "var.action", "is 'cut'; write one of 'deny', 'resize', 'halt' or 'flatten'"),
        ("{var: {limit: 0.2, warn: 0.1}}", "var.warn", "unknown key; did you mean 'warning'?"),
        ("{vra: 0.2}", "vra", "unknown key; did you mean 'var'?"),
        ("{stop_drawdown: 0.3}", "stop_drawdown", "is no longer a key; write drawdown: {limit: 0.3, action: halt}"),
        ("{stop_daily_loss: 0.04}", "stop_daily_loss", "is no longer a key; write daily_loss: {limit: 0.04, action: halt}"),
        ("{on_stop: flatten}", "on_stop", "is no longer a key; write the action of each limit, such as drawdown: {limit: 0.2, action: flatten}"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("place", [LIMITS, OWN])
def test_limit_that_makes_no_sense_is_told_at_its_key(
    file: Path, place: str, given: str, key: str, message: str
) -> None:
    ((found, said),) = wrong(file, f"{place}={given}", "risk={}").items()
    assert found == f"{place}.{key}"
    assert said.startswith(message)


def test_strategy_has_no_limits_on_sizes(file: Path) -> None:
    assert wrong(file, f"{OWN}={{max_position: 5}}") == {
        f"{OWN}.max_position": "unknown key; there are var, cvar, stressed_var, drawdown, daily_loss"
    }


@pytest.mark.parametrize("place", [LIMITS, OWN])
@pytest.mark.parametrize("key", STATISTICAL)
def test_limit_on_a_forecast_needs_risk(file: Path, place: str, key: str) -> None:
    ((found, said),) = wrong(file, f"{place}={{{key}: 0.1}}").items()
    assert found == f"{place}.{key}"
    assert said.startswith(
        "is held against a forecast, and nothing says how one is made; add at the top: risk: {"
    )
    # what it says helps
    added = said.partition("add at the top: ")[2].replace("risk: ", "risk=", 1)
    spec_of(file, f"{place}={{{key}: 0.1}}", added)


@pytest.mark.parametrize("place", [LIMITS, OWN])
def test_limit_on_stressed_var_needs_stress(file: Path, place: str) -> None:
    ((found, said),) = wrong(file, f"{place}={{stressed_var: 0.1}}", "risk={}").items()
    assert found == f"{place}.stressed_var"
    assert said.endswith("add to risk at the top: stress: [{name: crash, others: -0.2}]")


# -- forecasts -----------------------------------------------------------------------------------------------------


def test_losses_are_not_forecast_where_nobody_asks(file: Path) -> None:
    assert spec_of(file).risk is None


def test_defaults_are_those_of_the_engine() -> None:
    assert risk_spec(RiskConfig(), 0) == RiskSpec()
    assert risk_limits(RiskLimits()) == risk_limits(None) == RiskLimitsSpec()
    assert [name.upper() for name in get_args(Method)] == [m.name for m in records.Method]
    assert set(RiskLimits.model_fields) == {limit.name.lower() for limit in records.Limit}


def test_every_key_reaches_the_engine(file: Path) -> None:
    risk = (
        "{method: monte_carlo, confidence: 0.975, horizon: 10, period: 2d, window: 300, min_history: 60,"
        " short_history: {prior_volatility: 0.04}, decay: 0.97, draws: 500,"
        f" stress: [{CRISIS}, {{name: crash, shocks: {{AAPL: -1}}, others: 0.5}}, {{name: all, others: -0.2}}],"
        " grading: {methods: [ewma, gaussian], outcomes: 125, significance: 0.01, tighten: 0.5}}"
    )
    assert spec_of(file, f"risk={risk}", "start=2010-01-01").risk == RiskSpec(
        method=records.Method.MONTE_CARLO,
        confidence=0.975,
        horizon=10,
        period_ns=2 * DAY,
        window=300,
        min_history=60,
        prior_volatility=0.04,
        decay=0.97,
        draws=500,
        seed=7,  # the configuration's
        # 14,123 and 14,214 days after 1970-01-01
        windows=(WindowSpec("crisis", 14_123 * DAY, 14_214 * DAY),),
        shocks=(ShockSpec("crash", (("AAPL", -1.0),), 0.5), ShockSpec("all", (), -0.2)),
        grading=GradingSpec((records.Method.EWMA, records.Method.GAUSSIAN), 125, 0.01, 0.5),
    )


@pytest.mark.parametrize("name", get_args(Method))
def test_method_of_the_limits_is_graded_once(file: Path, name: str) -> None:
    methods = ", ".join(get_args(Method))
    spec = spec_of(file, f"risk={{method: {name}, grading: {{methods: [{methods}]}}}}").risk
    assert spec
    assert sorted((spec.method, *spec.grading.methods)) == sorted(records.Method)


@pytest.mark.parametrize(
    ("risk", "key", "message"),
    [
        ("{method: gausian}", "method", "is 'gausian'; write one of 'historical', 'gaussian',"),
        ("{grading: {methods: [garch]}}", "grading.methods.0", "is 'garch'; write one of 'historical',"),
        ("{grading: {methods: [ewma, gaussian, ewma]}}", "grading.methods.2", "ewma is given twice; remove one"),
        ("{grading: {outcomes: 19}}", "grading.outcomes", "is 19; it must be at least 20"),
        ("{grading: {tighten: 1.5}}", "grading.tighten", "is 1.5; it must be at most 1"),
        ("{confidence: 99}", "confidence", "is 99; it must be less than 1"),
        ("{confidence: 0.5}", "confidence", "is 0.5; it must be more than 0.5"),
        ("{period: 59s}", "period", "is 59s; write one from 1m to 365d, such as 1d"),
        ("{period: 366d}", "period", "is 366d; write one from 1m to 365d, such as 1d"),
        ("{horizon: 0}", "horizon", "is 0; it must be at least 1"),
        ("{window: 99}", "min_history", "is 100, more than the window of 99 holds; choose a longer window, or less"),
        ("{min_history: 19}", "min_history", "is 19; it must be at least 20"),
        # one return of 200 lies beyond the quantile at 99.5 %, and none of 199
        ("{confidence: 0.995, min_history: 199}", "min_history", "is 199: at a confidence of 0.995, historical finds no quantile in fewer than 200 returns; write min_history: 200"),
        ("{method: filtered, confidence: 0.995}", "min_history", "is 100: at a confidence of 0.995, filtered finds no quantile"),
        ("{method: ewma, confidence: 0.995, grading: {methods: [historical]}}", "min_history", "is 100: at a confidence of 0.995, historical finds no"),
        ("{method: monte_carlo, confidence: 0.995, draws: 199}", "draws", "is 199: a confidence of 0.995 needs 200 draws; write draws: 200"),
        ("{short_history: allow}", "short_history", "is neither deny nor a volatility; write deny, or {prior_volatility: 0.03}"),
        ("{short_history: 0.03}", "short_history", "is neither deny nor a volatility"),
        ("{short_history: {prior_volatility: 3}}", "short_history.prior_volatility", "is 3; it must be at most 1"),
        ("{short_history: {volatility: 0.03}}", "short_history.volatility", "unknown key; did you mean 'prior_volatility'?"),
        ("{stress: [{name: a}]}", "stress.0", "stresses nothing; write {name: crisis, from: 2008-09-01"),
        ("{stress: [{others: -0.1}]}", "stress.0.name", "is missing; add it"),
        ("{stress: [{name: a, from: 2008-09-01, to: 2008-12-01, others: -0.1}]}", "stress.0", "is a stretch of history and shocks at once; make two entries"),
        ("{stress: [{name: a, from: 2008-09-01}]}", "stress.0.to", "is missing; a stretch of history has both"),
        ("{stress: [{name: a, to: 2008-09-01}]}", "stress.0.from", "is missing; a stretch of history has both"),
        ("{stress: [{name: a, from: 2008-09-01, to: 2008-09-01}]}", "stress.0.to", "is not after from, 2008-09-01 00:00; choose a later time"),
        ("{stress: [{name: a, from: 2008-09-01, to: 2008-09-20}]}", "stress.0.to", "a lasts less than 20 periods of 1d, too few"),
        ("{period: 1m, stress: [{name: a, from: 2008-01-01, to: 2008-03-11}]}", "stress.0.to", "a lasts 100,800 periods of 1m; choose an earlier time"),
        ("{stress: [{name: a, begin: 2008-09-01}]}", "stress.0.begin", "unknown key; there are name, from, to, shocks, others"),
        ("{stress: [{name: a, others: -0.1}, {name: A, others: -0.2}]}", "stress.1.name", "there is a stress named 'a' already; choose another name"),
        ("{stress: [{name: a, others: -10}]}", "stress.0.others", "is -10; it must be at least -1"),
        ("{stress: [{name: a, shocks: {AAPL: -1.01}}]}", "stress.0.shocks.AAPL", "is -1.01; it must be at least -1"),
        ("{stress: [{name: a, shocks: {APPL: -0.1}}]}", "stress.0.shocks.APPL", "nothing is known of 'APPL'; did you mean 'AAPL'?"),
        ("{stress: [{name: a, shocks: {XYZ: -0.1}}]}", "stress.0.shocks.XYZ", "nothing is known of 'XYZ'; there are AAPL"),
    ],
)  # fmt: skip
def test_risk_that_makes_no_sense_is_told_at_its_key(file: Path, risk: str, key: str, message: str) -> None:
    found = wrong(file, f"risk={risk}", "start=2010-01-01")
    assert found[f"risk.{key}"].startswith(message)


@pytest.mark.parametrize(
    "risk",
    [
        "{confidence: 0.99, min_history: 100}",  # 1 - 0.99 is a little more than 0.01, and 100 are enough all the same
        "{confidence: 0.9975, min_history: 400}",  # and 1 / (1 - 0.9975) a little more than 400
        "{confidence: 0.999, min_history: 1000, window: 1000}",
        "{confidence: 0.9999, min_history: 10000, window: 10000}",
        "{method: gaussian, confidence: 0.999, min_history: 20}",  # which finds no quantile in them
        "{method: monte_carlo, confidence: 0.995, draws: 200, min_history: 20}",
        "{stress: [{name: a, from: 2008-09-01, to: 2008-09-21}]}",  # 20 days
        "{short_history: deny}",
    ],
)
def test_risk_at_its_bounds_is_taken_by_the_engine_too(file: Path, risk: str) -> None:
    assert spec_of(file, f"risk={risk}", "start=2010-01-01").risk


@pytest.mark.parametrize("period", ["1h", "36h"])
def test_period_that_ends_within_a_bar_is_refused(file: Path, period: str) -> None:
    message = wrong(file, f"risk={{period: {period}}}")["risk.period"]
    assert (
        message == f"is {period}, and ends within bars of AAPL, which last 1d; write 1d, or a multiple of it"
    )
    assert spec_of(file, "risk={period: 3d}").risk


def test_stress_of_history_ends_before_trading_begins(file: Path) -> None:
    risk = f"risk={{stress: [{CRISIS}]}}"
    assert spec_of(file, risk, "start=2008-12-01").risk  # at that very moment the last of its days is over
    at = "risk.stress.0.to"
    assert wrong(file, risk, "start=2008-11-30")[at].startswith("is after start, 2008-11-30 00:00")
    assert wrong(file, risk)[at].startswith("needs a start, before which it ends")
    # 2009-01-01 less 122 days is 2008-09-01: the price that the first of its returns is measured from is not read
    said = wrong(file, risk, "start=2009-01-01", "warmup=122d")["risk.stress.0.from"]
    assert said.startswith("is not after the begin of what is read: warmup reaches back to 2008-09-01 00:00")
    assert spec_of(file, risk, "start=2009-01-01", "warmup=123d").risk


def test_complete_configuration_loads_to_the_equal_one(file: Path, tmp_path: Path) -> None:
    overrides = [
        "start=2010-01-01",
        f"{LIMITS}={{var: {{warning: 0.01, limit: 0.02, action: resize}}, drawdown: 0.2}}",
        f"{OWN}={{daily_loss: {{warning: 0.05}}}}",
        f"risk={{period: 2d, short_history: {{prior_volatility: 0.03}}, stress: [{CRISIS}, {CRASH}]}}",
        "accounts.0.operator=[{at: 2010-02-01, do: reset, reason: 'yes', strategy: sma_cross}]",
    ]
    config = load(file, overrides).config
    (tmp_path / "elsewhere").mkdir()
    copy = tmp_path / "elsewhere" / "config.yaml"
    copy.write_text(complete(config))
    assert load(copy).config == config
    written = yaml.safe_load(copy.read_text())
    assert written["risk"]["stress"][0]["from"] == "2008-09-01T00:00:00Z"
    assert written["risk"]["confidence"] == 0.99
    assert written["accounts"][0]["limits"]["drawdown"]["action"] == "halt"
    assert load(copy, ["risk=null", f"{LIMITS}.var=null"]).config.risk is None


def test_editors_know_the_short_forms() -> None:
    made = schema()["$defs"]
    for key in RiskLimits.model_fields:
        (number, model, null) = made["RiskLimits"]["properties"][key]["anyOf"]
        assert (number["type"], "$ref" in model, null) == ("number", True, {"type": "null"})
    short = made["RiskConfig"]["properties"]["short_history"]
    assert (short["anyOf"][0]["const"], short["default"]) == ("deny", "deny")
    assert made["RiskConfig"]["properties"]["period"]["default"] == "1d"
    assert {"from", "to"} <= set(made["Stress"]["properties"])


# -- other kinds of configuration ----------------------------------------------------------------------------------

ARENA = """\
data: [{source: csv, path: aapl.csv, instrument: AAPL, bar: 1d}]
instruments: {AAPL: {}}
agents:
  - {use: buy_and_hold, name: mine, limits: {cvar: 0.1}}
  - {use: sma_cross, name: other}
"""


@pytest.fixture
def arena(folder: Path) -> Path:
    path = folder / "battle.yaml"
    path.write_text(ARENA)
    return path


def test_arena_forecasts_for_all_accounts_and_limits_no_strategy_twice(arena: Path) -> None:
    config = load_arena(arena, ["risk={method: ewma}", "limits={var: 0.05}", "baselines=[momentum]"]).config
    spec = engine_spec(config.backtest)[0]
    spec.check()
    assert spec.risk
    assert spec.risk.method == records.Method.EWMA
    var, cvar = (RiskLimitsSpec(**{key: LimitSpec(limit)}) for key, limit in (("var", 0.05), ("cvar", 0.1)))
    assert [a.limits.risk for a in spec.accounts] == [cvar, var, var]
    assert [s.limits for s in spec.strategies] == [RiskLimitsSpec()] * 3


def test_limit_of_an_arena_without_risk_is_told_where_it_stands(arena: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_arena(arena, ["limits={var: 0.05}"])
    places = [(p.key, p.place.line) for p in caught.value.problems]
    assert places == [("agents.0.limits.cvar", 4), ("limits.var", 0)]


TRAINING = """\
seed: 7
start: 2010-01-01
data:
  - {source: csv, path: aapl.csv, instrument: AAPL, bar: 1d}
  - {source: csv, path: msft.csv, instrument: MSFT, bar: 1d}
instruments: {AAPL: {}, MSFT: {}}
algorithm: qlearning
features: [rsi_14]
steps: 10
"""


@pytest.fixture
def training(folder: Path) -> Path:
    path = folder / "t.yaml"
    path.write_text(TRAINING)
    return path


def test_training_forecasts_for_each_instrument_by_itself(training: Path) -> None:
    shocks = "{name: crash, shocks: {MSFT: -0.2, AAPL: -0.1}, others: -0.05}"
    overrides = [f"risk={{method: gaussian, stress: [{CRISIS}, {shocks}]}}", "account.limits={var: 0.05}"]
    config = load_training(training, overrides).config
    assert task(config).account.limits.risk == RiskLimitsSpec(var=LimitSpec(0.05))
    found = {name: market.risk for name, market in markets(config).items()}
    for name, loss in (("AAPL", -0.1), ("MSFT", -0.2)):
        risk = found[name]
        assert risk
        assert (risk.method, risk.seed, len(risk.windows)) == (records.Method.GAUSSIAN, 7, 1)
        assert risk.shocks == (ShockSpec("crash", ((name, loss),), -0.05),)
    training_spec(config).check()
    whole = market_spec(config, config.currencies).risk  # with which it is judged: all instruments
    assert whole
    assert whole.shocks == (ShockSpec("crash", (("MSFT", -0.2), ("AAPL", -0.1)), -0.05),)


@pytest.mark.parametrize(
    ("overrides", "key", "message"),
    [
        (["account.limits={cvar: 0.1}"], "account.limits.cvar", "is held against a forecast, and nothing says"),
        (["account.limits={stressed_var: 0.1}", "risk={}"], "account.limits.stressed_var", "is of the stress that there is none of"),
        (["account.limits={drawdown: {limit: 0.1, action: resize}}"], "account.limits.drawdown.action", "is 'resize'; write one of"),
        (["risk={stress: [{name: a, from: 2009-12-01, to: 2010-01-02}]}"], "risk.stress.0.to", "is after start, 2010-01-01 00:00"),
        (["risk={stress: [{name: a, shocks: {IBM: -0.1}}]}"], "risk.stress.0.shocks.IBM", "nothing is known of 'IBM'"),
    ],
)  # fmt: skip
def test_risk_of_a_training_that_makes_no_sense_is_told_at_its_key(
    training: Path, overrides: list[str], key: str, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_training(training, overrides)
    (problem,) = caught.value.problems
    assert problem.key == key
    assert problem.message.startswith(message)
