"""What is committed goes into the log, in words; and why a portfolio does not trade is remembered for whoever asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from daemon.bus import Overflow
from daemon.live.messages import Committed
from daemon.notify import words
from daemon.notify.telling import Teller

if TYPE_CHECKING:
    from daemon.bus import Bus
    from engine.spec import EngineSpec

log = structlog.get_logger()

MOST_LINES = 20  # of one kind and account of a commit; more are counted
BEHIND = 1000  # commits that the log may be behind
_SERIOUS = {"halts"}


class Saying:
    """Logs fills, denials, halts and what limits say. why: portfolio -> since when it does not trade, and why."""

    def __init__(self, spec: EngineSpec, why: dict[str, str]) -> None:
        self.why = why
        self._teller = Teller(spec)

    def subscribe(self, bus: Bus) -> None:
        """Listen to what is committed."""
        bus.subscribe(Committed, self._committed, name="log", overflow=Overflow.DROP_OLDEST, bound=BEHIND)

    async def _committed(self, message: Committed) -> None:
        for told in self._teller.committed(message.batch):
            if told.event == "gaps":
                continue  # of which the feed has told
            say = log.warning if told.event in _SERIOUS else log.info
            lines = told.first(told.count if told.event == "halts" else MOST_LINES)
            for line in lines:
                say(line.text, kind=told.event, account=line.account, seq=line.facts["seq"])
                if told.event == "halts":
                    self._remember(line.facts["portfolio"], line.facts["became"], line.text, line.ts)
            if (more := told.count - len(lines)) > 0:
                say("and more of them", kind=told.event, account=told.account, more=more)

    def _remember(self, portfolio: str, became: str, text: str, ts: int) -> None:
        if became == "ACTIVE":
            self.why.pop(portfolio, None)
        elif became != "LIQUIDATED":
            self.why[portfolio] = f"since {words.time(ts)}: {text}"
