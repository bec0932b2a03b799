"""NautilusTrader: its low-level engine, with logging, the risk engine and the closing analysis switched off.

It fills a market order sent in `on_bar` at that bar's close. For the next open the venue ignores bars, an order takes
1 ns to arrive, and a trade tick precedes each bar at its open; on ticks the same 1 ns means the next tick. The currency
has eight decimals, or fees would be rounded to cents. In a minute without ticks an order fills at the last price. Timed: `BacktestEngine.run`.
"""

from decimal import Decimal
from time import perf_counter

import numpy as np
import pandas as pd
from common import CASH, FAST, FEE, MINUTE_NS, SHARES, SLOW, Columns, Round, main
from nautilus_trader.backtest.config import BacktestEngineConfig
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.backtest.models import LatencyModel
from nautilus_trader.config import DataEngineConfig, LoggingConfig, RiskEngineConfig
from nautilus_trader.indicators import SimpleMovingAverage
from nautilus_trader.model.currencies import USDT
from nautilus_trader.model.data import BarType
from nautilus_trader.model.enums import AccountType, OmsType, OrderSide
from nautilus_trader.model.identifiers import InstrumentId, Symbol, Venue
from nautilus_trader.model.instruments import Equity
from nautilus_trader.model.objects import Money, Price, Quantity
from nautilus_trader.persistence.wranglers import BarDataWrangler, TradeTickDataWrangler
from nautilus_trader.trading.strategy import Strategy

VENUE = Venue("SIM")
STOCK = Equity(
    instrument_id=InstrumentId(Symbol("AAA"), VENUE),
    raw_symbol=Symbol("AAA"),
    currency=USDT,
    price_precision=2,
    price_increment=Price.from_str("0.01"),
    lot_size=Quantity.from_int(1),
    ts_event=0,
    ts_init=0,
    maker_fee=Decimal(str(FEE)),
    taker_fee=Decimal(str(FEE)),
)
GIVEN_BARS = BarType.from_str(f"{STOCK.id}-1-MINUTE-LAST-EXTERNAL")
OWN_BARS = BarType.from_str(f"{STOCK.id}-1-MINUTE-LAST-INTERNAL")


class SmaCross(Strategy):
    def __init__(self, bar_type: BarType):
        super().__init__()
        self.bar_type = bar_type
        self.fast = SimpleMovingAverage(FAST)
        self.slow = SimpleMovingAverage(SLOW)
        self.long = False
        self.fills = 0

    def on_start(self):
        self.register_indicator_for_bars(self.bar_type, self.fast)
        self.register_indicator_for_bars(self.bar_type, self.slow)
        self.subscribe_bars(self.bar_type)

    def on_bar(self, bar):
        if not self.slow.initialized:
            return
        long = self.fast.value > self.slow.value
        if long != self.long:
            self.long = long
            side = OrderSide.BUY if long else OrderSide.SELL
            self.submit_order(self.order_factory.market(STOCK.id, side, Quantity.from_int(SHARES)))

    def on_order_filled(self, event):
        self.fills += 1


def backtest(data: list, bar_type: BarType, last_price: float) -> Round:
    engine = BacktestEngine(
        BacktestEngineConfig(
            logging=LoggingConfig(bypass_logging=True),
            risk_engine=RiskEngineConfig(bypass=True),
            data_engine=DataEngineConfig(time_bars_build_with_no_updates=False),
            run_analysis=False,
        )
    )
    engine.add_venue(
        venue=VENUE,
        oms_type=OmsType.NETTING,
        account_type=AccountType.CASH,
        base_currency=USDT,
        starting_balances=[Money(CASH, USDT)],
        bar_execution=False,
        trade_execution=True,
        latency_model=LatencyModel(base_latency_nanos=1),
    )
    engine.add_instrument(STOCK)
    engine.add_data(data, sort=False)
    strategy = SmaCross(bar_type)
    engine.add_strategy(strategy)
    start = perf_counter()
    engine.run()
    seconds = perf_counter() - start
    cash = engine.cache.account_for_venue(VENUE).balance_total(USDT).as_double()
    position = float(engine.portfolio.net_position(STOCK.id))
    answer = Round(seconds, strategy.fills, cash + position * last_price)
    engine.dispose()
    return answer


def trades(ts: np.ndarray, price: np.ndarray) -> list:
    # without an aggressor's side, so that they move the bid and the ask; large, so that no order fills in parts
    frame = pd.DataFrame({"price": price, "quantity": 1e6, "trade_id": np.arange(len(ts)).astype(str)})
    frame.index = pd.to_datetime(ts, utc=True)
    return TradeTickDataWrangler(STOCK).process(frame)


def bars(columns: Columns):
    frame = pd.DataFrame({name: columns[name] for name in ("open", "high", "low", "close", "volume")})
    frame.index = pd.to_datetime(columns["ts"] + MINUTE_NS, utc=True)  # known at its end
    closes = BarDataWrangler(GIVEN_BARS, STOCK).process(frame)
    opens = trades(columns["ts"], columns["open"])
    data = [row for pair in zip(opens, closes, strict=True) for row in pair]
    return lambda: backtest(data, GIVEN_BARS, columns["close"][-1])


def ticks(columns: Columns):
    on_an_edge = columns["ts"] % MINUTE_NS == 0  # counts to the bar that ends there; 1 ns later it does not
    data = trades(columns["ts"] + on_an_edge, columns["price"])
    return lambda: backtest(data, OWN_BARS, columns["price"][-1])


if __name__ == "__main__":
    main("nautilus_trader", "nautilus_trader", {"bars": bars, "ticks": ticks})
