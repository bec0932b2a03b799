"""The main job, offline: agents with an account each trade eight years of real daily prices."""

from __future__ import annotations

from typing import Any

INSTRUMENTS = ["AAPL", "GOOG", "IBM", "MSFT"]
CASH = 100_000
AGENTS: dict[str, dict[str, Any]] = {
    "buy-and-hold": {"use": "buy_and_hold"},
    "sma-cross": {"use": "sma_cross", "params": {"fast": 20, "slow": 100}},
    "momentum": {"use": "momentum"},
    "mean-reversion": {"use": "rsi_reversion"},
}
NEXT_STEPS = """
Next: papertape config schema              what a configuration may hold
      papertape backtest CONFIG.yaml       your own data, agents, fees and limits
      the folder's config.yaml is a complete configuration of what has just run"""


def config() -> dict[str, Any]:
    """The demo's configuration."""
    return {
        "name": "demo",
        "start": "2005-01-01",  # Google has been listed for some months; Apple's split is still to come
        "data": [{"source": "sample", "instrument": name, "bar": "1d"} for name in INSTRUMENTS],
        "instruments": {name: {"fees": {"bps": 5}} for name in INSTRUMENTS},
        "execution": {"slippage_bps": 2},
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
