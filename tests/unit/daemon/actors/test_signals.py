"""What may stand in a signal, and how it reads on the tape; how long a coroutine's steps take."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import numpy as np
import pytest

from daemon.actors.errors import SignalError
from daemon.actors.signals import MOST_DATA, content, heard
from daemon.actors.stepwise import stepwise
from strategies import Signal


def of(*args: Any, **given: Any) -> dict[str, Any]:
    return content(Signal(*args, **given), "x", ["A", "B"], 1000, 60)


def test_signal_is_heard_as_it_was_said_after_a_way_through_json() -> None:
    said = of("B", np.float32(0.5), low=np.float64(0.1), high=1, until=1000, data={"k": (1, 2.5), 3: None})
    assert json.loads(json.dumps(said)) == said
    assert heard(said) == Signal("B", 0.5, 0.1, 1.0, 1000, {"k": [1, 2.5], "3": None}, 1000, "x")


def test_signal_of_no_one_instrument_holds_for_a_bar_where_it_does_not_say() -> None:
    assert heard(of(None, -2)) == Signal(None, -2.0, None, None, 1060, {}, 1000, "x")


@pytest.mark.parametrize(
    ("args", "given", "message"),
    [
        (("C", 1.0), {}, "there is no instrument 'C'; there are A, B"),
        (("A", float("nan")), {}, "its value is nan; it must be finite"),
        (("A", float("inf")), {}, "its value is inf"),
        (("A", None), {}, "its value is None, which is no number"),
        (("A", "much"), {}, "its value is 'much', which is no number"),
        (("A", 1.0), {"low": float("-inf")}, "its low is -inf"),
        (("A", 1.0), {"low": 2.0, "high": 1.5}, "its low, 2, is above its high, 1.5"),
        (("A", 1.0), {"until": 999}, "it holds until 999, which is no time in ns from 1000 on"),
        (("A", 1.0), {"until": 2**63}, "it holds until 9223372036854775808"),
        (("A", 1.0), {"until": 2000.0}, r"it holds until 2000\.0"),
        (("A", 1.0), {"data": {"a": float("nan")}}, "its data cannot be written as JSON"),
        (("A", 1.0), {"data": {"a": object()}}, "its data cannot be written as JSON"),
        (("A", 1.0), {"data": 5}, "its data cannot be written as JSON"),
        (("A", 1.0), {"data": {"a": "x" * MOST_DATA}}, "its data are 65,545 characters as JSON"),
    ],
)
def test_signal_that_cannot_be_used_is_refused_with_its_reason(
    args: tuple[Any, ...], given: dict[str, Any], message: str
) -> None:
    with pytest.raises(SignalError, match=message):
        of(*args, **given)


def test_each_step_of_a_coroutine_is_timed_by_itself() -> None:
    async def work() -> str:
        time.sleep(0.03)  # noqa: ASYNC251
        await asyncio.sleep(0.05)
        time.sleep(0.02)  # noqa: ASYNC251
        return "done"

    async def story() -> None:
        steps: list[float] = []
        assert await stepwise(work(), steps.append) == "done"
        assert len(steps) == 2
        assert 0.03 <= steps[0] < 0.08
        assert 0.02 <= steps[1] < 0.07

    asyncio.run(story())


def test_coroutine_whose_steps_are_timed_can_be_cancelled_and_cleans_up() -> None:
    async def work(found: list[str]) -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            found.append("cleaned up")
            raise

    async def story() -> None:
        found: list[str] = []

        async def timed() -> None:
            await stepwise(work(found), lambda seconds: None)

        task = asyncio.create_task(timed())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert found == ["cleaned up"]

    asyncio.run(story())
