"""The controls: markets on which it is known what an agent should find, each put to a freshly trained one.

On three of them the best policy is known, and the agent must earn most of what that policy earns on paths that neither has
seen. On the fourth there is nothing to find, and it must find nothing. An algorithm, with its settings, that fails one of
them does not learn, or learns what is not there; what it makes of real prices is then worth nothing either.

Rewards are compared as they were to be expected bar by bar (`Path.expected`), which leaves out most of the noise; where nothing
is to be expected, as they came.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from engine.models import Array, Model, QTable
from envs.controls.agents import EXPOSURE, Ground, Settings, learn, make_ground, make_task, positions_of
from envs.controls.markets import FEE_BPS, Leaked, Market, MarkovSwitching, OrnsteinUhlenbeck, Path, Shuffled
from envs.controls.policies import rewards_of, share_of, standard_error
from envs.controls.solutions import Solution
from envs.ppo.settings import PPOSettings
from envs.qlearning.trainer import QSettings
from envs.task import Reward, Task

Algorithm = Literal["qlearning", "ppo"]

BARS = 10_000  # of each path
TRAIN, VALIDATION, TEST = 8, 2, 4  # paths
BINS = 12
NOISE = 2.0  # standard errors by which chance may beat nothing
SCALE = 100.0  # of the reward: returns in per cent, which are of the size that networks like
BPS = 1e4


@dataclass(frozen=True)
class Demand:
    """What is asked of an algorithm: at least that share of the optimum, after so many steps on each market.

    updates: of a network, at least; they take more steps where each has more.
    """

    share: float
    steps: int
    updates: int = 0

    def steps_of(self, settings: Settings) -> int:
        """The steps that an agent with these settings gets."""
        each = settings.n_lanes * settings.n_steps if isinstance(settings, PPOSettings) else 0
        return max(self.steps, self.updates * each)


DEMANDS: Mapping[Algorithm, Demand] = {"qlearning": Demand(0.95, 1_000_000), "ppo": Demand(0.90, 300_000, 36)}
DEFAULTS: Mapping[Algorithm, Callable[[], Settings]] = {"qlearning": QSettings, "ppo": PPOSettings}


def as_it_is(path: Path) -> Path:
    """All that the market shows, when it shows it."""
    return path


@dataclass(frozen=True)
class Control:
    """A market, what an agent sees of it, and what it is paid for.

    features: those that the engine adds to the market's own and to the agent's exposure. seen: the path as the agent gets it;
    reward: what it earns there. Anything but the default of these two is a wrong setting, with which it should fail.
    """

    name: str
    market: Market
    features: tuple[str, ...] = ()
    seen: Callable[[Path], Path] = as_it_is
    reward: Reward = field(default_factory=lambda: Reward(scale=SCALE))


@dataclass(frozen=True)
class ControlResult:
    """What a fresh agent came to on unseen paths of one market.

    share: what it earned, as a share of what the best policy earned on the same bars, and its standard error; bar: the
    least share that passes; all three None where nothing can be earned. reward_bps: its mean log return of a bar, net of
    costs, with its standard error; best_bps: the best policy's. Both are of what was to be expected, where there is a share. seconds: of wall time. says: all this in a sentence.
    """

    name: str
    passed: bool
    share: float | None
    error: float | None
    bar: float | None
    reward_bps: float
    reward_error_bps: float
    best_bps: float
    steps: int
    seconds: float
    says: str


@dataclass(frozen=True)
class ControlResults:
    """What came out of all controls of an algorithm."""

    algorithm: Algorithm
    seed: int
    results: tuple[ControlResult, ...]

    @property
    def passed(self) -> bool:
        """Whether each of them passed."""
        return all(result.passed for result in self.results)

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it, for a model's card."""
        return {
            "passed": self.passed,
            "algorithm": self.algorithm,
            "seed": self.seed,
            "fee_bps": FEE_BPS,
            "controls": [asdict(result) for result in self.results],
        }


def fat_tailed(n: int = 20_000) -> Array:
    """(n,) float64 returns to be shuffled: Student's t with 4 degrees of freedom, 30 bps a bar."""
    random = np.random.Generator(np.random.PCG64(4))
    return np.asarray(random.standard_t(4.0, n) * 0.003 / np.sqrt(2.0))  # its variance is 2


CONTROLS = (
    Control("Markov switching", MarkovSwitching()),
    Control("Ornstein-Uhlenbeck", OrnsteinUhlenbeck(cells=200)),
    Control("leaked return", Leaked(cells=200)),
    Control("shuffled returns", Shuffled(fat_tailed()), ("log_return", "rsi_14")),
)


def run_controls(
    algorithm: Algorithm,
    settings: Settings | None = None,
    seed: int = 0,
    tell: Callable[[str], None] = lambda message: None,
    *,
    bins: int = BINS,
    controls: Sequence[Control] = CONTROLS,
) -> ControlResults:
    """Put each control to a freshly trained agent of the algorithm with these settings; None: its defaults.

    The steps are the controls' own. bins: of each feature, of a table; it is measured by the best policy on the same bins.
    tell: hears which control is next. The same seed gives the same results, but for the seconds. Ctrl-C raises
    KeyboardInterrupt.
    """
    settings = settings or DEFAULTS[algorithm]()
    demand = DEMANDS[algorithm]
    results = []
    for i, control in enumerate(controls):
        tell(f"control {i + 1} of {len(controls)}: {algorithm} on {control.name}")
        results.append(run_control(control, settings, demand, seed, bins))
    return ControlResults(algorithm, seed, tuple(results))


def run_control(
    control: Control, settings: Settings, demand: Demand, seed: int, bins: int = BINS
) -> ControlResult:
    """Train an agent on some paths, choose its best version on others, and judge it on a third lot."""
    began = time.perf_counter()
    task = make_task(control.market, (*control.market.features, *control.features, EXPOSURE), control.reward)
    seeds = iter(np.random.SeedSequence(seed).generate_state(TRAIN + VALIDATION + TEST + 1).tolist())
    train, validation, test = (_grounds(control, task, seeds, count) for count in (TRAIN, VALIDATION, TEST))

    def value(model: Model) -> float:
        came = [ground.returns for ground in validation]
        earned = _rewards([positions_of(model, ground.tape) for ground in validation], came)
        return control.reward.scale * float(earned.mean())

    model, steps = learn(
        settings,
        [ground.tape for ground in train],
        value,
        seed=next(seeds),
        steps=demand.steps_of(settings),
        bins=bins,
    )
    of_market = control.market.solve(FEE_BPS)
    best = control.market.solve_binned(model.edges[0], FEE_BPS) if isinstance(model, QTable) else of_market
    # where returns can be foreseen at all, what was foreseeable is compared; else what came
    known = of_market.reward_per_step > 0
    returns = [ground.expected if known else ground.returns for ground in test]
    mine = _rewards([positions_of(model, ground.tape) for ground in test], returns)
    theirs = _rewards([_best_positions(control.market, best, ground) for ground in test], returns)
    verdict = _shared(mine, theirs, demand) if known else _noise(mine)
    return ControlResult(
        name=control.name,
        **verdict,
        reward_bps=float(mine.mean()) * BPS,
        reward_error_bps=standard_error(mine) * BPS,
        best_bps=float(theirs.mean()) * BPS,
        steps=steps,
        seconds=round(time.perf_counter() - began, 3),
    )


def _grounds(control: Control, task: Task, seeds: Iterator[int], count: int) -> list[Ground]:
    paths = [control.market.paths(next(seeds), BARS) for _ in range(count)]
    return [make_ground(path, control.seen(path), task) for path in paths]


def _rewards(positions: Sequence[Array], returns: Sequence[Array]) -> Array:
    # each path begins flat
    return np.concatenate([rewards_of(p, r, FEE_BPS) for p, r in zip(positions, returns, strict=True)])


def _best_positions(market: Market, best: Solution, ground: Ground) -> Array:
    column = ground.path.columns[market.features[0]] if market.features else np.zeros(len(ground.tape))
    return best.policy.positions(column[ground.tape.ready : -1])


def _shared(mine: Array, theirs: Array, demand: Demand) -> dict[str, Any]:
    if not theirs.mean() > 0:
        says = "On so few bins even the best policy earns nothing, so nothing is known of this one; give more bins."
        return {"passed": False, "share": None, "error": None, "bar": demand.share, "says": says}
    share, error = share_of(mine, theirs)
    passed = share >= demand.share
    says = (
        f"It earned {share:.1%} ± {error:.1%} of what the best policy earned on unseen paths; "
        f"{'at least' if passed else 'too little: it should be'} {demand.share:.0%}."
    )
    return {"passed": passed, "share": share, "error": error, "bar": demand.share, "says": says}


def _noise(mine: Array) -> dict[str, Any]:
    mean, error = float(mine.mean()) * BPS, standard_error(mine) * BPS
    passed = mean <= NOISE * error
    says = (
        f"Where there is nothing to find, it earned {mean:+.2f} ± {error:.2f} bps a bar: "
        f"{'no more than chance does' if passed else 'more than chance does, so it sees what it should not'}."
    )
    return {"passed": passed, "share": None, "error": None, "bar": None, "says": says}
