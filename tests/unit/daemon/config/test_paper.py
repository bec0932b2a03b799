"""The configuration of a paper session: what it adds to a backtest's, and what is refused where."""

from pathlib import Path

import pytest

from daemon.config.errors import ConfigError
from daemon.config.feeds import FinnhubFeed, ReplayFeed
from daemon.config.kinds import KINDS
from daemon.config.loader import check, load
from daemon.config.paper import PaperConfig, load_paper
from daemon.config.paper_places import control_socket, database_url, state_folder
from daemon.config.reading import kind_of_file
from daemon.config.schema import schema
from daemon.config.service import is_loopback, parse_listen
from daemon.config.spec import complete, engine_spec
from daemon.feeds.finnhub_stream import StreamSettings

SECOND = 10**9

REPLAY = """\
seed: 7
start: 2012-06-01
warmup: 90d
feed: {source: replay}
data:
  - {source: csv, path: aapl.csv, instrument: AAPL, bar: 1d}
instruments: {AAPL: {}}
accounts:
  - name: one
    cash: 100000
    strategies:
      - {use: sma_cross, instruments: [AAPL], timeframe: 1d, size: {units: 100}}
"""
LIVE = """\
feed:
  source: finnhub
  symbols: {BTC: "BINANCE:BTCUSDT"}
data:
  - {source: csv, path: aapl.csv, instrument: AAPL, bar: 1m}
warmup: 30d
instruments:
  AAPL: {}
  BTC: {calendar: 24/7, lot_size: 0.0001}
execution: {slippage_bps: 1}
accounts:
  - name: one
    cash: 100000
    strategies:
      - {use: sma_cross, instruments: [AAPL], timeframe: 1m, size: {units: 100}}
      - {use: momentum, instruments: [BTC], timeframe: 1000 ticks, size: {fraction: 0.5}}
"""


@pytest.fixture
def replay(folder: Path) -> Path:
    path = folder / "again.yaml"
    path.write_text(REPLAY)
    return path


@pytest.fixture
def live(folder: Path) -> Path:
    path = folder / "live.yaml"
    path.write_text(LIVE)
    return path


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STATE_DIRECTORY", "RUNTIME_DIRECTORY", "PAPERTAPE_DATABASE"):
        monkeypatch.delenv(name, raising=False)


def of(path: Path, *overrides: str) -> PaperConfig:
    return load_paper(path, overrides).config


def said(path: Path, *overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_paper(path, overrides)
    return str(caught.value).replace(f"{path.parent}/", "").split("\n")


def told(path: Path, *overrides: str) -> str:
    """The one thing that is wrong, without its place."""
    (line,) = said(path, *overrides)
    place = f"--set {overrides[0]}: " if line.startswith("--set") else line[: line.index(" ") + 1]
    assert line.startswith(place)
    return line.removeprefix(place)


def test_what_is_left_out_has_the_values_that_are_promised(replay: Path) -> None:
    config = of(replay)
    assert (config.name, config.session, config.database) == ("again", "again", None)
    assert config.feed == ReplayFeed(source="replay", speed=60.0)
    journal = config.journal
    assert (journal.snapshot_every, journal.backlog, journal.backlog_rows) == (
        60 * SECOND,
        60 * SECOND,
        10**6,
    )
    service = config.service
    assert (service.listen, service.control) == ("127.0.0.1:8321", None)
    assert (service.log_level, service.log_format) == ("info", "auto")
    assert (config.notify, config.retention.tape) == ((), None)
    assert config.execution.grace_ms == 0


def test_stream_behaves_as_usual_where_nothing_is_said(live: Path) -> None:
    feed = of(live).feed
    assert isinstance(feed, FinnhubFeed)
    assert feed.settings() == StreamSettings()
    assert (feed.quotes, feed.watch, feed.rest_url) == (True, None, None)


def test_stream_is_told_what_the_configuration_says(live: Path) -> None:
    feed = of(
        live,
        "feed.no_frames=20s",
        "feed.no_prices=1m",
        "feed.exclude_conditions=['12', '41']",
        "feed.most_symbols=2",
        "feed.drop_repeated=true",
        "feed.drop_late=false",
        "feed.url=ws://127.0.0.1:9",
    ).feed
    assert isinstance(feed, FinnhubFeed)
    given = feed.settings()
    assert (given.no_frames_s, given.no_prices_s, given.most_symbols) == (20.0, 60.0, 2)
    assert (given.url, sorted(given.rules.no_price)) == ("ws://127.0.0.1:9", ["12", "41"])
    assert (given.rules.drop_repeated, given.rules.drop_late) == (True, False)


def test_bars_of_live_prices_wait_for_prints_that_are_on_their_way(live: Path) -> None:
    config = of(live)
    assert (config.execution.grace_ms, config.execution.slippage_bps) == (250.0, 1.0)
    assert engine_spec(config)[0].grace_ns == 250_000_000
    assert of(live, "execution.grace_ms=0").execution.grace_ms == 0
    assert told(live, "execution=5").startswith("execution: is 5; write keys and values")


@pytest.mark.parametrize("text", [REPLAY, LIVE])
def test_complete_configuration_loads_to_the_same(text: str, folder: Path) -> None:
    path = folder / "first.yaml"
    path.write_text(
        text
        + "notify: [{target: webhook, url: 'https://example.org/hook'}]\n"
        + "service: {control: run/my.sock, listen: null, log_level: debug}\n"
        + "journal: {snapshot_every: 5s}\nretention: {tape: 30d}\ndatabase: sqlite:///x.db\nsession: s\n"
    )
    config = of(path)
    copy = folder / "elsewhere" / "second.yaml"
    copy.parent.mkdir()
    copy.write_text(complete(config))
    assert load_paper(copy).config == config
    assert config.service.control == folder / "run" / "my.sock"


def test_kind_of_a_file_is_told_by_its_feed(replay: Path, file: Path) -> None:
    assert kind_of_file(replay) is KINDS["run"] is PaperConfig
    assert kind_of_file(file) is KINDS["backtest"]
    assert kind_of_file(file, ["journal={}"]) is KINDS["backtest"]


def test_live_session_trades_on_prints_whatever_bars_warm_it_up(live: Path) -> None:
    config = of(live)
    assert config.bars == {"AAPL": 0, "BTC": 0}
    spec, _ = engine_spec(of(live, "execution.latency_ms=5"))
    # a delay below one bar counts as none on bars; on trades it counts
    assert [i.latency_ns for i in spec.instruments] == [5_000_000, 5_000_000]
    assert [i.calendar for i in spec.instruments] == ["XNYS", ""]
    again = engine_spec(of(live, "data.0.bar=1d", "accounts.0.strategies.0.timeframe=1d"))[0]
    assert [i.calendar for i in again.instruments] == ["XNYS", ""]  # its hours, not its days


def test_history_of_longer_bars_is_told_to_fill_scenarios_alone(live: Path) -> None:
    told = "\n".join(check(live, ["data.0.bar=1d"]))
    assert (
        "one/sma_cross: the history has AAPL in bars of 1d: it fills scenarios, indicators on 1m begin with"
        in told
    )
    assert "one/momentum: the history" not in told  # it has none
    for known in (
        ["data.0.bar=1m"],
        ["data.0.bar=tick"],
        ["data.0.bar=1d", "accounts.0.strategies.0.timeframe=2d"],
    ):
        assert "the history has" not in "\n".join(check(live, known))
    ticks = ["data.0.bar=1d", "accounts.0.strategies.0.timeframe=1000 ticks"]
    assert "indicators on 1000 ticks begin with live prices" in "\n".join(check(live, ticks))


def test_forecasts_without_a_history_are_told_to_lack_it(live: Path) -> None:
    told = check(live, ["data=[]", "risk={}", "accounts.0.limits.var=0.05"])
    assert (
        "    history: about 0 returns over 1d when trading begins; 100 are needed, 500 fill the window"
        in told
    )
    warnings = [line for line in told if "warning" in line]
    assert [line.split(" has ")[0].strip() for line in warnings] == ["warning: AAPL", "warning: BTC"]
    assert all("; give it a history under data, or write short_history: " in line for line in warnings)


def test_watching_less_leaves_the_instruments_as_they_are(live: Path) -> None:
    assert of(live).traded == ("AAPL", "BTC")
    config = of(live, "feed.watch=[BTC]")
    assert (config.traded, list(config.instruments)) == (("BTC",), ["AAPL", "BTC"])
    assert "one/sma_cross trades AAPL, which feed.watch leaves out" in "\n".join(
        check(live, ["feed.watch=[BTC]", "data=[]"])
    )


def test_history_may_be_missing_where_instruments_are_given(live: Path) -> None:
    config = of(live, "data=[]")
    assert len(engine_spec(config)[0].instruments) == 2
    assert check(live, ["data=[]"])
    assert "instruments: is empty, and they say what is traded" in "\n".join(
        said(live, "data=[]", "instruments={}")
    )


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("start=null", "start: is missing; a replay begins there"),
        ("data=[]", "data: is empty, and a replay plays it"),
        ("feed.speed=0", "feed.speed: is 0; it must be more than 0"),
        ("feed.speed=.inf", "feed.speed: is inf; write a number that is finite"),
        ("feed.source=iex", "feed.source: is 'iex'; write one of 'replay', 'finnhub'"),
        ("feed={speed: 1}", "feed: names no source; add source: replay or finnhub"),
        ("feed.watch=[AAPL]", "feed.watch: unknown key; there are source, speed"),
        ("journal.snapshot_every=0s", "journal.snapshot_every: 0s is out of range; a duration is longer than nothing"),
        ("journal.snapshot_every=60", "journal.snapshot_every: 60 is no duration; write a whole number and its unit"),
        ("journal.backlog_rows=0", "journal.backlog_rows: is 0; it must be at least 1"),
        ("service.listen=8321", "service.listen: is 8321; write text"),
        ("service.listen='8321'", "service.listen: '8321' is no host and port; write 127.0.0.1:8321"),
        ("service.listen=here:0", "service.listen: 'here:0' is no host and port"),
        ("service.listen='::1:80'", "service.listen: '::1:80' is no host and port; write 127.0.0.1:8321, [::1]:8321"),
        ("service.log_level=trace", "service.log_level: is 'trace'; write one of 'debug', 'info', 'warning' or 'error'"),
        ("retention.tape=0d", "retention.tape: 0d is out of range"),
        ("database=mysql://a/b", "database: 'mysql' is no database that can be used here; write sqlite:///FILE"),
        ("database='sqlite:///:memory:'", "database: the address names no file"),
        ("session=a b", "session: 'a b' is no name for a file"),
        ("notify=[{target: pager}]", "notify.0.target: is 'pager'; write one of 'webhook', 'telegram', 'email'"),
        ("notify=[{target: webhook, url: 'https://example.org/x', accounts: [two]}]", "notify.0.accounts.0: there is no account 'two'"),
        # keys in the wrong place
        ("speed=2", "speed: unknown key; it belongs under feed"),
        ("listen=127.0.0.1:1", "listen: unknown key; it belongs under service"),
        ("slippage_bps=2", "slippage_bps: unknown key; it belongs under execution"),
        ("feed.start=2012-01-01", "feed.start: unknown key; it belongs to the top of the file, beside feed"),
        ("service.database=sqlite:///a", "service.database: unknown key; it belongs to the top of the file, beside service"),
        ("service.port=1", "service.port: unknown key; there are listen, control, log_level, log_format"),
        ("jornal={}", "jornal: unknown key; did you mean 'journal'?"),
    ],
)  # fmt: skip
def test_mistake_in_a_replay_is_told_with_its_key_and_what_to_do(
    replay: Path, override: str, message: str
) -> None:
    assert told(replay, override).startswith(message)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("start=2026-01-01", "start: is for a replay; a session on live prices trades from the moment on"),
        ("end=2036-01-01", "end: is for a replay"),
        ("feed.symbols={ETH: X}", "feed.symbols.ETH: is none of the instruments; they are AAPL, BTC"),
        ("feed.symbols={BTC: AAPL}", "feed.symbols.BTC: AAPL and BTC would both be 'AAPL'"),
        ("feed.symbols={BTC: ' '}", "feed.symbols.BTC: ' ' is no symbol"),
        ("feed.watch=[ETH]", "feed.watch.0: nothing is known of 'ETH'; add it under instruments"),
        ("feed.watch=[BTC, BTC]", "feed.watch.1: 'BTC' is given twice; remove one"),
        ("feed.watch=[]", "feed.watch: is empty: no price would come"),
        ("feed.most_symbols=1", "feed.most_symbols: 2 instruments are watched, and the plan has 1 symbols"),
        ("feed.url=https://ws.finnhub.io", "feed.url: 'https://ws.finnhub.io' is no address of a server; write one such as wss:"),
        ("feed.url='wss://ws.finnhub.io?token=abc'", "feed.url: holds more than a server's address; the token comes from"),
        ("feed.rest_url=finnhub.io", "feed.rest_url: 'finnhub.io' is no address of a server; write one such as https:"),
        ("feed.speed=2", "feed.speed: unknown key; there are source, symbols, watch"),
        ("accounts.0.strategies.0.instruments=[MSFT]", "accounts.0.strategies.0.instruments.0: nothing is known of 'MSFT'; add it under instruments"),
        ("accounts.0.operator=[{at: 2030-01-01, do: halt, reason: x}]", "accounts.0.operator: is for a replay; in a session on live prices operators act when they do"),
        ("accounts.0.deposits=[{at: 2030-01-01, amount: 5}]", "accounts.0.deposits: are for a replay; a session on live prices has none"),
    ],
)  # fmt: skip
def test_mistake_in_a_live_session_is_told_with_its_key_and_what_to_do(
    live: Path, override: str, message: str
) -> None:
    assert told(live, override).startswith(message)


def test_fifty_symbols_are_watched_and_no_more(folder: Path) -> None:
    path = folder / "many.yaml"
    path.write_text(LIVE)
    names = [f"S{k}" for k in range(49)]
    many = f"instruments={{AAPL: {{}}, BTC: {{lot_size: 0.0001}}, {', '.join(f'{n}: {{}}' for n in names)}}}"
    assert told(path, many).startswith("feed.most_symbols: 51 instruments are watched, and the plan has 50")
    assert len(of(path, many, f"feed.watch=[AAPL, BTC, {', '.join(names[:48])}]").traded) == 50
    assert len(of(path, many, "feed.most_symbols=51").traded) == 51


def test_error_names_the_line_of_the_file(replay: Path) -> None:
    replay.write_text(REPLAY.replace("seed: 7", "seed: 7\nservice:\n  log_level: loud\n"))
    assert said(replay) == [
        "again.yaml:3: service.log_level: is 'loud'; write one of 'debug', 'info', 'warning' or 'error'"
    ]


def test_backtest_is_told_to_add_a_feed(file: Path) -> None:
    (line,) = said(file)
    assert line.startswith(
        "a.yaml:1: feed: is missing, and without it this is a configuration for papertape backtest"
    )
    assert "write feed: {source: replay, speed: 60} and a start" in line
    assert of(file, "feed={source: replay, speed: 60}", "start=2012-01-01").name == "aapl-sma"


def test_paper_session_given_to_a_backtest_is_told_its_command(replay: Path) -> None:
    with pytest.raises(
        ConfigError, match="is a configuration for papertape run, not for papertape backtest; run that"
    ):
        load(replay)


def test_key_of_a_session_in_a_backtest_is_told_where_it_belongs(file: Path) -> None:
    for key in ("journal={}", "notify=[]", "service={}"):
        with pytest.raises(
            ConfigError, match="unknown key; it belongs to a configuration for papertape run, which has"
        ):
            load(file, [key])


def test_password_of_the_database_is_refused_and_not_shown(replay: Path) -> None:
    line = told(replay, "database=postgresql://me:s3cret@host/papertape")
    assert "holds a password; put the whole address into the environment variable PAPERTAPE_DATABASE" in line
    replay.write_text(REPLAY + "database: postgresql://me:s3cret@host/papertape\n")
    assert "s3cret" not in "".join(said(replay))


def test_database_lies_in_the_state_folder_unless_it_is_said_where(
    replay: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert database_url(of(replay)) == f"sqlite:///{tmp_path}/state/papertape.db"
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/papertape:/var/lib/other")
    assert state_folder() == Path("/var/lib/papertape")
    assert database_url(of(replay)) == "sqlite:////var/lib/papertape/papertape.db"
    assert database_url(of(replay, "database=sqlite:///x.db")) == "sqlite:////var/lib/papertape/x.db"
    assert database_url(of(replay, "database=sqlite:////x.db")) == "sqlite:////x.db"
    monkeypatch.setenv("PAPERTAPE_DATABASE", "postgresql://me:s3cret@host/papertape")
    assert database_url(of(replay)) == "postgresql://me:s3cret@host/papertape"
    assert database_url(of(replay, "database=sqlite:///x.db")) == "sqlite:////var/lib/papertape/x.db"
    assert "s3cret" not in "\n".join(check(replay))


def test_control_socket_is_named_after_the_run(
    replay: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert control_socket(of(replay)) == tmp_path / "state" / "again.sock"
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/run/papertape")
    assert control_socket(of(replay, "name=b")) == Path("/run/papertape/b.sock")
    assert control_socket(of(replay, "service.control=/x/y.sock")) == Path("/x/y.sock")


@pytest.mark.parametrize(
    ("text", "meant"),
    [("127.0.0.1:8321", ("127.0.0.1", 8321)), ("[::1]:80", ("::1", 80)), ("box.example.org:65535", ("box.example.org", 65535))],
)  # fmt: skip
def test_host_and_port_are_read(text: str, meant: tuple[str, int]) -> None:
    assert parse_listen(text) == meant


@pytest.mark.parametrize(
    "text", ["", ":80", "a:", "a:b", "a:70000", "a:-1", "a b:1", "[a:1", "::1:1", "[a]:1", "a:٣"]
)
def test_what_is_no_host_and_port_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no host and port"):
        parse_listen(text)


def test_only_this_machine_reaches_loopback() -> None:
    assert [is_loopback(h) for h in ("127.0.0.1", "127.9.9.9", "::1", "localhost")] == [True] * 4
    assert [is_loopback(h) for h in ("0.0.0.0", "::", "10.0.0.1", "box")] == [False] * 4


def test_each_key_has_a_meaning_for_editors() -> None:
    made = schema("run")
    assert (made["title"], set(made["required"])) == ("Papertape run", {"feed", "accounts"})
    parts = [("", made), *made["$defs"].items()]
    keys = [(f"{title}.{k}", v) for title, part in parts for k, v in part.get("properties", {}).items()]
    assert [
        key for key, value in keys if "description" not in value and not key.endswith((".source", ".target"))
    ] == []
    assert made["$defs"]["FinnhubFeed"]["properties"]["no_prices"]["default"] == "5m"
