"""What `papertape compare` says."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from daemon.compare.attributing import SHOWN, Cause
from daemon.config.types import format_duration
from daemon.report import money_text
from strategies.errors import iso_utc

if TYPE_CHECKING:
    from daemon.compare.attributing import Disagreement, Part
    from daemon.compare.comparing import Compared
    from daemon.compare.running import Executed


def to_dict(found: Compared) -> dict[str, Any]:
    """As JSON: profits in the smallest unit of the currency, times in ISO UTC."""
    scale, currency, _ = _money(found)
    return {
        "session": found.session,
        "rows": found.rows,
        "begin": iso_utc(found.begin),
        "end": iso_utc(found.end),
        "bars": {name: format_duration(ns) for name, ns in found.lengths.items()},
        "late_prints": found.late,
        "accounts": [
            {"name": p.name, "currency": currency[p.name], "units_per_currency": scale[p.name], **_part(p)}
            for p in found.accounts
        ],
        "strategies": [{"name": p.name, **_part(p)} for p in found.strategies],
        "instruments": {name: vars(facts) for name, facts in found.facts.items()},
        "as_recorded": found.uncovered,
        "disagreements": [
            {
                "cause": d.cause.value,
                **_who(found, d),
                "gain_micros": d.gain,
                "before": _order(found, d.before),
                "after": _order(found, d.after),
            }
            for d in found.disagreements
        ],
    }


def print_compared(found: Compared, most: int = SHOWN) -> None:
    """Print what is attributed as tables; of single disagreements the `most` largest."""
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False, width=None if sys.stdout.isatty() else 200)
    scale, currency, account_of = _money(found)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("profit")
    for heading in ("recorded", *Cause, "on the vendor's bars"):
        table.add_column(heading, justify="right", no_wrap=True)
    for part in (*found.accounts, *found.strategies):
        owner = account_of[part.name]
        units = scale[owner]
        money = [money_text(part.profits[0] / units, units)]
        money += [_signed(x, units) for x in part.parts().values()]
        table.add_row(
            escape(part.name), *money, f"{money_text(part.profits[-1] / units, units)} {currency[owner]}"
        )
        counts = [f"{n:+,}" for n in part.fill_parts().values()]
        table.add_row("  fills", f"{part.fills[0]:,}", *counts, f"{part.fills[-1]:,}", style="dim")
    console.print(table)
    for line in _facts(found):
        console.print(line, soft_wrap=True)
    if found.disagreements:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for heading in ("cause", "whose", "before that step", "after it"):
            table.add_column(heading)
        table.add_column("it gains", justify="right", no_wrap=True)
        for d in found.disagreements[:most]:
            who = _who(found, d)
            units = scale[account_of[who["strategy"]]]
            table.add_row(
                d.cause,
                escape(f"{who['strategy']} {who['instrument']}"),
                *(_shown(found, order) for order in (d.before, d.after)),
                _signed(d.gain, units),
            )
        console.print(table)
        if (more := len(found.disagreements) - most) > 0:
            console.print(f"and {more:,} smaller ones")


def _facts(found: Compared) -> Iterator[str]:
    yield (
        f"{found.session}: {found.rows:,} inputs, {iso_utc(found.begin)} to {iso_utc(found.end)}; {found.late:,} prints came "
        "too late for their bar"
    )
    for name, facts in found.facts.items():
        yield (
            f"{name}, bars of {format_duration(found.lengths[name])}: both have {facts.both:,}; the tape lacks {facts.missing:,}, "
            f"{facts.gaps:,} lie in gaps, {facts.short:,} lack prints; {facts.prices:,} others differ, by {facts.largest:g} at "
            f"most; the vendor lacks {facts.lacking:,}"
        )
    if found.uncovered:
        yield f"kept as recorded, for the vendor has none of them: {', '.join(found.uncovered)}"


def _money(found: Compared) -> tuple[dict[str, int], dict[str, str], dict[str, str]]:
    """Scale and currency of an account, and the account of an account or a strategy."""
    spec = found.spec
    currency = {a.name: a.currency for a in spec.accounts}
    owner = {a.name: a.name for a in spec.accounts} | {f"operator:{a.name}": a.name for a in spec.accounts}
    owner |= {s.name: s.account for s in spec.strategies}
    return {name: int(spec.scale(c)) for name, c in currency.items()}, currency, owner


def _part(part: Part) -> dict[str, Any]:
    return {
        "recorded": {"profit_micros": part.profits[0], "fills": part.fills[0]},
        "causes": {
            cause.value: {"profit_micros": profit, "fills": part.fill_parts()[cause]}
            for cause, profit in part.parts().items()
        },
        "vendor": {"profit_micros": part.profits[-1], "fills": part.fills[-1]},
    }


def _who(found: Compared, d: Disagreement) -> dict[str, str]:
    order = d.before or d.after
    assert order is not None
    names = [s.name for s in found.spec.strategies] + [f"operator:{a.name}" for a in found.spec.accounts]
    return {"strategy": names[order.strategy], "instrument": found.spec.instruments[order.instrument].name}


def _order(found: Compared, order: Executed | None) -> dict[str, Any] | None:
    if order is None:
        return None
    quantity, price = _terms(found, order)
    return {
        "decided": iso_utc(order.submitted),
        "side": "buy" if order.side > 0 else "sell",
        "quantity": quantity,
        "avg_px": price,
    }


def _shown(found: Compared, order: Executed | None) -> str:
    if order is None:
        return "–"
    quantity, price = _terms(found, order)
    return f"{'buys' if order.side > 0 else 'sells'} {quantity:g} at {price:g}, decided {iso_utc(order.submitted)}"


def _terms(found: Compared, order: Executed) -> tuple[float, float]:
    instrument = found.spec.instruments[order.instrument]
    quantity = order.lots * instrument.lot_size
    return quantity, order.notional / (quantity * found.spec.scale(instrument.currency))


def _signed(amount: int, units: int) -> str:
    return ("+" if amount > 0 else "") + money_text(amount / units, units) if amount else "0"
