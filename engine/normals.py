"""Fixed standard normals: each is a function of the seed, the instrument and the draw, and of nothing else.

So the engine keeps no random state, and one more instrument or draw leaves all the others as they are. The bits are those of
Philox4x32-10 (Salmon, Moraes, Dror and Shaw 2011), a cipher of a counter; the uniforms made of them go through the inverse of
the normal distribution (Wichura 1988, algorithm AS 241, PPND16: to about 1e-16 of its value).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10
LOW = 0xFFFFFFFF  # of a word


def normals(seed: int, instruments: int, draws: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Standard normals, (instruments * draws,) float64, instrument by instrument.

    seed: a whole number, at least 0 and below 2 ** 64, else ValueError. Draw 2 i + 1 is minus draw 2 i (antithetic): the
    odd moments of an even number of draws are those of the distribution.
    """
    if not 0 <= seed < 2**64:
        raise ValueError(f"a seed of {seed}: it must be a whole number from 0 to 2 ** 64 - 1")
    pair = np.arange((draws + 1) // 2, dtype=np.uint64)[np.newaxis, :]
    instrument = np.arange(instruments, dtype=np.uint64)[:, np.newaxis]
    zero = np.zeros((instruments, pair.size), np.uint64)
    high, low, _, _ = philox((pair + zero, zero, instrument + zero, zero), (seed & LOW, seed >> 32))
    values = inverse_normal(uniform(high, low))
    return np.stack((values, -values), axis=-1).reshape(instruments, 2 * pair.size)[:, :draws].ravel()


def philox(counter: tuple[Any, Any, Any, Any], key: tuple[int, int]) -> tuple[Any, Any, Any, Any]:
    """Philox4x32-10 of counters, four uint64 arrays of 32-bit words, under a key of two words; the same form comes out."""
    a, b, c, d = counter
    k0, k1 = key
    for _ in range(ROUNDS):
        p = a * np.uint64(MULTIPLIERS[0])
        q = c * np.uint64(MULTIPLIERS[1])
        a, b, c, d = q >> 32 ^ b ^ np.uint64(k0), q & LOW, p >> 32 ^ d ^ np.uint64(k1), p & LOW
        k0 = k0 + KEY_STEPS[0] & LOW
        k1 = k1 + KEY_STEPS[1] & LOW
    return a, b, c, d


def uniform(high: Any, low: Any) -> Any:
    """Uniforms above 0 and below 1 of two uint64 arrays of 32-bit words: 52 of their bits and a half, exact in a float."""
    return ((high << 20 | low >> 12).astype(np.float64) + 0.5) * 2.0**-52


# Wichura's rational functions, the highest power first as np.polyval wants it: numerator and denominator
CENTRE = (
    (
        2.5090809287301226727e3, 3.3430575583588128105e4, 6.7265770927008700853e4, 4.5921953931549871457e4,
        1.3731693765509461125e4, 1.9715909503065514427e3, 1.3314166789178437745e2, 3.3871328727963666080e0,
    ),
    (
        5.2264952788528545610e3, 2.8729085735721942674e4, 3.9307895800092710610e4, 2.1213794301586595867e4,
        5.3941960214247511077e3, 6.8718700749205790830e2, 4.2313330701600911252e1, 1.0,
    ),
)  # fmt: skip
TAIL = (
    (
        7.74545014278341407640e-4, 2.27238449892691845833e-2, 2.41780725177450611770e-1, 1.27045825245236838258e0,
        3.64784832476320460504e0, 5.76949722146069140550e0, 4.63033784615654529590e0, 1.42343711074968357734e0,
    ),
    (
        1.05075007164441684324e-9, 5.47593808499534494600e-4, 1.51986665636164571966e-2, 1.48103976427480074590e-1,
        6.89767334985100004550e-1, 1.67638483018380384940e0, 2.05319162663775882187e0, 1.0,
    ),
)  # fmt: skip
FAR_TAIL = (
    (
        2.01033439929228813265e-7, 2.71155556874348757815e-5, 1.24266094738807843860e-3, 2.65321895265761230930e-2,
        2.96560571828504891230e-1, 1.78482653991729133580e0, 5.46378491116411436990e0, 6.65790464350110377720e0,
    ),
    (
        2.04426310338993978564e-15, 1.42151175831644588870e-7, 1.84631831751005468180e-5, 7.86869131145613259100e-4,
        1.48753612908506148525e-2, 1.36929880922735805310e-1, 5.99832206555887937690e-1, 1.0,
    ),
)  # fmt: skip


def inverse_normal(p: Any) -> Any:
    """The standard normal's quantiles: x of which a share p lies below.

    p: a number above 0 and below 1, or an array of such; x has its shape. ValueError where one is 0 or less, 1 or more.
    """
    share = np.ravel(np.asarray(p, np.float64))
    q = share - 0.5
    x = np.empty_like(q)
    centre = np.abs(q) <= 0.425
    x[centre] = q[centre] * _ratio(CENTRE, 0.180625 - q[centre] * q[centre])
    outer = share[~centre]
    # by math.log, for numpy's differs in the last bit from one processor to another
    r = np.sqrt([-math.log(tail) for tail in np.minimum(outer, 1.0 - outer).tolist()])
    size = np.where(r <= 5.0, _ratio(TAIL, r - 1.6), _ratio(FAR_TAIL, r - 5.0))
    x[~centre] = np.copysign(size, q[~centre])
    return x.reshape(np.shape(p))[()]


def _ratio(coefficients: tuple[tuple[float, ...], tuple[float, ...]], r: Any) -> Any:
    return np.polyval(coefficients[0], r) / np.polyval(coefficients[1], r)
