"""Lanes in compiled code: each is an engine of its own, and is advanced by the engine's own entry.

A lane stands at the close of a bar, where its strategy is to be asked. An action is a wish of the engine's kernel; the
entry carries it out and goes on to the close of the next bar. Nothing of trading is here.

An episode may begin at any bar. On each tape a fresh account was led along once, and its state kept at every so many
bars (checkpoints): an episode begins with a copy of the last one before its start, and goes on from there as in any
replay, asked from its start on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from enum import IntEnum
from functools import cache
from typing import Any

from numba.core import types

from engine.features import account_value
from engine.jit import entry, inline, jit, setting
from engine.kernel import Command, kernel
from engine.records import Outcome
from engine.table import call, copy_bytes, prefetch, state_at, ticks_at
from envs.compiling import own_folder
from envs.qlearning.generator import draw
from envs.records import Batch, batch_at
from envs.rewards import begin_reward, reward_of

HOLD = 1
AHEAD = 2  # lanes: their part of the tape is fetched while others are stepped


class Ended(IntEnum):
    """What became of an episode by a step."""

    NO = 0
    TERMINATED = 1  # ruined: nothing comes after it
    TRUNCATED = 2  # it is cut off, and would go on
    FAULT = 3  # the engine stopped: a programming error, or more orders at work than a lane has room for


@inline
def _clear(c: Any) -> None:
    # nobody hears the events of lanes but those of the last step
    c.n_events = 0
    c.n_equity = 0
    c.n_grades = 0
    c.n_observations = 0
    c.n_calls = 0


@jit
def _advance(b: Batch, i: int) -> bool:
    """Let lane i's engine carry out what stands in its wish, and go on to the close of the next bar; false where it stops."""
    s = state_at(b.at[i])
    c = s.clock[0]
    _clear(c)
    outcome = call(b.engine[0], b.at[i])
    # without room the outboxes are full, and emptied unheard; or the pool of orders is, which nothing mends
    while outcome == Outcome.ROOM and c.n_events + c.n_equity + c.n_grades + c.n_observations > 0:
        _clear(c)
        outcome = call(b.engine[0], b.at[i])
    return bool(outcome == Outcome.CALLS)


@jit
def start_lane(b: Batch, i: int, tape_index: int, start: int, last: int) -> None:
    """Begin an episode of lane i at the close of bar `start` of a tape; it ends at bar `last` at the latest."""
    settings = b.settings[0]
    lane = b.lanes[i]
    tape = b.tapes[tape_index]
    k = tape.first_checkpoint + tape.checkpoints - 1
    while b.checkpoint_bars[k] > start:
        k -= 1
    place = i * settings.block
    copy_bytes(b.blocks, place, b.checkpoints, k * settings.kept, settings.varying)
    copy_bytes(b.blocks, place + settings.varying, b.fresh, 0, settings.pristine)
    s = state_at(b.at[i])
    c = s.clock[0]
    c.row = b.checkpoint_rows[k]
    c.trade_from = b.times[tape.bars + start]
    s.wish[0].what = Command.NONE
    lane.tape = tape_index
    lane.start = start
    lane.bar = start
    lane.last = last
    lane.steps = 0
    lane.earned = 0.0
    lane.ended = Ended.NO
    while True:
        if not _advance(b, i):
            lane.ended = Ended.FAULT
            break
        if s.series[s.slots[0].series].bars > start:
            break
    begin_reward(lane, settings, s.accounts[0].equity)


@jit
def draw_start(b: Batch, i: int) -> None:
    """Begin an episode of lane i anywhere on any of the tapes.

    Where it has a length, it has its full length; else it goes on to the end of the span, and a lane that does not restart
    begins at the start of it.
    """
    lane = b.lanes[i]
    settings = b.settings[0]
    tape_index = draw(lane) % len(b.tapes)
    tape = b.tapes[tape_index]
    start = tape.first
    last = tape.last
    if settings.episode_bars > 0:
        start += draw(lane) % max(tape.last - settings.episode_bars - tape.first + 1, 1)
        last = min(start + settings.episode_bars, tape.last)
    elif settings.restarts:
        start += draw(lane) % (tape.last - tape.first)
    start_lane(b, i, tape_index, start, last)


@jit
def step_lane(b: Batch, i: int, action: float) -> None:
    """Act, and go on to the close of the next bar: the lane's reward and whether the episode has ended.

    action: 0 sell, 1 hold, 2 buy, or a target exposure.
    """
    settings = b.settings[0]
    lane = b.lanes[i]
    s = state_at(b.at[i])
    wish = s.wish[0]
    wish.a = 0
    if settings.target:
        wish.what = Command.EXPOSE
        wish.x = action
    elif action != HOLD:
        wish.what = Command.ACT
        wish.b = int(action)
    if not _advance(b, i):
        lane.ended = Ended.FAULT
        lane.reward = 0.0
        return
    account = s.accounts[0]
    lane.bar += 1
    lane.steps += 1
    lane.reward = reward_of(lane, settings, account.equity, account.fees)
    lane.earned += lane.reward
    lane.ended = Ended.NO
    if account.equity <= settings.ruin * lane.initial:
        lane.ended = Ended.TERMINATED
    elif lane.bar >= lane.last:
        lane.ended = Ended.TRUNCATED


@jit
def observe_lane(b: Batch, i: int, out: Any, at: int) -> None:
    """Write what lane i observes, normalised, into `out` from place `at` on."""
    s = state_at(b.at[i])
    slot = s.slots[0]
    n = len(b.observed)
    row = feature_row(b, i)
    bound = b.settings[0].bound
    for k in range(n):
        which = b.observed[k]
        value = b.features[row + which] if which >= 0 else account_value(s, slot, ~which)
        value = (value - b.mean[k]) * b.scale[k]
        if math.isnan(value):  # an account that has lost everything
            value = 0.0
        out[at + k] = min(max(value, -bound), bound)


@inline
def feature_row(b: Batch, i: int) -> int:
    """Where the features of lane i's bar begin in `features`."""
    lane = b.lanes[i]
    return (b.tapes[lane.tape].bars + lane.bar) * b.settings[0].width


@inline
def fetch_lane(b: Batch, i: int) -> None:
    """Fetch what the next step of lane i reads of the tape, which is as far from the other lanes' as chance has put it."""
    t = ticks_at(b.at[i])
    row = state_at(b.at[i]).clock[0].row
    prefetch(t.ts_event, row)
    prefetch(t.ts_recv, row)
    prefetch(t.instrument, row)
    prefetch(t.price, row)
    prefetch(t.size, row)
    prefetch(t.flags, row)
    prefetch(b.features, feature_row(b, i) + b.settings[0].width)


def reset(at: Any, first: int, end: int) -> int:
    """Begin an episode in each of the lanes from `first` to before `end`."""
    b = batch_at(at)
    for i in range(first, end):
        draw_start(b, i)
        if b.lanes[i].ended == Ended.FAULT:
            return -1 - i
        observe_lane(b, i, b.observations, i * len(b.observed))
    return 0


def place(at: Any, i: int, start: int) -> int:
    """Begin an episode of lane i at bar `start` of its tape; it goes on to the end of the span, or for its length."""
    b = batch_at(at)
    lane = b.lanes[i]
    tape = b.tapes[lane.tape]
    length = b.settings[0].episode_bars
    last = min(start + length, tape.last) if length > 0 else tape.last
    start_lane(b, i, lane.tape, start, last)
    if lane.ended == Ended.FAULT:
        return -1 - i
    observe_lane(b, i, b.observations, i * len(b.observed))
    return 0


def step(at: Any, first: int, end: int) -> int:
    """Step the lanes from `first` to before `end` by `actions`; the number of episodes that ended."""
    b = batch_at(at)
    k = len(b.observed)
    ended = 0
    for i in range(first, end):
        if i + AHEAD < end:
            fetch_lane(b, i + AHEAD)
        lane = b.lanes[i]
        if lane.ended != Ended.NO:  # nobody has begun another episode
            b.rewards[i] = 0.0
            continue
        step_lane(b, i, b.actions[i])
        b.rewards[i] = lane.reward
        b.terminated[i] = lane.ended == Ended.TERMINATED
        b.truncated[i] = lane.ended == Ended.TRUNCATED
        if lane.ended == Ended.FAULT:
            return -1 - i
        if lane.ended != Ended.NO:
            ended += 1
            observe_lane(b, i, b.final_observations, i * k)
            if b.settings[0].restarts:
                draw_start(b, i)
        observe_lane(b, i, b.observations, i * k)
    return ended


@cache
def kernels() -> Mapping[str, Callable[[Any, int, int], int]]:
    """The entries by name, compiled on the first call in a process."""
    functions = {"reset": reset, "place": place, "step": step}
    if setting("DISABLE_JIT"):
        return functions
    kernel()  # the engine first: it has a cache of its own
    signature = types.int64(types.int64, types.int64, types.int64)
    with own_folder():
        return {name: entry(signature, function, nogil=True) for name, function in functions.items()}
