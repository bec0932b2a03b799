"""A strategy in Python that raises, loops or leaks: what it does to others, and what is left after it."""

import signal
import socket
import tempfile
from pathlib import Path
from typing import Any

from engine.records import Status
from tests.service.faults.comparing import assert_same, contents, verify
from tests.service.faults.conftest import Market
from tests.service.faults.process import daemon
from tests.service.faults.world import PLAYED, write_config
from tests.service.postgres import free_port

RULES = 0  # the account that has nothing to do with the strategy
WORKING = (Status.PENDING_NEW, Status.NEW, Status.PARTIALLY_FILLED, Status.PENDING_CANCEL)
WATCHDOG_S = 2.0


def of_rules(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    # the ids count the orders of all
    return [
        {k: v for k, v in row.items() if k not in ("id", "order_id")}
        for row in rows
        if row["account"] == RULES
    ]


def test_strategy_that_raises_is_out_and_all_others_go_on_as_without_it(
    tmp_path: Path, market: Market
) -> None:
    port, url = free_port(), f"sqlite:///{tmp_path}/papertape.db"
    config = write_config(tmp_path / "c.yaml", market.tapes, port, feed=PLAYED)
    with daemon(config, tmp_path, port) as process:
        process.start(FAULT="raise")
        process.until(lambda: process.metrics().get(NOTICES, 0.0) == 1.0, "a notice of the strategy")
        assert "bad luck" in process.status()["lost"]["quotes/maker"]
        assert process.ready()
        assert process.wait() == 0, process.tail()
    (line,) = process.said("a strategy is out")
    assert "quotes/maker" in line
    assert "the hundredth bar is bad luck" in line
    found = contents(url)
    assert found["rows"] == market.expected["rows"]
    for table in ("orders", "fills", "postings", "equity"):
        assert of_rules(found[table]) == of_rules(market.expected[table]), table
    mine = [row for row in found["orders"] if row["account"] != RULES]
    assert 10 < len(mine) < len(market.expected["orders"]) / 2
    assert not [row for row in mine if row["status"] in WORKING]
    verify(url, FAULT="raise")


NOTICES = 'papertape_notices_total{kind="strategy",level="error"}'


def test_strategy_that_loops_starves_the_watchdog_and_the_next_start_goes_on_from_there(
    tmp_path: Path, market: Market
) -> None:
    port, url = free_port(), f"sqlite:///{tmp_path}/papertape.db"
    config = write_config(tmp_path / "c.yaml", market.tapes, port, feed=PLAYED)
    with tempfile.TemporaryDirectory() as short, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"{short}/notify")
        with daemon(config, tmp_path, port) as process:
            process.start(
                FAULT="loop", NOTIFY_SOCKET=f"{short}/notify", WATCHDOG_USEC=str(round(WATCHDOG_S * 1e6))
            )
            heard = hear(manager)
            # as systemd does
            process.send(signal.SIGABRT)
            assert process.wait(20) == -signal.SIGABRT
            assert heard.count("READY=1") == 1
            assert heard.count("WATCHDOG=1") >= 2
            # where it hangs is in the log
            assert process.said(r'maker\.py", line \d+ in on_bar')
            process.start()
            assert process.wait() == 0, process.tail()
    assert_same(contents(url), market.expected)
    verify(url)


def hear(manager: socket.socket) -> list[str]:
    """What a service says, until it was silent for as long as systemd waits."""
    heard: list[str] = []
    manager.settimeout(60)
    while True:
        try:
            said = manager.recv(4096).decode().splitlines()
        except TimeoutError:
            return heard
        heard += said
        if "READY=1" in heard:
            manager.settimeout(WATCHDOG_S)


def test_strategy_that_leaks_shows_in_the_metrics_and_its_kill_costs_nothing(
    tmp_path: Path, market: Market
) -> None:
    port, url = free_port(), f"sqlite:///{tmp_path}/papertape.db"
    config = write_config(tmp_path / "c.yaml", market.tapes, port, feed=PLAYED)
    with daemon(config, tmp_path, port) as process:
        process.start(FAULT="leak")
        process.until_ready()

        def resident() -> float:
            return process.metrics().get("process_resident_memory_bytes", 0.0)

        before = resident()
        process.until(lambda: resident() > before + 150e6, "it has leaked")
        assert process.kill()  # as the kernel does where the unit's MemoryMax is reached
        process.start()
        assert process.wait() == 0, process.tail()
    assert_same(contents(url), market.expected)
    verify(url)
