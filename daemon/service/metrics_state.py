"""What is so at the moment of a scrape: read from the session then, so that no figure can be older than that."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from daemon.bus import Bus
from daemon.live.controls import Controls
from daemon.live.health import Health, Stage
from engine.records import TradingState


class State(Collector):
    """From `Health`: stage, sequence, backlog, feed, gaps."""

    def __init__(self, health: Health, now_ns: Callable[[], int], monotonic: Callable[[], float]) -> None:
        self._health = health
        self._now_ns = now_ns
        self._monotonic = monotonic

    def collect(self) -> Iterator[Any]:
        health, now = self._health, self._now_ns()
        session = GaugeMetricFamily("papertape_session_info", "The session.", labels=["session", "epoch"])
        session.add_metric([health.session, str(health.epoch)], 1.0)
        yield session
        stage = GaugeMetricFamily("papertape_stage", "1: what the process is about.", labels=["stage"])
        for each in Stage:
            stage.add_metric([str(each)], float(health.stage is each))
        yield stage
        for name, text, value in (
            ("ready", "1: it trades on live prices, and what it does is kept.", health.ready),
            (
                "engine_idle_seconds",
                "Since the engine last made progress.",
                health.stuck_s(self._monotonic()),
            ),
            ("decided_seq", "Rows of the tape that were decided.", health.seq),
            ("committed_seq", "Rows of the tape that are in the database.", health.committed_seq),
            ("backlog_rows", "Rows decided and not committed.", health.backlog_rows),
            ("backlog_age_seconds", "Since the oldest of them was decided.", _age(health.backlog_since, now)),
            ("backlog_full", "1: nothing is decided until the database takes more.", health.backlog_full),
            ("database_up", "0: it cannot be written.", health.database_error is None),
            ("feed_up", "0: it is down.", health.feed_down_since is None),
            ("feed_down_seconds", "Since it went down.", _age(health.feed_down_since, now)),
            ("gaps_open", "Instruments whose prices do not come.", len(health.gaps_open)),
            ("lost_actors", "Actors and strategies that are out.", len(health.lost)),
            ("warming_missing", "What is still missing to judge and decide on.", len(health.warming)),
        ):
            yield GaugeMetricFamily(f"papertape_{name}", text, float(value))
        if health.last_print is not None:
            age = _age(health.last_print, now)
            yield GaugeMetricFamily("papertape_last_print_age_seconds", "Since the last print.", age)
        yield CounterMetricFamily("papertape_gaps", "Gaps so far.", float(health.gaps))
        counted = GaugeMetricFamily(  # no counter: some of it falls again
            "papertape_counted", "What the feed, the inbox and the journal count.", labels=["what"]
        )
        for what, n in list(health.counters.items()):
            counted.add_metric([what], float(n))
        yield counted


class Accounts(Collector):
    """From `Controls.status`: what each account has, as far as it is committed."""

    def __init__(self, controls: Controls) -> None:
        self._controls = controls

    def collect(self) -> Iterator[Any]:
        equity = GaugeMetricFamily(
            "papertape_equity_money", "In its currency.", labels=["account", "currency"]
        )
        cash = GaugeMetricFamily("papertape_cash_money", "In its currency.", labels=["account", "currency"])
        drawdown = GaugeMetricFamily("papertape_drawdown_ratio", "Below its peak.", labels=["account"])
        state = GaugeMetricFamily(
            "papertape_trading_state", "1: what it may do.", labels=["account", "state"]
        )
        for account in self._controls.status().get("accounts", ()):
            name, currency = account["name"], account.get("currency", "")
            for family, key, labels in (
                (equity, "equity", [name, currency]),
                (cash, "cash", [name, currency]),
                (drawdown, "drawdown", [name]),
            ):
                if account.get(key) is not None:
                    family.add_metric(labels, float(account[key]))
            for each in TradingState:
                now = each.name.lower()
                state.add_metric([name, now], float(account.get("state") == now))
        yield from (equity, cash, drawdown, state)


class Build(Collector):
    """Which versions run."""

    def __init__(self) -> None:
        packages = ("papertape", "numba", "numpy")
        self._labels = [*packages, "python"]
        self._values = [*(version(package) for package in packages), platform.python_version()]

    def collect(self) -> Iterator[Any]:
        build = GaugeMetricFamily("papertape_build_info", "Versions of what runs.", labels=self._labels)
        build.add_metric(self._values, 1.0)
        yield build


class Subscribers(Collector):
    """The queues of the bus."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    def collect(self) -> Iterator[Any]:
        depth = GaugeMetricFamily("papertape_queue_messages", "Waiting messages.", labels=["subscriber"])
        dropped = CounterMetricFamily("papertape_dropped_messages", "Lost ones.", labels=["subscriber"])
        failed = GaugeMetricFamily("papertape_subscriber_failed", "1: it raised.", labels=["subscriber"])
        for each in self._bus.subscriptions:
            depth.add_metric([each.name], float(each.depth))
            dropped.add_metric([each.name], float(each.dropped))
            failed.add_metric([each.name], float(each.error is not None))
        yield from (depth, dropped, failed)


def _age(since_ns: int | None, now_ns: int) -> float:
    return 0.0 if since_ns is None else max(0.0, (now_ns - since_ns) * 1e-9)
