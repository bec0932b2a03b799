"""Waiting: how long, how often, and that requests stay below a provider's limit."""

import random

import pytest

from daemon.fetch.errors import Refused, Transient
from daemon.fetch.patience import TokenBucket, retry_after
from tests.unit.daemon.fetch.outside import Clock, ns, patience


class Question:
    """Fails so often, then answers 42."""

    def __init__(self, *faults: Exception) -> None:
        self.faults = list(faults)
        self.asked = 0

    def __call__(self) -> int:
        self.asked += 1
        if self.faults:
            raise self.faults.pop(0)
        return 42


def test_answer_at_once_takes_no_time() -> None:
    clock = Clock()
    assert patience(clock).ask("AAPL", Question()) == 42
    assert clock.slept == []


def test_transient_faults_are_waited_out_for_twice_as_long_each_time() -> None:
    clock, said = Clock(), list[str]()
    question = Question(*(Transient("busy") for _ in range(4)))
    assert patience(clock, said).ask("AAPL", question) == 42
    assert len(clock.slept) == 4
    for wait, most in zip(clock.slept, (1, 2, 4, 8), strict=True):
        assert most / 2 <= wait <= most
    assert said[0].startswith("AAPL: busy; attempt 2 of 5 in ")


def test_waits_are_those_of_the_generator_that_was_given() -> None:
    clock = Clock()
    patience(clock).ask("AAPL", Question(Transient("busy"), Transient("busy")))
    rng = random.Random(7)  # the clock's seed
    assert clock.slept == [1 * (1 - rng.random() / 2), 2 * (1 - rng.random() / 2)]


def test_fifth_failure_is_the_last() -> None:
    clock, question = Clock(), Question(*(Transient("busy") for _ in range(9)))
    with pytest.raises(Refused, match=r"^busy; gave up after 5 attempts, try again later$"):
        patience(clock).ask("AAPL", question)
    assert question.asked == 5
    assert len(clock.slept) == 4


def test_longer_wish_of_the_provider_is_kept() -> None:
    clock = Clock()
    patience(clock).ask("AAPL", Question(Transient("busy", 17.0)))
    assert clock.slept == [17.0]


def test_shorter_wish_of_the_provider_does_not_shorten_the_wait() -> None:
    clock = Clock()
    patience(clock).ask("AAPL", Question(Transient("busy", 0.0)))
    assert clock.slept[0] >= 0.5


def test_wish_of_more_than_five_minutes_is_not_waited_for() -> None:
    clock, question = Clock(), Question(Transient("busy", 3600.0))
    with pytest.raises(Refused, match="asks to wait 3600 s: try again after that"):
        patience(clock).ask("AAPL", question)
    assert (clock.slept, question.asked) == ([], 1)


@pytest.mark.parametrize("fault", [Refused("no"), ValueError("ours")])
def test_no_and_errors_of_ours_are_not_asked_again(fault: Exception) -> None:
    clock, question = Clock(), Question(fault)
    with pytest.raises(type(fault)):
        patience(clock).ask("AAPL", question)
    assert (clock.slept, question.asked) == ([], 1)


@pytest.mark.parametrize(("per_minute", "burst"), [(60, 20), (30, 10), (5, 1)])
def test_no_minute_has_more_requests_than_the_limit(per_minute: int, burst: int) -> None:
    clock = Clock()
    bucket = TokenBucket(per_minute, burst, clock.outside)
    rng, times = random.Random(3), list[float]()
    for _ in range(300):
        bucket.take()
        times.append(clock.monotonic())
        if rng.random() < 0.05:
            clock.sleep(rng.random() * 40)  # a pause, in which tokens are saved up
    most = max(sum(t <= u < t + 60 for u in times) for t in times)
    assert most <= per_minute
    assert most >= 0.9 * per_minute - 1  # and the limit is made use of


def test_burst_passes_without_waiting() -> None:
    clock = Clock()
    bucket = TokenBucket(60, 20, clock.outside)
    for _ in range(20):
        bucket.take()
    assert clock.slept == []
    bucket.take()
    assert sum(clock.slept) == pytest.approx(60 / 40, abs=0.01)  # 40 a minute beyond the burst


@pytest.mark.parametrize("burst", [0, 60])
def test_burst_outside_the_limit_is_refused(burst: int) -> None:
    with pytest.raises(ValueError, match="it must lie between 0 and 60"):
        TokenBucket(60, burst, Clock().outside)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("17", 17.0),
        (" 0 ", 0.0),
        ("Thu, 10 Sep 2020 12:02:00 GMT", 120.0),
        ("Thu, 10 Sep 2020 14:02:00 +0200", 120.0),
        ("Thu, 10 Sep 2020 12:02:00 -0000", 120.0),
        ("Thu, 10 Sep 2020 11:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, ns("2020-09-10T12:00:00")) == seconds
