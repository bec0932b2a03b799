"""Whoever asks and never reads holds up nobody."""

import socket
from contextlib import ExitStack
from pathlib import Path

from tests.service.faults.comparing import assert_same, contents
from tests.service.faults.conftest import Market
from tests.service.faults.process import daemon
from tests.service.faults.world import PLAYED, write_config
from tests.service.postgres import free_port


def test_clients_that_ask_and_never_read_hold_up_neither_trading_nor_others(
    tmp_path: Path, market: Market
) -> None:
    port, url = free_port(), f"sqlite:///{tmp_path}/papertape.db"
    config = write_config(tmp_path / "c.yaml", market.tapes, port, feed=PLAYED)
    with daemon(config, tmp_path, port) as process, ExitStack() as stack:
        process.start()
        process.until_ready()
        for i in range(60):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port), 5))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            path = ("metrics", "status")[i % 2]
            request = f"GET /{path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
            client.sendall(request if i % 3 else request[:20])  # some do not even ask to the end
        seq = process.status()["committed_seq"]
        process.until(
            lambda: process.ready() and process.status()["committed_seq"] > seq + 20_000, "it goes on"
        )
        assert process.wait() == 0, process.tail()
    assert_same(contents(url), market.expected)
