"""What a session has, as JSON for people: accounts, positions, states."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.build import units_of, worth
from engine.records import TradingState

if TYPE_CHECKING:
    from daemon.live.core import Core
    from engine.engine import Engine

_STATES = {state.value: state.name.lower() for state in TradingState}


def accounts(core: Core) -> list[dict[str, Any]]:
    """Each account as it stands behind the last row: amounts in its currency, quantities in units."""
    engine, lost = core.engine, core.lost
    held = _positions(engine)
    working = [int(engine.state.orders[place].account) for place in engine.live_orders()]
    found = []
    for a, account in enumerate(engine.spec.accounts):
        row = engine.state.accounts[a]
        scale = engine.spec.scale(account.currency)
        equity = engine.equity(account.name)
        peak = max(int(engine.state.portfolios[a].peak), int(row.peak))
        found.append({
            "name": account.name,
            "currency": account.currency,
            "state": _STATES[int(row.state)],
            "cash": int(row.cash) / scale,
            "equity": equity / scale,
            "realized": int(row.realized) / scale,
            "fees": int(row.fees) / scale,
            "drawdown": max(0.0, 1.0 - equity / peak) if peak > 0 else None,
            "orders": working.count(a),
            "positions": held.get(a, []),
            "strategies": [
                {
                    "name": s.name,
                    "state": _STATES[int(engine.state.strategies[i].state)],
                    "model": core.content.models.get(s.name),
                    "lost": lost.get(s.name),
                }
                for i, s in enumerate(engine.spec.strategies)
                if s.account == account.name
            ],
        })  # fmt: skip
    return found


def _positions(engine: Engine) -> dict[int, list[dict[str, Any]]]:
    s, spec = engine.state, engine.spec
    cost: dict[tuple[int, int], int] = {}
    for slot in s.slots[s.slots["lots"] != 0]:
        key = int(slot.account), int(slot.instrument)
        cost[key] = cost.get(key, 0) + int(slot.cost)
    found: dict[int, list[dict[str, Any]]] = {}
    for holding in s.holdings[s.holdings["lots"] != 0]:
        a, k = int(holding.account), int(holding.instrument)
        instrument = s.instruments[k]
        scale = spec.scale(spec.accounts[a].currency)
        value = round(worth(instrument, int(holding.lots), float(instrument.price)))
        found.setdefault(a, []).append({
            "instrument": spec.instruments[k].name,
            "quantity": units_of(int(holding.lots), float(instrument.lot_size)),
            "price": float(instrument.price),
            "value": value / scale,
            "profit": (value - cost.get((a, k), 0)) / scale,
        })  # fmt: skip
    return found
