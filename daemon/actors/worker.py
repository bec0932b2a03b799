"""The process of an actor: it hears from the daemon over a socket, and answers. Each message is a line of JSON, a list.

From the daemon: ["start", job, beat_s, bars], ["bar", bar], ["stop"]. To it: ["up"] when it can be spoken to, ["done"]
after a start and after each bar, ["signal", content], ["refused", why], ["failed", what, trace] before it ends, ["beat"]
every beat_s seconds as long as its event loop runs. It ends when the daemon does.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from typing import Any

from daemon.actors.inside import Inside, Job

MOST_LINE = 1 << 26  # bytes of a message: a warm-up of a hundred thousand bars is one


class Wire:
    """The worker's end of the socket. Actors may speak from threads, too."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._sending = threading.Lock()

    def send(self, *message: Any) -> None:
        """Send a message; waits where the daemon does not take it."""
        line = json.dumps(message).encode() + b"\n"
        with self._sending:
            self._socket.sendall(line)

    def receive(self, hear: Callable[[list[Any]], None]) -> None:
        """Pass each message on, until the daemon is gone: then the process ends here, whatever else it is about."""
        with self._socket.makefile("rb") as lines:
            for line in lines:
                hear(json.loads(line))
        os._exit(0)


async def serve(wire: Wire) -> int:
    """Do as the daemon says until it says stop; the exit status."""
    loop = asyncio.get_running_loop()
    messages: asyncio.Queue[list[Any]] = asyncio.Queue()
    hear = lambda message: loop.call_soon_threadsafe(messages.put_nowait, message)  # noqa: E731
    threading.Thread(target=wire.receive, args=(hear,), daemon=True).start()
    wire.send("up")
    _, given, beat_s, bars = await messages.get()
    beating = asyncio.create_task(_beat(wire, beat_s))
    try:
        return await _asked(wire, messages, Job(**given), bars)
    finally:
        beating.cancel()


async def _asked(wire: Wire, messages: asyncio.Queue[list[Any]], job: Job, bars: list[Any]) -> int:
    from daemon.actors.hosts import crash
    from strategies.types import Bar

    when = "when it began"
    try:
        inside = Inside(job, lambda said: wire.send("signal", said), lambda why: wire.send("refused", why))
        await inside.start([Bar(*bar) for bar in bars])
        wire.send("done")
        while True:
            kind, *rest = await messages.get()
            if kind == "stop":
                when = "when it stopped"
                await inside.stop()
                return 0
            bar = Bar(*rest[0])
            when = f"on the bar of {bar.instrument}"
            await inside.ask(bar)
            wire.send("done")
    except (Exception, SystemExit) as error:  # noqa: BLE001  (whatever a user's class raises is told)
        crashed = crash(job.name, when, error)
        wire.send("failed", str(crashed), crashed.trace)
        return 1


async def _beat(wire: Wire, seconds: float) -> None:
    while True:
        wire.send("beat")
        await asyncio.sleep(seconds)


def main(number: int) -> None:
    """Serve the daemon at the other end of the socket of that number."""
    for ignored in (signal.SIGINT, signal.SIGTERM):  # the daemon hears of these, too, and says what happens
        signal.signal(ignored, signal.SIG_IGN)
    with socket.socket(fileno=number) as sock:
        status = asyncio.run(serve(Wire(sock)))
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)  # threads that the actor has left behind do not hold it up
