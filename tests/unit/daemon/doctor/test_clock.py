import asyncio
import time

import pytest

from daemon.doctor.clock import Clock, judge, measure

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("clock", "ahead", "state", "text"),
    [
        (Clock(NOW, 0.0, True), None, "ok", "set by a time server"),
        (Clock(NOW, 0.0, None), 0.012, "ok", "steady, +12 ms to the database's"),
        (Clock(NOW, 0.0, False), None, "warning", "no time server sets it; run `timedatectl set-ntp true`"),
        (
            Clock(NOW, -0.5, True),
            None,
            "warning",
            "it was stepped by -500 ms while it was looked at; let one program",
        ),
        (Clock(0.0, 0.0, True), None, "failed", "it shows the year 1970; set it"),
        (Clock(NOW, 0.0, True), 2.0, "warning", "the database's is 2.0 s ahead; one of the two is wrong"),
        (
            Clock(NOW, 0.0, True),
            -3600.0,
            "failed",
            "the database's is 3600.0 s behind; one of the two is wrong",
        ),
    ],
)
def test_clock_is_judged(clock: Clock, ahead: float | None, state: str, text: str) -> None:
    (found,) = judge(clock, ahead)
    assert (found.check, found.state) == ("clock", state)
    assert found.text.startswith(text)


def test_each_thing_that_is_wrong_with_the_clock_is_told() -> None:
    assert [f.state for f in judge(Clock(NOW, 1.0, False), 60.0)] == ["warning", "failed"]


def test_clock_that_is_stepped_meanwhile_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    real = time.time
    calls = iter([0.0, -7200.0, -7200.0])  # two hours back behind the first look
    monkeypatch.setattr("daemon.doctor.clock.time.time", lambda: real() + next(calls))
    found = asyncio.run(measure())
    assert found.step == pytest.approx(-7200, abs=0.05)


def test_steady_clock_has_no_step() -> None:
    found = asyncio.run(measure())
    assert abs(found.step) < 0.01
    assert found.now == pytest.approx(time.time(), abs=5)
