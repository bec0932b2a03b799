"""A strategy in Python that raises is taken out; all others go on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog

from strategies.errors import StrategyError

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.engine import Actor, Engine

log = structlog.get_logger()


class Guarded:
    """An actor that is asked no more once it has raised; its working orders are cancelled, unless its spec keeps them.

    lost: what it raised, or None. What it did at the row before it raised stays done. Being a function of the tape it is
    lost at the same row of a replay.
    """

    def __init__(self, name: str, actor: Actor, new: bool = False) -> None:
        """new: it begins with its session: one that cannot is an error of the configuration, and raises."""
        self.name = name
        self.actor = actor
        self.wants = actor.wants
        self.lost: str | None = None
        self._new = new
        self._engine: Engine | None = None

    def start(self, engine: Engine, strategy: int) -> None:
        """Begin."""
        self._engine = engine
        try:
            self.actor.start(engine, strategy)
        except StrategyError as error:
            if self._new:
                raise
            self._lose(error)

    def bar(self, slot: int) -> None:
        """A bar closed in the slot's series."""
        self._ask(self.actor.bar, slot)

    def bars(self, none: int) -> None:
        """All bars that close at this moment have closed."""
        self._ask(self.actor.bars, none)

    def tick(self, slot: int) -> None:
        """The slot's instrument had a row."""
        self._ask(self.actor.tick, slot)

    def fill(self, event: int) -> None:
        """An order was filled."""
        self._ask(self.actor.fill, event)

    def order(self, event: int) -> None:
        """An order changed its status."""
        self._ask(self.actor.order, event)

    def timer(self, timer_id: int) -> None:
        """A timer fired."""
        self._ask(self.actor.timer, timer_id)

    def action(self, event: int) -> None:
        """A corporate action happened."""
        self._ask(self.actor.action, event)

    def signal(self, signal: Any) -> None:
        """An actor beside the engine has said something."""
        self._ask(self.actor.signal, signal)  # type: ignore[attr-defined] # the configuration lets only those listen that have it

    def stop(self) -> None:
        """The tape has ended."""
        if self.lost is None:
            try:
                self.actor.stop()
            except StrategyError as error:
                self._lose(error)

    @property
    def keeps_state(self) -> bool:
        """Whether `save` gives all that `load` needs: it has a state_dict, or nothing to keep."""
        return self.lost is not None or self._state() is not None

    @property
    def forgets(self) -> bool:
        """Whether it has no state_dict, even if it is out now: new settings may bring it back."""
        return self._state() is None

    def save(self) -> dict[str, Any]:
        """What `load` takes. Without a state_dict that is no state, and `load` leaves it as it began."""
        return {"lost": self.lost, "state": None if self.lost is not None else self._state()}

    def _state(self) -> Any:
        try:
            return self.actor.save()
        except StrategyError as error:  # when it is asked depends on the clock: that must not take it out
            log.error("the state of a strategy cannot be kept", strategy=self.name, error=str(error))
            return None

    def load(self, saved: dict[str, Any]) -> None:
        """Take what `save` gave."""
        self.lost = saved["lost"]
        if self.lost is None and saved["state"] is None:
            self.actor.rebind()  # type: ignore[attr-defined] # PythonActor has it
        elif self.lost is None:
            self.actor.load(saved["state"])

    def _ask(self, question: Callable[[Any], None], what: Any) -> None:
        if self.lost is None:
            try:
                question(what)
            except StrategyError as error:
                self._lose(error)

    def _lose(self, error: StrategyError) -> None:
        self.lost = str(error)
        assert self._engine is not None  # it was asked
        self._engine.disconnect(self.name)
