"""Finnhub's server as a program of its own, which sends prints at a rate: for load, and for what a flood does.

    python -m tests.service.finnhub_server --rate 20000 --symbols 50 --port 0 --seconds 60 --log sent.csv

It says its port as a line of JSON, waits until a client has asked for all of its symbols (S00, S01, ...), sends frames of 1 to
50 prints for so many seconds, keeps the connection, and says at the end, on SIGTERM or SIGINT, what it sent. Frames are encoded
before; at the time of sending only their time is put in. They go out by the clock: those that are due, whatever the client does
meanwhile, unless it takes none: then it waits, and says how far it came behind.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import random
import signal
import subprocess
import sys
import time
from array import array
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from websockets.asyncio.server import ServerConnection

from tests.service.finnhub_server import FinnhubServer, serving

MOST_PRINTS = 50  # of a frame
POOL = 4096  # frames that are sent again and again
ROOM = 1 << 20  # bytes that wait to be sent, at most
PING_S = 30.0
_TIME = b"1000000000000"  # stands for the time, ms


def symbols(n: int) -> list[str]:
    """S00, S01, ..."""
    return [f"S{i:02d}" for i in range(n)]


class Pool:
    """Frames: their bytes as they go over the wire, and how many prints of what size they have. Prices walk at random."""

    def __init__(self, names: list[str], seed: int) -> None:
        rng = random.Random(seed)
        self.counts = [rng.randint(1, MOST_PRINTS) for _ in range(POOL)]
        prices = dict.fromkeys(names, 100.0)
        self.frames: list[bytes] = []
        self.volumes: list[int] = []
        for n in self.counts:
            data: list[dict[str, Any]] = []
            for _ in range(n):
                symbol = rng.choice(names)
                # back to where it began, so that the pool can be sent again without a jump
                prices[symbol] += rng.gauss(0, 0.02) + (100.0 - prices[symbol]) / 500
                size = rng.randint(1, 100)
                data.append(
                    {"c": ["1"], "p": round(prices[symbol], 2), "s": symbol, "t": int(_TIME), "v": size}
                )
            self.frames.append(_framed(json.dumps({"data": data, "type": "trade"}, separators=(",", ":"))))
            self.volumes.append(sum(one["v"] for one in data))


def _framed(text: str) -> bytes:
    body = text.encode()
    n = len(body)  # RFC 6455, 5.2: a final frame of text, with 7 or 16 bits of length
    head = bytes([0x81, n]) if n < 126 else bytes([0x81, 126]) + n.to_bytes(2, "big")
    return head + body


class Flood:
    """Sends to whoever has asked for all symbols, one after the other; `sent` holds (ns UTC, prints) of each frame."""

    def __init__(self, rate: float, names: list[str], seconds: float, seed: int) -> None:
        self.rate, self.names, self.seconds = rate, names, seconds
        self.pool = Pool(names, seed)
        self.times, self.counts = array("q"), array("i")
        self.volume = 0
        self.behind_ns = array("q")  # of each frame: sent so much later than its time

    async def send(self, connection: ServerConnection) -> None:
        """So many seconds of prints, or until the connection ends."""
        transport = connection.transport
        began = time.perf_counter_ns()
        prints, i = 0, len(self.times)
        while (due := int(prints / self.rate * 1e9)) < self.seconds * 1e9:
            ahead = due - (time.perf_counter_ns() - began)
            if ahead > 0:
                await asyncio.sleep(ahead / 1e9)
            while transport.get_write_buffer_size() > ROOM:  # noqa: ASYNC110 # nobody tells when it is less
                await asyncio.sleep(0.001)
            if transport.is_closing():
                return
            k = i % POOL
            now = time.time_ns()
            transport.write(self.pool.frames[k].replace(_TIME, str(now // 1_000_000).encode()))
            self.times.append(now)
            self.counts.append(self.pool.counts[k])
            self.volume += self.pool.volumes[k]
            self.behind_ns.append(time.perf_counter_ns() - began - due)
            prints += self.pool.counts[k]
            i += 1

    def report(self) -> dict[str, Any]:
        """What was sent."""
        behind = np.array(self.behind_ns or [0]) / 1e6
        span = (self.times[-1] - self.times[0]) / 1e9 if len(self.times) > 1 else 0.0
        return {
            "prints": sum(self.counts),
            "frames": len(self.counts),
            "volume": self.volume,  # the sum of all sizes, which are whole numbers
            "seconds": round(span, 3),
            "behind_ms": {"p50": round(float(np.median(behind)), 3), "max": round(float(behind.max()), 3)},
        }

    def write(self, path: Path) -> None:
        """The log, as CSV: when each frame was sent, ns UTC, and its prints."""
        rows = zip(self.times, self.counts, strict=True)
        path.write_text("".join(["ns,prints\n", *(f"{ns},{n}\n" for ns, n in rows)]))


async def serve(flood: Flood, server: FinnhubServer) -> None:
    """Each client in its turn; the next one goes on where the one before was lost."""
    while True:
        client = await server.client(math.inf)
        while len(client.asked) < len(flood.names) and not client.ended:  # noqa: ASYNC110 # as above
            await asyncio.sleep(0.005)
        await flood.send(client.connection)
        while not client.ended:
            await client.ping()
            with suppress(TimeoutError):
                async with asyncio.timeout(PING_S):
                    await client.wait_closed()


async def run(given: argparse.Namespace) -> None:
    """Until a signal comes."""
    over = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, over.set)
    flood = Flood(given.rate, symbols(given.symbols), given.seconds, given.seed)
    async with serving(given.port) as server:
        _say({"port": server.port})
        sending = asyncio.create_task(serve(flood, server))
        await asyncio.wait([sending, asyncio.ensure_future(over.wait())], return_when=asyncio.FIRST_COMPLETED)
        sending.cancel()
    if given.log:
        flood.write(given.log)
    _say({**flood.report(), "connections": server.connections})


class Program:
    """This, as a process of its own."""

    def __init__(self, **given: Any) -> None:
        options = [f"--{name}={value}" for name, value in given.items()]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.service.finnhub_server", *options],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )
        self.port = self._said()["port"]

    def end(self) -> Any:
        """End it; what it has sent."""
        self.process.send_signal(signal.SIGTERM)
        report = self._said()
        self.process.wait(20)
        return report

    def _said(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())


@contextmanager
def flooding(**given: Any) -> Iterator[Program]:
    """The program with these options, until the end of the block."""
    program = Program(**given)
    try:
        yield program
    finally:
        program.process.kill()
        program.process.wait()
        if program.process.stdout is not None:
            program.process.stdout.close()


def _say(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def main(arguments: list[str] | None = None) -> None:
    """The program."""
    asked = argparse.ArgumentParser(prog="python -m tests.service.finnhub_server")
    asked.add_argument("--rate", type=float, default=20_000.0, help="prints a second")
    asked.add_argument("--symbols", type=int, default=50)
    asked.add_argument("--port", type=int, default=0, help="0: a free one")
    asked.add_argument("--seconds", type=float, default=1e9, help="for how long it sends")
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--log", type=Path, help="a CSV file of when each frame was sent")
    asyncio.run(run(asked.parse_args(arguments)))
