"""Synthetic tapes as their users see them: rows, reproducibility, trading time, and what is refused."""

import subprocess
import sys
from math import exp, log, sqrt
from typing import Any

import numpy as np
import pandas as pd
import pytest

from daemon.config.synthetic import SyntheticData
from daemon.data.errors import DataError
from daemon.data.feed import Feed, Source, open_feed
from daemon.data.synthetic import Recipe, columns
from engine.records import DAY, SECOND
from tests.unit.daemon.data.reading import HOUR, MINUTE, bars, ns, rows, ticks

REGIMES = [{"drift": 0.5, "volatility": 0.1, "days": 1}, {"drift": -0.5, "volatility": 0.6, "days": 0.5}]
JUMPS = {"per_year": 500, "mean": -0.02, "deviation": 0.03}
MODELS: dict[str, dict[str, Any]] = {
    "gbm": {},
    "gbm with jumps": {"jumps": JUMPS},
    "ou with jumps and a shape": {
        "model": "ou",
        "half_life": 0.5,
        "jumps": JUMPS,
        "volume": {"shape": "u", "daily": 1e5},
    },
    "regimes, even": {"model": "regimes", "regimes": REGIMES, "arrivals": "even"},
}


def settings(**given: Any) -> SyntheticData:
    base: dict[str, Any] = {"source": "synthetic", "instrument": "SYN", "bar": "tick", "start": "2024-01-02"}
    if "end" not in given:
        base["days"] = 2
    return SyntheticData.model_validate({**base, "ticks_per_day": 2_000, **given})


def recipe(
    seed: int = 1,
    tick_size: float = 0.01,
    lot_size: float = 1.0,
    calendar: str = "24/7",
    **given: Any,
) -> Recipe:
    return Recipe(settings(**given), seed, tick_size, lot_size, calendar)


def table(made: Recipe) -> dict[str, np.ndarray]:
    blocks = list(columns(made))
    return {name: np.concatenate([b[name] for b in blocks]) for name in blocks[0]}


def source(made: Recipe, instrument: int = 0, **more: Any) -> Source:
    return Source("synthetic", None, instrument, made.given.instrument, made.given.bar, recipe=made, **more)


def feed(made: Recipe, batch_rows: int = 262_144, **more: Any) -> Feed:
    return open_feed([source(made, **more)], batch_rows)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("bar", ["tick", "1m", "1h"])
@pytest.mark.parametrize(("tick_size", "lot_size"), [(0.01, 1.0), (0.05, 10.0), (2.0, 1e-8)])
def test_rows_are_what_an_exchange_could_print(
    name: str, bar: str, tick_size: float, lot_size: float
) -> None:
    found = table(recipe(tick_size=tick_size, lot_size=lot_size, bar=bar, **MODELS[name]))
    ts = found.pop("ts")
    size = found.pop("size" if bar == "tick" else "volume")
    assert ts.dtype == np.int64
    assert np.all(np.diff(ts) >= (0 if bar == "tick" else 1))
    assert ns("2024-01-02") <= ts[0] < ts[-1] < ns("2024-01-04")
    for price in found.values():
        whole = price / tick_size
        assert whole.min() >= 1
        assert np.abs(whole - np.rint(whole)).max() < 1e-6
    assert size.min() >= lot_size * (1 - 1e-12)
    assert np.abs(size / lot_size - np.rint(size / lot_size)).max() < 1e-3  # of 10^8 lots and more
    if bar != "tick":
        assert not np.any(ts % (MINUTE if bar == "1m" else HOUR))
        assert np.all(found["low"] <= np.minimum(found["open"], found["close"]))
        assert np.all(found["high"] >= np.maximum(found["open"], found["close"]))
        assert np.any(found["high"] > found["low"])


def test_prices_are_the_floats_that_one_would_write() -> None:
    price = table(recipe())["price"]
    assert price.tolist() == [float(f"{p:.2f}") for p in price.tolist()]


@pytest.mark.parametrize(("bar", "rule"), [("1m", "1min"), ("4h", "4h"), ("1d", "1D")])
@pytest.mark.parametrize("name", ["gbm with jumps", "regimes, even"])
def test_bars_are_those_of_the_ticks_of_the_same_settings(bar: str, rule: str, name: str) -> None:
    many = {"ticks_per_day": 40_000, "days": 3, **MODELS[name]}  # several chunks a day
    prints = table(recipe(**many))
    frame = pd.DataFrame(prints).assign(ts=pd.to_datetime(prints["ts"], utc=True)).set_index("ts")
    expected = frame["price"].resample(rule).ohlc().assign(volume=frame["size"].resample(rule).sum()).dropna()
    found = table(recipe(bar=bar, **many))
    assert found["ts"].tolist() == pd.DatetimeIndex(expected.index).as_unit("ns").asi8.tolist()
    for field in ("open", "high", "low", "close", "volume"):
        assert found[field].tolist() == expected[field].tolist(), field


@pytest.mark.parametrize("bar", ["tick", "1m"])
def test_tape_is_the_same_however_it_is_read(bar: str) -> None:
    made = recipe(bar=bar, ticks_per_day=20_000, **MODELS["ou with jumps and a shape"])
    expected = rows(feed(made))
    for batch_rows in (7, 1_000, 100_000):
        assert rows(feed(made, batch_rows)) == expected


def test_same_seed_and_name_give_the_same_bytes_and_others_do_not() -> None:
    def content(made: Recipe) -> bytes:
        return b"".join(c.tobytes() for c in table(made).values())

    first = content(recipe())
    assert content(recipe()) == first
    others = [content(recipe(seed=2)), content(recipe(instrument="SYM")), content(recipe(instrument="SYN2"))]
    assert len({first, *others}) == 4


def test_longer_tape_begins_with_the_shorter_one() -> None:
    short, long = (table(recipe(days=days, **MODELS["gbm with jumps"])) for days in (2, 5))
    for name, column in short.items():
        assert column.tolist() == long[name][: len(column)].tolist()
    until = table(recipe(end="2024-01-07T12:00:00", **MODELS["gbm with jumps"]))  # the sixth day has opened
    assert until["ts"][: len(long["ts"])].tolist() == long["ts"].tolist()
    assert ns("2024-01-07T23:00:00") < until["ts"][-1] < ns("2024-01-08")


def test_jumps_leave_times_sizes_and_other_moves_as_they_were() -> None:
    calm, wild = (
        table(recipe(tick_size=1e-6, days=20, jumps=jumps, volatility=0.5)) for jumps in (None, JUMPS)
    )
    assert calm["ts"].tolist() == wild["ts"].tolist()
    assert calm["size"].tolist() == wild["size"].tolist()
    between = np.diff(np.log(wild["price"] / calm["price"]))
    jumped = np.abs(between) > 1e-6  # a tick is 1e-8 of the price
    assert abs(jumped.sum() - 500 * 20 / 365) < 4 * sqrt(500 * 20 / 365)
    assert between[jumped].mean() == pytest.approx(-0.02, abs=4 * 0.03 / sqrt(27))


def test_volume_leaves_times_and_prices_as_they_were() -> None:
    little, much = (table(recipe(days=30, volume={"daily": daily})) for daily in (2_000, 1e7))
    assert little["ts"].tolist() == much["ts"].tolist()
    assert little["price"].tolist() == much["price"].tolist()
    assert set(little["size"]) == {1.0}
    assert len(set(much["size"])) > 1_000


def test_jumps_alone_have_the_number_and_moments_that_are_asked_for() -> None:
    jumps = {"per_year": 1_000, "mean": 0.01, "deviation": 0.02}
    made = recipe(tick_size=1e-6, bar="1h", days=365, ticks_per_day=480, volatility=0.0, jumps=jumps)
    sizes = np.diff(np.log(np.append(100.0, table(made)["close"])))
    assert abs(sizes.sum() - 1_000 * 0.01) < 4 * sqrt(1_000 * (0.01**2 + 0.02**2))
    # a compound Poisson process: no jump in an hour by exp(-rate), the variance is rate * E[size^2]
    per_hour = 1_000 / 365 / 24
    quiet = (np.abs(sizes) < 1e-7).mean()
    assert abs(quiet - exp(-per_hour)) < 4 * sqrt(exp(-per_hour) * (1 - exp(-per_hour)) / len(sizes))
    assert sizes.var() == pytest.approx(per_hour * (0.01**2 + 0.02**2), rel=0.25)


def test_returns_of_daily_bars_have_the_annual_drift_and_volatility() -> None:
    n, drift, volatility = 10_000, 0.1, 0.3
    made = recipe(tick_size=1e-6, bar="1d", days=n, ticks_per_day=4, drift=drift, volatility=volatility)
    # closes are the last prints, so returns span about a day each; together they span all days exactly enough
    returns = np.diff(np.log(table(made)["close"]))
    years = n / 365
    assert abs(returns.sum() - (drift - volatility**2 / 2) * years) < 4 * volatility * sqrt(years)
    variance = volatility**2 / 365
    assert abs(returns.var() - variance) < 5 * variance * sqrt(2 / n)


def test_year_is_the_time_that_the_exchange_is_open() -> None:
    # doubling in a year of 252 whole sessions; 2024 had 252 sessions, three of them of 3.5 instead of 6.5 hours
    made = recipe(
        calendar="XNYS",
        tick_size=1e-6,
        days=252,
        drift=log(2),
        volatility=0.0,
        arrivals="even",
        ticks_per_day=390,
    )
    found = table(made)
    assert len(found["ts"]) == 249 * 390 + 3 * 210
    last = pd.Timestamp(found["ts"][-1], tz="America/New_York")
    assert last == pd.Timestamp("2024-12-31 15:59", tz="America/New_York")
    years = (249 + 3 * 210 / 390 - 1 / 390) / 252  # less the minute after the last print
    assert found["price"][-1] == pytest.approx(100 * 2**years, rel=1e-7)
    around_the_clock = table(recipe(tick_size=1e-6, days=366, drift=log(2), volatility=0.0, arrivals="even"))
    assert around_the_clock["price"][365 * 2_000] == pytest.approx(200, rel=1e-7)


def test_prints_lie_in_the_sessions_of_the_calendar() -> None:
    ts = table(recipe(calendar="XNYS", start="2024-07-03", days=3, ticks_per_day=20_000))["ts"]
    new_york = pd.to_datetime(ts, utc=True).tz_convert("America/New_York")
    by_day = pd.Series(new_york).groupby(new_york.date)
    first, last = by_day.min().dt.strftime("%m-%d %H:%M"), by_day.max().dt.strftime("%m-%d %H:%M")
    assert first.tolist() == ["07-03 09:30", "07-05 09:30", "07-08 09:30"]
    assert last.tolist() == ["07-03 12:59", "07-05 15:59", "07-08 15:59"]
    assert by_day.size().iloc[0] == pytest.approx(20_000 * 3.5 / 6.5, rel=0.05)  # a half day


def test_daily_bars_are_dated_by_the_sessions() -> None:
    found = table(recipe(calendar="XNYS", start="2024-07-03", days=3, bar="1d", ticks_per_day=None))
    assert found["ts"].tolist() == [ns(day) for day in ("2024-07-03", "2024-07-05", "2024-07-08")]


def test_daily_bars_of_half_days_are_whole_sessions() -> None:
    # they are played as whole days: doubling in 252 of them, less the hundredth of a day after the last print
    made = recipe(
        calendar="XNYS",
        tick_size=1e-6,
        bar="1d",
        days=252,
        drift=log(2),
        volatility=0.0,
        arrivals="even",
        ticks_per_day=100,
    )
    assert table(made)["close"][-1] == pytest.approx(100 * 2 ** (251.99 / 252), rel=1e-7)


def test_volume_of_a_day_is_what_was_asked_for_and_lies_where_the_shape_puts_it() -> None:
    made = recipe(days=100, volume={"daily": 50_000, "shape": "u"})
    found = table(made)
    # a day's volume is a sum over Poisson many geometric sizes of mean m = 25: variance n * (2 m^2 - m)
    error = sqrt(2_000 * (2 * 25**2 - 25) / 100)
    assert abs(found["size"].sum() / 100 - 50_000) < 4 * error
    hour = (found["ts"] % DAY) // HOUR
    shares = np.bincount(hour, found["size"], 24) / found["size"].sum()
    edges = np.arange(25) / 24
    expected = np.diff(0.5 * edges + 0.25 * ((2 * edges - 1) ** 3 + 1))
    assert shares == pytest.approx(expected, rel=0.05)
    assert shares[0] / shares[12] == pytest.approx(expected[0] / expected[12], rel=0.05)  # 3.66


def test_reversion_returns_to_its_mean_in_trading_days() -> None:
    made = recipe(
        tick_size=1e-6,
        model="ou",
        price=200,
        mean=100,
        half_life=3,
        volatility=0.0,
        arrivals="even",
        days=7,
        calendar="XNYS",
    )
    price = table(made)["price"]  # of 2 January on: seven whole sessions
    assert price[[0, 3 * 2_000, 6 * 2_000]] == pytest.approx([200, 100 * sqrt(2), 100 * 2**0.25], rel=1e-7)


def test_regimes_last_trading_days() -> None:
    made = recipe(
        tick_size=1e-6,
        model="regimes",
        regimes=[
            {"drift": 3.65, "volatility": 0, "days": 2},
            {"drift": -7.3, "volatility": 0, "days": 1, "next": [1, 0]},
        ],
        days=3_000,
        ticks_per_day=100,
        arrivals="even",
    )
    steps = np.diff(np.log(table(made)["price"])) * 100  # 0.01 or -0.02 a day
    assert steps[0] == pytest.approx(0.01, rel=1e-3)
    falling = (steps < 0).mean()
    # two thirds of the time in the first; 1,000 cycles of two exponential times
    assert abs(falling - 1 / 3) < 4 * (2 / 9) * sqrt(2 / 1_000)
    switches = np.count_nonzero(np.diff(steps < 0))
    assert abs(switches - 2_000) < 4 * sqrt(2_000)


def test_price_that_falls_below_a_tick_stays_at_one() -> None:
    price = table(recipe(price=0.02, volatility=8.0, drift=-100.0, days=9))["price"]
    assert price.min() == price[-1] == 0.01


def test_price_beyond_what_numbers_hold_is_refused() -> None:
    with pytest.raises(
        DataError, match=r"^synthetic SYN: the price has grown beyond all bounds; lower drift"
    ):
        table(recipe(drift=5_000.0, days=9))


def test_feed_cuts_to_the_window_and_says_how_far_it_is() -> None:
    made = recipe(days=5)
    start, end = ns("2024-01-03T06:00:00"), ns("2024-01-05T12:00:00")
    whole = feed(made, 500)
    progress = []
    read = []
    for batch in whole:
        progress.append(whole.progress)
        assert 0 < len(batch.price) <= 500
        read += batch.ts_event.tolist()
    assert progress == sorted(progress)
    assert progress[-1] > 0.99
    assert (whole.progress, whole.refused, whole.total_rows_hint, whole.bars) == (1.0, {}, None, 0)
    window = ticks(feed(made, start=start, end=end))
    assert [t for t, _, _ in window] == [t for t in read if start <= t < end]
    daily = feed(recipe(bar="1d", days=3))
    assert len(bars(daily)) == daily.bars == 3
    with pytest.raises(DataError, match="synthetic SYN: no row lies in the time asked for"):
        ticks(feed(made, start=ns("2030-01-01")))


def test_synthetic_tapes_are_merged_in_time_order() -> None:
    made = [recipe(instrument=name, bar=bar) for name, bar in (("A", "tick"), ("B", "1m"))]
    merged = rows(open_feed([source(m, k) for k, m in enumerate(made)], 1_000))
    assert [r[0] for r in merged] == sorted(r[0] for r in merged)
    for k, m in enumerate(made):
        assert [r for r in merged if r[2] == k] == rows(
            feed(m, instrument=k) if k == 0 else open_feed([source(m, k)])
        )


def test_short_sessions_are_put_together_to_blocks() -> None:
    blocks = list(columns(recipe(bar="1d", days=1_000, ticks_per_day=3)))
    assert len(blocks) == 1


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            {"calendar": "XNYS", "end": "2024-01-02T12:00:00"},
            "end: no session opens between start and end; choose a later end",
        ),
        ({"days": 300 * 365}, "days: the calendar 24/7 ends on "),
        ({"start": "2190-01-01"}, "days: the calendar 24/7 ends on "),
        ({"tick_size": 200.0}, "price: 100 is below one tick of 200; choose a smaller tick_size"),
        (
            {"lot_size": 1000.0, "bar": "1m", "ticks_per_day": None},
            "volume.daily: 1e+06 in 86400 prints is less than a lot of 1000 each; raise it, or lower ticks_per_day",
        ),
    ],
)
def test_tape_that_cannot_be_made_is_refused_when_it_is_opened(more: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as refused:
        feed(recipe(**more))
    assert str(refused.value).startswith(f"synthetic SYN: {message}")


def test_source_without_a_recipe_is_refused() -> None:
    with pytest.raises(DataError, match="the synthetic source of SYN has no recipe"):
        open_feed([Source("synthetic", None, 0, "SYN", DAY)])


def test_memory_is_bounded_by_a_chunk_and_a_block() -> None:
    sizes = [len(block["ts"]) for block in columns(recipe(ticks_per_day=1_000_000, days=1))]
    assert sum(sizes) == pytest.approx(1_000_000, rel=0.01)
    assert max(sizes) < 40_000


@pytest.mark.parametrize("bar", ["tick", "1m"])
def test_tape_may_have_no_row_at_all(bar: str) -> None:
    many = [recipe(seed=seed, bar=bar, days=1, ticks_per_day=1, volume={"daily": 1}) for seed in range(200)]
    empty = [made for made in many if not list(columns(made))]
    assert abs(len(empty) / 200 - exp(-1)) < 4 * sqrt(exp(-1) * (1 - exp(-1)) / 200)
    with pytest.raises(DataError, match="synthetic SYN: "):
        rows(feed(empty[0]))


def test_even_ticks_are_a_fixed_time_apart() -> None:
    ts = table(recipe(arrivals="even", ticks_per_day=86_400))["ts"]
    assert np.unique(np.diff(ts)).tolist() == [SECOND]


def test_configuration_of_it_loads_nothing_heavy() -> None:
    code = "import sys, daemon.config.sources; print({'numpy', 'pyarrow', 'numba'} & sys.modules.keys())"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout == "set()\n"
