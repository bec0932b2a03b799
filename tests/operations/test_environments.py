"""The shipped training configurations, as environments for others' libraries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pettingzoo.test import parallel_api_test

from daemon.training.environments import Part, arena_env, training_env
from envs.errors import TaskError

TRAIN = Path(__file__).parents[2] / "configs" / "train"
PERSONALITIES = ["conservative", "aggressive", "momentum", "mean-reversion"]
SMALL: dict[str, Any] = {
    "name": "small",
    "data": [{"source": "sample", "instrument": "AAPL"}],
    "algorithm": "qlearning",
    "features": ["log_return", "exposure"],
    "steps": 1,
}


def test_the_four_personalities_make_an_arena(capsys: pytest.CaptureFixture[str]) -> None:
    env = arena_env([TRAIN / f"{name}.yaml" for name in PERSONALITIES])
    assert env.possible_agents == PERSONALITIES
    parallel_api_test(env, num_cycles=50)
    assert "Passed" in capsys.readouterr().out


def test_parts_of_the_history_follow_each_other() -> None:
    parts: tuple[Part, ...] = ("train", "validation", "test")
    train, validation, test = (training_env(SMALL, part=part) for part in parts)
    bars = len(train.tapes[0])
    # log_return is there from bar 1 on and looks back over one bar, and so much is left out twice
    assert train.spans[0].start == 1
    assert len(train.spans[0]) / (bars - 3) == pytest.approx(0.6, abs=1e-3)
    assert train.spans[0].end <= validation.spans[0].start < validation.spans[0].end <= test.spans[0].start
    assert test.spans[0].end == bars
    assert train.reset()[1]["bar"] == 1


def test_episodes_of_an_arena_lie_where_all_its_agents_learn() -> None:
    # one has its features from bar 50 on, the other learns on less
    slow = {**SMALL, "name": "slow", "features": ["sma_gap_50", "exposure"]}
    short = {**SMALL, "spans": {"train": 0.5, "validation": 0.3, "test": 0.2}}
    alone = [training_env(source).spans[0] for source in (slow, short)]
    (span,) = arena_env([slow, short])._envs["slow"].spans
    assert (span.start, span.end) == (alone[0].start, alone[1].end)
    assert alone[0].start > alone[1].start
    assert alone[0].end > alone[1].end


def test_configurations_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(TaskError, match="two configurations are named 'small'"):
        arena_env([SMALL, SMALL])
    other = {**SMALL, "name": "other", "data": [{"source": "sample", "instrument": "IBM"}]}
    with pytest.raises(TaskError, match="AAPL of small and IBM of other differ"):
        arena_env([SMALL, other])
