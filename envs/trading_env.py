"""One account on tapes as a Gymnasium environment. Whoever imports this module has it registered as papertape/Trading-v0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from gymnasium.utils import EzPickle

from engine.build import units_of
from engine.models import Array
from engine.records import EventKind, Side
from envs.errors import TaskError
from envs.lanes import Lanes, Normaliser
from envs.spans import Span
from envs.tapes import Tape
from strategies.convert import column
from strategies.errors import iso_utc

ID = "papertape/Trading-v0"
OPTIONS = ("start", "tape")


class TradingEnv(EzPickle, gymnasium.Env[Array, Any]):
    """One account trades one instrument on the engine that runs backtests.

    ## Description

    An agent trades one instrument with an account of its own. It decides at the close of each bar; its order goes through
    the gate to the simulated broker, and can fill on the next row of the tape at the earliest. All of this is the engine
    that runs backtests: an episode here, and a backtest on the same tape in which a strategy does the same, have the same
    fills and the same equity.

    ## Action Space

    What `Task.actions` says. Discrete actions are a `Discrete(3)`:

    | Num | Action | Outcome                                                             |
    |-----|--------|---------------------------------------------------------------------|
    | 0   | sell   | flat, or, where the task has `short`, short by the size             |
    | 1   | hold   | no order                                                            |
    | 2   | buy    | long by the size: so many units, or a share of equity at the entry  |

    Targets are a `Box` of shape `(1,)` and type `float32` from 0, or -1 where the task has `short`, to 1: times the size
    it is the wanted exposure as a share of equity, in steps of a thousandth. What lies outside counts as the bound. For a
    change of less than the task's `threshold` nothing is ordered, but to go flat.

    ## Observation Space

    A `Box` of type `float32` with a number for each of `Task.features`, in their order, at the close of the bar. With a
    normaliser each is (x - mean) * scale, and is bounded to plus and minus its `clip`; without one it is as it comes, and
    the bound is the largest number of the type. No number is ever NaN.

    ## Rewards

    What the bar after the action has brought, by the formula of `envs.task.Reward`: profit, log return or differential
    Sharpe ratio, with penalties for drawdowns, costs and volatility.

    ## Starting State

    An account with its initial cash and no position, at the close of a bar at which all features are there. One of the
    tapes is drawn. Where the task has `episode_bars` the bar is drawn too, from those that leave room for all of the
    episode; otherwise it is the first of the span.

    ## Episode End

    1. Termination: equity is at or below the share `Task.ruin` of the initial cash.
    2. Truncation: `Task.episode_bars` steps are done, or the last bar of the span has closed. A position that is there
       stays open: nothing ends, the agent is only watched no longer, and what the future is worth to it is not zero.

    ## Information

    `reset` and `step` give a dictionary. Amounts are in the account's currency, each the nearest float to an exact count
    of the currency's smallest units; times are int ns UTC.

    | Key        | Value                                                                                        |
    |------------|----------------------------------------------------------------------------------------------|
    | `time`     | when the bar closed                                                                          |
    | `tape`     | index of the tape                                                                            |
    | `bar`      | index of the bar on it                                                                       |
    | `price`    | the last price                                                                               |
    | `cash`     | of the account                                                                               |
    | `equity`   | cash and the position at that price                                                          |
    | `position` | signed, in units                                                                             |
    | `drawdown` | what equity has lost from its highest close in the episode, as a share                       |
    | `fees`     | paid since the start of the episode                                                          |
    | `fills`    | of this step, in order: a list of {`ts_event`, `side` ("BUY", "SELL"), `last_qty`, `last_px`, `fee`} |

    ## Arguments

    | Parameter     | Type                       | Default                          | Description                          |
    |---------------|----------------------------|----------------------------------|--------------------------------------|
    | `tapes`       | sequence of `Tape`         |                                  | one or more, prepared for one task   |
    | `spans`       | sequence of `Span`, `None` | from the first bar with features | for each tape, the bars of episodes  |
    | `normaliser`  | `Normaliser`, `None`       | `None`                           | how observations are scaled          |
    | `render_mode` | `"ansi"`, `None`           | `None`                           | `render` gives one line of text      |

    `reset(options={"start": 500, "tape": 1})` begins at that bar of that tape; either may be left out, and is drawn then.

    ```python
    >>> import gymnasium
    >>> env = gymnasium.make("envs.trading_env:papertape/Trading-v0", tapes=[tape])
    >>> observation, info = env.reset(seed=7)
    >>> observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
    ```

    Raises TaskError where tapes, spans and task do not fit, or an option is not known or leaves no room for an episode;
    ValueError for an action that is none; ResetNeeded for a step before `reset` or after the end.

    ## Vectorised environment

    Any of Gymnasium's works. Much quicker are `envs.lanes.Lanes`, which this is one of, and for Stable-Baselines3
    `envs.ppo.vecenv.LaneVecEnv`: they step a thousand accounts in one compiled call.

    ## Version History

    * v0: the first.
    """

    metadata = {"render_modes": ["ansi"], "render_fps": 1}  # noqa: RUF012 -- as Gymnasium has it

    def __init__(
        self,
        tapes: Sequence[Tape],
        spans: Sequence[Span] | None = None,
        normaliser: Normaliser | None = None,
        render_mode: str | None = None,
    ) -> None:
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ValueError(f'there is no render_mode {render_mode!r}; write "ansi", or leave it out')
        # compiled lanes hold addresses: a copy is another environment of the same making
        EzPickle.__init__(self, tapes, spans, normaliser, render_mode)
        self.render_mode = render_mode
        self._lanes = lanes = Lanes(
            tapes, 1, seed=0, spans=spans, normaliser=normaliser, restarts=False, events=1 << 14
        )
        self._information = _Information(lanes)
        self._running = False
        task, bound = lanes.task, lanes.normaliser.clip
        self.observation_space = spaces.Box(-bound, bound, (len(task.features),), np.float32)
        self.action_space = spaces.Discrete(3)
        if task.actions.target:
            self.action_space = spaces.Box(-1.0 if task.actions.short else 0.0, 1.0, (1,), np.float32)

    @property
    def tapes(self) -> tuple[Tape, ...]:
        """The tapes of its episodes."""
        return self._lanes.tapes

    @property
    def spans(self) -> tuple[Span, ...]:
        """For each tape the bars between which its episodes lie."""
        return self._lanes.spans

    def reset(
        self, *, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """Begin an episode; the first observation and its information."""
        super().reset(seed=seed)
        given = dict(options or {})
        if unknown := [name for name in given if name not in OPTIONS]:
            raise TaskError(f"there is no option {unknown[0]!r}; there are {' and '.join(OPTIONS)}")
        tape, start = choose_start([self], self.np_random, given)
        self._lanes.place(0, start, tape)
        self._running = True
        return self._observation(), self._information.read()

    def step(self, action: Any) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """Act, and go on to the close of the next bar: observation, reward, terminated, truncated, information."""
        if not self._running:
            raise ResetNeeded("there is no episode, or it has ended; call reset() first")
        lanes = self._lanes
        lanes.step(self._number(action))
        terminated, truncated = bool(lanes.terminated[0]), bool(lanes.truncated[0])
        self._running = not (terminated or truncated)
        return self._observation(), float(lanes.rewards[0]), terminated, truncated, self._information.read()

    def render(self) -> str | None:
        """One line: time, instrument, price, position, equity and drawdown; None without a render mode."""
        if self.render_mode is None:
            return None
        tape, info = self.tapes[self._lanes.batch.lanes[0].tape], self._information.read()
        currency = tape.task.account.currency
        return (
            f"{iso_utc(info['time'])} {tape.name} {info['price']:.2f}: position {info['position']:g}, "
            f"equity {info['equity']:,.2f} {currency}, drawdown {info['drawdown']:.1%}"
        )

    def _number(self, action: Any) -> float:
        space = self.action_space
        if isinstance(space, spaces.Discrete):
            if space.contains(action):
                return float(action)
            raise ValueError(f"an action {action!r}; there are 0 (sell), 1 (hold) and 2 (buy)")
        target = np.asarray(action, np.float64)
        if target.shape == space.shape and np.isfinite(target).all():
            return float(target[0])
        raise ValueError(
            f"an action {action!r}; it is one finite number, the target, in an array of shape (1,)"
        )

    def _observation(self) -> Array:
        return np.array(self._lanes.observations[0])


class _Information:
    """Reads a lane: columns that are looked up once, for a record's attribute takes longer than a step."""

    def __init__(self, lanes: Lanes) -> None:
        s, lane = lanes.state(0), lanes.batch.lanes
        self._lot_sizes = [tape.market.instrument.lot_size for tape in lanes.tapes]
        self._now, self._n_events = column(s.clock, "now"), column(s.clock, "n_events")
        self._scale = column(s.accounts, "scale")  # 0 before the first episode
        self._cash, self._fees = column(s.accounts, "cash"), column(s.accounts, "fees")
        self._price, self._lots = column(s.instruments, "price"), column(s.slots, "lots")
        self._tape, self._bar = column(lane, "tape"), column(lane, "bar")
        self._equity, self._drawdown = column(lane, "equity"), column(lane, "drawdown")
        self._kind, self._events = column(s.events, "kind"), s.events.view(np.ndarray)

    def read(self) -> dict[str, Any]:
        """What `reset` and `step` tell beside the observation."""
        tape, scale = self._tape[0], self._scale[0]
        lot_size = self._lot_sizes[tape]
        return {
            "time": self._now[0],
            "tape": tape,
            "bar": self._bar[0],
            "price": self._price[0],
            "cash": self._cash[0] / scale,
            "equity": self._equity[0] / scale,
            "position": units_of(self._lots[0], lot_size),
            "drawdown": self._drawdown[0],
            "fees": self._fees[0] / scale,
            "fills": [
                self._fill(self._events[i], lot_size)
                for i in range(self._n_events[0])
                if self._kind[i] == EventKind.FILL
            ],
        }

    def _fill(self, event: Any, lot_size: float) -> dict[str, Any]:
        return {
            "ts_event": int(event["ts"]),
            "side": Side(event["side"]).name,
            "last_qty": units_of(int(event["last_lots"]), lot_size),
            "last_px": float(event["last_px"]),
            "fee": int(event["last_fee"]) / self._scale[0],
        }


def choose_start(
    envs: Sequence[TradingEnv], rng: np.random.Generator, options: Mapping[str, Any]
) -> tuple[int, int]:
    """A tape, and a bar of it, at which all of the environments begin: as `options` say, or drawn.

    The environments have the same spans. Raises TaskError where there is no such tape.
    """
    spans = envs[0].spans
    tape = options.get("tape")
    if tape is None:
        tape = int(rng.integers(len(spans)))
    elif not 0 <= tape < len(spans):
        raise TaskError(f"there is no tape {tape}; there are 0 to {len(spans) - 1}")
    start = options.get("start")
    if start is None:
        span = spans[tape]
        lengths = [env.tapes[tape].task.episode_bars or len(span) for env in envs]
        start = int(rng.integers(span.start, max(span.end - max(lengths), span.start + 1)))
    return tape, start


gymnasium.register(ID, entry_point="envs.trading_env:TradingEnv")
