"""The bars that wait for an actor that is busy: bounded, never waited for by whoever brings them."""

from __future__ import annotations

import asyncio
from collections import deque

from strategies.types import Bar


class Waiting:
    """Bars in order; what finds no room pushes another out. dropped: how many went unheard."""

    def __init__(self, bound: int, conflate: bool) -> None:
        """bound: bars that may wait. conflate: of each instrument only the newest does, however many there are."""
        self.dropped = 0
        self._bound = bound
        self._conflate = conflate
        self._bars: deque[Bar] = deque()
        self._some = asyncio.Event()

    def __len__(self) -> int:
        return len(self._bars)

    def put(self, bar: Bar) -> None:
        """Let a bar wait."""
        if self._conflate:
            older = [waits for waits in self._bars if waits.instrument == bar.instrument]
            for waits in older:
                self._bars.remove(waits)
                self.dropped += 1
        elif len(self._bars) == self._bound:
            self._bars.popleft()
            self.dropped += 1
        self._bars.append(bar)
        self._some.set()

    def clear(self) -> None:
        """Forget what waits; it was heard in another way."""
        self._bars.clear()

    async def get(self) -> Bar:
        """The oldest, when there is one."""
        while not self._bars:
            self._some.clear()
            await self._some.wait()
        return self._bars.popleft()
