"""What `papertape verify` says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from strategies.errors import iso_utc

if TYPE_CHECKING:
    from daemon.verify.comparing import Row
    from daemon.verify.facts import Failure
    from daemon.verify.replaying import Verified


def lines(found: Verified) -> list[str]:
    """For a person, line by line."""
    rate = f", {found.rows / found.seconds:,.0f} a second" if found.seconds > 0 else ""
    told = [f"{found.session}: {_many(found.epochs, 'epoch')}, {_many(found.rows, 'input')} replayed{rate}"]
    counted = ", ".join(f"{n:,} {table}" for table, n in found.counts.items() if n)
    told.append(f"equal: {counted or 'no rows'}; {_many(found.states, 'state')} on the way")
    told += found.notes
    failure = found.failure
    if failure is None:
        return [*told, f"the tape gives what was recorded; state {found.state_hash}"]
    place = f"epoch {failure.epoch}" + (f", input {failure.seq:,}" if failure.seq is not None else "")
    return [
        *told,
        f"DIFFERS at {place}: {failure.what}",
        f"likely cause: {failure.cause.kind}. {failure.cause.why}",
    ]


def to_dict(found: Verified) -> dict[str, Any]:
    """As JSON; money in units of the currency's scale, quantities in lots, times in ns, as in the database."""
    return {
        "session": found.session,
        "verified": found.failure is None,
        "epochs": found.epochs,
        "rows": found.rows,
        "counts": found.counts,
        "states": found.states,
        "state_hash": found.state_hash or None,
        "seconds": round(found.seconds, 3),
        "notes": found.notes,
        "failure": None if found.failure is None else _failure(found.failure),
    }


def _failure(failure: Failure) -> dict[str, Any]:
    of = failure.difference
    return {
        "epoch": failure.epoch,
        "seq": failure.seq,
        "what": failure.what,
        "cause": failure.cause.kind.value,
        "why": failure.cause.why,
        "table": of.table if of else None,
        "ts": iso_utc(of.ts) if of else None,
        "column": of.column or None if of else None,
        "stored": _row(of.stored) if of else None,
        "replayed": _row(of.replayed) if of else None,
    }


def _row(row: Row | None) -> Mapping[str, Any] | None:
    if row is None:
        return None
    return {name: value.hex() if isinstance(value, bytes) else value for name, value in row.items()}


def _many(n: int, what: str) -> str:
    return f"{n:,} {what}" + ("" if n == 1 else "s")
