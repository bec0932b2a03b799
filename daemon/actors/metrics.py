"""How asynchronous actors are, for Prometheus: read when it asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from prometheus_client import Metric

    from daemon.actors.supervisor import ActorFacts

_COUNTS = {
    "starts": ("starts", "Times that an actor was started."),
    "lost": ("losses", "Times that an actor raised, hung, or that its process ended."),
    "heard": ("heard_bars", "Bars that an actor was asked about."),
    "dropped": ("dropped_bars", "Bars that an actor had no time for."),
    "signals": ("signals", "Signals that an actor gave."),
    "refused": ("refused_signals", "Signals that could not be used."),
    "unsent": ("unsent_signals", "Signals pushed out before the inbox took them."),
    "blocked": ("blocked", "Times that an actor held the event loop up for 0.1 s or more."),
}


class ActorsCollector(Collector):
    """The metrics papertape_actor_..., by actor; register it where the others are."""

    def __init__(self, facts: Callable[[], Sequence[ActorFacts]]) -> None:
        """facts: `Supervisor.facts`."""
        self._facts = facts

    def collect(self) -> Iterable[Metric]:
        """One sample an actor and metric."""
        facts = self._facts()
        up = GaugeMetricFamily(
            "papertape_actor_up", "Whether an actor runs: 0 while it is lost.", labels=["actor"]
        )
        depth = GaugeMetricFamily(
            "papertape_actor_waiting_bars", "Bars that wait for an actor.", labels=["actor"]
        )
        resident = GaugeMetricFamily(
            "papertape_actor_resident_bytes", "Memory that an actor's own process holds.", labels=["actor"]
        )
        for each in facts:
            up.add_metric([each.name], each.state in ("ready", "busy"))
            depth.add_metric([each.name], each.depth)
            if each.resident_bytes is not None:
                resident.add_metric([each.name], each.resident_bytes)
        yield from (up, depth, resident)
        for field, (name, text) in _COUNTS.items():
            family = CounterMetricFamily(f"papertape_actor_{name}", text, labels=["actor"])
            for each in facts:
                family.add_metric([each.name], getattr(each, field))
            yield family
