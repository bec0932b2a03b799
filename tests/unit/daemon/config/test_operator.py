"""What operators do: rows on the tape, at their times, of their portfolios, with their reasons."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from daemon.config.describe import backtest as described
from daemon.config.errors import ConfigError
from daemon.config.loader import load
from daemon.config.models import BacktestConfig
from daemon.config.operator import operations, reasons
from daemon.config.spec import engine_spec, inputs
from engine.records import OperatorAction, RowKind

AT = "accounts.0.operator"


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**9


def account(name: str, strategies: list[str], more: str = "") -> str:
    given = (
        f"{{use: buy_and_hold, name: {s}, instruments: [AAPL], timeframe: 1d, size: {{units: 1}}}}"
        for s in strategies
    )
    return f"{{name: {name}, cash: 1, {more}strategies: [{', '.join(given)}]}}"


def two_accounts(file: Path, first: str, second: str, *more: str) -> BacktestConfig:
    accounts = [account("a", ["x", "y"], first), account("b", ["x", "z"], second)]
    return load(file, [f"accounts=[{', '.join(accounts)}]", *more]).config


def test_operations_are_rows_of_portfolios_in_time_order(file: Path) -> None:
    config = two_accounts(
        file,
        "operator: [{at: 2001-01-03, do: reset, reason: go on, strategy: y}, {at: 2001-01-02, do: halt, reason: stop}], ",
        "operator: [{at: 2001-01-02, do: flatten, reason: out, strategy: x}, {at: 2001-01-04, do: reduce_only, reason: stop}], ",
    )
    assert reasons(config) == engine_spec(config)[0].reasons == ("go on", "stop", "out")
    rows = operations(config)
    assert rows is not None
    # portfolios: a, b, a/x, a/y, b/x, b/z
    expected = [
        ("2001-01-02", 0, OperatorAction.HALT, 1),
        ("2001-01-02", 4, OperatorAction.FLATTEN, 2),
        ("2001-01-03", 3, OperatorAction.RESET, 0),
        ("2001-01-04", 1, OperatorAction.REDUCE_ONLY, 1),
    ]
    found = zip(
        rows.ts_event.tolist(), rows.instrument.tolist(), rows.price.tolist(), rows.size.tolist(), strict=True
    )
    assert list(found) == [(ns(t), portfolio, do, why) for t, portfolio, do, why in expected]
    assert set(rows.flags.tolist()) == {RowKind.OPERATOR}
    names = [s.name for s in engine_spec(config)[0].strategies]
    assert names == ["a/x", "a/y", "b/x", "b/z"]  # which is the order that the indices above count in


def test_configuration_without_operations_has_no_rows(file: Path) -> None:
    config = load(file).config
    assert operations(config) is None
    assert inputs(config) is None
    assert engine_spec(config)[0].reasons == ()


def test_inputs_are_money_and_operations_in_time_order_and_at_equal_times_money_first(file: Path) -> None:
    days = [f"2001-01-{day:02}" for day in range(1, 31)]
    halts = ", ".join(f"{{at: {day}, do: halt, reason: stop}}" for day in reversed(days))
    deposits = "deposits: [{at: 2001-01-01, amount: 7, every: day}], "
    rows = inputs(two_accounts(file, f"operator: [{halts}], ", deposits, "end=2001-01-31"))
    assert rows is not None
    found = zip(
        rows.ts_event.tolist(),
        rows.flags.tolist(),
        rows.instrument.tolist(),
        rows.price.tolist(),
        strict=True,
    )
    assert list(found) == [
        row
        for day in days
        for row in ((ns(day), RowKind.CASH, 1, 7.0), (ns(day), RowKind.OPERATOR, 0, OperatorAction.HALT))
    ]
    assert rows.ts_recv is rows.ts_event


@pytest.mark.parametrize(
    ("given", "key", "message"),
    [
        ("{at: 2001-01-02, do: resett, reason: x}", "do", "is 'resett'; write one of 'reset', 'reduce_only', 'halt' or 'flatten'"),
        ("{at: 2001-01-02, do: reset}", "reason", "is missing; add it"),
        ("{at: 2001-01-02, do: reset, reason: ' '}", "reason", "is empty; say why"),
        (f"{{at: 2001-01-02, do: reset, reason: {'x' * 201}}}", "reason", "has 201 characters; say it in 200 at most"),
        ("{at: 2001-01-02, do: reset, reason: 5}", "reason", "is 5; write text (in quotes"),
        ("{at: 2000-12-31T23:59:59, do: reset, reason: x}", "at", "is before start, 2001-01-01 00:00, when nobody trades"),
        ("{at: 2001-02-01, do: reset, reason: x}", "at", "is not before end, 2001-02-01 00:00"),
        ("{at: 2001-01-02, do: reset, reason: x, strategy: sma_cros}", "strategy", "sma has no strategy 'sma_cros'; did you mean 'sma_cross'?"),
        ("{at: 2001-01-02, do: reset, reason: x, strategy: other}", "strategy", "sma has no strategy 'other'; there are sma_cross"),
        ("{at: 2001-01-02, do: reset, reason: x, account: sma}", "account", "unknown key; there are at, do, reason, strategy"),
    ],
)  # fmt: skip
def test_operation_that_makes_no_sense_is_told_at_its_key(
    file: Path, given: str, key: str, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(file, [f"{AT}=[{given}]", "start=2001-01-01", "end=2001-02-01"])
    (problem,) = caught.value.problems
    assert problem.key == f"{AT}.0.{key}"
    assert problem.message.startswith(message)


def test_operation_at_start_and_of_a_strategy_that_was_named_for_it_is_taken(file: Path) -> None:
    given = "{at: 2001-01-01, do: reset, reason: x, strategy: sma_cross}"  # after its rule
    rows = operations(load(file, [f"{AT}=[{given}]", "start=2001-01-01"]).config)
    assert rows is not None
    assert rows.instrument.tolist() == [1]  # behind the only account


def test_limits_and_operations_are_told_in_a_line_each(file: Path) -> None:
    limits = (
        "{max_concentration: 0.5, max_price_age: 90m, order_rate: {orders: 8, per: 24h}, on_breach: resize,"
        " drawdown: {warning: 0.15, limit: 0.2, action: flatten}, daily_loss: {warning: 0.07}}"
    )
    config = load(
        file,
        [
            f"accounts.0.limits={limits}",
            "accounts.0.strategies.0.limits={daily_loss: 0.07}",
            f"{AT}=[{{at: 2001-01-02T09:30, do: reduce_only, reason: too hot, strategy: sma_cross}}]",
        ],
    ).config
    assert [line for line in described(config) if "data" not in line] == [
        "  account sma: 100,000.00 USD",
        "    limits: drawdown 20% (flatten, warns at 15%), daily_loss warns at 7%, max_concentration 0.5, max_price_age 90m, order_rate 8 per 1d, on_breach resize",
        "    operator: reduce_only of sma_cross at 2001-01-02 09:30: too hot",
        "    sma_cross: sma_cross(fast 10, slow 30) on AAPL, 1d",
        "      limits: daily_loss 7% (halt)",
    ]
