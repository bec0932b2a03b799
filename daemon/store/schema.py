"""The tables of the store, the same in PostgreSQL and SQLite. docs/store.md describes them for users.

Times are int64 ns UTC, money int64 in the smallest unit of the account's currency, quantities int64 lots, prices
float64. An event's `seq` is the number of rows of the tape that had come before it. Enums are their numbers in
engine/records.py; accounts, strategies and instruments their indices in the engine's specification, which the tables of
those names resolve; -1 is none of them. A float that is no number is NULL.

A change here needs a migration beside those in `migrations/versions`; a test compares the two.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
)

# Names that do not depend on the database: a later migration can name what it changes.
metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)


class LedgerAccount(IntEnum):
    """The ledger accounts of one trading account."""

    CASH = 0
    POSITIONS = 1  # what the open lots cost
    CAPITAL = 2  # what was paid in, less what was paid out
    REALIZED = 3  # profit of what was closed, before fees
    FEES = 4
    INCOME = 5  # dividends
    INTEREST = 6  # and borrow fees


def _int64(name: str, nullable: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=nullable)


def _int(name: str) -> Column[int]:
    return Column(name, Integer, nullable=False)


def _small(name: str) -> Column[int]:
    return Column(name, SmallInteger, nullable=False)


def _float(name: str, nullable: bool = False) -> Column[float]:
    return Column(name, Double, nullable=nullable)


def _text(name: str, nullable: bool = False) -> Column[str]:
    return Column(name, Text, nullable=nullable)


def _flag(name: str) -> Column[bool]:
    return Column(name, Boolean, nullable=False)


def _session(primary_key: bool = True) -> Column[int]:
    return Column("session", ForeignKey("sessions.id"), primary_key=primary_key, nullable=False)


def _key(name: str, kind: type[Integer] | type[Text] = Integer) -> Column[Any]:
    type_: Any = kind
    return Column(name, type_, primary_key=True, autoincrement=False)


def _number() -> Column[int]:
    # in the order in which rows were committed; only as "integer primary key" does SQLite count it up itself
    return Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True)


sessions = Table(
    "sessions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    _int64("seq"),  # of the last row of its tape that was committed
    _int64("started"),
)
epochs = Table(
    "epochs",
    metadata,
    _session(),
    _key("epoch"),
    _text("build"),  # of the engine
    _text("config_hash"),
    _text("config"),
    _int64("first_seq"),
    _int64("started"),
    _int64("ended", nullable=True),  # NULL also where the process died
    _int64("last_seq", nullable=True),
)
instruments = Table(
    "instruments", metadata, _session(), _key("instrument"),
    _text("name"), _text("currency"), _float("tick_size"), _float("lot_size"),
)  # fmt: skip
accounts = Table(
    "accounts", metadata, _session(), _key("account"),
    _text("name"), _text("currency"), _int64("scale"), _int64("initial"),
)  # fmt: skip
strategies = Table(
    "strategies", metadata, _session(), _key("strategy"), _int("account"), _text("name"),
)  # fmt: skip

# The tape, a row per commit. Where columns of it have no foreign key: PostgreSQL would lock the session for each.
tape = Table(
    "tape",
    metadata,
    Column("session", Integer, primary_key=True, autoincrement=False),
    Column("first", BigInteger, primary_key=True, autoincrement=False),  # seq of its first input
    _int64("last"),
    _int64("ts_first"),  # ts_recv of its first input
    _int64("ts_last"),
    # int64 ts_event, ts_recv, int32 instrument (or account, or portfolio: by the kind of the row), float64 price, size,
    # uint8 flags (RowKind in the low four bits): one column after the other, little-endian
    Column("content", LargeBinary, nullable=False),
)
payloads = Table(  # of inputs that are more than numbers: a command, a signal, new settings
    "payloads",
    metadata,
    Column("session", Integer, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    _text("kind"),
    Column("content", JSON, nullable=False),
)
gaps = Table(
    "gaps", metadata, _session(), _key("instrument"), Column("since", BigInteger, primary_key=True, autoincrement=False),
    _int64("until", nullable=True), _text("why"),
)  # fmt: skip
snapshots = Table(
    "snapshots",
    metadata,
    _session(),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    _text("state_hash"),
    _int64("size"),  # bytes before compression
    Column("content", LargeBinary, nullable=False),  # zstd
)

orders = Table(  # as they stand
    "orders",
    metadata,
    _session(),
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    # what caused it
    _int64("seq"),  # rows of the tape that had come when it was decided
    _int("account"), _int("strategy"), _int("instrument"),
    _text("model", nullable=True),
    Column("observation", LargeBinary),  # float64, little-endian: what was decided on, and behind it the actions' values
    _small("verdict"),  # the gate's code
    _float("measure", nullable=True), _float("bound", nullable=True),
    # what was asked for
    _small("side"), _small("type"), _small("tif"), _int64("submitted"), _int64("parent"), _int64("tag"),
    _flag("post_only"), _flag("reduce_only"), _small("trail_kind"),
    # what may change
    _int64("lots"), _float("limit"), _float("stop"), _float("trail"), _int64("expires"),
    _small("status"), _small("code"), _int64("cum_lots"), _int64("notional"), _int64("fees"), _int64("updated"),
)  # fmt: skip
Index("ix_orders_status", orders.c.session, orders.c.status)
fills = Table(
    "fills",
    metadata,
    _number(),
    _int("session"), _int64("order_id"), _int64("seq"), _int64("ts"),
    _int("account"), _int("strategy"), _int("instrument"), _small("side"),
    _int64("lots"), _float("price"), _int64("notional"), _int64("fee"), _int64("realized"),
    _int64("position"),  # of the strategy, after it
    _int64("cash"),  # of the account, after it
    _int64("cum_lots"),  # of the order, after it
    _flag("maker"),
    ForeignKeyConstraint(["session", "order_id"], ["orders.session", "orders.id"], name="fk_fills_order"),
    UniqueConstraint("session", "order_id", "cum_lots", name="uq_fills_order"),
)  # fmt: skip
postings = Table(  # the ledger: each has a debit and a credit account, so that their sum is zero whatever is written
    "postings",
    metadata,
    _number(),
    _int("session"), _int64("seq"), _int64("ts"), _int("account"),
    _int("strategy"), _int("instrument"),
    _int64("order_id"),  # 0: no fill
    _small("code"),  # why cash moved, where no fill moved it
    _small("debit"), _small("credit"), _int64("amount"),
    CheckConstraint("amount > 0", name="amount"),
    CheckConstraint("debit <> credit", name="two_accounts"),
)  # fmt: skip
Index("ix_postings_account", postings.c.session, postings.c.account)
positions = Table(  # as they stand
    "positions", metadata, _session(), _key("strategy"), _key("instrument"),
    _int64("lots"), _int64("cost"), _int64("realized"), _int64("fees"), _int64("income"),
)  # fmt: skip
equity = Table(
    "equity", metadata, _number(), _int("session"), _int64("ts"), _int("account"), _int64("cash"), _int64("equity"),
)  # fmt: skip
Index("ix_equity_account", equity.c.session, equity.c.account, equity.c.ts)
bars = Table(
    "bars", metadata, _session(), _key("instrument"), _key("timeframe", Text),
    Column("start", BigInteger, primary_key=True, autoincrement=False), _int64("end"),
    _float("open"), _float("high"), _float("low"), _float("close"), _float("volume"), _int64("count"),
)  # fmt: skip

risk = Table(  # verdicts on limits and models, and trading states that were switched
    "risk", metadata, _number(), _int("session"), _int64("seq"), _int64("ts"), _int("account"), _int("strategy"),
    _small("kind"), _small("code"), _int64("became"), _float("measure", nullable=True), _float("bound", nullable=True),
    _int64("reason"),  # of an operator's: its index, else -1
)  # fmt: skip
grades = Table(  # forecasts of losses, with their outcome
    "grades", metadata, _number(), _int("session"), _int64("ts"), _int64("until"), _int("account"), _small("method"),
    _int64("equity"), _float("at_risk", nullable=True), _float("shortfall", nullable=True), _float("pnl", nullable=True),
)  # fmt: skip
operator_actions = Table(
    "operator_actions", metadata, _session(), Column("seq", BigInteger, primary_key=True, autoincrement=False),
    _int64("ts"), _text("portfolio"), _text("action"), _text("reason"), _text("who"),
)  # fmt: skip
forecasts = Table(
    "forecasts", metadata, _session(), Column("seq", BigInteger, primary_key=True, autoincrement=False),
    _key("actor", Text), _key("instrument"), _int64("ts"), _int64("until"), _float("value"),
    _float("low", nullable=True), _float("high", nullable=True),
)  # fmt: skip

models = Table(
    "models", metadata, _key("name", Text), _key("version"), _text("hash"), Column("card", JSON, nullable=False),
    _int64("created"), _flag("promoted"),
)  # fmt: skip
q_rows = Table(
    "q_rows", metadata, _key("name", Text), _key("version"), _key("state"), _key("action"), _float("value"),
    ForeignKeyConstraint(["name", "version"], ["models.name", "models.version"], name="fk_q_rows_model"),
)  # fmt: skip
training_runs = Table(
    "training_runs", metadata, _key("id", Text), _text("algorithm"), _text("config_hash"), _text("model", nullable=True),
    _int64("started"), _int64("ended", nullable=True), _int64("steps"), Column("result", JSON, nullable=False),
)  # fmt: skip
watchlists = Table(
    "watchlists", metadata, _key("name", Text), _key("symbol", Text), _int("position"), _int64("added"),
)  # fmt: skip
news = Table(
    "news", metadata, _key("provider", Text), _key("id", Text), _key("symbol", Text), _int64("ts"),
    _text("headline"), _text("source"), _text("url"), _text("summary"),
)  # fmt: skip
