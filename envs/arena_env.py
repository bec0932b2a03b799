"""Several agents side by side on the same tape, each with an account of its own, as a PettingZoo environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.utils import EzPickle
from pettingzoo import ParallelEnv

from engine.models import Array
from envs.errors import TaskError
from envs.lanes import Normaliser
from envs.spans import Span
from envs.tapes import Tape
from envs.trading_env import OPTIONS, TradingEnv, choose_start


class ArenaEnv(EzPickle, ParallelEnv[str, Array, Any]):
    """Agents that live through the same bars at the same time; none moves the price that another sees.

    Each has a task of its own, and is a `TradingEnv`: its docstring says what observations, actions, rewards and infos
    are. All begin at the same bar, drawn so that the longest of their episodes has room. `agents` are those whose episode
    goes on: who is ruined, or has come to the end of its `episode_bars`, leaves, and the others go on.

    tapes: for each agent the same instruments in the same order, prepared for its task: {"careful": [tape_of_a, tape_of_b],
    "bold": [...]}. spans: for each tape the bars between which episodes lie, for all agents alike; default: from the first
    at which all of them have their features to the last. normalisers: of some agents or of all. render_mode: "ansi" gives
    a line an agent.

    `reset(seed=7, options={"start": 500, "tape": 1})` is as in `TradingEnv`, but that options which it does not know
    change nothing, as PettingZoo's own test wants it.

    Raises TaskError where the agents' tapes differ, or as `TradingEnv` does.

    For SuperSuit's vector environments all agents need equal spaces: tasks with the same number of features, actions of
    the same kind, and normalisers with the same clip, or none. They also want all agents to stay to the end; where one
    can be ruined before the others, put `supersuit.black_death_v3` around it first.
    """

    metadata = {"render_modes": ["ansi"], "render_fps": 1, "name": "papertape_arena_v0"}  # noqa: RUF012 -- as PettingZoo has it

    def __init__(
        self,
        tapes: Mapping[str, Sequence[Tape]],
        spans: Sequence[Span] | None = None,
        normalisers: Mapping[str, Normaliser] | None = None,
        render_mode: str | None = None,
    ) -> None:
        EzPickle.__init__(self, tapes, spans, normalisers, render_mode)
        self.render_mode = render_mode
        _check_alike(tapes)
        normalisers = normalisers or {}
        if unknown := [name for name in normalisers if name not in tapes]:
            raise TaskError(f"a normaliser of {unknown[0]!r}; there are the agents {', '.join(tapes)}")
        spans = common_spans(tapes) if spans is None else spans
        self._envs = {
            agent: TradingEnv(own, spans, normalisers.get(agent), render_mode) for agent, own in tapes.items()
        }
        self._rng: np.random.Generator | None = None
        self.possible_agents = [*tapes]
        self.agents: list[str] = []
        self.observation_spaces = {agent: env.observation_space for agent, env in self._envs.items()}
        self.action_spaces = {agent: env.action_space for agent, env in self._envs.items()}

    def observation_space(self, agent: str) -> spaces.Space[Any]:
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Space[Any]:
        return self.action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[dict[str, Array], dict[str, dict[str, Any]]]:
        """Begin an episode of all agents; first observations and infos by agent."""
        if seed is not None or self._rng is None:
            self._rng = np.random.default_rng(seed)
        known = {name: value for name, value in (options or {}).items() if name in OPTIONS}
        place = dict(
            zip(("tape", "start"), choose_start([*self._envs.values()], self._rng, known), strict=True)
        )
        begun = {agent: env.reset(options=place) for agent, env in self._envs.items()}
        self.agents = [*self.possible_agents]
        return {agent: b[0] for agent, b in begun.items()}, {agent: b[1] for agent, b in begun.items()}

    def step(
        self, actions: Mapping[str, Any]
    ) -> tuple[
        dict[str, Array], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]
    ]:
        """Act, each of `agents`: observations, rewards, terminations, truncations and infos by agent.

        Where there are no agents left, all are empty. Raises ValueError where an agent's action is missing, or one is
        given of an agent that is not there.
        """
        if wrong := set(actions) ^ set(self.agents):
            raise ValueError(f"actions of {[*actions]}; the agents are {self.agents}: {min(wrong)!r} differs")
        taken = {agent: self._envs[agent].step(actions[agent]) for agent in self.agents}
        self.agents = [agent for agent, (_, _, ruined, cut, _) in taken.items() if not (ruined or cut)]
        return (
            {agent: t[0] for agent, t in taken.items()},
            {agent: t[1] for agent, t in taken.items()},
            {agent: t[2] for agent, t in taken.items()},
            {agent: t[3] for agent, t in taken.items()},
            {agent: t[4] for agent, t in taken.items()},
        )

    def render(self) -> str | None:
        """A line for each agent, those that have left as they stood then; None without a render mode."""
        if self.render_mode is None:
            return None
        width = max(map(len, self._envs))
        return "\n".join(f"{agent:{width}}  {env.render()}" for agent, env in self._envs.items())


def common_spans(tapes: Mapping[str, Sequence[Tape]]) -> list[Span]:
    """For each instrument the bars from the first at which all agents have their features to the last."""
    return [
        Span(max(tape.ready for tape in same), len(same[0])) for same in zip(*tapes.values(), strict=True)
    ]


def _check_alike(tapes: Mapping[str, Sequence[Tape]]) -> None:
    if not tapes:
        raise TaskError("an arena without agents; give the tapes of at least one: {name: [tape]}")
    (first, given), *others = tapes.items()
    for agent, own in others:
        if len(own) != len(given):
            raise TaskError(
                f"{first} has {len(given)} tapes and {agent} {len(own)}; all agents need the same instruments"
            )
        for a, b in zip(given, own, strict=True):
            same_rows = all(np.array_equal(x, y) for x, y in zip(a.rows, b.rows, strict=True))
            if not (same_rows and np.array_equal(a.times, b.times)):
                raise TaskError(
                    f"{a.name} of {first} and {b.name} of {agent} differ in their rows, or when bars close; make all "
                    "agents' tapes of the same rows, and give their tasks the same bars"
                )
