from __future__ import annotations

from typing import Any

import pytest

from envs.ppo.settings import LearningRate, PPOSettings
from envs.qlearning.schedules import Schedule


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_lanes": 0}, "n_lanes is 0; it must be at least 1"),
        ({"patience": 0}, "patience is 0; it must be at least 1"),
        ({"gamma": 1.5}, "gamma is 1.5; it must be from 0 to 1"),
        ({"clip_range": 0.0}, "clip_range is 0.0; it must be a number above 0"),
        ({"ent_coef": float("nan")}, "ent_coef is nan; it must be a number from 0 up"),
        ({"batch_size": 8193}, "batch_size is 8193; it must be from 2 to n_lanes x n_steps = 8192"),
        ({"net_arch": ()}, r"net_arch is \(\); it must be the units of each layer"),
        ({"activation": "gelu"}, "activation is 'gelu'; there are tanh and relu"),
    ],
)
def test_setting_that_cannot_be_is_refused_by_name(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PPOSettings(**change)


def test_learning_rate_follows_its_schedule_as_steps_remain() -> None:
    rate = LearningRate(Schedule(1.0, 0.2, share=0.5))
    # over the first half of the steps; a quarter done is half of the way: 1 - 0.4
    assert [rate(r) for r in (1.0, 0.75, 0.5, 0.1, -0.1)] == pytest.approx([1.0, 0.6, 0.2, 0.2, 0.2])
    assert LearningRate(Schedule(1.0, 0.01, kind="exponential"))(0.5) == pytest.approx(0.1)
