"""Real files: their known defects are found, and what is called a bad print is one by another vendor's prices."""

from __future__ import annotations

from collections import Counter
from functools import cache

import numpy as np
import pandas as pd
import pytest

from daemon.data.checks import show
from daemon.data.quality import Kind, Quality, examine
from engine.records import DAY
from tests.unit.daemon.data.reading import HOUR, MINUTE
from tests.unit.daemon.data.test_real_files import DATA, nanoseconds

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason="the real market data is not here: no folder ../shared/data"
)
ODD_PRICES = (Kind.OUTLIER, Kind.SUSPECT, Kind.EXTREME)


@cache
def frame(name: str, symbol: str | None = None) -> pd.DataFrame:
    path = next(p for s in (".csv.gz", ".parquet") if (p := DATA / f"{name}{s}").exists())
    read = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, encoding="utf-8-sig")
    if symbol:
        read = read[read.stock_symbol == symbol]
    time = next(c for c in ("timestamp", "date", "Date") if c in read)
    return read.set_index(pd.Index(nanoseconds(pd.to_datetime(read[time], utc=True)), name="ts"))


def look(
    name: str, bar_ns: int, calendar: str, symbol: str | None = None, stamp_end: bool = False
) -> Quality:
    read = frame(name, symbol)
    ts = read.index.to_numpy() - (bar_ns if stamp_end else 0)
    fields = ("open", "high", "low", "close", "volume", "price", "size")
    return examine({"ts": ts} | {f: read[f].to_numpy(float) for f in fields if f in read}, bar_ns, calendar)


def days(quality: Quality, *kinds: Kind) -> dict[str, Kind]:
    return {show(f.ts)[:10]: f.kind for f in quality.findings if f.kind in kinds}


AAPL = "daily/aapl_1998-2021_unadjusted"
SPY = "daily/spy_1998-2021_unadjusted"
IBM = "daily/ibm_1998-2021_unadjusted"
GOOG = "daily/goog_2004-2021_unadjusted"
TECH = "daily/bigtech14_2010-2022_split_adjusted"


@pytest.mark.parametrize(
    ("name", "calendar", "day", "kind"),
    [
        (AAPL, "XNYS", "2009-09-21", Kind.OUTLIER),
        (AAPL, "XNYS", "2010-08-31", Kind.OUTLIER),
        (AAPL, "XNYS", "2011-01-03", Kind.OUTLIER),
        (GOOG, "XNYS", "2007-12-18", Kind.OUTLIER),
        (GOOG, "XNYS", "2008-09-30", Kind.OUTLIER),
        (IBM, "XNYS", "2002-12-23", Kind.OUTLIER),  # an open of twice the price
        # crashes: as they happened
        (AAPL, "XNYS", "2010-05-06", Kind.EXTREME),
        (SPY, "XNYS", "2010-05-06", Kind.EXTREME),
        (IBM, "XNYS", "2010-05-06", Kind.EXTREME),
        (AAPL, "XNYS", "2015-08-24", Kind.EXTREME),
        (SPY, "XNYS", "2015-08-24", Kind.EXTREME),
        ("daily/btc-usd_coinbase_2014-2018_gaps", "24/7", "2015-01-14", Kind.EXTREME),
        # emptied order books
        ("daily/eth-usd_2016-2026", "24/7", "2017-06-21", Kind.SUSPECT),
        ("daily/btc-usd_coinbase_2014-2018_gaps", "24/7", "2017-04-15", Kind.SUSPECT),
    ],
)
def test_known_bad_print_is_found_and_a_crash_is_told_from_it(
    name: str, calendar: str, day: str, kind: Kind
) -> None:
    assert days(look(name, DAY, calendar), *ODD_PRICES)[day] == kind


@pytest.mark.parametrize("name", [AAPL, "hour/aapl_1998-2021_unadjusted"])
def test_splits_of_aapl_are_found_and_nothing_else(name: str) -> None:
    quality = look(name, DAY if name == AAPL else HOUR, "XNYS")
    found = {show(f.ts)[:10]: f.value for f in quality.findings if f.kind == Kind.SPLIT_LIKE}
    actions = pd.read_csv(DATA / "daily/corporate_actions.csv", comment="#")
    assert found == {"2000-06-21": 2, "2005-02-28": 2, "2014-06-09": 7, "2020-08-31": 4}
    assert set(found) <= set(actions.ex_date.astype(str))


@pytest.mark.parametrize(
    ("name", "bar_ns", "day", "ratio"),
    [
        (GOOG, DAY, "2014-04-03", 2),
        (IBM, DAY, "1999-05-27", 2),
        ("minute/aapl_2014-06-05_2014-06-09_unadjusted_split", MINUTE, "2014-06-09", 7),
    ],
)
def test_single_split_is_found(name: str, bar_ns: int, day: str, ratio: float) -> None:
    found = [f for f in look(name, bar_ns, "XNYS").findings if f.kind == Kind.SPLIT_LIKE]
    assert [(show(f.ts)[:10], f.value) for f in found] == [(day, ratio)]


@pytest.mark.parametrize(
    ("name", "symbol"),
    [(SPY, None), ("daily/msft_1990-2022_fully_adjusted", None), ("daily/spx_1990-2022", None)]
    + [(TECH, s) for s in ("AAPL", "NVDA", "TSLA", "NFLX", "GOOGL", "AMZN")],
)
def test_adjusted_prices_hold_no_split_no_gap_and_hardly_an_outlier(name: str, symbol: str | None) -> None:
    counts = look(name, DAY, "XNYS", symbol).counts
    assert counts["split_like"] == counts["gap"] == counts["duplicate"] == counts["rows outside hours"] == 0
    if name != SPY:
        assert sum(counts[k] for k in (Kind.OUTLIER, Kind.SUSPECT)) <= 1


def beyond(name: str, reference: pd.DataFrame) -> dict[int, float]:
    """By time, how far a high, low or open lies outside of the reference's, each against its close, in logarithms."""
    both = frame(name).join(reference.add_suffix("_there"), how="inner")
    ours = {k: np.log(both[k] / both.close) for k in ("open", "high", "low")}
    theirs = {k: np.log(both[f"{k}_there"] / both.close_there) for k in ("high", "low")}
    over = np.maximum(ours["high"], ours["open"]) - theirs["high"]
    under = theirs["low"] - np.minimum(ours["low"], ours["open"])
    return dict(zip(both.index.tolist(), np.maximum(over, under).tolist(), strict=True))


@pytest.mark.parametrize(
    ("name", "other", "symbol", "outliers", "suspects"),
    [(SPY, "daily/spx_1990-2022", None, 49, 15), (AAPL, TECH, "AAPL", 8, 5)],
)
def test_bad_prints_are_prices_that_another_source_does_not_have(
    name: str, other: str, symbol: str | None, outliers: int, suspects: int
) -> None:
    off = beyond(name, frame(other, symbol))
    found = [f for f in look(name, DAY, "XNYS").findings if f.kind in ODD_PRICES and f.ts in off]
    assert Counter(f.kind for f in found if off[f.ts] > 0.01 and f.kind != Kind.EXTREME) == {
        Kind.OUTLIER: outliers,
        Kind.SUSPECT: suspects,
    }
    assert Counter(f.kind for f in found if f.kind != Kind.EXTREME).total() == outliers + suspects


def test_bitcoin_at_fifteen_dollars_is_found_among_the_trades() -> None:
    quality = look("ticks/btc-usd_bitstamp_2011-09_2012-05", 0, "24/7")
    found = next(f for f in quality.findings if show(f.ts).startswith("2011-11-25T11:03"))
    assert found.kind == Kind.OUTLIER
    assert found.text.startswith("2 trades at up to 15 among trades at about 2.7")
    assert quality.counts["rows without volume"] == quality.counts["zero_volume"] == 1


def test_trades_that_the_vendor_flags_are_found_where_they_are_far_off() -> None:
    flagged = frame("ticks/spy_2013-10-10")
    flagged = flagged[flagged.suspicious.astype(bool)]
    assert len(flagged) == 10
    quality = look("ticks/spy_2013-10-10", 0, "XNYS")
    found = [f for f in quality.findings if f.kind == Kind.OUTLIER]
    assert len(found) == 31
    regular = flagged[(np.abs(np.log(flagged.price / flagged.price.median())) > 0.005)]
    assert all(any(f.ts <= ts < f.ts_end for f in found) for ts in regular.index)


def test_unsorted_minutes_have_their_steps_back_and_their_two_long_gaps() -> None:
    quality = look("minute/btc-usd_bitfinex_2016-02-09_2016-04-19_unsorted", MINUTE, "24/7")
    assert quality.counts["backward"] == 69
    assert quality.counts["rows without volume"] == 18_362
    ts = np.unique(frame("minute/btc-usd_bitfinex_2016-02-09_2016-04-19_unsorted").index)
    assert quality.counts["missing bars"] == (ts[-1] - ts[0]) // MINUTE + 1 - len(ts)
    longest = sorted((f for f in quality.findings if f.kind == Kind.GAP), key=lambda f: -f.value)[:3]
    assert [(show(f.ts)[:10], show(f.ts_end)[:10]) for f in longest[:2]] == [
        ("2016-02-22", "2016-03-14"),
        ("2016-03-17", "2016-03-28"),
    ]
    assert longest[2].value == 1500  # a day and an hour


@pytest.mark.parametrize(
    ("name", "gaps", "longest"),
    [  # the longest from the first day that is missing
        ("daily/btc-usd_2009-2026", 18, "2010-03-03"),
        ("daily/eth-usd_2016-2026", 1, "2016-05-21"),
        ("daily/btc-usd_coinbase_2014-2018_gaps", 8, "2014-12-19"),
    ],
)
def test_daily_coins_have_the_gaps_that_are_known(name: str, gaps: int, longest: str) -> None:
    found = [f for f in look(name, DAY, "24/7").findings if f.kind == Kind.GAP]
    steps = np.diff(frame(name).index.to_numpy()) // DAY
    assert [f.value for f in found] == (steps[steps > 1] - 1).tolist()
    assert len(found) == gaps
    assert show(max(found, key=lambda f: f.value).ts)[:10] == longest


@pytest.mark.parametrize(
    ("name", "missing", "without_volume"),
    [
        ("minute/aapl_2019-02-11_2019-02-15", 2, 0),
        ("minute/tsla_2019-02-11_2019-02-15", 4, 1),
        ("minute/spy_2019-02-11_2019-02-15", 0, 1),
    ],
)
def test_quiet_minutes_are_counted_and_not_reported(name: str, missing: int, without_volume: int) -> None:
    quality = look(name, MINUTE, "XNYS", stamp_end=True)
    assert quality.findings == []
    assert (quality.counts["missing bars"], quality.counts["rows without volume"]) == (
        missing,
        without_volume,
    )


def test_session_of_daylight_saving_has_no_gap() -> None:
    quality = look("minute/spy_2011-03-01_2011-03-31", MINUTE, "XNYS", stamp_end=True)
    assert quality.counts["gap"] == quality.counts["missing bars"] == 0
