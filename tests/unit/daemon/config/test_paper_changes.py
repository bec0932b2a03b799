"""What a running session can take on of another configuration: held against the engine, which takes it on or refuses."""

from pathlib import Path
from typing import Any

import pytest

from daemon.config import paper_changes
from daemon.config.paper import PaperConfig, load_paper
from daemon.config.paper_changes import Change, applied, changes
from daemon.config.spec import engine_spec
from engine.owned import differing
from tests.trained import DAY, store_model

YAML = """\
feed: {source: finnhub, symbols: {BTC: "BINANCE:BTCUSDT"}}
models: models
instruments:
  AAPL: {fees: {bps: 1}}
  BTC: {calendar: 24/7, lot_size: 0.0001}
risk: {}
journal: {snapshot_every: 30s}
notify:
  - {target: webhook, url: 'https://example.org/a'}
  - {target: telegram, name: phone, chat: 5}
accounts:
  - name: one
    cash: 100000
    margin: {leverage: 2}
    limits: {drawdown: 0.2, order_rate: {orders: 10, per: 1m}}
    strategies:
      - {use: sma_cross, name: a.b, instruments: [AAPL], timeframe: 1m, params: {fast: 10, slow: 30}, size: {units: 100}}
      - {use: momentum, instruments: [BTC], timeframe: 1m, params: {lookback: 5, threshold: 0.1}, size: {fraction: 0.5}}
  - name: two
    cash: 100000
    strategies:
      - {use: "model:first@latest", name: m, instruments: [AAPL], size: {units: 5}}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    for name in ("first", "second"):
        store_model(
            tmp_path / "models",
            name,
            ("rsi_14",),
            {"kind": "discrete", "size": {"units": 5}},
            timeframe_ns=DAY,
        )
    path = tmp_path / "live.yaml"
    path.write_text(YAML)
    return path


def of(path: Path, *overrides: str) -> PaperConfig:
    return load_paper(path, overrides).config


def told(path: Path, *overrides: str) -> dict[str, tuple[Any, Any, str]]:
    return {c.key: (c.old, c.new, c.how) for c in changes(of(path), of(path, *overrides))}


ONE = "accounts.0"
RULE, MOMENTUM = f"{ONE}.strategies.0", f"{ONE}.strategies.1"
CASES = [
    # the engine's, as an input
    ("feed.watch=[AAPL]", "feed.watch", None, ["AAPL"], "input"),
    ("instruments.AAPL.fees.bps=2", "instruments.AAPL.fees.bps", 1.0, 2.0, "input"),
    ("instruments.BTC.max_quantity=2", "instruments.BTC.max_quantity", None, 2.0, "input"),
    ("execution.latency_ms=5", "execution.latency_ms", 0.0, 5.0, "input"),
    ("execution.participation=0.1", "execution.participation", None, 0.1, "input"),
    (f"{ONE}.limits.max_position=5", "accounts.one.limits.max_position", None, 5.0, "input"),
    (f"{ONE}.limits.drawdown=0.1", "accounts.one.limits.drawdown.limit", 0.2, 0.1, "input"),
    (f"{ONE}.limits.order_rate.per=2m", "accounts.one.limits.order_rate.per", "1m", "2m", "input"),
    (f"{ONE}.margin.leverage=1.5", "accounts.one.margin.leverage", 2.0, 1.5, "input"),
    (f"{RULE}.size.units=50", "accounts.one.strategies.a.b.size.units", 100.0, 50.0, "input"),
    (f"{MOMENTUM}.params.threshold=0.2", "accounts.one.strategies.momentum.params.threshold", 0.1, 0.2, "input"),
    # of the process around it
    ("service.log_level=debug", "service.log_level", "info", "debug", "service"),
    ("journal.snapshot_every=10s", "journal.snapshot_every", "30s", "10s", "service"),
    ("retention.tape=30d", "retention.tape", None, "30d", "service"),
    ("notify.0.every=20s", "notify.webhook.every", "10s", "20s", "service"),
    # what changes the engine's shape, or what it is fed with
    (f"{ONE}.limits.order_rate.orders=11", "accounts.one.limits.order_rate.orders", 10, 11, "restart"),
    (f"{RULE}.params.fast=11", "accounts.one.strategies.a.b.params.fast", 10, 11, "restart"),  # another indicator
    (f"{RULE}.timeframe=2m", "accounts.one.strategies.a.b.timeframe", "1m", "2m", "restart"),
    (f"{RULE}.instruments=[BTC]", "accounts.one.strategies.a.b.instruments", ["AAPL"], ["BTC"], "restart"),
    (f"{ONE}.cash=5", "accounts.one.cash", 100000.0, 5.0, "restart"),
    ("execution.grace_ms=100", "execution.grace_ms", 250.0, 100.0, "restart"),
    ("execution.limit_fill=touch", "execution.limit_fill", "through", "touch", "restart"),
    ("instruments.AAPL.tick_size=0.1", "instruments.AAPL.tick_size", 0.01, 0.1, "restart"),
    ("instruments.AAPL.calendar=XNAS", "instruments.AAPL.calendar", "XNYS", "XNAS", "restart"),
    ("risk.window=400", "risk.window", 500, 400, "restart"),
    ("seed=1", "seed", 0, 1, "restart"),
    ("session=other", "session", "live", "other", "restart"),
    ("database=sqlite:///b.db", "database", None, "sqlite:///b.db", "restart"),
    ("service.listen=null", "service.listen", "127.0.0.1:8321", None, "restart"),
    ("feed.quotes=false", "feed.quotes", True, False, "restart"),
    ("warmup=5d", "warmup", None, "5d", "restart"),
]  # fmt: skip


def test_nothing_differs_from_itself(file: Path) -> None:
    assert changes(of(file), of(file)) == []


@pytest.mark.parametrize(("override", "key", "old", "new", "how"), CASES)
def test_change_is_named_by_its_key_and_by_how_it_takes_effect(
    file: Path, override: str, key: str, old: Any, new: Any, how: str
) -> None:
    found = told(file, override)
    assert found[key] == (old, new, how)
    assert {w for _, _, w in found.values()} == {how}


@pytest.mark.parametrize("override", [c[0] for c in CASES if c[4] == "input"])
def test_engine_takes_on_what_is_called_an_input(file: Path, override: str) -> None:
    old, new = of(file), of(file, override)
    assert differing(engine_spec(old)[0], engine_spec(new)[0]) == []
    assert applied(old, changes(old, new)) == new


@pytest.mark.parametrize("override", [c[0] for c in CASES if c[1].startswith(("accounts", "execution", "instruments", "risk")) and c[4] == "restart"])  # fmt: skip
def test_engine_refuses_what_waits_for_a_restart(file: Path, override: str) -> None:
    old, new = of(file), of(file, override)
    assert differing(engine_spec(old)[0], engine_spec(new)[0])
    assert applied(old, changes(old, new)) == old


def test_another_model_is_an_input_that_names_its_version(file: Path) -> None:
    old, new = of(file), of(file, "accounts.1.strategies.0.use=model:second@latest")
    (change,) = changes(old, new)
    assert (change.key, change.how) == ("accounts.two.strategies.m.use", "input")
    assert (change.old.rpartition("@")[0], change.new.rpartition("@")[0]) == ("model:first", "model:second")
    assert differing(engine_spec(old)[0], engine_spec(new)[0]) == []
    assert applied(old, [change]) == new


def test_only_what_the_engine_refuses_waits(file: Path) -> None:
    found = told(file, f"{RULE}.params.fast=11", f"{RULE}.instruments=[BTC]", f"{MOMENTUM}.size.fraction=0.25", "service.log_level=error")  # fmt: skip
    assert {key: how for key, (_, _, how) in found.items()} == {
        "accounts.one.strategies.a.b.params.fast": "restart",
        "accounts.one.strategies.a.b.instruments": "restart",
        "accounts.one.strategies.momentum.size.fraction": "input",
        "service.log_level": "service",
    }


def test_changes_that_belong_together_are_not_blamed_for_others(file: Path) -> None:
    # a size is a number of units or a share: neither of the two can change alone
    found = told(
        file, f"{RULE}.size={{fraction: 0.5}}", "execution.limit_fill=touch", "execution.latency_ms=5"
    )
    assert {key: how for key, (_, _, how) in found.items()} == {
        "accounts.one.strategies.a.b.size.units": "input",
        "accounts.one.strategies.a.b.size.fraction": "input",
        "execution.limit_fill": "restart",
        "execution.latency_ms": "input",
    }


def test_changes_that_only_together_are_too_much_wait_both(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paper_changes, "_takes", lambda _, asked: len(asked) < 2)
    found = told(file, "execution.latency_ms=5", f"{ONE}.margin.leverage=1.5")
    assert [how for _, _, how in found.values()] == ["restart", "restart"]


def test_model_of_another_shape_waits(file: Path) -> None:
    store_model(file.parent / "models", "other", ("rsi_14", "sma_20"), {"kind": "discrete", "size": {"units": 5}}, timeframe_ns=DAY)  # fmt: skip
    (change,) = changes(of(file), of(file, "accounts.1.strategies.0.use=model:other@latest"))
    assert (change.key, change.how) == ("accounts.two.strategies.m.use", "restart")


def test_what_can_be_applied_is_and_the_rest_stays(file: Path) -> None:
    old = of(file)
    new = of(
        file, f"{RULE}.params.fast=11", f"{MOMENTUM}.size.fraction=0.25", "seed=5", "service.log_level=error"
    )
    assert applied(old, changes(old, new)) == of(
        file, f"{MOMENTUM}.size.fraction=0.25", "service.log_level=error"
    )


def test_accounts_and_strategies_are_told_apart_by_name_not_by_place(file: Path) -> None:
    before = of(file)
    file.write_text(YAML.replace("  - name: one", "  - name: zero\n    cash: 1\n    strategies:\n      - {use: buy_and_hold, instruments: [AAPL], timeframe: 1m, size: {units: 1}}\n  - name: one"))  # fmt: skip
    (change,) = changes(before, of(file))
    assert (change.key, change.old, change.how) == ("accounts.zero", None, "restart")
    assert change.new["cash"] == 1.0
    (gone,) = changes(of(file), before)
    assert (gone.key, gone.new, gone.how) == ("accounts.zero", None, "restart")


def test_other_order_of_accounts_is_a_change(file: Path) -> None:
    config = of(file)
    other = config.model_copy(update={"accounts": config.accounts[::-1]})
    (change,) = changes(config, other)
    assert change == Change("accounts", ["one", "two"], ["two", "one"], "restart", ("accounts",))


def test_limit_that_leans_on_what_waits_waits_too(file: Path) -> None:
    file.write_text(YAML.replace("risk: {}\n", ""))
    before = of(file)
    found = {c.key: c.how for c in changes(before, of(file, "risk={}", f"{ONE}.limits.var=0.05"))}
    assert found == {"risk": "restart", "accounts.one.limits.var": "restart"}


def test_target_that_comes_or_goes_takes_effect_in_the_process(file: Path) -> None:
    both = of(file)
    file.write_text(YAML.replace("  - {target: telegram, name: phone, chat: 5}\n", ""))
    one = of(file)
    for old, new in ((both, one), (one, both)):
        (change,) = changes(old, new)
        assert (change.key, change.how) == ("notify.phone", "service")
        assert applied(old, [change]) == new
