from pathlib import Path

import pytest

from daemon.config.errors import ConfigError
from daemon.config.loader import load

TWO = [
    (
        "data=[{source: csv, path: DIR/aapl.csv, instrument: AAPL, bar: 1d},"
        " {source: csv, path: DIR/msft.csv, instrument: MSFT, bar: 1h}]"
    ),
    "instruments.MSFT={lot_size: 10}",
]


@pytest.mark.parametrize(
    ("overrides", "key", "message"),
    [
        (["start=2002-01-01", "end=2002-01-01"], "end", "is not after start, 2002-01-01 00:00; choose a later end"),
        (["warmup=60d"], "warmup", "counts back from start"),
        (["data.0.instrument=APPL"], "data.0.instrument", "nothing is known of 'APPL'; add it under instruments: APPL: {"),
        (["data.0.instrument=APPL"], "accounts.0.strategies.0.instruments.0", "there are no data of 'AAPL'; the data are of APPL"),
        (["data.0.bar=3d"], "accounts.0.strategies.0.timeframe", "1d is no multiple of the bars of AAPL, 3d"),
        (["accounts.0.strategies.0.timeframe=36h"], "accounts.0.strategies.0.timeframe", "36h is no multiple"),
        (["accounts.0.currency=EUR"], "accounts.0.strategies.0.instruments.0", "AAPL is in USD, account 'sma' in EUR"),
        # 2**53 millionths, or hundred-millionths
        (["accounts.0.cash=9.01e9"], "accounts.0.cash", "is more than money is exact for; stay below 9,007,199,255 USD"),
        (["accounts.0.currency=BTC", "accounts.0.cash=9.01e7"], "accounts.0.cash", "is more than money is exact for; stay below 90,071,993 BTC"),
        (["accounts.0.strategies.0.timeframe=1000 ticks"], "accounts.0.strategies.0.timeframe", "1000 ticks needs each trade, and AAPL comes in bars of 1d; give it data with bar: tick"),
        (["accounts.0.strategies.0.timeframes=[1h]"], "accounts.0.strategies.0.timeframes", "is for classes of your own"),
        (["accounts.0.margin={leverage: 4, maintenance: 0.3}"], "accounts.0.margin.maintenance", "0.3 is above the initial margin, 1 / leverage = 0.25"),
        (["accounts.0.margin={leverage: 5}"], "accounts.0.margin.maintenance", "0.25 is above the initial margin, 1 / leverage = 0.2"),
        (["accounts.0.margin={leverage: 0}"], "accounts.0.margin.leverage", "is 0; it must be more than 0"),
        (["accounts.0.margin={leverage: 2, debit_rate: -0.01}"], "accounts.0.margin.debit_rate", "is -0.01; it must be at least 0"),
        (["accounts.0.deposits=[{at: 2001-01-01, amount: 0}]"], "accounts.0.deposits.0.amount", "is 0; write what is paid in"),
        (["accounts.0.deposits=[{at: 2001-01-01, amount: 1, until: 2002-01-01}]"], "accounts.0.deposits.0.until", "is for what comes again"),
        (["accounts.0.deposits=[{at: 2001-01-01, amount: 1, every: day, until: 2001-01-01}]"], "accounts.0.deposits.0.until", "is not after at, 2001-01-01 00:00"),
        (["accounts.0.deposits=[{at: 2001-01-01, amount: 1}]", "start=2001-01-02"], "accounts.0.deposits.0.at", "is before start, 2001-01-02 00:00; add it to cash"),
        (["accounts.0.deposits=[{at: 2001-01-02, amount: 1}]", "end=2001-01-02"], "accounts.0.deposits.0.at", "is not before end, 2001-01-02 00:00"),
        (["accounts.0.deposits=[{at: 2001-01-02, amount: -1e10}]"], "accounts.0.deposits.0.amount", "is more than money is exact for"),
        (["currencies={USD: {scale: 0}}"], "currencies.USD.scale", "is 0; it must be at least 1"),
        (["currencies={usd: {scale: 100}}"], "currencies.usd", "'usd' is no currency"),
        (["accounts.0.strategies.0.size.units=0.5"], "accounts.0.strategies.0.size.units", "0.5 is no whole number of lots of AAPL, 1"),
        ([*TWO, "accounts.0.strategies.0.instruments=[AAPL, MSFT]"], "accounts.0.strategies.0.size.units", "the instruments have lots of different size"),
        (["accounts.0.strategies.0.instruments=[AAPL, AAPL]"], "accounts.0.strategies.0.instruments.1", "'AAPL' is given twice"),
        (["accounts.0.strategies.0.features=[sma_3]"], "accounts.0.strategies.0.features", "is for classes of your own"),
        (["accounts.0.strategies.0.features=[close, smaa]"], "accounts.0.strategies.0.features.1", "unknown feature 'smaa'"),
        (["accounts.0.strategies.0.history=5"], "accounts.0.strategies.0.history", "is for classes of your own"),
        (["instruments.AAPL.min_quantity=1.5"], "instruments.AAPL.min_quantity", "1.5 is no whole number of lots of 1"),
        (["instruments.AAPL.min_quantity=5", "instruments.AAPL.max_quantity=4"], "instruments.AAPL.max_quantity", "is below the min_quantity of 5"),
        (["execution={slippage_bps: 1, impact_bps: 2}"], "execution.impact_bps", "is a second kind of slippage beside slippage_bps"),
        ([*TWO, "data.1.instrument=AAPL"], "data.1.bar", "AAPL comes in bars of another length above"),
    ],
)  # fmt: skip
def test_what_does_not_fit_together_is_told_at_its_key(
    file: Path, overrides: list[str], key: str, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(file, [o.replace("DIR", str(file.parent)) for o in overrides])
    found = {p.key: p.message for p in caught.value.problems}
    assert found[key].startswith(message)


def test_currency_of_an_instrument_that_no_account_has_is_told(file: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"a\.yaml:12: accounts\.0\.strategies\.0\.instruments\.0: AAPL is in EUR"
    ):
        load(file, ["instruments.AAPL.currency=EUR"])


def test_bars_of_ticks_and_multiples_of_bars_are_taken(file: Path) -> None:
    for bar, timeframe, seconds in (("tick", "90s", 90), ("1h", "1d", 86_400)):
        config = load(file, [f"data.0.bar={bar}", f"accounts.0.strategies.0.timeframe={timeframe}"]).config
        assert config.accounts[0].strategies[0].timeframe == seconds * 10**9


def test_further_timeframes_and_their_features_are_multiples_of_the_bars_too(python: Path) -> None:
    at = "accounts.0.strategies.0"
    with pytest.raises(ConfigError) as caught:
        load(
            python,
            [
                f"{at}.timeframes=[1h, 2d]",
                f"{at}.features=[sma_3@90m, sma_3@1w, cash_share@1d, close@, close@x]",
            ],
        )
    found = {p.key.removeprefix(f"{at}."): p.message for p in caught.value.problems}
    assert found["features.2"] == "cash_share is of the account, not of bars; write it without @1d"
    assert found["features.3"] == "'close@' names no timeframe behind its @; write one such as close@1h"
    assert found["features.4"].startswith("'x' is no duration")
    with pytest.raises(ConfigError) as caught:
        load(python, [f"{at}.timeframes=[1h, 2d]", f"{at}.features=[sma_3@90m, sma_3@1w]"])
    found = {p.key.removeprefix(f"{at}."): p.message for p in caught.value.problems}
    assert sorted(found) == ["features.0", "timeframes.0"]
    assert found["features.0"].startswith("90m is no multiple of the bars of AAPL, 1d")


def test_several_files_of_one_instrument_are_taken(file: Path) -> None:
    text = file.read_text()
    line = next(x for x in text.splitlines(keepends=True) if "source" in x)
    file.write_text(text.replace(line, line + line.replace("aapl.csv", "msft.csv")))
    assert len(load(file).config.data) == 2


STRATEGY = "{use: buy_and_hold, NAMEinstruments: [AAPL], timeframe: 1d, size: {units: 1}}"


def strategies(*names: str | None) -> str:
    entries = (STRATEGY.replace("NAME", f"name: {n}, " if n else "") for n in names)
    return f"accounts.0.strategies=[{', '.join(entries)}]"


def test_strategies_without_names_are_named_and_numbered_around_those_with(file: Path) -> None:
    config = load(file, [strategies(None, "buy_and_hold-2", None, "mine", None)]).config
    names = [s.name for s in config.accounts[0].strategies]
    assert names == ["buy_and_hold", "buy_and_hold-2", "buy_and_hold-3", "mine", "buy_and_hold-4"]


def test_names_that_a_file_system_could_confuse_are_refused(file: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"accounts\.0\.strategies\.1\.name: there is a strategy named 'a' already"
    ):
        load(file, [strategies("a", "A")])
    account = "{name: NAME, cash: 1, strategies: [" + STRATEGY.replace("NAME", "") + "]}"
    two = ", ".join(account.replace("NAME", n) for n in ("sma", "SMA"))
    with pytest.raises(ConfigError, match=r"accounts\.1\.name: there is an account named 'sma' already"):
        load(file, [f"accounts=[{two}]"])


def test_sample_needs_no_instruments_and_leaves_those_that_are_given(file: Path) -> None:
    data = ", ".join(f"{{source: sample, instrument: {name}}}" for name in ("AAPL", "IBM"))
    config = load(file, [f"data=[{data}]"]).config
    assert {name: i.fees.bps for name, i in config.instruments.items()} == {"AAPL": 10, "IBM": 0}
