from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest
import yaml

from daemon.config.errors import ConfigError
from daemon.config.loader import check, load
from daemon.config.sources import CsvData
from daemon.config.spec import complete


def said(path: Path, *overrides: str) -> list[str]:
    """What is wrong with the file, line by line, without the name of its folder."""
    with pytest.raises(ConfigError) as caught:
        load(path, overrides)
    return str(caught.value).replace(f"{path.parent}/", "").split("\n")


def edit(path: Path, old: str, new: str) -> Path:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return path


def test_configuration_of_the_issue_is_taken_as_it_stands(file: Path) -> None:
    loaded = load(file)
    config = loaded.config
    assert (config.name, config.seed, loaded.path) == ("aapl-sma", 7, file)
    assert loaded.text == file.read_text()
    (data,) = config.data
    assert isinstance(data, CsvData)
    assert (data.path, data.bar) == (file.parent / "aapl.csv", 86_400_000_000_000)
    assert config.instruments["AAPL"].fees.bps == 10
    (strategy,) = config.accounts[0].strategies
    assert (strategy.name, strategy.params) == ("sma_cross", {"fast": 10, "slow": 30})
    assert strategy.size
    assert strategy.size.units == 100


def test_complete_configuration_loads_to_the_equal_one(file: Path) -> None:
    overrides = [
        "start=2001-01-01",
        "end=2010-01-01T12:30:00.000001",
        "warmup=60d",
        "accounts.0.limits={max_price_age: 5m, order_rate: {orders: 10, per: 250ms}, drawdown: 1e-5}",
        "execution.participation=0.1",
        "data.0.columns={open: '1e5', time: on}",
        "accounts.0.strategies.0.size={fraction: 0.95}",
    ]
    config = load(file, overrides).config
    (file.parent / "elsewhere").mkdir()
    copy = file.parent / "elsewhere" / "config.yaml"
    copy.write_text(complete(config))
    assert load(copy).config == config
    again = yaml.safe_load(copy.read_text())  # any other reader of YAML gets the same
    assert again["data"][0]["columns"] == {"open": "1e5", "time": "on"}
    assert again["accounts"][0]["limits"]["order_rate"] == {"orders": 10, "per": "250ms"}


def test_complete_configuration_names_every_default(file: Path) -> None:
    config = load(file, ["accounts.0.strategies.0.params={}"]).config
    written = yaml.safe_load(complete(config))
    assert written["execution"]["grace_ms"] == 0
    assert written["data"][0]["path"] == str(file.parent / "aapl.csv")
    assert written["accounts"][0]["strategies"][0]["params"] == {"fast": 10, "slow": 30}
    assert written["accounts"][0]["strategies"][0]["name"] == "sma_cross"


def test_all_errors_are_told_together_in_order_of_line(file: Path) -> None:
    edit(file, "seed: 7", "seeed: 7")
    edit(file, "bar: 1d", "bar: day")
    edit(file, "cash: 100000", "cash: -5\n    cash: 6")
    edit(file, "fast: 10", "fats: 10")
    edit(file, "limit_fill: through", "limit_fill: thru")
    edit(file, "tick_size: 0.01", "tick_size: .nan")
    assert said(file) == [
        "a.yaml:2: seeed: unknown key; did you mean 'seed'?",
        (
            "a.yaml:4: data.0.bar: 'day' is no duration; write a whole number and its unit: "
            "250ms, 30s, 1m, 4h, 1d, 1w; or tick, where each row is a trade"
        ),
        "a.yaml:6: instruments.AAPL.tick_size: is nan; write a number that is finite",
        "a.yaml:7: execution.limit_fill: is 'thru'; write one of 'through' or 'touch'",
        "a.yaml:10: accounts.0.cash: is -5; it must be more than 0.0",
        "a.yaml:11: accounts.0.cash: is given twice, first in line 10; remove one of them",
        "a.yaml:13: accounts.0.strategies.0.params.fats: unknown key; did you mean 'fast'?",
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("name: aapl-sma\n", "", "a.yaml:1: name: is missing; add it"),
        ("name: aapl-sma", "name: on/off", "a.yaml:1: name: 'on/off' is no name for a file"),
        ("name: aapl-sma", "name: 7", "a.yaml:1: name: is 7; write text (in quotes"),
        ("seed: 7", "seed: 7.0", "a.yaml:2: seed: is 7.0; write a whole number"),
        ("seed: 7", "seed: true", "a.yaml:2: seed: is true; write a whole number"),
        ("seed: 7", "seed:", "a.yaml:2: seed: is empty; write a whole number, or remove it"),
        ("seed: 7", "strategy_folder: aapl.csv", "a.yaml:2: strategy_folder: aapl.csv is a file; name the folder"),
        ("source: csv", "source: excel", "a.yaml:4: data.0.source: is 'excel'; write one of 'csv', 'parquet', 'catalog', 'sample', 'synthetic'"),
        ("source: csv, ", "", "a.yaml:4: data.0: names no source; add source: csv, parquet, catalog, sample or synthetic"),
        ("path: aapl.csv, ", "", "a.yaml:4: data.0.path: is missing; add it"),
        ("path: aapl.csv", "path: nix.csv", "a.yaml:4: data.0.path: there is no nix.csv; a relative path"),
        ("bar: 1d", "bar: 1d, actions: .", "a.yaml:4: data.0.actions: "),
        ("bar: 1d", "bar: 1d, adjusted: yes", "a.yaml:4: data.0.adjusted: is 'yes'; write one of 'raw', 'splits'"),
        ("bar: 1d", "bar: 1d, format: leen", "a.yaml:4: data.0.format: is 'leen'; write one of 'lean', 'ninjatrader'"),
        ("path: aapl.csv", "path: 5", "a.yaml:4: data.0.path:"),
        ("bar: 1d", "bar: 1d, colums: {}", "a.yaml:4: data.0.colums: unknown key; did you mean 'columns'?"),
        ("bar: 1d", "bar: 1d, columns: {opn: o}", "a.yaml:4: data.0.columns.opn: is 'opn'; write one of 'time', "),
        ("bar: 1d", "bar: 1d, timezone: Mars", "a.yaml:4: data.0.timezone: 'Mars' is no time zone"),
        (
            "{source: csv, path: aapl.csv, instrument: AAPL, bar: 1d}",
            "{source: sample, path: aapl.csv, instrument: AAPL}",
            "a.yaml:4: data.0.path: unknown key; there are source, instrument, bar, on_bad_row",
        ),
        (
            "{source: csv, path: aapl.csv, instrument: AAPL, bar: 1d}",
            "{source: sample, instrument: TSLA, bar: 1m}",
            "a.yaml:4: data.0.instrument: 'TSLA' is not in the sample; it has AAPL, GOOG, IBM, MSFT",
        ),
        ("currency: USD", "curency: USD", "a.yaml:6: instruments.AAPL.curency: unknown key; did you mean 'currency'?"),
        ("bps: 10", "fees: 10", "a.yaml:6: instruments.AAPL.fees.fees: unknown key; there are bps, maker_bps"),
        ("fees: {bps: 10}", "fees:", "a.yaml:6: instruments.AAPL.fees: is empty; write keys and values"),
        ("participation: null", "participation: 0", "a.yaml:7: execution.participation: is 0; it must be more than 0"),
        ("participation: null", "participation: 1.1", "a.yaml:7: execution.participation: is 1.1; it must be at most 1"),
        ("cash: 100000", "cash: 1e5 USD", "a.yaml:10: accounts.0.cash: is '1e5 USD'; write a number"),
        ("use: sma_cross", "use: sma_cros", "a.yaml:12: accounts.0.strategies.0.use: 'sma_cros' is no rule; did you mean"),
        ("use: sma_cross", "use: nix:Nix", "a.yaml:12: accounts.0.strategies.0.use: "),
        ("[AAPL]", "AAPL", "a.yaml:12: accounts.0.strategies.0.instruments: is 'AAPL'; write a list, such as [a, b]"),
        ("[AAPL]", "[]", "a.yaml:12: accounts.0.strategies.0.instruments: is empty; give at least one entry"),
        ("slow: 30", "slow: 5", "a.yaml:12: accounts.0.strategies.0.params.slow: the slow average must be longer"),
        ("slow: 30", "slow: '30'", "a.yaml:12: accounts.0.strategies.0.params.slow: is '30'; write a whole number"),
        ("units: 100", "fraction: 1.5", "a.yaml:12: accounts.0.strategies.0.size.fraction: is 1.5; it must be at most 1"),
        ("units: 100", "units: 1, fraction: 1", "a.yaml:12: accounts.0.strategies.0.size: takes one of units and fraction"),
        (", size: {units: 100}", "", "a.yaml:12: accounts.0.strategies.0.size: is missing; write {units: 100}"),
    ],
)  # fmt: skip
def test_error_names_line_and_key_and_says_what_to_do(file: Path, old: str, new: str, message: str) -> None:
    edit(file, old, new)
    lines = said(file)
    assert lines[0].startswith(message)
    assert {line.split(": ", 1)[0] for line in lines} == {message.split(": ", 1)[0]}


def test_list_whose_entries_are_wrong_is_not_called_empty_too(file: Path) -> None:
    assert len(said(edit(file, "cash: 100000", "cash: x"))) == 1


def test_override_replaces_a_value_and_is_read_as_yaml(file: Path) -> None:
    config = load(
        file,
        [
            "accounts.0.strategies.0.params.fast=5",
            "accounts.0.cash=2e5",
            "execution={participation: 0.5}",
            "name=b",
            "accounts.0.limits.order_rate.orders=3",  # keys on the way are made
            "accounts.0.limits.order_rate.per=1s",
        ],
    ).config
    assert config.name == "b"
    assert config.accounts[0].cash == 200_000
    assert config.accounts[0].strategies[0].params == {"fast": 5, "slow": 30}
    assert config.execution.participation == 0.5
    rate = config.accounts[0].limits.order_rate
    assert rate
    assert (rate.orders, rate.per) == (3, 1_000_000_000)


def test_error_in_an_override_names_the_override(file: Path) -> None:
    edit(file, "seed: 7", "sed: 7")
    overrides = ["accounts.0.csh=5", "accounts.3.cash=1", "seed.x=[", "seed", "accounts.0.cash.x=1", "a..b=1"]
    lines = said(file, *overrides)
    assert lines[0] == "a.yaml:2: sed: unknown key; did you mean 'seed'?"
    assert lines[1] == "--set accounts.3.cash=1: accounts: has no entry '3'; its entries are 0 to 0"
    assert lines[2].startswith("--set seed.x=[: is no valid YAML: ")
    assert lines[3] == "--set seed: is no override; write --set dotted.key=value"
    assert lines[4].startswith("--set accounts.0.cash.x=1: accounts.0.cash: is a single value")
    assert lines[5].startswith("--set a..b=1: is no override")
    assert lines[6] == "--set accounts.0.csh=5: accounts.0.csh: unknown key; did you mean 'cash'?"


def test_override_of_what_two_keys_share_by_an_alias_changes_one(file: Path) -> None:
    edit(file, "fees: {bps: 10}}", "fees: &f {bps: 10}}\n  MSFT: {fees: *f}")
    config = load(file, ["instruments.AAPL.fees.bps=1"]).config
    assert [i.fees.bps for i in config.instruments.values()] == [1, 10]


def test_override_finds_a_name_that_holds_dots(file: Path) -> None:
    file.write_text(file.read_text().replace("AAPL", "BRK.B"))
    config = load(file, ["instruments.BRK.B.fees.bps=3"]).config
    assert config.instruments["BRK.B"].fees.bps == 3


def test_path_of_an_override_starts_in_the_current_folder(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = file.parent / "here"
    here.mkdir()
    (here / "x.csv").touch()
    monkeypatch.chdir(here)
    for override in ("data.0.path=x.csv", "data=[{source: csv, path: x.csv, instrument: AAPL, bar: 1d}]"):
        (data,) = load(file, [override]).config.data
        assert isinstance(data, CsvData)
        assert data.path == here / "x.csv"
    assert said(file, "data.0.path=aapl.csv")[0].startswith(
        "--set data.0.path=aapl.csv: data.0.path: there is no "
    )


def test_dict_is_as_good_as_a_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)
    given = yaml.safe_load(file.read_text())
    given["start"] = date(2001, 1, 1)
    given["end"] = datetime(2002, 1, 1, tzinfo=UTC)
    given["data"][0]["path"] = Path("aapl.csv")
    given["accounts"][0]["strategies"][0]["params"]["fast"] = np.int64(10)
    loaded = load(given)
    assert loaded.path is None
    assert loaded.config == load(file, ["start=2001-01-01", "end=2002-01-01"]).config
    assert load(yaml.safe_load(loaded.text)).config == loaded.config
    given["accounts"][0]["csh"] = 1
    with pytest.raises(
        ConfigError, match=r"^configuration: accounts\.0\.csh: unknown key; did you mean 'cash'\?$"
    ):
        load(given)


@pytest.mark.parametrize("text", ["", "# nothing\n", "5\n", "[1]\n"])
def test_file_without_keys_is_refused(file: Path, text: str) -> None:
    file.write_text(text)
    assert said(file) == [
        "a.yaml:1: holds no keys; a configuration is a list of `key: value`, beginning with `name: ...`"
    ]


def test_file_that_cannot_be_read_is_named(file: Path) -> None:
    file.write_bytes(b"name: \xff\n")
    assert said(file) == ["a.yaml: is not UTF-8 at byte 6; save it as UTF-8"]
    assert said(file.parent / "b.yaml") == [
        "b.yaml: cannot be read: No such file or directory; give the path of a YAML file"
    ]
    with pytest.raises(ConfigError, match="Is a directory"):
        load(file.parent)


def test_byte_order_mark_and_windows_line_ends_are_no_matter(file: Path) -> None:
    expected = load(file).config
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
    assert load(file).config == expected


def test_check_says_what_would_run(file: Path) -> None:
    assert check(file, ["seed=1"]) == [
        f"{file}: aapl-sma is a complete configuration",
        f"  data: AAPL, csv, {file.parent}/aapl.csv; days of XNYS",
        "  account sma: 100,000.00 USD",
        "    sma_cross: sma_cross(fast 10, slow 30) on AAPL, 1d",
    ]


def test_check_says_what_else_would_happen(file: Path) -> None:
    actions = "date,kind,value\n2000-12-01,dividend,1\n2001-02-01,split,3:2\n2001-03-01,dividend,0.5\n2002-06-01,symbol,APL\n"
    (file.parent / "actions.csv").write_text(actions)
    edit(file, "bar: 1d", "bar: 1m, actions: actions.csv")
    edit(file, "currency: USD", "currency: BTC, calendar: XLON")
    deposits = (
        "[{at: 2001-02-01, amount: 2}, {at: 2001-03-31T09:30, amount: -0.5, every: month, until: 2001-06-01}]"
    )
    said = check(
        file,
        [
            "start=2001-01-01",
            "warmup=1d",
            "end=2002-01-01",
            "accounts.0.currency=BTC",
            "accounts.0.margin={leverage: 2, debit_rate: 0.055}",
            f"accounts.0.deposits={deposits}",
        ],
    )
    assert said[1:-1] == [
        f"  data: AAPL, csv, {file.parent}/aapl.csv; hours of XLON",
        "    corporate actions: split 3:2 on 2001-02-01; dividend on 2001-03-01",
        "  account sma: 100,000.00000000 BTC, leverage 2, maintenance 25%, debit 5.50%",
        "    deposit: 2.00000000 BTC at 2001-02-01",
        "    withdrawal: 0.50000000 BTC every month from 2001-03-31 09:30 until 2001-06-01",
    ]
