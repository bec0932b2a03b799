"""When an instrument trades: sessions of its calendar, or, around the clock, days.

Times outside of any session belong to the one that comes next. After a calendar's last session there is no end any more.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.jit import inline, jit
from engine.records import DAY, NEVER, State


@jit
def _session_at(s: State, instrument: Any, ts: int) -> int:
    """The place in `sessions` of the first that closes after ts; one past the instrument's last where none does."""
    low = instrument.first_session
    high = low + instrument.n_sessions
    while low < high:
        middle = (low + high) // 2
        if s.sessions[middle].close <= ts:
            low = middle + 1
        else:
            high = middle
    return int(low)


@inline
def _day_start(instrument: Any, ts: int) -> int:
    return int((ts - instrument.day_offset) // DAY * DAY + instrument.day_offset)


@jit
def session_end(s: State, instrument: Any, ts: int) -> int:
    """The end of the session that holds ts, or of the next one; NEVER where there is none."""
    if instrument.n_sessions == 0:
        return _day_start(instrument, ts) + DAY
    place = _session_at(s, instrument, ts)
    if place == instrument.first_session + instrument.n_sessions:
        return NEVER
    return int(s.sessions[place].close)


@jit
def session_start(s: State, instrument: Any, ts: int) -> int:
    """The start of the session that holds ts; NEVER where none does."""
    if instrument.n_sessions == 0:
        return _day_start(instrument, ts)
    place = _session_at(s, instrument, ts)
    if place == instrument.first_session + instrument.n_sessions or s.sessions[place].open > ts:
        return NEVER
    return int(s.sessions[place].open)


@jit
def sessions_left(s: State, instrument: Any, ts: int) -> bool:
    """Whether the instrument's calendar has a session that closes after ts."""
    return _session_at(s, instrument, ts) < instrument.first_session + instrument.n_sessions


@jit
def open_between(s: State, instrument: Any, since: int, until: int) -> int:
    """For how many ns the instrument's market was open in [since, until)."""
    if instrument.n_sessions == 0:
        return until - since
    return _open_before(s, instrument, until) - _open_before(s, instrument, since)


@jit
def _open_before(s: State, instrument: Any, ts: int) -> int:
    """For how many ns the market was open before ts, from the calendar's first session on."""
    place = _session_at(s, instrument, ts)
    if place == instrument.first_session + instrument.n_sessions:
        last = s.sessions[place - 1]
        return int(last.before + last.close - last.open)
    session = s.sessions[place]
    return int(session.before + max(ts - session.open, np.int64(0)))
