"""Corporate actions reach a running session: when, which, and what is too late. 4 March 2026 is five hours behind in New York."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from daemon.catalog.store import Catalog
from daemon.config.loader import load
from daemon.config.spec import market_spec
from daemon.data.errors import DataError
from daemon.feeds.items import Item, Prints, Status, StatusKind
from daemon.feeds.live_actions import ActionCounters, ActionFile, ActionsFeed, action_files
from daemon.feeds.merged import Merged
from engine.records import NO_TIME, SECOND, RowKind
from tests.unit.daemon.catalog.shelf import days, put
from tests.unit.daemon.feeds.doubles import NOON, FakeClock, Script, ns, settle, until

HOUR = 3600.0
FIFTH = ns("2026-03-05T05:00:00")  # 00:00 in New York


class Desk:
    """The feed of one file on a fake clock, and a reader of all that it gives."""

    def __init__(
        self,
        folder: Path,
        *lines: str,
        after: int = NOON - 90 * SECOND,
        began: int = NOON,
        adjusted: str = "raw",
        symbols: tuple[str, ...] = (),
        last: int = NO_TIME,
        taken: tuple[tuple[int, int, int], ...] = (),
    ) -> None:
        self.path = folder / "actions.csv"
        if lines:
            self.write(*lines)
        self.clock = FakeClock()
        self.last = last  # the instrument's last print
        self.items: list[Item] = []
        file = ActionFile(self.path, 3, "AAPL", "America/New_York", adjusted, symbols)
        self.feed = ActionsFeed([file], self.clock, after, began, self._last, taken)

    def _last(self, instrument: int) -> int:
        assert instrument == 3
        return self.last

    def write(self, *lines: str) -> None:
        # as those do that write such files: at once
        new = self.path.with_suffix(".new")
        new.write_text("\n".join(("date,kind,value", *lines)) + "\n")
        new.replace(self.path)

    def rows(self) -> list[tuple[int, str, float, float]]:
        found = []
        for item in self.items:
            if isinstance(item, Prints):
                assert len(item.price) == 1
                assert item.instrument.tolist() == [3]
                kind = RowKind(int(item.flags[0])).name
                found.append((int(item.ts_event[0]), kind, float(item.price[0]), float(item.size[0])))
        return found

    def texts(self) -> list[str]:
        told = [item for item in self.items if isinstance(item, Status)]
        assert all(one.kind == StatusKind.ACTION for one in told)
        return [one.text for one in told]

    async def look(self) -> None:
        # the next look at the files, which a thread reads; until the feed waits for the one after
        await self.clock.advance(60)
        await until(lambda: any(not waiter.done() for _, _, waiter in self.clock._sleepers))
        await settle()


def run(desk: Desk, story: Callable[[Desk], Awaitable[None]]) -> None:
    async def read() -> None:
        async for item in desk.feed:
            desk.items.append(item)

    async def whole() -> None:
        async with desk.feed:
            reader = asyncio.create_task(read())
            await settle()
            await story(desk)
            if reader.done():
                reader.result()  # raises what ended the feed
            reader.cancel()

    asyncio.run(whole())


def test_action_is_given_when_its_day_begins_at_its_exchange(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        await desk.clock.advance(17 * HOUR - 0.001)
        assert desk.items == []
        await desk.clock.advance(0.001)
        assert desk.rows() == [(FIFTH, "SPLIT", 4.0, 1.0), (FIFTH, "DIVIDEND", 0.25, 0.0)]
        await desk.clock.advance(24 * HOUR)
        assert desk.rows()[2:] == [(FIFTH + 24 * 3600 * SECOND, "DELISTING", 12.5, 1.0)]
        assert desk.feed.counts() == {"actions_given": 3, "actions_late": 0, "actions_unreadable": 0}
        assert desk.texts() == []

    lines = "2026-03-06,delisting,12.5", "2026-03-05,split,4:1", "2026-03-05,dividend,0.25"
    run(Desk(tmp_path, *lines), story)


def test_action_of_while_the_session_was_down_is_given_at_once_and_of_before_it_never(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        assert desk.rows() == [(ns("2026-03-03T05:00:00"), "DIVIDEND", 0.25, 0.0)]
        await desk.clock.advance(48 * HOUR)
        assert len(desk.items) == 1

    lines = "2026-02-03,split,2:1", "2026-03-02,dividend,0.5", "2026-03-03,dividend,0.25"
    run(Desk(tmp_path, *lines, after=ns("2026-03-02T05:00:00")), story)


FOURTH = ns("2026-03-04T05:00:00")  # seven hours before the start


def test_action_that_is_on_the_tape_is_settled_at_a_start_and_another_of_its_day_is_given(
    tmp_path: Path,
) -> None:
    async def story(desk: Desk) -> None:
        assert desk.rows() == [(FOURTH, "DIVIDEND", 0.25, 0.0)]
        await desk.clock.advance(48 * HOUR)
        assert len(desk.items) == 1

    lines = "2026-03-04,split,4:1", "2026-03-04,dividend,0.25"
    after = ns("2026-03-02T05:00:00")  # the end of the history, however far the session's rows go
    taken = ((3, int(RowKind.SPLIT), FOURTH), (2, int(RowKind.DIVIDEND), FOURTH))  # that one is another's
    run(Desk(tmp_path, *lines, after=after, last=FOURTH - 1, taken=taken), story)


def test_action_that_reached_the_file_while_the_daemon_was_down_is_told_as_too_late_behind_prints_of_its_day(
    tmp_path: Path,
) -> None:
    async def story(desk: Desk) -> None:
        assert desk.rows() == []
        (told,) = desk.texts()
        assert told.startswith("AAPL: the split 4:1 of 2026-03-04 came too late, after prints of that day")
        assert desk.feed.counters == ActionCounters(late=1)
        desk.write("2026-03-04,split,4:1", "# no news")
        await desk.look()
        assert len(desk.items) == 1  # told once

    after = ns("2026-03-02T05:00:00")
    run(Desk(tmp_path, "2026-03-04,split,4:1", after=after, last=FOURTH), story)


@pytest.mark.parametrize(
    ("adjusted", "given"),
    [
        ("raw", ["SPLIT", "DIVIDEND", "SPLIT", "DIVIDEND"]),
        ("splits", ["DIVIDEND", "SPLIT", "DIVIDEND"]),
        ("all", ["SPLIT", "DIVIDEND"]),
    ],
)
def test_what_adjusted_history_has_up_to_the_sessions_beginning_is_not_given_again(
    tmp_path: Path, adjusted: str, given: list[str]
) -> None:
    async def story(desk: Desk) -> None:
        await desk.clock.advance(48 * HOUR)
        assert [kind for _, kind, _, _ in desk.rows()] == given
        assert [price for _, kind, price, _ in desk.rows() if kind == "DIVIDEND"][
            -1
        ] == 0.25  # as it was paid

    lines = (
        "2026-03-04,split,2:1",
        "2026-03-04,dividend,0.5",
        "2026-03-05,split,3:1",
        "2026-03-06,dividend,0.25",
    )
    run(Desk(tmp_path, *lines, after=ns("2026-03-03T21:00:00"), adjusted=adjusted), story)


def test_file_is_read_again_when_it_has_changed_and_what_it_takes_back_is_not_given(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        desk.write("2026-03-05,dividend,0.3", "2026-03-05,dividend,0.3", "2026-03-06,split,4:1")
        await desk.look()
        await desk.clock.advance(48 * HOUR)
        assert [row[1:] for row in desk.rows()] == [
            ("DIVIDEND", 0.3, 0.0),
            ("DIVIDEND", 0.3, 0.0),  # two payments of one amount
            ("SPLIT", 4.0, 1.0),
        ]
        desk.write("2026-03-05,dividend,0.3", "2026-03-05,dividend,0.3", "2026-03-06,split,4:1", "# no news")
        await desk.look()
        await desk.clock.advance(120)
        assert len(desk.items) == 3

    run(Desk(tmp_path, "2026-03-05,dividend,0.25", "2026-03-05,split,2:1"), story)


def test_file_that_comes_later_is_read_then(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        await desk.clock.advance(120)
        desk.write("2026-03-05,split,4:1")
        await desk.look()
        await desk.clock.advance(17 * HOUR)
        assert [row[1] for row in desk.rows()] == ["SPLIT"]

    run(Desk(tmp_path), story)


def test_action_that_is_known_only_on_its_day_is_given_while_no_print_of_that_day_has_come(
    tmp_path: Path,
) -> None:
    async def story(desk: Desk) -> None:
        desk.last = FIFTH - 1
        await desk.clock.advance(18 * HOUR)  # 01:00 in New York
        desk.write("2026-03-05,split,4:1")
        await desk.look()
        assert desk.rows() == [(FIFTH, "SPLIT", 4.0, 1.0)]

    run(Desk(tmp_path), story)


def test_action_that_is_known_only_after_prints_of_its_day_is_told_once_and_never_applied(
    tmp_path: Path,
) -> None:
    async def story(desk: Desk) -> None:
        desk.last = FIFTH
        await desk.clock.advance(30 * HOUR)
        desk.write("2026-03-05,split,4:1", "2026-03-06,dividend,0.25")
        await desk.look()
        desk.write("2026-03-05,split,4:1", "2026-03-06,dividend,0.25", "# no news")
        await desk.look()
        await desk.clock.advance(48 * HOUR)
        (told,) = desk.texts()
        assert told == (
            "AAPL: the split 4:1 of 2026-03-05 came too late, after prints of that day: it is not applied, and the "
            "session's positions and indicators are wrong for it; halt what trades the instrument, and begin another "
            "session, whose history has it"
        )
        assert [row[1] for row in desk.rows()] == ["DIVIDEND"]
        assert desk.feed.counters == ActionCounters(given=1, late=1)

    run(Desk(tmp_path), story)


def test_action_that_was_given_and_is_corrected_later_is_told(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        await desk.clock.advance(17 * HOUR)
        desk.last = FIFTH + SECOND
        desk.write("2026-03-05,split,5:1")
        await desk.look()
        assert [row[2] for row in desk.rows()] == [4.0]
        assert desk.texts()[0].startswith("AAPL: the split 5:1 of 2026-03-05 came too late")

    run(Desk(tmp_path, "2026-03-05,split,4:1"), story)


def test_second_payment_of_one_amount_that_is_known_too_late_is_told(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        await desk.clock.advance(17 * HOUR)
        desk.last = FIFTH + SECOND
        desk.write("2026-03-05,dividend,0.25", "2026-03-05,dividend,0.25")
        await desk.look()
        assert [row[2] for row in desk.rows()] == [0.25]
        assert len(desk.texts()) == 1

    run(Desk(tmp_path, "2026-03-05,dividend,0.25"), story)


def test_action_that_was_known_in_time_stays_so_when_its_file_is_written_again(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        desk.last = FIFTH + 1  # by the venue's clock
        desk.write("2026-03-05,split,4:1", "# no news")
        await desk.look()
        await desk.clock.advance(17 * HOUR)
        assert [row[1] for row in desk.rows()] == ["SPLIT"]
        assert desk.texts() == []

    run(Desk(tmp_path, "2026-03-05,split,4:1"), story)


def test_action_that_was_known_in_time_is_given_though_a_clock_ahead_of_ours_was_first(
    tmp_path: Path,
) -> None:
    async def story(desk: Desk) -> None:
        desk.last = FIFTH + 1  # by the venue's clock
        await desk.clock.advance(17 * HOUR)
        assert [row[1] for row in desk.rows()] == ["SPLIT"]

    run(Desk(tmp_path, "2026-03-05,split,4:1"), story)


def test_file_that_cannot_be_read_is_told_once_and_what_was_known_stays(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        desk.write("2026-03-05,split,none")
        await desk.look()
        await desk.look()
        (told,) = desk.texts()
        assert told.startswith("the corporate actions of AAPL cannot be read, those known before stay: ")
        assert "actions.csv:2: value: 'none' is no ratio" in told
        desk.path.unlink()
        await desk.clock.advance(300)
        assert len(desk.texts()) == 2
        assert "actions.csv" in desk.texts()[1]
        await desk.clock.advance(17 * HOUR)
        assert [row[2] for row in desk.rows()] == [4.0]
        assert desk.feed.counters == ActionCounters(given=1, unreadable=2)

    run(Desk(tmp_path, "2026-03-05,split,4:1"), story)


def test_file_that_cannot_be_read_at_the_start_is_the_users_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'none' is no ratio"):
        run(Desk(tmp_path, "2026-03-05,split,none"), lambda _: settle())


@pytest.mark.parametrize("known", [True, False])
def test_new_name_is_told_and_is_a_row_where_the_engine_knows_it(tmp_path: Path, known: bool) -> None:
    async def story(desk: Desk) -> None:
        await desk.clock.advance(17 * HOUR)
        restart = "" if known else "; start the daemon again, so that the session knows the name"
        assert desk.texts() == [
            "AAPL: the new name APPL of 2026-03-05: if the venue calls it so now, write it under feed.symbols"
            + restart
        ]
        assert desk.rows() == ([(FIFTH, "SYMBOL", 1.0, 0.0)] if known else [])

    run(Desk(tmp_path, "2026-03-05,symbol,APPL", symbols=("A", "APPL") if known else ()), story)


def test_action_of_while_the_session_was_down_comes_before_the_prints_of_other_feeds(tmp_path: Path) -> None:
    prints = Prints(
        np.array([FIFTH]), np.array([3], np.int32), np.array([50.0]), np.ones(1), np.zeros(1, np.uint8)
    )

    async def story() -> None:
        clock = FakeClock(FIFTH + 60 * SECOND)
        (tmp_path / "a.csv").write_text("date,kind,value\n2026-03-05,split,4:1\n")
        file = ActionFile(tmp_path / "a.csv", 3, "AAPL", "America/New_York")
        other = Script(prints)
        other.let()
        feeds: list[Any] = [ActionsFeed([file], clock, NOON, NOON, lambda _: NO_TIME), other]
        async with Merged(feeds, clock, 0.0) as merged:
            first, second = await anext(merged), await anext(merged)
        assert isinstance(first, Prints)
        assert first.flags.tolist() == [RowKind.SPLIT]
        assert second is prints

    asyncio.run(story())


YAML = """\
name: a
data:
  - {source: csv, path: a.csv, instrument: AAPL, bar: 1m, timezone: America/New_York, actions: a-actions.csv}
  - {source: catalog, path: shelf, instrument: MSFT, bar: 1d}
  - {source: sample, instrument: IBM, bar: 1d}
  - {source: csv, path: a.csv, instrument: GOOG, bar: 1d}
instruments:
  AAPL: {currency: USD, calendar: XNYS}
  IBM: {currency: USD, calendar: XNYS}
  MSFT: {currency: USD, calendar: XNYS}
  GOOG: {currency: USD}
accounts:
  - {name: a, cash: 1000, strategies: [{use: buy_and_hold, instruments: [AAPL], timeframe: 1d, size: {units: 1}}]}
"""


def test_files_are_those_that_the_history_has_its_actions_from(tmp_path: Path) -> None:
    (tmp_path / "a.csv").touch()
    (tmp_path / "a-actions.csv").write_text("date,kind,value\n2026-03-05,symbol,APPL\n")
    catalog = Catalog(tmp_path / "shelf")
    put(catalog, days("2026-01-05", 5), name="MSFT", adjusted="splits")
    (tmp_path / "c.yaml").write_text(YAML)
    config = load(tmp_path / "c.yaml").config
    found = action_files(config, market_spec(config, {}))
    zone = "America/New_York"
    assert (found[2].path.name, found[2].name) == ("sample_actions.csv", "IBM")
    assert found[:2] == [
        ActionFile(tmp_path / "a-actions.csv", 0, "AAPL", zone, "raw", ("APPL",)),
        # which nobody has written yet
        ActionFile(tmp_path / "shelf" / "MSFT" / "actions.parquet", 2, "MSFT", zone, "splits", ()),
    ]


def test_catalogs_actions_reach_the_session_when_the_nightly_fetch_has_them(tmp_path: Path) -> None:
    import pyarrow as pa

    catalog = Catalog(tmp_path)
    put(catalog, days("2026-01-05", 5))
    desk = Desk(tmp_path)
    desk.feed._books[0].file = ActionFile(catalog.actions_path("AAPL"), 3, "AAPL", "America/New_York")

    async def story(desk: Desk) -> None:
        row = {"ex_date": date(2026, 3, 5), "kind": "split", "numerator": 4.0, "denominator": 1.0}
        catalog.write_actions("AAPL", pa.Table.from_pylist([row]))
        await desk.look()
        await desk.clock.advance(17 * HOUR)
        assert desk.rows() == [(FIFTH, "SPLIT", 4.0, 1.0)]

    run(desk, story)
