"""What a strategy sees of its account."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from strategies.convert import column

if TYPE_CHECKING:
    from engine.engine import Engine


class AccountView:
    """The account that a strategy trades in, as it is at the moment; other strategies may trade in it too.

    Amounts come as floats in the account's currency and, with `_micros`, as the exact integers of the ledger: millionths
    of the currency, or whatever smallest unit the currency was configured to count.
    """

    name: str
    currency: str

    def __init__(self, engine: Engine, name: str) -> None:
        self.name = name
        self._engine = engine
        self._index = engine.account_index[name]
        spec = engine.spec.accounts[self._index]
        self.currency = spec.currency
        self._scale = engine.spec.scale(spec.currency)
        self.bind()

    def bind(self) -> None:
        """Look at the engine's arrays as they are now."""
        s = self._engine.state
        account = s.accounts[self._index]
        self._cash = column(s.accounts, "cash")
        self._peak = column(s.accounts, "peak")
        self._held = column(s.holdings, "lots")
        self._prices = column(s.instruments, "price")
        self._holdings = [
            (h, int(s.holdings[h].instrument), float(s.instruments[s.holdings[h].instrument].money_per_lot))
            for h in range(account.first_holding, account.first_holding + account.n_holdings)
        ]

    @property
    def cash_micros(self) -> int:
        """Cash, exact."""
        cash: int = self._cash[self._index]
        return cash

    @property
    def equity_micros(self) -> int:
        """Cash and all holdings at the last prices, each rounded to the smallest unit of money."""
        equity = self.cash_micros
        for h, k, money_per_lot in self._holdings:
            lots = self._held[h]
            if lots:
                equity += round(self._prices[k] * (lots * money_per_lot))
        return equity

    @property
    def cash(self) -> float:
        """Cash, in currency."""
        return self.cash_micros / self._scale

    @property
    def equity(self) -> float:
        """Cash and all holdings at the last prices, in currency."""
        return self.equity_micros / self._scale

    def feature(self, which: int, units: float, bars_held: int) -> float:
        """The account-side feature `which`, as `engine.features.observe` computes it; NaN where it has no value.

        units, bars_held: of the strategy in the instrument observed.
        """
        from engine.features import AccountFeature

        if which == AccountFeature.BALANCE:
            return self.cash
        if which == AccountFeature.HOLDINGS:
            return units
        if which == AccountFeature.BARS_HELD:
            return float(bars_held)
        equity = self.equity_micros
        if which == AccountFeature.CASH_SHARE:
            return self.cash_micros / equity if equity > 0 else math.nan
        peak = max(self._peak[self._index], equity)
        return 1.0 - equity / peak if peak > 0 else math.nan
