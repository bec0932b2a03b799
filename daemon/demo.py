"""The main job, offline: agents with an account each trade eight years of real daily prices; then two agents learn.

A Q-table and a small PPO network are trained on the years to 2010, and trade the three after it beside the rules.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

INSTRUMENTS = ["AAPL", "GOOG", "IBM", "MSFT"]
CASH = 100_000
AGENTS: dict[str, dict[str, Any]] = {
    "buy-and-hold": {"use": "buy_and_hold"},
    "sma-cross": {"use": "sma_cross", "params": {"fast": 20, "slow": 100}},
    "momentum": {"use": "momentum"},
    "mean-reversion": {"use": "rsi_reversion"},
}
LEARNT_UNTIL = "2010-01-01"
STEPS = {"qlearning": 2_000_000, "ppo": 300_000}
NEXT_STEPS = """
Next: papertape config schema              what a configuration may hold
      papertape backtest CONFIG.yaml       your own data, agents, fees and limits
      papertape train CONFIG.yaml          an agent of your own, judged on days that it has not seen
      the folder's config.yaml is a complete configuration of what has just run"""
NO_PPO = "the network is left out: training it needs torch; install papertape[rl]"


def config() -> dict[str, Any]:
    """The demo's configuration."""
    return {
        "name": "demo",
        "start": "2005-01-01",  # Google has been listed for some months; Apple's split is still to come
        **_market(),
        "accounts": [
            {
                "name": name,
                "cash": CASH,
                "limits": {"on_breach": "resize"},  # where the cash is short, buy what it pays for
                "strategies": [
                    {"instruments": INSTRUMENTS, "timeframe": "1d", "size": {"fraction": 0.95}, **agent}
                ],
            }
            for name, agent in AGENTS.items()
        ],
    }


def trainings() -> list[dict[str, Any]]:
    """The configurations of the agents that learn; PPO's only where torch is installed."""
    algorithms = ["qlearning", *(["ppo"] if find_spec("torch") and find_spec("stable_baselines3") else [])]
    return [
        {
            "name": f"demo-{algorithm}",
            "seed": 7,
            "end": LEARNT_UNTIL,
            **_market(),
            "algorithm": algorithm,
            "features": ["log_return_5", "sma_gap_20", "rsi_14", "exposure"],
            "reward": {"kind": "log_return", "scale": 100},
            "spans": {"train": 0.7, "validation": 0.15, "test": 0.15},
            "steps": STEPS[algorithm],
            "episode_bars": 250,
            "params": _PARAMS[algorithm],
            "evaluation": {"controls": False, "bootstrap": 0},
        }
        for algorithm in algorithms
    ]


def battle(models: dict[str, str]) -> dict[str, Any]:
    """The arena of the years after. models: an agent's name -> its model, NAME@VERSION."""
    return {
        "name": "demo-arena",
        "start": LEARNT_UNTIL,
        "warmup": "180d",
        **_market(),
        "limits": {"on_breach": "resize"},
        "agents": [{"name": name, "use": f"model:{ref}"} for name, ref in models.items()],
    }


_PARAMS: dict[str, dict[str, Any]] = {
    "qlearning": {"bins": 4, "gamma": 0.98},
    "ppo": {"gamma": 0.95, "net_arch": [32, 32], "learning_rate": 0.0005},
}


def _market() -> dict[str, Any]:
    return {
        "data": [{"source": "sample", "instrument": name, "bar": "1d"} for name in INSTRUMENTS],
        "instruments": {name: {"fees": {"bps": 5}} for name in INSTRUMENTS},
        "execution": {"slippage_bps": 2},
    }
