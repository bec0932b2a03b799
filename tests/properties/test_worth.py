"""What a portfolio is worth is carried along by differences, and is at any time what adding everything up gives."""

import random
from typing import Any

from engine.engine import Engine
from engine.watch import worth_of
from tests.builders import plain
from tests.properties.drawing import random_world
from tests.properties.worlds import run


def test_worth_that_differences_led_to_is_the_sum_of_all() -> None:
    compared = 0

    def compare(engine: Engine, *_: Any) -> None:
        nonlocal compared
        s = engine.state
        for p, portfolio in enumerate(s.portfolios):
            if portfolio.watched and portfolio.moves == s.accounts[portfolio.account].moves > 0:
                assert int(portfolio.worth) == plain(worth_of)(s, p)
                compared += 1

    for seed in range(24):
        world = random_world(random.Random(seed))
        run(world, range(1, world.rows, 1 + seed % 3), compare)
    assert compared > 300
