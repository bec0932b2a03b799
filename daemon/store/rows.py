"""How the engine's records become rows: columns by the name of the table's.

**The ledger.** Each amount moves from one ledger account of a trading account (credit) to another (debit), so that no
posting can make the books uneven. A purchase moves its notional from CASH to POSITIONS, a sale back; the profit that it
realised moves from REALIZED to POSITIONS, which then hold what the open lots cost; fees move from CASH to FEES. A
negative amount is a positive one the other way round, and nothing is moved for an amount of 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from daemon.config.types import format_duration
from daemon.store.schema import LedgerAccount
from engine.records import N_CODES, NONE, Code, EventKind, Status

if TYPE_CHECKING:
    from daemon.store.batch import Batch, Payload

Array = np.ndarray[Any, Any]
Columns = dict[str, Array]

# where cash that no fill moved comes from: dividends, say, from INCOME
_SOURCE = np.full(N_CODES, NONE)
_SOURCE[[Code.DEPOSIT, Code.WITHDRAWAL]] = LedgerAccount.CAPITAL
_SOURCE[[Code.INTEREST, Code.BORROW]] = LedgerAccount.INTEREST
_SOURCE[Code.DIVIDEND] = LedgerAccount.INCOME
_SOURCE[[Code.SPLIT, Code.DELISTED]] = LedgerAccount.POSITIONS


def fills(session: int, events: Array) -> Columns:
    """Columns of `fills` from a batch's events."""
    e = _of_kind(events, EventKind.FILL)
    return {
        "session": np.full(len(e), session),
        **_taken(e, "order_id", "seq", "ts", "account", "strategy", "instrument", "side"),
        "lots": e["last_lots"],
        "price": e["last_px"],
        "notional": e["last_notional"],
        "fee": e["last_fee"],
        **_taken(e, "realized", "position", "cash", "cum_lots"),
        "maker": e["maker"] != 0,
    }


def postings(session: int, events: Array) -> Columns:
    """Columns of `postings` from a batch's events, in their order."""
    e = _of_kind(events, EventKind.FILL, EventKind.CASH)
    e = e[e["status"] != Status.DENIED]
    fill = e["kind"] == EventKind.FILL
    cash = np.where(fill, -e["side"].astype(np.int64) * e["last_notional"], e["last_notional"])
    other = np.where(fill, LedgerAccount.POSITIONS, _SOURCE[np.where(fill, 0, e["code"])])
    if (other == NONE).any():
        raise ValueError(f"no ledger account for cash of {Code(int(e['code'][other == NONE][0])).name}")
    n = len(e)
    amounts = np.stack([cash, e["realized"], -e["last_fee"]], axis=1)
    debits = np.stack(
        [_all(n, LedgerAccount.CASH), _all(n, LedgerAccount.POSITIONS), _all(n, LedgerAccount.CASH)], axis=1
    )
    credits_ = np.stack([other, _all(n, LedgerAccount.REALIZED), _all(n, LedgerAccount.FEES)], axis=1)
    moved = amounts != 0
    amount, debit, credit = amounts[moved], debits[moved], credits_[moved]
    of = np.nonzero(moved)[0]
    back = amount < 0
    return {
        "session": np.full(len(of), session),
        **{
            name: column[of]
            for name, column in _taken(e, "seq", "ts", "account", "strategy", "instrument").items()
        },
        "order_id": e["order_id"][of],
        "code": np.where(fill, Code.NONE, e["code"])[of],
        "debit": np.where(back, credit, debit),
        "credit": np.where(back, debit, credit),
        "amount": np.abs(amount),
    }


def opening(session: int, seq: int, now_ns: int, initial: Sequence[int]) -> Columns:
    """Columns of `postings` for what the accounts begin with."""
    amount = np.array(initial, np.int64)
    paid = np.flatnonzero(amount)
    n = len(paid)
    return {
        "session": np.full(n, session),
        "seq": np.full(n, seq),
        "ts": np.full(n, now_ns),
        "account": paid,
        "strategy": _all(n, NONE),
        "instrument": _all(n, NONE),
        "order_id": np.zeros(n, np.int64),
        "code": _all(n, Code.DEPOSIT),
        "debit": np.where(amount[paid] > 0, LedgerAccount.CASH, LedgerAccount.CAPITAL),
        "credit": np.where(amount[paid] > 0, LedgerAccount.CAPITAL, LedgerAccount.CASH),
        "amount": np.abs(amount[paid]),
    }


def equity(session: int, samples: Array) -> Columns:
    """Columns of `equity` from records of EQUITY."""
    return {"session": np.full(len(samples), session), **_taken(samples, "ts", "account", "cash", "equity")}


def grades(session: int, g: Array) -> Columns:
    """Columns of `grades` from records of GRADE."""
    names = ("ts", "until", "account", "method", "equity", "at_risk", "shortfall", "pnl")
    return {"session": np.full(len(g), session), **_taken(g, *names)}


def risk(session: int, events: Array) -> Columns:
    """Columns of `risk` from a batch's events."""
    e = _of_kind(events, EventKind.RISK, EventKind.STATE)
    return {
        "session": np.full(len(e), session),
        **_taken(e, "seq", "ts", "account", "strategy", "kind", "code"),
        "became": e["lots"],
        **_measured(e),
        "reason": np.where(e["code"] == Code.OPERATOR, e["tag"], NONE),
    }


def orders(session: int, batch: Batch) -> list[dict[str, Any]]:
    """Rows of `orders`, as they stand after the batch, in the order of their ids.

    What caused an order is its first event's; where it was told of before this batch, the row that is there keeps its
    own. An order that ended has the code of its last event, one that works that of its verdict.
    """
    e = _of_kind(batch.out.events, EventKind.ORDER, EventKind.FILL)
    ids, first = np.unique(e["order_id"], return_index=True)
    begun, now = e[first], e[len(e) - 1 - np.unique(e["order_id"][::-1], return_index=True)[1]]
    measured = _measured(begun)
    columns: Mapping[str, Any] = {
        "session": np.full(len(ids), session),
        "id": ids,
        "seq": begun["order_seq"],
        **_taken(begun, "account", "strategy", "instrument"),
        "verdict": begun["code"],
        **_taken(begun, "side", "type", "tif", "submitted", "parent", "tag"),
        "post_only": begun["post_only"] != 0,
        "reduce_only": begun["reduce_only"] != 0,
        **_taken(begun, "trail_kind"),
        **_taken(
            now, "lots", "limit", "stop", "trail", "expires", "status", "code", "cum_lots", "notional", "fees"
        ),
        "updated": now["ts"],
    }
    names = list(columns)
    rows = [
        dict(zip(names, values, strict=True))
        for values in zip(*(column.tolist() for column in columns.values()), strict=True)
    ]
    for row, event, measure, bound in zip(rows, begun, measured["measure"], measured["bound"], strict=True):
        row["measure"] = None if np.isnan(measure) else float(measure)
        row["bound"] = None if np.isnan(bound) else float(bound)
        if (
            row["status"] <= Status.PENDING_CANCEL
        ):  # it works: an event's code may be that of new terms that were refused
            row["code"] = row["verdict"]
        row["model"] = batch.models[row["strategy"]] if row["strategy"] < len(batch.models) else None
        seen = int(event["observation"])
        row["observation"] = None if seen == NONE else batch.out.observations[seen].astype("<f8").tobytes()
    return rows


def positions(session: int, batch: Batch) -> list[dict[str, Any]]:
    """Rows of `positions` that the batch may have changed: those in instruments that it filled, or acted on."""
    e = _of_kind(batch.out.events, EventKind.FILL, EventKind.CASH, EventKind.ACTION)
    touched = batch.slots[np.isin(batch.slots["instrument"], np.unique(e["instrument"]))]
    names = ("strategy", "instrument", "lots", "cost", "realized", "fees", "income")
    values = zip(*(touched[name].tolist() for name in names), strict=True)
    return [{"session": session, **dict(zip(names, row, strict=True))} for row in values]


def bars(session: int, closed: Array) -> list[dict[str, Any]]:
    """Rows of `bars` from records of CLOSED_BAR."""
    names = ("instrument", "start", "end", "open", "high", "low", "close", "volume", "count")
    lengths = map(format_duration, closed["timeframe"].tolist())
    values = zip(*(closed[name].tolist() for name in names), strict=True)
    return [
        {"session": session, "timeframe": length, **dict(zip(names, row, strict=True))}
        for length, row in zip(lengths, values, strict=True)
    ]


def operator_actions(session: int, batch: Batch) -> list[dict[str, Any]]:
    """Rows of `operator_actions` from a batch's payloads; the time is that of their inputs."""
    return [
        {
            "session": session, "seq": p.seq, "ts": int(batch.ticks.ts_recv[p.seq - batch.first]),
            **{name: p.content[name] for name in ("portfolio", "action", "reason", "who")},
        }
        for p in batch.payloads if p.kind == "command"
    ]  # fmt: skip


def forecasts(
    session: int, payloads: Sequence[Payload], index: Mapping[str | None, int]
) -> list[dict[str, Any]]:
    """Rows of `forecasts` from payloads; index: the instruments by name, and None."""
    return [
        {
            "session": session, "seq": p.seq, "instrument": index[p.content["instrument"]],
            **{name: p.content[name] for name in ("actor", "ts", "until", "value", "low", "high")},
        }
        for p in payloads if p.kind == "signal"
    ]  # fmt: skip


def _of_kind(events: Array, *kinds: EventKind) -> Array:
    kind = events["kind"]
    chosen = kind == kinds[0]
    for other in kinds[1:]:  # np.isin takes a tenth of a millisecond, whatever the size
        chosen |= kind == other
    found: Array = events[chosen]
    return found


def _taken(records: Array, *names: str) -> Columns:
    return {name: records[name] for name in names}


def _all(n: int, value: int) -> Array:
    return np.full(n, value)


def _measured(e: Array) -> Columns:
    # a bound of 0 is none: nothing was measured
    none = e["bound"] == 0.0
    return {"measure": np.where(none, np.nan, e["measure"]), "bound": np.where(none, np.nan, e["bound"])}
