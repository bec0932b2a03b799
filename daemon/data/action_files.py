"""Corporate actions as files have them: our own, LEAN's, yfinance's, and a catalog's."""

from __future__ import annotations

import csv
import gzip
import math
import re
from collections.abc import Sequence
from datetime import date, timedelta
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from daemon.data.actions import Action, ActionKind
from daemon.data.errors import DataError, file_error
from daemon.data.formats import plain

SIMPLE = 20  # ratios of whole numbers up to here are recognised in a rounded number ...
ROUNDED = 1e-4  # ... that is as near
FACTOR_STEP = 1e-7  # factor files have seven decimals
# what files call a split: also shares of another company, given as the ratio by which the price falls: as if sold at once
_SPLIT = r"(stock |reverse )?split|.*distribution|spin-?off"


class _Row(NamedTuple):
    line: int
    fields: list[str]


class _Factors(NamedTuple):
    until: date
    dividends: float
    splits: float
    row: _Row


def read_actions(path: Path, symbol: str) -> list[Action]:
    """The actions of one instrument, in the order of their days, those of one day as the file has them.

    path: one of these, recognised by its columns; text may be gzipped.
    - CSV with `date`, `kind` and `value`: split 7:1 (or 7, or 1:10), dividend 0.82 per unit, symbol META, delisting with
      the cash per unit (empty: the last price). A column `symbol` selects rows: of `symbol`, and after a change of
      symbol of the new one. Lines that begin with # are comments.
    - A factor file of LEAN (date, dividend factor, split factor, close of that day; no header). The ex-date is the
      next weekday: where that is a holiday, nothing is printed before the true one.
    - CSV of yfinance with `Dividends` and `Stock Splits`. Yahoo divides dividends by later splits: that is undone here.
    - Parquet of a catalog: ex_date, kind, numerator, denominator, amount, symbol.

    Raises DataError where the file is none of these, a value is wrong, or a split, change or delisting comes twice.
    """
    if path.suffix == ".parquet":
        actions = _catalog(path)
    else:
        rows = _text_rows(path)
        first = rows[0].fields
        header = {plain(name): i for i, name in reversed(list(enumerate(first)))}
        if len(first) == 4 and re.fullmatch(r"\d{8}", first[0].strip()):
            actions = _lean(path, rows)
        elif plain(first[0]) == "price" and len(rows) > 3 and plain(rows[1].fields[0]) == "ticker":
            tickers = [t.strip().upper() == symbol.upper() for t in rows[1].fields]
            mine = {plain(n): i for i, n in enumerate(first) if i < len(tickers) and tickers[i]}
            actions = _yahoo(path, {**mine, "date": 0}, rows[3:])
        elif header.keys() & {"dividends", "stock_splits"}:
            actions = _yahoo(path, header, rows[1:])
        else:
            actions = _ours(path, header, rows, symbol)
    actions.sort(key=lambda found: found[1].ex_date)  # stable
    seen = set()
    for line, action in actions:
        what = action.ex_date, action.kind
        if what in seen and action.kind != ActionKind.DIVIDEND:
            raise file_error(path, f"a second {action.kind} of {action.ex_date}", "remove one", line)
        seen.add(what)
    return [action for _, action in actions]


# -- files of text --------------------------------------------------------------------------------------------------


def _text_rows(path: Path) -> list[_Row]:
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        lines = data.decode("utf-8-sig").splitlines()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise file_error(
            path, f"the file of actions cannot be read ({error})", "correct `actions`"
        ) from error
    rows = [
        _Row(number, next(csv.reader([line])))
        for number, line in enumerate(lines, 1)
        if line.strip() and not line.startswith("#")
    ]
    if not rows:
        raise file_error(path, "the file of actions is empty", "take another file, or leave `actions` out")
    return rows


def _ours(path: Path, header: dict[str, int], rows: list[_Row], symbol: str) -> list[tuple[int, Action]]:
    at = {
        ours: next((header[n] for n in names if n in header), None)
        for ours, names in (
            ("date", ("date", "ex_date", "exdate")),
            ("kind", ("kind", "type", "action")),
            ("value", ("value", "ratio", "amount")),
            ("symbol", ("symbol", "ticker")),
        )
    }
    names = rows[0].fields
    day, kind, value, of = (at[k] for k in ("date", "kind", "value", "symbol"))
    if day is None or kind is None or value is None:
        raise file_error(
            path,
            f"no corporate actions are known by the columns {', '.join(n.strip() for n in names)}",
            "write a file with the columns date,kind,value",
            rows[0].line,
        )
    found: list[tuple[int, Action]] = []
    others: dict[str, None] = {}
    current = symbol.upper()
    body = [_padded(path, row, len(names)) for row in rows[1:]]
    if of is not None:  # a change of symbol says which rows are ours after it
        body.sort(key=lambda row: _date(path, row, day, names[day]))
    for row in body:
        if of is not None and row.fields[of].strip().upper() != current:
            others[row.fields[of].strip()] = None
            continue
        action = _action(path, row, day, kind, value, names)
        found.append((row.line, action))
        if action.kind == ActionKind.SYMBOL:
            current = action.symbol.upper()
    if not found and others:
        raise file_error(
            path,
            f"no action of {symbol}; it has {', '.join(list(others)[:10])}",
            "leave `actions` out where there is none",
        )
    return found


def _action(path: Path, row: _Row, day: int, kind: int, value: int, names: Sequence[str]) -> Action:
    when = _date(path, row, day, names[day])
    what = row.fields[kind].strip().lower()
    text = row.fields[value].strip()

    def refuse(problem: str, remedy: str) -> DataError:
        return file_error(path, problem, remedy, row.line, names[value].strip())

    if what == ActionKind.DIVIDEND:
        amount = _number(text)
        if amount is None or amount <= 0:
            raise refuse(f"{text!r} is no amount", "write the cash per unit, such as 0.82")
        return Action(when, ActionKind.DIVIDEND, amount=amount)
    if what == ActionKind.SYMBOL:
        if not re.fullmatch(r"\S{1,32}", text):
            raise refuse(f"{text!r} is no symbol", "write the new one, without blanks")
        return Action(when, ActionKind.SYMBOL, symbol=text)
    if what == ActionKind.DELISTING:
        amount = _number(text) if text else None
        if text and (amount is None or amount < 0):
            raise refuse(
                f"{text!r} is no amount", "write the cash per unit, 0 for none, nothing for the last price"
            )
        return Action(when, ActionKind.DELISTING, amount=amount)
    if re.fullmatch(_SPLIT, what):
        parts = [_number(part) for part in re.split("[:/]", text)]
        if len(parts) > 2 or not all(part is not None and part > 0 for part in parts):
            raise refuse(
                f"{text!r} is no ratio", "write new units for old, such as 7:1, or 1:10 for a reverse split"
            )
        new, old = parts if len(parts) == 2 else _ratio(parts[0] or 0.0)
        return Action(when, ActionKind.SPLIT, new or 0.0, old or 0.0)
    raise file_error(
        path,
        f"{row.fields[kind]!r} is no kind of action",
        f"write one of {', '.join(ActionKind)}",
        row.line,
        names[kind].strip(),
    )


def _lean(path: Path, rows: list[_Row]) -> list[tuple[int, Action]]:
    names = ("date", "dividend factor", "split factor", "reference close")
    table = []
    for row in rows:
        row = _padded(path, row, 4)
        dividends, splits = (_positive(path, row, i, names[i]) for i in (1, 2))
        table.append(_Factors(_date(path, row, 0, names[0]), dividends, splits, row))
    table.sort(key=lambda factors: factors.until)
    found = []
    for before, after in pairwise(table):
        line = before.row.line
        ex_date = before.until + timedelta(days=1)
        while ex_date.weekday() > 4:
            ex_date += timedelta(days=1)
        if before.dividends != after.dividends:  # of the old units: the close is that of the day before
            close = _positive(path, before.row, 3, names[3])
            amount = close * (1 - before.dividends / after.dividends)
            # what the factors' last digit is worth says how many digits the amount has
            digits = int(-math.log10(min(0.5, 2 * close * FACTOR_STEP / after.dividends)))
            found.append((line, Action(ex_date, ActionKind.DIVIDEND, amount=round(amount, digits))))
        if before.splits != after.splits:
            found.append((line, Action(ex_date, ActionKind.SPLIT, *_ratio(after.splits / before.splits))))
    return found


def _yahoo(path: Path, header: dict[str, int], rows: list[_Row]) -> list[tuple[int, Action]]:
    day = header.get("date", header.get("datetime", 0))
    found: list[tuple[int, Action]] = []
    later = 1.0
    # from the last day back: the splits after a dividend are those that it has been divided by
    for row in sorted(rows, key=lambda row: _date(path, row, day, "Date"), reverse=True):
        values = {}
        for name, label in (("stock_splits", "Stock Splits"), ("dividends", "Dividends")):
            i = header.get(name)
            text = row.fields[i].strip() if i is not None and i < len(row.fields) else ""
            value = _number(text) if text else 0.0
            if value is None or value < 0:
                raise file_error(
                    path, f"{text!r} is no number", "correct it, or leave it empty", row.line, label
                )
            values[name] = value
        when = _date(path, row, day, "Date")
        if values["dividends"]:  # of the units after a split of the same day
            found.append((row.line, Action(when, ActionKind.DIVIDEND, amount=values["dividends"] * later)))
        if values["stock_splits"]:
            new, old = _ratio(values["stock_splits"])
            later *= new / old
            found.append((row.line, Action(when, ActionKind.SPLIT, new, old)))
    return found[::-1]


# -- files of a catalog ---------------------------------------------------------------------------------------------


def _catalog(path: Path) -> list[tuple[int, Action]]:
    import pyarrow as pa
    from pyarrow import parquet

    columns = ("ex_date", "kind", "numerator", "denominator", "amount", "symbol")
    try:
        table = parquet.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise file_error(path, f"the actions cannot be read ({error})", "write them again") from error
    missing = [name for name in columns if name not in table.column_names]
    if missing:
        raise file_error(path, f"the actions have no column {missing[0]}", "write them again")
    return [
        (line, _checked(path, line, *(record[name] for name in columns)))
        for line, record in enumerate(table.to_pylist(), 1)
    ]


def _checked(
    path: Path, line: int, ex_date: Any, kind: Any, new: Any, old: Any, amount: Any, symbol: Any
) -> Action:
    # an action of a file that holds all its parts
    def good(value: Any) -> bool:
        return isinstance(value, int | float) and math.isfinite(value)

    if kind not in list(ActionKind) or not isinstance(ex_date, date):
        raise file_error(path, f"{kind!r} of {ex_date!r} is no action", "write the actions again", line)
    amount = float(amount) if good(amount) else None
    wrong = {
        ActionKind.SPLIT: not (good(new) and good(old) and new > 0 and old > 0),
        ActionKind.DIVIDEND: amount is None or amount <= 0,
        ActionKind.SYMBOL: not symbol,
        ActionKind.DELISTING: amount is not None and amount < 0,
    }[kind]
    if wrong:
        raise file_error(path, f"the {kind} of {ex_date} has no value", "write the actions again", line)
    ratio = (float(new), float(old)) if kind == ActionKind.SPLIT else (1.0, 1.0)
    return Action(ex_date, ActionKind(kind), *ratio, amount=amount, symbol=symbol or "")


# -- single values --------------------------------------------------------------------------------------------------


def _padded(path: Path, row: _Row, n: int) -> _Row:
    # an empty value at the end may come without its comma
    if not n - 1 <= len(row.fields) <= n:
        raise file_error(path, f"{len(row.fields)} fields instead of {n}", "correct the line", row.line)
    return _Row(row.line, row.fields + [""] * (n - len(row.fields)))


def _date(path: Path, row: _Row, i: int, field: str) -> date:
    text = row.fields[i].strip() if i < len(row.fields) else ""
    try:
        if not re.fullmatch(r"\d{4}-\d\d-\d\d([T ].*)?|\d{8}", text):
            raise ValueError(text)
        return date.fromisoformat(text[:10])  # a time of day, as yfinance writes it, is midnight there
    except ValueError:
        raise file_error(
            path, f"{text!r} is no date", "write it as 2014-06-09", row.line, field.strip()
        ) from None


def _positive(path: Path, row: _Row, i: int, field: str) -> float:
    value = _number(row.fields[i])
    if value is None or value <= 0:
        raise file_error(path, f"{row.fields[i]!r} is no positive number", "correct it", row.line, field)
    return value


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _ratio(value: float) -> tuple[float, float]:
    # 2.00001 is 2:1 and 0.1 is 1:10; what is near no simple ratio stays as it is
    larger = max(value, 1 / value)
    near = Fraction(larger).limit_denominator(SIMPLE)
    simple = near != 1 and abs(near / Fraction(larger) - 1) < ROUNDED
    new, old = (float(near.numerator), float(near.denominator)) if simple else (larger, 1.0)
    return (new, old) if value >= 1 else (old, new)
