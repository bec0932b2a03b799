from datetime import UTC, datetime
from pathlib import Path

import pytest

from daemon.calendars import sessions
from daemon.config.errors import ConfigError
from daemon.config.loader import load
from daemon.config.spec import complete, engine_spec, sources
from engine.policies import Policy
from engine.records import NO_TIME, LimitAction, SizeKind, Slippage, Wants
from engine.spec import (
    AccountSpec,
    EngineSpec,
    InstrumentSpec,
    LimitSpec,
    LimitsSpec,
    RiskLimits,
    StrategySpec,
)

DAY = 86_400 * 10**9


def spec_of(file: Path, *overrides: str) -> EngineSpec:
    return engine_spec(load(file, overrides).config)[0]


def test_configuration_of_the_issue_becomes_this_engine(file: Path) -> None:
    spec, actors = engine_spec(load(file).config)
    assert actors == {}
    assert spec == EngineSpec(
        instruments=(
            InstrumentSpec("AAPL", 0.01, 1.0, "USD", taker_bps=10.0, maker_bps=10.0, calendar="XNYS/days"),
        ),
        accounts=(AccountSpec("sma", 100_000.0, "USD", LimitsSpec()),),
        strategies=(
            StrategySpec(
                name="sma/sma_cross",
                account="sma",
                instruments=("AAPL",),
                timeframe_ns=DAY,
                features=("sma_10", "sma_30"),
                policy=Policy.SMA_CROSS,
                size_kind=SizeKind.UNITS,
                size_value=100.0,
            ),
        ),
        trade_from=NO_TIME,
        calendars={"XNYS/days": sessions("XNYS", whole_days=True)},
    )
    spec.check()


def test_every_key_reaches_the_engine(file: Path) -> None:
    limits = (
        "{max_order_notional: 1, max_position: 2, max_gross_exposure: 3, max_net_exposure: 4, max_concentration: 5,"
        " price_collar: 6, max_price_age: 7s, order_rate: {orders: 8, per: 9s}, drawdown: 0.1,"
        " on_breach: resize}"
    )
    fees = "{bps: 10, maker_bps: -1, per_unit: 0.005, minimum: 1}"
    spec = spec_of(
        file,
        "start=2001-01-01",
        f"accounts.0.limits={limits}",
        f"instruments.AAPL={{tick_size: 0.05, lot_size: 10, min_quantity: 20, max_quantity: 1000, fees: {fees}}}",
        "execution={slippage_ticks: 2, latency_ms: 0.5, participation: 0.3, limit_fill: touch, late_prints: merge, grace_ms: 250}",
        "data.0.bar=tick",
        "accounts.0.strategies.0.size={fraction: 0.5}",
    )
    assert spec.accounts[0].limits == LimitsSpec(
        1.0,
        2.0,
        3.0,
        4.0,
        5.0,
        6.0,
        7 * 10**9,
        8,
        9 * 10**9,
        True,
        RiskLimits(drawdown=LimitSpec(0.1, 0.0, LimitAction.HALT)),
    )
    assert spec.instruments[0] == InstrumentSpec(
        name="AAPL",
        tick_size=0.05,
        lot_size=10.0,
        taker_bps=10.0,
        maker_bps=-1.0,
        fee_per_unit=0.005,
        fee_min=1.0,
        min_lots=2,
        max_lots=100,
        latency_ns=500_000,
        slippage=Slippage.TICKS,
        slippage_value=2.0,
        participation=0.3,
        fill_at_touch=True,
        calendar="XNYS",
    )
    assert (spec.grace_ns, spec.merge_late) == (250_000_000, True)
    assert spec.trade_from == int(datetime(2001, 1, 1, tzinfo=UTC).timestamp()) * 10**9
    assert (spec.strategies[0].size_kind, spec.strategies[0].size_value) == (SizeKind.FRACTION, 0.5)


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("slippage_bps", Slippage.BPS),
        ("slippage_ticks", Slippage.TICKS),
        ("impact_bps", Slippage.SQRT_IMPACT),
    ],
)
def test_slippage_is_of_the_kind_that_is_given(file: Path, key: str, kind: Slippage) -> None:
    (instrument,) = spec_of(file, f"execution={{{key}: 3}}").instruments
    assert (instrument.slippage, instrument.slippage_value) == (kind, 3.0)


@pytest.mark.parametrize(
    ("bar", "latency_ms", "ns"),
    [
        ("tick", 50, 50_000_000),
        ("1s", 999, 0),  # below one bar: none
        ("1s", 1000, 1_000_000_000),
        ("1d", 50, 0),
    ],
)
def test_latency_below_one_bar_is_none(file: Path, bar: str, latency_ms: int, ns: int) -> None:
    (instrument,) = spec_of(file, f"data.0.bar={bar}", f"execution.latency_ms={latency_ms}").instruments
    assert instrument.latency_ns == ns


@pytest.mark.parametrize(
    ("rule", "params", "features", "values"),
    [
        ("buy_and_hold", "{}", (), ()),
        ("momentum", "{lookback: 60, threshold: 0.02}", ("return_60",), (0.02,)),
        ("rsi_reversion", "{oversold: 25}", ("rsi_14",), (25.0, 70.0)),
    ],
)
def test_rule_gets_its_policy_features_and_parameters(
    file: Path, rule: str, params: str, features: tuple[str, ...], values: tuple[float, ...]
) -> None:
    strategy = "accounts.0.strategies.0"
    (made,) = spec_of(file, f"{strategy}.use={rule}", f"{strategy}.params={params}").strategies
    assert (made.policy, made.features, made.params) == (Policy[rule.upper()], features, values)


def test_sources_read_what_the_configuration_says(file: Path) -> None:
    text = file.read_text().replace(
        "bar: 1d}",
        "bar: 1m, stamp: end, timezone: America/New_York, columns: {open: o}, time_format: ms, on_bad_row: skip}\n"
        "  - {source: parquet, path: ticks.parquet, instrument: MSFT, bar: tick}\n"
        "  - {source: sample, instrument: IBM}",
    )
    file.write_text(text.replace("instruments:\n", "instruments:\n  MSFT: {}\n"))
    config = load(file, ["start=2001-01-03", "warmup=2d", "end=2001-01-05"]).config
    aapl, msft, ibm = sources(config)
    midnight = int(datetime(2001, 1, 1, tzinfo=UTC).timestamp()) * 10**9
    assert (aapl.kind, aapl.path, aapl.name, aapl.instrument) == ("csv", file.parent / "aapl.csv", "AAPL", 1)
    assert (aapl.bar_ns, aapl.stamp, aapl.timezone) == (60 * 10**9, "end", "America/New_York")
    assert (dict(aapl.columns), aapl.time_format, aapl.skip_bad_rows) == ({"open": "o"}, "ms", True)
    assert (aapl.start, aapl.end) == (midnight, midnight + 4 * DAY)
    assert (msft.kind, msft.name, msft.instrument, msft.bar_ns, msft.skip_bad_rows) == (
        "parquet",
        "MSFT",
        0,
        0,
        False,
    )
    assert (ibm.kind, ibm.path, ibm.name, ibm.instrument, ibm.bar_ns) == ("sample", None, "IBM", 2, DAY)
    assert [i.name for i in engine_spec(config)[0].instruments] == ["MSFT", "AAPL", "IBM"]


def test_without_warmup_all_that_lies_before_start_is_read(file: Path) -> None:
    (source,) = sources(load(file, ["start=2001-01-03"]).config)
    assert source.start is None


def test_class_becomes_an_actor_whose_wishes_reach_the_engine(python: Path) -> None:
    config = load(python, ["accounts.0.strategies.0.features=[close, rsi_14]"]).config
    spec, actors = engine_spec(config)
    (strategy,) = spec.strategies
    assert list(actors) == ["sma/Mine"] == [strategy.name]
    assert (strategy.policy, strategy.wants) == (Policy.PYTHON, Wants.BAR)
    assert strategy.features == ("sma_5", "close", "rsi_14")
    assert strategy.history == 12
    assert config.accounts[0].strategies[0].params == {"level": 2.0, "names": []}
    assert (
        engine_spec(load(python, ["accounts.0.strategies.0.history=99"]).config)[0].strategies[0].history
        == 99
    )


def test_configuration_with_a_class_runs_again_from_another_folder(
    python: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    config = load(python, ["accounts.0.strategies.0.params.names=[a, b]"]).config
    copy = tmp_path_factory.mktemp("results") / "config.yaml"
    copy.write_text(complete(config))
    assert load(copy).config == config


@pytest.mark.parametrize(
    ("override", "key", "message"),
    [
        ("params.level=0", "params.level", "is 0; it must be more than 0"),
        ("params.levle=1", "params.levle", "unknown key; did you mean 'level'?"),
        ("size={units: 1}", "size", "is for rules and models; a class decides itself"),
        ("history=0", "history", "is 0; it must be more than 0"),
    ],
)
def test_error_in_what_a_class_is_given_is_told_at_its_key(
    python: Path, override: str, key: str, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(python, [f"accounts.0.strategies.0.{override}"])
    (problem,) = caught.value.problems
    assert problem.key == f"accounts.0.strategies.0.{key}"
    assert problem.message.startswith(message)


def test_class_that_is_not_there_is_told_at_its_line(python: Path) -> None:
    python.write_text(python.read_text().replace(":Mine", ":Yours"))
    with pytest.raises(
        ConfigError, match=r"a\.yaml:12: accounts\.0\.strategies\.0\.use: .*there is no Yours"
    ):
        load(python)


def test_corporate_actions_reach_the_feed_and_their_symbols_the_engine(
    file: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (file.parent / "actions.csv").write_text("date,kind,value\n2022-06-09,symbol,META\n")
    text = file.read_text().replace(
        "bar: 1d}", "bar: 1d, actions: actions.csv, adjusted: splits, format: lean}"
    )
    file.write_text(text)
    config = load(file).config
    copy = tmp_path_factory.mktemp("results") / "config.yaml"
    copy.write_text(complete(config))
    assert load(copy).config == config
    (read,) = sources(config)
    assert (read.actions, read.adjusted, read.format) == (file.parent / "actions.csv", "splits", "lean")
    assert read.exchange_zone == "UTC"
    assert engine_spec(config)[0].instruments[0].symbols == ("META",)


@pytest.mark.parametrize(("calendar", "zone"), [("XNYS", "America/New_York"), ("24/7", "UTC")])
@pytest.mark.parametrize("bar", ["tick", "1m"])
def test_days_of_actions_begin_where_the_exchange_is_unless_bars_last_days(
    file: Path, bar: str, calendar: str, zone: str
) -> None:
    (file.parent / "actions.csv").write_text("date,kind,value\n2022-06-09,split,2:1\n")
    file.write_text(file.read_text().replace("bar: 1d}", f"bar: {bar}, actions: actions.csv}}"))
    (read,) = sources(load(file, [f"instruments.AAPL.calendar={calendar}"]).config)
    assert read.exchange_zone == zone
