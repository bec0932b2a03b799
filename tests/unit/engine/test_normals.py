"""The fixed normals: Philox against its published answers, the inverse normal against the standard library's."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest

from engine.normals import inverse_normal, normals, philox, uniform

ALL = 2**32 - 1


def by_hand(seed: int, instrument: int, draw: int) -> float:
    """One normal in whole numbers: the words of the block (pair of draws, 0, instrument, 0) under the seed's halves."""
    block, key = [draw // 2, 0, instrument, 0], [seed % 2**32, seed // 2**32]
    for _ in range(10):
        p, q = 0xD2511F53 * block[0], 0xCD9E8D57 * block[2]
        block = [
            (q // 2**32) ^ block[1] ^ key[0],
            q % 2**32,
            (p // 2**32) ^ block[3] ^ key[1],
            p % 2**32,
        ]
        key = [(key[0] + 0x9E3779B9) % 2**32, (key[1] + 0xBB67AE85) % 2**32]
    bits = block[0] * 2**20 + block[1] // 2**12  # 52 of them
    value = NormalDist().inv_cdf((bits + 0.5) / 2**52)
    return -value if draw % 2 else value


@pytest.mark.parametrize(
    ("counter", "key", "answer"),
    [  # the test vectors that come with the paper's library, Random123: philox4x32 of 10 rounds
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((ALL, ALL, ALL, ALL), (ALL, ALL), (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)  # fmt: skip
def test_philox_gives_its_published_answers(
    counter: tuple[int, int, int, int], key: tuple[int, int], answer: tuple[int, ...]
) -> None:
    a, b, c, d = (np.array([word, 0], np.uint64) for word in counter)
    assert tuple(int(word[0]) for word in philox((a, b, c, d), key)) == answer


def test_uniform_is_above_0_and_below_1_for_all_words() -> None:
    high, low = (np.array(words, np.uint64) for words in ((0, 0, 2**31, ALL), (0, 2**12, 0, ALL)))
    assert uniform(high, low).tolist() == [2.0**-53, 3 * 2.0**-53, 0.5 + 2.0**-53, 1 - 2.0**-53]
    assert np.isfinite(inverse_normal(uniform(high, low))).all()


def test_inverse_normal_is_the_standard_librarys() -> None:
    small = np.concatenate([10.0 ** -np.arange(1, 300), 2.0 ** -np.arange(1, 54)])
    p = np.concatenate([small, 1.0 - small[small > 1e-16], np.linspace(0.0005, 0.9995, 9_990)])
    expected = np.array([NormalDist().inv_cdf(each) for each in p.tolist()])
    assert inverse_normal(p) == pytest.approx(expected, rel=1e-14, abs=1e-15)


def test_inverse_normal_of_one_number_is_one_number() -> None:
    for p in (0.5, 0.01, 0.99, 1e-12):
        x = inverse_normal(p)
        assert isinstance(x, float)
        assert x == pytest.approx(NormalDist().inv_cdf(p), rel=1e-14, abs=1e-15)
    assert inverse_normal(np.full((2, 3), 0.975)).shape == (2, 3)


@pytest.mark.parametrize("p", [0.0, 1.0, -0.5, 1.5])
def test_inverse_normal_of_what_is_no_share_is_refused(p: float) -> None:
    with pytest.raises(ValueError, match=r"math domain error|expected a positive input"):
        inverse_normal(np.array([0.5, p]))


def test_inverse_normal_inverts_the_error_function() -> None:
    p = np.concatenate([10.0 ** -np.arange(1, 300, 7), np.linspace(0.001, 0.499, 250)])
    below = np.array([0.5 * math.erfc(-x / math.sqrt(2)) for x in inverse_normal(p).tolist()])
    # far out a rounding of x is x^2 times as large in the share below it
    assert below == pytest.approx(p, rel=1e-12)


def test_each_normal_is_a_function_of_its_seed_instrument_and_draw() -> None:
    for seed in (0, 1, 7_654_321_987_654_321, 2**64 - 1):
        found = normals(seed, 3, 7).reshape(3, 7)
        expected = [[by_hand(seed, i, d) for d in range(7)] for i in range(3)]
        assert found == pytest.approx(np.array(expected), rel=1e-14)


def test_more_instruments_or_draws_leave_the_others_as_they_are() -> None:
    few = normals(5, 3, 101).reshape(3, 101)
    many = normals(5, 40, 2_000).reshape(40, 2_000)
    assert np.array_equal(few, many[:3, :101])


@pytest.mark.parametrize("shape", [(0, 10), (2, 0), (1, 1), (2, 3)])
def test_any_number_of_instruments_and_draws_is_possible(shape: tuple[int, int]) -> None:
    values = normals(0, *shape)
    assert values.shape == (shape[0] * shape[1],)
    assert np.isfinite(values).all()


def test_every_second_draw_is_the_opposite_of_the_one_before() -> None:
    values = normals(11, 4, 1_000).reshape(4, 500, 2)
    assert np.array_equal(values[..., 0], -values[..., 1])


@pytest.mark.parametrize("seed", [0, 1, 99])
def test_normals_are_normal_and_independent_between_instruments(seed: int) -> None:
    n = 20_000
    values = normals(seed, 20, 2 * n).reshape(20, n, 2)[..., 0]
    # of n independent normals the mean, the variance and the fourth moment vary by 1, 2 and 96 over n; 5 deviations
    assert np.abs(values.mean(1)).max() < 5 / math.sqrt(n)
    assert np.abs((values**2).mean(1) - 1).max() < 5 * math.sqrt(2 / n)
    assert np.abs((values**4).mean(1) - 3).max() < 5 * math.sqrt(96 / n)
    between = np.corrcoef(values) - np.eye(20)
    assert np.abs(between).max() < 5 / math.sqrt(n)
    following = (values[:, 1:] * values[:, :-1]).mean(1)
    assert np.abs(following).max() < 5 / math.sqrt(n)
    # Kolmogorov's distance of all of them: beyond 1.95 / sqrt(n) once in a thousand times
    ordered = np.sort(values, axis=None)
    share = np.array([NormalDist().cdf(x) for x in ordered[::10].tolist()])
    assert np.abs(share - np.arange(0, len(ordered), 10) / len(ordered)).max() < 1.95 / math.sqrt(
        len(ordered)
    )
    assert len(np.unique(ordered)) == len(ordered)


def test_another_seed_gives_other_normals() -> None:
    a, b = normals(0, 1, 20_000)[::2], normals(2**32, 1, 20_000)[::2]
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.05


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_seed_out_of_range_is_refused(seed: int) -> None:
    with pytest.raises(ValueError, match=r"a whole number from 0 to 2 \*\* 64 - 1"):
        normals(seed, 1, 1)
