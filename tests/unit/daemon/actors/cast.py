"""Actors for tests, good and bad, and strategies that hear them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from typing import Any

from pydantic import BaseModel

from strategies import AsyncActor, Bar, Context, Signal, Strategy

HERE = "tests.unit.daemon.actors.cast"


class Echo(AsyncActor):
    """Says each close, how many bars it was told at its start, and a random number of its own."""

    history = 3

    async def on_start(self) -> None:
        self.told = 0

    async def on_warmup(self, bars: list[Bar]) -> None:
        self.told = len(bars)

    async def on_bar(self, bar: Bar) -> Signal:
        data = {"told": self.told, "random": float(self.rng.random()), "pid": os.getpid()}
        return Signal(bar.instrument, bar.close, data=data)


class Several(AsyncActor):
    """Emits one signal before it answers with two more."""

    async def on_bar(self, bar: Bar) -> list[Signal]:
        self.emit(Signal(bar.instrument, 1.0))
        await asyncio.sleep(0)
        return [Signal(None, 2.0), Signal(bar.instrument, 3.0, low=2.5, high=3.5, until=bar.end + 7)]


class Odd(AsyncActor):
    """Echoes, but does something odd at one bar, counted from 0 over all its bars, also those it was told at its start."""

    class Params(BaseModel):
        what: str
        at: int = 0

    async def on_start(self) -> None:
        self.n = 0
        if self.params.what == "raise at start" and self.params.at == 0:
            raise ValueError("no model")
        if self.params.what == "early at start":
            self.emit(Signal(None, 1.0))

    async def on_warmup(self, bars: list[Bar]) -> None:
        self.n = len(bars)
        if self.params.what == "early":
            self.emit(Signal(None, 1.0))

    async def on_bar(self, bar: Bar) -> Any:
        self.n += 1
        if self.n - 1 != self.params.at:
            return Signal(bar.instrument, bar.close)
        match self.params.what:
            case "raise":
                raise ValueError("bad luck")
            case "hang":
                await asyncio.sleep(3600)
            case "hang and hold on":
                while True:
                    with contextlib.suppress(asyncio.CancelledError):
                        await asyncio.sleep(3600)
            case "cancel":
                raise asyncio.CancelledError
            case "exit":
                sys.exit(3)
            case "block":
                time.sleep(0.15)  # noqa: ASYNC251  (what it should not do)
            case "spin":
                while True:
                    pass
            case "die":
                os.kill(os.getpid(), signal.SIGKILL)
            case "leave":
                os._exit(5)
            case "number":
                return 1.5
            case "nan":
                return Signal(bar.instrument, float("nan"))
            case "late":
                self.later = asyncio.create_task(self.speak(bar))
        return Signal(bar.instrument, bar.close)

    async def speak(self, bar: Bar) -> None:
        await asyncio.sleep(0.01)
        self.emit(Signal(bar.instrument, -1.0))


class Leak(AsyncActor):
    """Holds on to 8 MiB with each bar."""

    async def on_start(self) -> None:
        self.held: list[bytes] = []

    async def on_bar(self, bar: Bar) -> Signal:
        self.held.append(os.urandom(8 << 20))
        return Signal(bar.instrument, bar.close)


class Buyer(Strategy):
    """Buys a unit at each signal above 0 that names an instrument, and remembers all it heard."""

    def on_start(self, ctx: Context) -> None:
        self.heard: list[tuple[int, Signal]] = []

    def on_signal(self, ctx: Context, signal: Signal) -> None:
        self.heard.append((ctx.now, signal))
        if signal.instrument and signal.value > 0:
            ctx.buy(signal.instrument, 1)


class Direct(Strategy):
    """Buys a unit at each bar."""

    def on_bar(self, ctx: Context, bar: Bar) -> None:
        ctx.buy(bar.instrument, 1)


class Patient(Strategy):
    """Asks for a unit at half the price at each signal."""

    def on_signal(self, ctx: Context, signal: Signal) -> None:
        ctx.buy("A", 1, limit=ctx.price("A") / 2)

    def state_dict(self) -> dict[str, Any]:
        return {}
