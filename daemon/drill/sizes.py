"""The limits on the size, the price and the number of orders, each broken by an order; and what the account can pay for.

Each order is put before the gate twice: as the strategy's, and as the operator's. It must meet the same verdict.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from daemon.drill.checks import Check, Seen
from daemon.drill.desk import REACH, Desk
from daemon.drill.verdicts import broken, denial, outcome, within
from engine.ledger import MONEY_LIMIT
from engine.records import Code, Side

if TYPE_CHECKING:
    from daemon.config.accounts import OrderRate

_SHARES = (  # key, field of the engine's account, code
    ("max_gross_exposure", "max_gross", Code.GROSS_EXPOSURE),
    ("max_net_exposure", "max_net", Code.NET_EXPOSURE),
    ("max_concentration", "max_concentration", Code.CONCENTRATION),
)
NOT_SET = "not set"
_TOO_MUCH = "the account cannot hold so much"


def sizes(desk: Desk) -> Iterator[Check]:
    """All of them; those that the configuration does not set are told, too."""
    limits = desk.given.limits
    cut = limits.on_breach == "resize"
    yield _cash(desk, cut)
    if not desk.given.margin:
        yield _short(desk)
    yield _order_notional(desk, limits.max_order_notional, cut)
    yield _position(desk, limits.max_position, cut)
    for key, name, code in _SHARES:
        yield _share(desk, key, name, code, getattr(limits, key), cut)
    yield _collar(desk, limits.price_collar)
    yield _rate(desk, limits.order_rate)


def _cash(desk: Desk, cut: bool) -> Check:
    code = Code.MARGIN if desk.given.margin else Code.CASH
    seen = Seen()
    desk.begin()
    broken(seen, desk, desk.lots_of(2.0 * desk.power), code, cut)
    what = "leverage" if desk.given.margin else "cash"
    return desk.check(what, "an order for twice as much", outcome(code, cut), seen)


def _short(desk: Desk) -> Check:
    seen = Seen()
    desk.begin()
    broken(seen, desk, desk.small, Code.SHORT, False, Side.SELL)
    return desk.check("selling short", "a sale of what it does not have", "denied: SHORT", seen)


def _order_notional(desk: Desk, limit: float | None, cut: bool) -> Check:
    told = "max_order_notional", "an order just above it", outcome(Code.ORDER_NOTIONAL, cut)
    if limit is None:
        return desk.not_configured(*told, NOT_SET)
    desk.begin()
    lots = int(limit * desk.scale / desk.unit) + 1
    return _by_lots(desk, told, "max_order_notional", Code.ORDER_NOTIONAL, lots, cut)


def _position(desk: Desk, limit: float | None, cut: bool) -> Check:
    told = "max_position", "an order just above it", outcome(Code.POSITION, cut)
    if limit is None:
        return desk.not_configured(*told, NOT_SET)
    return _by_lots(desk, told, "max_position", Code.POSITION, int(limit / desk.instrument.lot_size) + 1, cut)


def _by_lots(desk: Desk, told: tuple[str, str, str], name: str, code: Code, lots: int, cut: bool) -> Check:
    """So many lots are one too many; the account is given what it takes to pay for them."""
    seen = Seen()
    desk.begin(name)
    money = int(2.0 * desk.worth(lots))
    if money >= MONEY_LIMIT // 4:
        return desk.out_of_reach(*told, _TOO_MUCH)
    desk.engine.deposit(desk.given.name, money)
    desk.engine.take_events()
    if lots // 2 >= desk.small:
        within(seen, desk, lots // 2)
    broken(seen, desk, lots, code, cut and lots > desk.small)
    return desk.check(*told, seen)


def _share(desk: Desk, key: str, name: str, code: Code, limit: float | None, cut: bool) -> Check:
    """By an order; where the account cannot pay for so large a one, what it holds grows until it is beyond the limit."""
    told = key, "an order beyond it", outcome(code, cut)
    if limit is None:
        return desk.not_configured(*told, NOT_SET)
    seen = Seen()
    desk.begin(name)
    if 1.02 * limit <= REACH * desk.power:
        within(seen, desk, desk.lots_of(0.9 * limit))
        broken(seen, desk, desk.lots_of(1.02 * limit), code, cut)
        return desk.check(*told, seen)
    if limit >= 0.97:
        return desk.out_of_reach(*told, _TOO_MUCH)
    desk.hold(desk.lots_of(0.5))
    desk.print(desk.price_at(1.02 * limit))
    broken(seen, desk, desk.small, code, False)
    return desk.check(key, "the market takes it beyond, an order adds", outcome(code, False), seen)


def _collar(desk: Desk, collar: float | None) -> Check:
    told = "price_collar", "a limit twice as far away", "denied: PRICE_COLLAR"
    if collar is None:
        return desk.not_configured(*told, NOT_SET)
    seen = Seen()
    desk.begin("collar")
    tick = desk.instrument.tick_size
    price = (int(desk.price * (1.0 + 2.0 * collar) / tick) + 1) * tick
    verdict = desk.submit(desk.small, limit=price)
    denial(seen, verdict, Code.PRICE_COLLAR)
    other = desk.submit(desk.small, limit=price, slot=desk.operator_slot)
    seen.note(other.same(verdict), "operator's too", f"but the operator's {other}")
    return desk.check(*told, seen)


def _rate(desk: Desk, rate: OrderRate | None) -> Check:
    told = "order_rate", "one order too many at once", "denied: ORDER_RATE"
    if rate is None:
        return desk.not_configured(*told, NOT_SET)
    seen = Seen()
    desk.begin("rate_orders")
    passed = 0
    for _ in range(rate.orders):
        order_id = desk.rest_order()
        passed += order_id > 0
        desk.engine.cancel(order_id)
    seen.note(passed == rate.orders, f"{passed:,} passed", f"but {passed:,} of {rate.orders:,} passed")
    broken(seen, desk, desk.small, Code.ORDER_RATE, False)
    return desk.check(*told, seen)
