"""Orders that change over several batches, against the row that the store would have of them."""

import asyncio

import numpy as np

from daemon.store import rows
from daemon.store.batch import Batch
from daemon.verify.comparing import Stored
from daemon.verify.orders import Orders
from engine.engine import Events
from engine.records import EQUITY, EVENT, NONE, SLOT, Code, EventKind, Status
from engine.records_risk import GRADE
from tests.builders import make_ticks


def batch(first, *events):
    """A batch of one input; events of (id, kind, status, code, cum_lots)."""
    told = np.zeros(len(events), EVENT)
    told["observation"] = NONE
    told["ts"] = told["seq"] = first
    for e, (order, kind, status, code, lots) in zip(told, events, strict=True):
        e["order_id"], e["kind"], e["status"], e["code"], e["cum_lots"] = order, kind, status, code, lots
        e["submitted"] = e["order_seq"] = 10 * order
    out = Events(told, np.zeros((0, 0)), np.zeros(0, EQUITY), np.zeros(0, GRADE))
    return Batch(first, make_ticks([(first, 1.0, 1.0, 0)]), out, np.zeros(0, SLOT))


CUT = batch(11, (1, EventKind.ORDER, Status.NEW, Code.VAR, 0))
FILLED_IN_PART = batch(12, (1, EventKind.FILL, Status.PARTIALLY_FILLED, Code.NONE, 4))
ENDED = batch(13, (1, EventKind.ORDER, Status.CANCELED, Code.OPERATOR, 4))


def compared(batches, **stored):
    """The difference at each batch and at the end, where the store has that of order 1 beside what first was told of it."""
    (row,) = rows.orders(1, CUT)
    there = [row | stored] if stored else []

    async def page(after, n):
        return [r for r in there if r["id"] > after][:n]

    async def story():
        orders = Orders(Stored(page, "id"))
        return [await orders.take(b, 1, b.last + 1) for b in batches] + [await orders.finish(20, 20)]

    return asyncio.run(story())


def test_order_that_works_keeps_the_code_of_its_verdict():
    as_it_stands = {"status": Status.PARTIALLY_FILLED, "cum_lots": 4, "updated": 12}
    assert compared([CUT, FILLED_IN_PART], code=Code.VAR, **as_it_stands) == [None] * 3
    (*_, found) = compared([CUT, FILLED_IN_PART], code=Code.NONE, **as_it_stands)
    assert (found.column, found.ts) == ("code", 12)


def test_order_is_compared_in_the_batch_in_which_it_ends():
    as_it_stands = {"status": Status.CANCELED, "code": Code.OPERATOR, "updated": 13}
    assert compared([CUT, FILLED_IN_PART, ENDED], cum_lots=4, **as_it_stands) == [None] * 4
    at_its_end = compared([CUT, FILLED_IN_PART, ENDED], cum_lots=5, **as_it_stands)
    assert [d and d.column for d in at_its_end] == [None, None, "cum_lots", None]


def test_order_that_changed_since_is_compared_in_what_caused_it():
    later = {"status": Status.FILLED, "code": Code.NONE, "cum_lots": 9, "updated": 99}
    assert compared([CUT], **later) == [None, None]
    assert [d and d.column for d in compared([CUT], side=-1, **later)] == [None, "side"]


def test_order_that_is_not_stored_is_missing_once():
    found = compared([CUT, FILLED_IN_PART, ENDED])
    assert [d and (d.stored, d.replayed["id"]) for d in found] == [(None, 1), None, None, None]
