"""A venue with all the faults that venues have, and a real session on it: what it says of them, and what is on its tape."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from daemon.live.rows import OURS
from daemon.store.store import Store
from tests.service.faults.comparing import verify
from tests.service.faults.process import Daemon, daemon
from tests.service.faults.world import NAMES, write_config
from tests.service.finnhub_server import FinnhubServer, serving, trade, trades
from tests.service.postgres import free_port

FED = 'papertape_tape_rows_total{origin="feed"}'


class Desk:
    """The venue's side: sends good prints and remembers them, in order."""

    def __init__(self, server: FinnhubServer, process: Daemon) -> None:
        self.server, self.process = server, process
        self.sent: list[tuple[str, float]] = []

    async def connect(self) -> None:
        """Be connected to, and asked for all."""
        self.client = await self.server.client(60)
        await self.until(lambda: self.client.asked == list(NAMES), "it asks for all")

    async def good(self, n: int) -> None:
        """Frames of prints that are right, and until they are on the tape."""
        for i in range(n):
            price = 100.0 + len(self.sent) / 100
            self.sent += [(name, price) for name in NAMES]
            await self.client.send(trades(*(trade(name, price, size=i + 1) for name in NAMES)))
            await asyncio.sleep(0.01)
        await self.until(
            lambda: self.process.metrics().get(FED, 0.0) == len(self.sent), "all are on the tape"
        )

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        await asyncio.to_thread(self.process.until, condition, what)

    async def said(self, kind: str, at_least: int = 1) -> None:
        """Until its metrics count a status of the feed."""
        series = f'papertape_feed_status_total{{kind="{kind}"}}'
        await self.until(lambda: self.process.metrics().get(series, 0.0) >= at_least, f"{kind} is counted")


def nonsense() -> list[str | bytes]:
    """What no venue should send, ten kinds of it; none of it is a price."""
    now = time.time_ns() // 1_000_000
    return [
        "{broken",
        b"\xff\xfe\xfd",
        '{"type":"trade","data":7}',
        '{"type":"novel"}',
        trades(trade("A", float("nan")), trade("A", -5.0), trade("A", "5"), trade("Z", 5.0)),
        trades(trade("A", 5.0, now + 86_400_000), trade("A", 5.0, 0), trade("A", 5.0, size=-1)),
        trades(trade("A", 5.0, now - 60_000)),  # late, which is dropped
        "x" * 10_000_000,
    ]


async def story(desk: Desk) -> None:
    server, process = desk.server, desk.process
    await desk.connect()
    await desk.good(30)
    for said in nonsense():
        await desk.client.send(said)
    await desk.good(10)
    await desk.said("junk", 10)
    for what, n in (("not_json", 2), ("too_large", 1), ("bad_price", 2), ("future", 1), ("late", 1)):
        series = f'papertape_counted{{what="{what}"}}'
        await desk.until(lambda s=series, n=n: process.metrics().get(s) == n, f"{n} of {what} is counted")  # type: ignore[misc]
    await asyncio.sleep(2.5)  # what ends sooner counts as contested
    await desk.client.drop_mid_frame(trades(*(trade("A", 7.0) for _ in range(5))))
    await desk.connect()
    await desk.good(10)
    await desk.said("disconnected")
    await desk.connect()  # for it was silent
    await desk.said("hung")
    await desk.good(10)
    server.keys = {"another"}
    desk.client.drop()
    await desk.said("refused")
    code, body = await asyncio.to_thread(process.get, "/readyz")
    assert code == 503
    assert "the feed is down" in body
    server.keys = {"loopback-key"}
    await desk.connect()
    await desk.good(10)
    await asyncio.to_thread(process.until_ready)
    assert await asyncio.to_thread(process.stop) == 0, process.tail()


async def kept(url: str) -> tuple[list[tuple[str, float]], list[dict[str, Any]]]:
    """Prints on the tape, in order, and the gaps."""
    async with await Store.open(url) as store:
        session = await store.session("faults")
        assert session is not None
        rows: list[tuple[str, float]] = []
        async for taped in store.inputs(session.id):
            fed = np.flatnonzero((taped.ticks.flags & OURS) == 0)
            names = (NAMES[k] for k in taped.ticks.instrument[fed])
            rows += zip(names, taped.ticks.price[fed].tolist(), strict=True)
        return rows, await store.find("gaps", session=session.id)


def test_whatever_the_venue_does_is_told_and_counted_and_the_books_are_right(tmp_path: Path) -> None:
    port, url = free_port(), f"sqlite:///{tmp_path}/papertape.db"

    async def whole() -> list[tuple[str, float]]:
        async with serving() as server:
            feed = f"{{source: finnhub, url: 'ws://127.0.0.1:{server.port}', quotes: false, no_frames: 4s}}"
            config = write_config(tmp_path / "c.yaml", None, port, feed)
            with daemon(config, tmp_path, port) as process:
                process.start()
                desk = Desk(server, process)
                await story(desk)
                for kind in ("junk", "disconnected", "hung", "refused"):
                    assert process.said(rf"\[warning.*feed.*kind={kind}"), kind
                assert "loopback-key" not in process.log.read_text()
                return desk.sent

    sent = asyncio.run(whole())
    rows, gaps = asyncio.run(kept(url))
    assert rows == sent
    spans = {(gap["since"], gap["until"]) for gap in gaps}
    assert len(spans) == 3  # dropped, hung, refused: of each instrument
    assert len(gaps) == 3 * len(NAMES)
    assert all(until is not None and since < until for since, until in spans)
    verify(url)


def test_token_that_is_refused_at_the_start_ends_it_with_a_clear_line(tmp_path: Path) -> None:
    port = free_port()

    async def whole() -> None:
        async with serving() as server:
            server.keys = {"another"}
            feed = f"{{source: finnhub, url: 'ws://127.0.0.1:{server.port}', quotes: false}}"
            with daemon(write_config(tmp_path / "c.yaml", None, port, feed), tmp_path, port) as process:
                process.start()
                assert await asyncio.to_thread(process.wait) in (1, 2)
                assert process.said("Finnhub does not accept the token .*check FINNHUB_API_KEY")
                assert not process.said("Traceback")
                assert "loopback-key" not in process.log.read_text()

    asyncio.run(whole())
