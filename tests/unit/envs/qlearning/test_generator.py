"""The generator against its definition in Python's own integers, and against what chance would give."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import pytest

from envs.qlearning.generator import A1, A2, DRAWS, M1, M2, RANDOM, draw, make_random, uniform
from tests.builders import plain


def state_of(x1: int, x2: int) -> Any:
    return np.array([(x2, x1)], RANDOM).view(np.recarray)[0]


def test_draws_from_known_seeds_are_those_worked_out_by_hand() -> None:
    state = state_of(12_345, 67_890)
    # 40014 * 12345 = 493,972,830;  40692 * 67890 = 2,762,579,880 = 615,096,481 mod 2,147,483,399
    # 493,972,830 - 615,096,481 = -121,123,651, + 2,147,483,562 = 2,026,359,911, of which the draws begin at 0
    assert plain(draw)(state) == 2_026_359_910
    # 40014 * 493972830 = 19,765,828,819,620 = 388,105,332 mod 2,147,483,563 (x 9204)
    assert state.x1 == 493_972_830
    assert plain(draw)(state) == (493_972_830 * 40_014 % M1 - 615_096_481 * 40_692 % M2 - 1) % (M1 - 1)


def test_thousandth_draw_is_that_of_the_powers_of_the_multipliers() -> None:
    state = state_of(1, 1)
    drawn = [plain(draw)(state) for _ in range(1000)]
    assert (
        drawn[-1] == (pow(40_014, 1000, 2_147_483_563) - pow(40_692, 1000, 2_147_483_399) - 1) % 2_147_483_562
    )


@pytest.mark.parametrize(
    ("modulus", "multiplier", "factors"),
    [(M1, A1, (2, 3, 7, 631, 81_031)), (M2, A2, (2, 19, 31, 1019, 1789))],
)
def test_each_part_runs_through_all_its_states(
    modulus: int, multiplier: int, factors: tuple[int, ...]
) -> None:
    # the multiplier is a primitive root: no power (m - 1) / p of it is 1, for the primes p of m - 1
    assert np.prod(factors) == modulus - 1
    assert all(pow(multiplier, (modulus - 1) // p, modulus) != 1 for p in factors)


@pytest.mark.parametrize(
    ("x1", "x2", "expected"),
    [
        (2, 1, 0),  # a difference of 1 is the first draw
        (5, 5, DRAWS - 1),  # of 0, the last
        (M1 - 1, 1, M1 - 3),
        (1, M2 - 1, M1 - M2),  # 1 - (M2 - 1) + (M1 - 1) - 1
    ],
)
def test_draw_at_the_ends_of_its_range(x1: int, x2: int, expected: int) -> None:
    # the states one step before: divided by the multipliers
    state = state_of(x1 * pow(A1, -1, M1) % M1, x2 * pow(A2, -1, M2) % M2)
    assert plain(draw)(state) == expected
    assert 0 <= expected < DRAWS


def test_draws_split_evenly_by_two_and_three() -> None:
    assert DRAWS % 2 == DRAWS % 3 == 0


def test_million_draws_fall_evenly_and_do_not_follow_each_other() -> None:
    def fill(random: Any, out: Any) -> None:
        for i in range(len(out)):
            out[i] = uniform(random[0])

    out = np.empty(1_000_000)
    random = make_random(np.random.SeedSequence(3))
    numba.njit(fill)(random, out)
    assert out.min() >= 0
    assert out.max() < 1
    # chi-squared of 1,000 cells has mean 999 and deviation sqrt(2 * 999) = 44.7: here within 5 of them
    for values, cells in (
        (out, 1000),
        (np.floor(out[::2] * 32) / 32 + out[1::2] / 32, 1024),
    ):  # single, pairs
        counts = np.histogram(values, cells, (0.0, 1.0))[0]
        chi_squared = float(((counts - counts.mean()) ** 2).sum() / counts.mean())
        assert abs(chi_squared - (cells - 1)) < 5 * np.sqrt(2 * (cells - 1))


def test_seeds_give_states_in_range_that_differ() -> None:
    states = [make_random(np.random.SeedSequence(seed))[0] for seed in range(50)]
    assert all(1 <= s.x1 < M1 and 1 <= s.x2 < M2 for s in states)
    assert len({(int(s.x1), int(s.x2)) for s in states}) == 50
    assert (
        make_random(np.random.SeedSequence(4)).tobytes() == make_random(np.random.SeedSequence(4)).tobytes()
    )
