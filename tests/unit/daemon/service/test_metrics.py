"""Metrics against counts made by hand, and read back with Prometheus' own parser."""

import asyncio
import re
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from daemon.bus import Bus
from daemon.feeds.items import Status as FeedState
from daemon.feeds.items import StatusKind
from daemon.live.health import Health, Stage
from daemon.live.journal import Decided
from daemon.live.messages import Committed, FeedStatus, Notice
from daemon.live.rows import joined, timer
from daemon.service.metrics import Metrics
from daemon.service.metrics_state import Subscribers
from daemon.store.batch import Batch
from engine.engine import Events
from engine.records import EQUITY, EVENT, NONE, SECOND, SLOT, Code, EventKind, Status
from engine.records_risk import GRADE
from tests.builders import make_ticks

NOW = 1_000 * SECOND


class Desk:
    """Controls of a session with two accounts."""

    async def operate(self, portfolio, action, reason, who):
        raise NotImplementedError

    async def reload(self):
        raise NotImplementedError

    def status(self):
        return {
            "accounts": [
                {
                    "name": "desk",
                    "currency": "USD",
                    "state": "halted",
                    "cash": -5.25,
                    "equity": 1e6,
                    "drawdown": 0.125,
                },
                {
                    "name": "coins",
                    "currency": "BTC",
                    "state": "active",
                    "cash": 2.5,
                    "equity": 3.0,
                    "drawdown": None,
                },
            ]
        }


def event(kind, account=0, status=Status.NEW, code=Code.NONE):
    record = np.zeros(1, EVENT)
    for name, value in (("kind", kind), ("account", account), ("status", status), ("code", code)):
        record[name] = value
    return record


def committed(*events, ticks=None):
    out = Events(
        np.concatenate(events) if events else np.zeros(0, EVENT),
        np.zeros((0, 0)),
        np.zeros(0, EQUITY),
        np.zeros(0, GRADE),
    )
    ticks = make_ticks([(1, 10.0)]) if ticks is None else ticks
    return Committed(Batch(1, ticks, out, np.zeros(0, SLOT)), 0, 0, 0)


def metrics_of(health=None, now=NOW, monotonic=100.0):
    return Metrics(["desk", "coins"], Desk(), health or Health(), lambda: now, lambda: monotonic)


def read(metrics):
    """{name{label=value,...}: value} of what Prometheus would read."""
    found = {}
    for family in text_string_to_metric_families(generate_latest(metrics.registry).decode()):
        for sample in family.samples:
            labels = ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def test_orders_fills_and_denials_are_counted_by_account_status_and_code():
    metrics = metrics_of()
    metrics.committed(
        committed(
            event(EventKind.ORDER, 0, Status.NEW),
            event(EventKind.ORDER, 1, Status.NEW),
            event(EventKind.FILL, 1, Status.FILLED),
            event(EventKind.ORDER, 0, Status.DENIED, Code.VAR),
            event(EventKind.ORDER, 0, Status.DENIED, Code.VAR),
            event(EventKind.ORDER, 1, Status.DENIED, Code.PRICE_STALE),
            event(EventKind.ACTION, NONE, code=Code.DIVIDEND),  # of no account
        )
    )
    metrics.committed(committed(event(EventKind.FILL, 1, Status.PARTIALLY_FILLED)))
    found = read(metrics)
    counts = {
        k: v for k, v in found.items() if v and re.match("papertape_(order|fills_t|denials_t|events_t)", k)
    }
    assert {k: v for k, v in counts.items() if "created" not in k} == {
        "papertape_order_events_total{account=desk,status=new}": 1,
        "papertape_order_events_total{account=coins,status=new}": 1,
        "papertape_order_events_total{account=coins,status=filled}": 1,
        "papertape_order_events_total{account=coins,status=partially_filled}": 1,
        "papertape_order_events_total{account=desk,status=denied}": 2,
        "papertape_order_events_total{account=coins,status=denied}": 1,
        "papertape_denials_total{account=desk,code=var}": 2,
        "papertape_denials_total{account=coins,code=price_stale}": 1,
        "papertape_fills_total{account=coins}": 2,
        "papertape_events_total{kind=order}": 5,
        "papertape_events_total{kind=fill}": 2,
        "papertape_events_total{kind=action}": 1,
    }
    assert found["papertape_fills_total{account=desk}"] == 0  # a rate needs a 0 to begin at


def test_rows_are_counted_by_who_entered_them():
    metrics = metrics_of()
    metrics.committed(committed(ticks=joined([make_ticks([(1, 10.0), (2, 11.0)]), timer(3)])))
    found = read(metrics)
    assert found["papertape_tape_rows_total{origin=feed}"] == 2
    assert found["papertape_tape_rows_total{origin=daemon}"] == 1
    assert found["papertape_commits_total"] == 1


def test_times_are_of_each_frame_and_of_each_commit():
    metrics = metrics_of()
    batch = committed().batch
    # received at 0 and 2 ms, decided at 0.1 and 4 ms, committed at 10 ms: 0.1 + 2 ms, 10 + 8 ms, and 9.9 ms
    metrics.timed([Decided(batch, 0, 100_000), Decided(batch, 2_000_000, 4_000_000)], 10_000_000)
    found = read(metrics)
    assert found["papertape_received_to_decided_seconds_count"] == 2
    assert found["papertape_received_to_decided_seconds_sum"] == pytest.approx(0.0021)
    assert found["papertape_received_to_decided_seconds_bucket{le=0.0002}"] == 1
    assert found["papertape_received_to_decided_seconds_bucket{le=0.002}"] == 2
    assert found["papertape_received_to_committed_seconds_sum"] == pytest.approx(0.018)
    assert found["papertape_decided_to_committed_seconds_count"] == 1
    assert found["papertape_decided_to_committed_seconds_sum"] == pytest.approx(0.0099)


def test_promised_times_are_bounds_of_buckets():
    found = read(metrics_of())
    for bound in ("0.0002", "0.002", "0.05"):
        assert f"papertape_received_to_committed_seconds_bucket{{le={bound}}}" in found


def test_accounts_are_as_the_session_tells_them_at_the_scrape():
    found = read(metrics_of())
    assert found["papertape_equity_money{account=desk,currency=USD}"] == 1e6
    assert found["papertape_cash_money{account=desk,currency=USD}"] == -5.25
    assert found["papertape_equity_money{account=coins,currency=BTC}"] == 3.0
    assert found["papertape_drawdown_ratio{account=desk}"] == 0.125
    assert "papertape_drawdown_ratio{account=coins}" not in found  # not known is not 0
    states = {k: v for k, v in found.items() if k.startswith("papertape_trading_state{account=desk")}
    assert states == {
        "papertape_trading_state{account=desk,state=active}": 0,
        "papertape_trading_state{account=desk,state=reduce_only}": 0,
        "papertape_trading_state{account=desk,state=halted}": 1,
    }


def test_health_is_as_it_is_at_the_scrape():
    health = Health(Stage.RUNNING, "desk-1", 3, seq=120, committed_seq=100, progress=98.5)
    metrics = metrics_of(health)
    found = read(metrics)
    assert found["papertape_ready"] == 1
    assert found["papertape_session_info{epoch=3,session=desk-1}"] == 1
    assert found["papertape_stage{stage=running}"] == 1
    assert found["papertape_engine_idle_seconds"] == 1.5
    assert found["papertape_decided_seq"] - found["papertape_committed_seq"] == 20
    assert "papertape_last_print_age_seconds" not in found  # there was none
    health.backlog_rows, health.backlog_since, health.backlog_full = 20, NOW - 2 * SECOND, True
    health.feed_down_since, health.last_print, health.database_error = (
        NOW - SECOND,
        NOW - 3 * SECOND,
        "locked",
    )
    health.gaps, health.gaps_open, health.lost = 2, {"AAPL"}, {"oracle": "it raised"}
    health.counters["late prints"] = 5
    found = read(metrics)
    for name, value in {
        "ready": 0,
        "backlog_rows": 20,
        "backlog_age_seconds": 2.0,
        "backlog_full": 1,
        "feed_up": 0,
        "feed_down_seconds": 1.0,
        "last_print_age_seconds": 3.0,
        "database_up": 0,
        "gaps_total": 2,
        "gaps_open": 1,
        "lost_actors": 1,
        "counted{what=late prints}": 5,
    }.items():
        assert found[f"papertape_{name}"] == value, name


def test_what_is_on_the_bus_is_counted_and_its_queues_are_told():
    async def run():
        metrics = metrics_of()
        async with Bus() as bus:
            metrics.subscribe(bus)
            await bus.publish(committed(event(EventKind.FILL)))
            await bus.publish(FeedStatus(FeedState(StatusKind.HUNG, NOW, "nothing came")))
            await bus.publish(Notice("error", "database", "away", NOW))
        return read(metrics)

    found = asyncio.run(run())
    assert found["papertape_fills_total{account=desk}"] == 1
    assert found["papertape_feed_status_total{kind=hung}"] == 1
    assert found["papertape_feed_status_total{kind=refused}"] == 0
    assert found["papertape_notices_total{kind=database,level=error}"] == 1
    assert found["papertape_queue_messages{subscriber=metrics}"] == 0
    assert found["papertape_dropped_messages_total{subscriber=metrics}"] == 0


def test_names_are_ours_or_the_processes_and_openmetrics_takes_them():
    metrics = metrics_of()
    names = {sample.name for family in metrics.registry.collect() for sample in family.samples}
    assert all(re.fullmatch("(papertape|process)_[a-z_]+", name) for name in names)
    assert "process_resident_memory_bytes" in names
    assert openmetrics(metrics.registry).endswith(b"# EOF\n")


def test_page_has_every_metric_and_no_other():
    health = Health(last_print=1)
    metrics = metrics_of(health)
    metrics.registry.register(Subscribers(Bus()))
    page = (Path(__file__).parents[4] / "docs" / "operating.md").read_text(encoding="utf-8")
    told = set(re.findall(r"`(papertape_[a-z_]+)`", page))
    families = {f.name + ("_total" if f.type == "counter" else "") for f in metrics.registry.collect()}
    assert told == {name for name in families if not name.startswith("process_")}


def test_counting_a_commit_costs_little():
    import time

    metrics = metrics_of()
    one = committed(event(EventKind.ORDER), event(EventKind.FILL))
    begin = time.perf_counter()
    for _ in range(1000):
        metrics.committed(one)
    assert time.perf_counter() - begin < 1.0  # about 0.1 s on a busy machine
