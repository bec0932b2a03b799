"""What an operator can do to a running session: it becomes an input, and is answered when that is committed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import structlog

from daemon.config.paper_changes import changes
from daemon.live import rows
from daemon.live.content import Content
from daemon.live.controls import ControlError
from daemon.live.deciding import plain_state
from daemon.live.errors import CoreError, LiveError
from daemon.live.recovery import version
from daemon.store.errors import StoreError
from engine.records import SECOND, OperatorAction

if TYPE_CHECKING:
    from daemon.config.paper import PaperConfig
    from daemon.live.deciding import Decider
    from daemon.live.health import Health
    from engine.records import Ticks

log = structlog.get_logger()


class Operating:
    """The `Controls` of a session.

    reread: reads its configuration anew, and raises where the process could not take it on. changed: hears a new
    configuration that is in force, to take on what is not the engine's. shown: the database's address, without a password.
    """

    def __init__(
        self,
        decider: Decider,
        config: PaperConfig,
        epoch: int,
        started: int,
        shown: str,
        reread: Callable[[], PaperConfig],
        changed: Callable[[PaperConfig], Awaitable[None]],
    ) -> None:
        self.config = config
        self.halted: dict[str, str] = {}  # portfolios that do not trade, since when, and why
        self._decider = decider
        self._health: Health = decider.health
        self._epoch, self._started, self._shown = epoch, started, shown
        self._reread, self._changed = reread, changed
        self._turn = asyncio.Lock()  # of those who reload: a signal, and operators

    async def operate(self, portfolio: str, action: str, reason: str, who: str) -> dict[str, Any]:
        """Put what an operator wants onto the tape; what came of it, after its commit. Raises ControlError."""
        portfolios = self._decider.core.engine.portfolio_index
        if portfolio not in portfolios:
            raise ControlError(f"there is no {portfolio!r}; there are {', '.join(portfolios)}")
        try:
            wanted = OperatorAction[action.upper()]
        except KeyError:
            known = ", ".join(a.name.lower() for a in OperatorAction)
            raise ControlError(f"there is no action {action!r}; there are {known}") from None
        content = {"portfolio": portfolio, "action": action, "reason": reason, "who": who}
        index = portfolios[portfolio]
        log.warning("operator", **content)
        seq = await self._enter(lambda ts: rows.command(ts, index, wanted), "command", content)
        return {"seq": seq, "portfolio": portfolio, "state": plain_state(self._decider.accounts, portfolio)}

    async def reload(self) -> dict[str, Any]:
        """Read the configuration anew, and the models that are promoted; go on by it, if nothing needs a restart.

        needs_session: why not even a restart would do, or None.
        Raises ControlError, ConfigError, and what is wrong with the process's part of it, changing nothing.
        """
        async with self._turn:
            try:
                return await self._reload()
            except Exception as error:  # whatever the file holds, the session goes on as it was
                log.error("not reloaded; the session goes on as it was", error=str(error))
                raise

    async def _reload(self) -> dict[str, Any]:
        config = self._reread()
        content = Content.of(config)
        found = changes(self.config, config)
        late = [change.key for change in found if change.how == "restart"]
        same = content.hash == self._decider.core.content.hash
        if late:
            answer = {"changed": [], "needs_restart": late, "needs_session": self._of_another(content)}
            log.error("not reloaded; the session goes on as it was", **answer)
            return answer
        if same and not found:
            return {"changed": [], "needs_restart": [], "needs_session": None}
        if not same:
            await self._enter(rows.timer, "settings", {"config": content.text, **content.described()})
        await self._changed(config)
        self.config = config
        keys = [change.key for change in found] or [f"{name}: {ref}" for name, ref in content.models.items()]
        log.info("reloaded", changed=keys)
        return {"changed": keys, "needs_restart": [], "needs_session": None}

    def _of_another(self, content: Content) -> str | None:
        """Why this session cannot go on by that, a restart or not; None: it can."""
        try:
            self._decider.core.fitting(content)
        except CoreError as error:
            return str(error)
        return None

    async def _enter(self, row: Callable[[int], Ticks], kind: str, content: dict[str, Any]) -> int:
        """Enter a row; its seq, once it is committed. Raises ControlError where it never will be."""
        try:
            return await self._decider.inbox.post(row, kind, content)
        except (LiveError, StoreError) as error:
            raise ControlError(f"it was not written: {error}") from error

    def status(self) -> dict[str, Any]:
        """What the session is and has, as far as it is committed."""
        health = self._health
        return {
            "session": self.config.session,
            "version": version(),
            "epoch": self._epoch,
            "seq": health.seq,
            "committed_seq": health.committed_seq,
            "time": _iso(health.now),
            "started": _iso(self._started),
            "state": str(health.stage),
            "ready": health.ready,
            "reasons": health.reasons(),
            "feed": {
                "source": self.config.feed.source, "state": health.feed,
                "down_since": _iso(health.feed_down_since), "last_print": _iso(health.last_print),
            },
            "database": {
                "url": self._shown, "error": health.database_error, "backlog_rows": health.backlog_rows,
            },
            "accounts": self._decider.accounts,
            "halted": self.halted,
            "gaps": {"open": sorted(health.gaps_open), "count": health.gaps},
            "missing": health.warming,
            "lost": health.lost,
            "counters": health.counters,
        }  # fmt: skip


def _iso(ns: int | None) -> str | None:
    if ns is None or ns <= 0:
        return None
    return datetime.fromtimestamp(ns // SECOND, UTC).isoformat().replace("+00:00", "Z")
