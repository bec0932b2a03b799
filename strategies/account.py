"""What a strategy sees of its account."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from engine.build import worth
from engine.features import AccountFeature
from engine.ledger import MONEY_LIMIT
from strategies.convert import column

if TYPE_CHECKING:
    from engine.engine import Engine


class _Holding(NamedTuple):
    """Where a holding lies, and the scales of its instrument, as the engine has them."""

    place: int
    instrument: int
    lots_per_money: float
    money_per_lot: float


class AccountView:
    """The account that a strategy trades in, as it is at the moment; other strategies may trade in it too.

    Amounts come as floats in the account's currency and, with `_micros`, as the exact integers of the ledger: millionths
    of the currency, or whatever smallest unit the currency was configured to count.
    """

    name: str
    currency: str
    leverage: (
        float | None
    )  # gross exposure over equity that orders may reach; None: a cash account, no shorting

    def __init__(self, engine: Engine, name: str) -> None:
        self.name = name
        self._engine = engine
        self._index = engine.account_index[name]
        spec = engine.spec.accounts[self._index]
        self.currency = spec.currency
        self.leverage = spec.margin.leverage if spec.margin else None
        self._scale = engine.spec.scale(spec.currency)
        self.bind()

    def bind(self) -> None:
        """Look at the engine's arrays as they are now."""
        s = self._engine.state
        account = s.accounts[self._index]
        self._cash = column(s.accounts, "cash")
        self._reserved = column(s.accounts, "reserved")
        self._interest = column(s.accounts, "interest")
        self._income = column(s.accounts, "income")
        self._deposits = column(s.accounts, "deposits")
        self._peak = column(s.accounts, "peak")
        self._held = column(s.holdings, "lots")
        self._buying = column(s.holdings, "working_buy")
        self._selling = column(s.holdings, "working_sell")
        self._prices = column(s.instruments, "price")
        self._holdings = []
        for h in range(account.first_holding, account.first_holding + account.n_holdings):
            k = int(s.holdings[h].instrument)
            scales = float(s.instruments[k].lots_per_money), float(s.instruments[k].money_per_lot)
            self._holdings.append(_Holding(h, k, *scales))

    # -- exact ----------------------------------------------------------------------------------------------------

    @property
    def cash_micros(self) -> int:
        """Cash, exact."""
        cash: int = self._cash[self._index]
        return cash

    @property
    def equity_micros(self) -> int:
        """Cash and all holdings at the last prices, each rounded to the smallest unit of money."""
        equity = self.cash_micros
        for holding in self._holdings:
            lots = self._held[holding.place]
            if lots:
                equity += self._value(holding, lots)
        return equity

    @property
    def margin_used_micros(self) -> int:
        """The equity that holdings tie up at the last prices, all orders that work counted as filled; 0 of a cash account."""
        return math.ceil(self._gross() / self.leverage) if self.leverage else 0

    @property
    def buying_power_micros(self) -> int:
        """The value that the gate would let new orders add to what is held and working; never negative.

        Of a cash account the cash that no working order has set aside, of a margin account leverage x equity less the
        gross exposure. Limits of the account may leave less.
        """
        if self.leverage is None:
            free = self.cash_micros - int(self._reserved[self._index])
        else:
            free = math.floor(self.leverage * self.equity_micros - self._gross())
        return max(free, 0)

    @property
    def interest_micros(self) -> int:
        """Interest credited less charged since the start, fees for borrowing what is sold short among it."""
        interest: int = self._interest[self._index]
        return interest

    @property
    def income_micros(self) -> int:
        """Dividends received less paid (on what is sold short) since the start."""
        income: int = self._income[self._index]
        return income

    @property
    def deposits_micros(self) -> int:
        """Deposits less withdrawals since the start; the initial cash is none."""
        deposits: int = self._deposits[self._index]
        return deposits

    # -- in currency ----------------------------------------------------------------------------------------------

    @property
    def cash(self) -> float:
        """Cash, in currency."""
        return self.cash_micros / self._scale

    @property
    def equity(self) -> float:
        """Cash and all holdings at the last prices, in currency."""
        return self.equity_micros / self._scale

    @property
    def margin_used(self) -> float:
        """As `margin_used_micros`, in currency."""
        return self.margin_used_micros / self._scale

    @property
    def buying_power(self) -> float:
        """As `buying_power_micros`, in currency."""
        return self.buying_power_micros / self._scale

    @property
    def interest(self) -> float:
        """As `interest_micros`, in currency."""
        return self.interest_micros / self._scale

    @property
    def income(self) -> float:
        """As `income_micros`, in currency."""
        return self.income_micros / self._scale

    @property
    def deposits(self) -> float:
        """As `deposits_micros`, in currency."""
        return self.deposits_micros / self._scale

    # -- inside ---------------------------------------------------------------------------------------------------

    def feature(
        self, which: int, instrument: int, lots: int, units: float, bars_held: int, parts: int
    ) -> float:
        """The account-side feature `which`, as `engine.features.observe` computes it; NaN where it has no value.

        lots, which are so many units, and bars_held: of the strategy in the instrument observed. parts: how many instruments it has.
        """
        if which == AccountFeature.BALANCE:
            return self.cash
        if which == AccountFeature.HOLDINGS:
            return units
        if which == AccountFeature.BARS_HELD:
            return float(bars_held)
        equity = self.equity_micros
        if which == AccountFeature.CASH_SHARE:
            return self.cash_micros / equity if equity > 0 else math.nan
        if which == AccountFeature.EXPOSURE:
            holding = next(h for h in self._holdings if h.instrument == instrument)
            return parts * self._value(holding, lots) / equity if equity > 0 else math.nan
        peak = max(self._peak[self._index], equity)
        return 1.0 - equity / peak if peak > 0 else math.nan

    def _value(self, holding: _Holding, lots: int) -> int:
        # engine.ledger.value_of, to the last unit
        value = worth(holding, lots, self._prices[holding.instrument])
        return round(min(max(value, -MONEY_LIMIT), MONEY_LIMIT))

    def _gross(self) -> int:
        # engine.risk's: in each instrument, whichever of the two sides' working orders leads farther
        total = 0
        for holding in self._holdings:
            lots = self._held[holding.place]
            bought, sold = lots + self._buying[holding.place], lots - self._selling[holding.place]
            total += self._value(holding, max(abs(bought), abs(sold)))
        return total
