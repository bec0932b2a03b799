"""What was committed, as lines for people: one for each fill, denial, halt and so on that somebody wants to hear of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from daemon.config.instruments import money_text
from daemon.config.notify import Event
from daemon.feeds.items import StatusKind
from daemon.notify import words
from engine.records import NONE, Code, EventKind, Level, Side, Status, TradingState

if TYPE_CHECKING:
    from daemon.feeds.items import Status as FeedStatus
    from daemon.live.messages import Level as Severity
    from daemon.live.messages import Notice
    from daemon.store.batch import Batch, Payload
    from engine.spec import EngineSpec

Array = np.ndarray[Any, Any]

MOST_LINES = 20  # of one event and account that one message has; the others are counted
_ELSEWHERE = ("gap", "halt")  # notices of what the batch says, too
_FORCED = {  # orders that no strategy wished
    Code.LIQUIDATION: "sold out for want of margin",
    Code.OPERATOR: "for the operator",
    Code.DRAWDOWN: "closed for the drawdown",
    Code.DAILY_LOSS: "closed for the day's loss",
}
_BAD = (StatusKind.REFUSED, StatusKind.CONTESTED, StatusKind.ERROR)


@dataclass(frozen=True)
class Line:
    """One thing that happened. facts: JSON, for programs. account: "" where it belongs to none."""

    event: Event
    ts: int  # ns UTC
    text: str
    account: str = ""
    level: Severity | None = None  # of notices and the feed
    facts: dict[str, Any] = field(default_factory=dict)


class Told:
    """Things of one kind, of one account: how many there are, and the first of them as lines, made when they are asked for."""

    def __init__(self, event: Event, account: str, count: int, make: Callable[[int], Line]) -> None:
        self.event = event
        self.account = account
        self.count = count
        self._make = make
        self._made: list[Line] = []

    @classmethod
    def of(cls, *lines: Line) -> Told:
        """Lines that are there."""
        return cls(lines[0].event, lines[0].account, len(lines), lines.__getitem__)

    def first(self, n: int = MOST_LINES) -> list[Line]:
        """The first n lines, or as many as there are."""
        most = min(n, self.count)
        while len(self._made) < most:
            self._made.append(self._make(len(self._made)))
        return self._made[:most]


class Teller:
    """Knows the names and scales of a session's engine."""

    def __init__(self, spec: EngineSpec) -> None:
        self._accounts = [a.name for a in spec.accounts]
        self._money = [(spec.scale(a.currency), a.currency) for a in spec.accounts]
        self._strategies = [s.name for s in spec.strategies] + [f"{a.name}/operator" for a in spec.accounts]
        self._instruments = [i.name for i in spec.instruments]
        self._lot_sizes = [i.lot_size for i in spec.instruments]
        self._reasons = spec.reasons

    def committed(self, batch: Batch) -> list[Told]:
        """What there is to tell of a batch; lines are made for a few of each kind only, however many there are."""
        e = batch.out.events
        kind = e["kind"]
        refused = (e["status"] == Status.DENIED) | (e["status"] == Status.REJECTED)
        chosen: list[tuple[Event, Array, Any]] = [
            ("fills", kind == EventKind.FILL, self._fill),
            ("denials", (kind == EventKind.ORDER) & refused, self._denial),
            ("halts", kind == EventKind.STATE, lambda event: self._state(event, batch.payloads)),
            ("drift", kind == EventKind.RISK, self._risk),
        ]
        told = []
        for event, mask, make in chosen:
            if not mask.any():
                continue
            found = e[mask]
            for account in np.unique(found["account"]).tolist():
                own = found[found["account"] == account]
                told.append(Told(event, self._accounts[account], len(own), _nth(make, own)))
        return [*told, *self._gaps(batch)]

    def _fill(self, e: Any) -> Line:
        scale, currency = self._money[e["account"]]
        instrument, lot_size = self._instruments[e["instrument"]], self._lot_sizes[e["instrument"]]
        side = "bought" if e["side"] == Side.BUY else "sold"
        quantity, position = (
            words.units(int(e["last_lots"]), lot_size),
            words.units(int(e["position"]), lot_size),
        )
        profit, fee = int(e["realized"]), int(e["last_fee"])
        told = [f"fee {money_text(fee / scale, scale)}"] if fee else []
        told += [f"profit {'+' if profit > 0 else ''}{money_text(profit / scale, scale)}"] if profit else []
        told += [_FORCED[code]] if (code := Code(int(e["code"]))) in _FORCED else []
        value = f"{money_text(int(e['last_notional']) / scale, scale)} {currency}"
        text = f"{self._who(e)} {side} {quantity} {instrument} at {words.number(float(e['last_px']))} for {value}"
        text = f"{text} ({', '.join(told)})" if told else text
        return self._line("fills", e, f"{text}; it holds {position} now", {
            **self._order(e),
            "quantity": quantity,
            "price": float(e["last_px"]),
            "position": position,
            "fee": _exact(fee, scale),
            "profit": _exact(profit, scale),
            "currency": currency,
        })  # fmt: skip

    def _denial(self, e: Any) -> Line:
        code = Code(int(e["code"]))
        lots = words.units(int(e["lots"]), self._lot_sizes[e["instrument"]])
        instrument = self._instruments[e["instrument"]]
        side = "buy" if e["side"] == Side.BUY else "sell"
        by = "denied" if e["status"] == Status.DENIED else "rejected by the broker"
        text = f"{self._who(e)}: order to {side} {lots} {instrument} {by}: {words.why(code)}"
        facts = {**self._order(e), "quantity": lots, "reason": code.name}
        return self._line("denials", e, text + _against(e), facts)

    def _state(self, e: Any, payloads: Sequence[Payload]) -> Line:
        code, state = Code(int(e["code"])), TradingState(int(e["lots"]))
        whom = self._portfolio(e)
        if code == Code.LIQUIDATION:
            text, became = "has too little equity for its margin, and is sold out", "LIQUIDATED"
        else:
            text, became = words.STATES[state], state.name
        reason = ""
        if code == Code.OPERATOR:
            reason = self._said(e, payloads)
            text += f", by {reason}"
        elif code in words.LIMITS:
            text += f": {words.why(code)}"
        elif code not in (Code.NONE, Code.LIQUIDATION):
            text += f" ({code.name})"
        facts = {"portfolio": self._name(e), "became": became, "reason": code.name, "operator": reason}
        return self._line("halts", e, f"{whom} {text}", facts)

    def _said(self, e: Any, payloads: Sequence[Payload]) -> str:
        """Who operated, and why: a command of the daemon's, or a row of the configuration."""
        name = self._name(e)
        for payload in reversed(payloads):
            given = payload.content
            if payload.kind == "command" and payload.seq <= e["seq"] + 1 and given.get("portfolio") == name:
                return words.line(
                    f"{given.get('who') or 'an operator'}: {given.get('reason') or 'no reason given'}"
                )
        tag = int(e["tag"])
        given = self._reasons[tag] if 0 <= tag < len(self._reasons) else "no reason given"
        return words.line(f"the configuration: {given}")

    def _risk(self, e: Any) -> Line:
        code, whom = Code(int(e["code"])), self._portfolio(e)
        if code == Code.MODEL:
            rejected = bool(e["lots"])
            became = "REJECTED" if rejected else "ACCEPTED"
            text = (
                f"{whom}: outcomes {'reject the risk model' if rejected else 'accept the risk model again'}"
            )
            measured = f"losses beyond VaR in {words.percent(e['measure'])} of the periods, expected {words.percent(e['bound'])}"
            text += f": {measured}" if e["bound"] > 0 else ""
        else:
            level = Level(int(e["lots"]))
            became = level.name
            text = f"{whom}: {words.LIMITS.get(code, code.name)} {words.LEVELS[level]}{_against(e)}"
        return self._line(
            "drift", e, text, {"portfolio": self._name(e), "limit": code.name, "became": became}
        )

    def _gaps(self, batch: Batch) -> Iterator[Told]:
        same: dict[tuple[int, int | None, str], list[str]] = {}
        for gap in batch.gaps:
            same.setdefault((gap.since, gap.until, gap.why), []).append(self._instruments[gap.instrument])
        lines = []
        for (since, until, why), names in same.items():
            listed = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
            if until is None:
                text = f"no prices of {listed} since {words.time(since)}: {words.line(why)}"
            else:
                text = f"prices of {listed} again; missing from {words.time(since)} to {words.time(until)}"
            facts = {"instruments": names, "since": since, "until": until, "why": words.line(why)}
            lines.append(Line("gaps", since if until is None else until, text, facts=facts))
        if lines:
            yield Told.of(*lines)

    def _line(self, event: Event, e: Any, text: str, facts: dict[str, Any]) -> Line:
        return Line(
            event, int(e["ts"]), text, self._accounts[e["account"]], facts={"seq": int(e["seq"]), **facts}
        )

    def _order(self, e: Any) -> dict[str, Any]:
        return {
            "order": int(e["order_id"]),
            "strategy": self._who(e),
            "instrument": self._instruments[e["instrument"]],
            "side": Side(int(e["side"])).name,
        }

    def _who(self, e: Any) -> str:
        return self._strategies[e["strategy"]]

    def _name(self, e: Any) -> str:
        """The portfolio's: that of an account, or "account/strategy"."""
        return self._accounts[e["account"]] if e["strategy"] == NONE else self._who(e)

    def _portfolio(self, e: Any) -> str:
        return f"{'account' if e['strategy'] == NONE else 'strategy'} {self._name(e)}"


def noticed(notice: Notice) -> list[Told]:
    """What there is to tell of a notice: nothing, where a batch tells of the same."""
    if notice.kind in _ELSEWHERE:
        return []
    text = f"{notice.kind}: {words.line(notice.text)}"
    line = Line("notices", notice.ts, text, level=notice.level, facts={"kind": notice.kind})
    return [Told.of(line)]


def fed(status: FeedStatus) -> list[Told]:
    """What there is to tell of a feed's connection."""
    level: Severity = "info" if status.kind is StatusKind.CONNECTED else "warning"
    level = "error" if status.kind in _BAD else level
    text = f"feed {status.kind}: {words.line(status.text)}"
    line = Line("feed", status.ts, text, level=level, facts={"kind": str(status.kind)})
    return [Told.of(line)]


def _nth(make: Callable[[Any], Line], events: Array) -> Callable[[int], Line]:
    return lambda i: make(events[i])


def _against(e: Any) -> str:
    """What a limit on risk measured, as shares of equity."""
    if e["bound"] == 0.0:
        return ""
    measured = (
        "it cannot be computed" if np.isnan(e["measure"]) else f"{words.percent(e['measure'])} of equity"
    )
    return f"; {measured} against {words.percent(e['bound'])}"


def _exact(amount: int, scale: int) -> str:
    """Money as text, to the last unit: no float stands between."""
    from decimal import Decimal

    return f"{Decimal(amount) / scale:f}"
