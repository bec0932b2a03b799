"""The screen of `papertape status`: what is on it, and that it fits 80 columns."""

import io

from rich.console import Console

from daemon.web.showing import print_status

TOLD = {
    "session": "desk",
    "epoch": 3,
    "seq": 81_234_567,
    "committed_seq": 81_234_500,
    "time": "2026-11-20T15:30:00.250Z",
    "started": "2026-11-17T08:00:00Z",
    "state": "running",
    "ready": False,
    "reasons": [
        "the database cannot be written: disk full",
        "the feed is down: nothing came for 30 s, connecting again",
    ],
    "feed": {
        "state": "hung",
        "last_print": "2026-11-20T15:29:15.250Z",
        "down_since": "2026-11-20T15:00:00Z",
    },
    "database": {"url": "postgresql://papertape@db/papertape", "error": "disk full", "backlog_rows": 67},
    "accounts": [
        {
            "name": "momentum",
            "currency": "USD",
            "state": "active",
            "cash": 812_345.67,
            "equity": 1_012_345.67,
            "drawdown": 0.0312,
            "orders": 1200,
            "positions": [
                {
                    "instrument": "AAPL",
                    "quantity": 700.0,
                    "price": 271.5,
                    "value": 190_050.0,
                    "profit": 1234.5,
                },
                {
                    "instrument": "BTC",
                    "quantity": -0.12345678,
                    "price": 91_000.5,
                    "value": -11_234.6,
                    "profit": -20.0,
                },
            ],
            "strategies": [
                {"name": "momentum/oracle", "state": "active"},
                {"name": "momentum/trend", "state": "reduce_only"},
            ],
        },
        {
            "name": "crypto [x]",
            "currency": "USDT",
            "state": "reduce_only",
            "cash": 5.0,
            "equity": 5.0,
            "drawdown": None,
        },
    ],
    "missing": ["momentum: 120 of 500 scenarios"],
    "gaps": {"open": ["AAPL", "MSFT"], "count": 4},
    "lost": {"momentum/oracle": "it raised ValueError: [0] is no price"},
}


def screen(told, width=80):
    out = io.StringIO()
    print_status(told, Console(file=out, width=width, highlight=False))
    return out.getvalue()


def test_screen_says_what_is_wrong_first_and_fits_80_columns():
    text = screen(TOLD)
    assert max(len(line) for line in text.splitlines()) <= 80
    assert text.splitlines()[0].rstrip() == "desk is running, not ready"
    assert "the database cannot be written: disk full" in text.splitlines()[1]


def test_screen_has_the_figures():
    text = screen(TOLD)
    for shown in (
        "2026-11-20 15:30:00 UTC",
        "epoch 3, seq 81,234,567, 67 not committed",
        "last print 45.0 s ago",  # 15:30:00.250 less 15:29:15.250
        "down for 30 min",
        "67 rows wait",
        "4; open: AAPL, MSFT",
        "missing: momentum: 120 of 500 scenarios",
        "1,200",
        "momentum/trend is reduce only",
        "1,012,345.67  ",
        "812,345.67",
        "3.1%",
        "reduce only",
        "crypto [x]",
        "-0.12345678",
        "+1,234.50",
        "momentum/oracle is out: it raised ValueError: [0] is no price",
    ):
        assert shown in text, shown


def test_what_the_session_does_not_tell_is_left_out():
    text = screen({"session": "desk", "state": "starting", "ready": False, "reasons": ["it is starting"]})
    assert text.split("\n") == ["desk is starting, not ready", "  it is starting", ""]


def test_all_is_well_in_few_lines():
    calm = {
        **TOLD,
        "ready": True,
        "reasons": [],
        "missing": ["momentum: 120 of 500 scenarios"],
        "gaps": {"open": [], "count": 0},
        "lost": {},
        "committed_seq": 81_234_567,
    }
    text = screen(calm)
    assert "desk is running, ready" in text
    assert "all committed" in text
    assert "gaps" not in text
    assert "is out" not in text


def test_why_something_does_not_trade_is_on_the_screen():
    halted = {"desk [x]": "since 2026-11-20 15:00:00 UTC: desk [x] is halted, by ann@box: news"}
    text = screen({**TOLD, "halted": halted}, width=120)
    said = "desk [x] does not trade since 2026-11-20 15:00:00 UTC: desk [x] is halted, by ann@box: news"
    assert said in text
    assert "does not trade" not in screen(TOLD)
