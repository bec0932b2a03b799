"""The compiled inner loops of PPO: what is neither a matrix product nor a numpy function of its own.

All of them are float32 in and out, run outside Python's lock, and take the memory that they write into.

Losses are those of Schulman et al. (2017), "Proximal Policy Optimization Algorithms", eq. 7 and 9, with the clipped
surrogate, squared value error and entropy bonus: per sample with advantage A, ratio r = exp(log p - log p_old),

    -min(A r, A clip(r, 1 - c, 1 + c)) + vf_coef (V - R)^2 - ent_coef H

The slope by log p is -A r where r is inside the clip or clipping would make the loss larger, and 0 elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from engine.jit import entry, inline
from envs.compiling import own_folder

Array = np.ndarray[Any, Any]
# What a loss adds up, over its samples: surrogate loss, squared value error, entropy, samples whose ratio was clipped,
# and Schulman's estimate of the KL divergence, (r - 1) - log r.
SUMS = 5
HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)


def tanh_backward(h: Array, slope: Array, bias_grad: Array) -> None:
    """Multiply slope by 1 - h^2 in place; its sum over the rows is added to bias_grad. h, slope: (m, n); bias_grad: (n,)."""
    for i in range(h.shape[0]):
        for j in range(h.shape[1]):
            s = slope[i, j] * (np.float32(1.0) - h[i, j] * h[i, j])
            slope[i, j] = s
            bias_grad[j] += s


def relu_backward(h: Array, slope: Array, bias_grad: Array) -> None:
    """Set slope to 0 where h is 0, in place; its sum over the rows is added to bias_grad. Shapes as in tanh_backward."""
    for i in range(h.shape[0]):
        for j in range(h.shape[1]):
            s = slope[i, j] if h[i, j] > np.float32(0.0) else np.float32(0.0)
            slope[i, j] = s
            bias_grad[j] += s


def sample_categorical(logits: Array, uniform: Array, action: Array, log_prob: Array) -> None:
    """Draw by the inverse of the cumulative probabilities.

    logits: (m, k). uniform: (m,) in [0, 1). Written: action (m, 1), log_prob (m,).
    """
    for i in range(logits.shape[0]):
        top = logits[i].max()
        total = np.float32(0.0)
        for j in range(logits.shape[1]):
            total += math.exp(logits[i, j] - top)
        left = uniform[i] * total
        chosen = logits.shape[1] - 1
        for j in range(logits.shape[1] - 1):
            left -= math.exp(logits[i, j] - top)
            if left < 0.0:
                chosen = j
                break
        action[i, 0] = chosen
        log_prob[i] = logits[i, chosen] - top - math.log(total)


def sample_gaussian(mean: Array, log_std: Array, normal: Array, action: Array, log_prob: Array) -> None:
    """Draw mean + std * normal. mean, normal: (m, k); log_std: (k,). Written: action (m, k), log_prob (m,)."""
    for i in range(mean.shape[0]):
        total = 0.0
        for j in range(mean.shape[1]):
            action[i, j] = mean[i, j] + math.exp(log_std[j]) * normal[i, j]
            z = (action[i, j] - mean[i, j]) * math.exp(-log_std[j])
            total -= 0.5 * z * z + log_std[j] + HALF_LOG_2PI
        log_prob[i] = total


@inline
def surrogate(advantage: np.float32, log_ratio: np.float32, clip: np.float32, sums: Array) -> np.float32:
    """The slope of one sample's surrogate loss by log p; its share of `sums` is added."""
    ratio = np.float32(math.exp(log_ratio))
    bounded = min(max(ratio, np.float32(1.0) - clip), np.float32(1.0) + clip)
    plain = advantage * ratio
    clipped = advantage * bounded
    sums[0] -= min(plain, clipped)
    sums[3] += abs(ratio - np.float32(1.0)) > clip
    sums[4] += (ratio - np.float32(1.0)) - log_ratio
    if bounded == ratio or plain < clipped:
        return -plain
    return np.float32(0.0)


def categorical_loss(
    logits: Array,
    action: Array,
    old_log_prob: Array,
    advantage: Array,
    clip: np.float32,
    ent_coef: np.float32,
    batch: np.float32,
    slope: Array,
    sums: Array,
) -> None:
    """Slopes of the loss's mean over `batch` samples by the logits, of which these are some.

    logits: (m, k). action: (m, 1). old_log_prob, advantage: (m,). Written: slope (m, k); added to: sums.
    """
    k = logits.shape[1]
    for i in range(logits.shape[0]):
        top = logits[i].max()
        total = np.float32(0.0)
        for j in range(k):
            slope[i, j] = np.float32(math.exp(logits[i, j] - top))
            total += slope[i, j]
        shift = top + np.float32(math.log(total))
        entropy = np.float32(0.0)
        for j in range(k):
            slope[i, j] /= total
            entropy -= slope[i, j] * (logits[i, j] - shift)
        a = int(action[i, 0])
        by_log_prob = surrogate(advantage[i], logits[i, a] - shift - old_log_prob[i], clip, sums)
        sums[2] += entropy
        for j in range(k):
            p = slope[i, j]
            by_entropy = ent_coef * p * (logits[i, j] - shift + entropy)
            chosen = np.float32(1.0) if j == a else np.float32(0.0)
            slope[i, j] = (by_log_prob * (chosen - p) + by_entropy) / batch


def gaussian_loss(
    mean: Array,
    log_std: Array,
    action: Array,
    old_log_prob: Array,
    advantage: Array,
    clip: np.float32,
    ent_coef: np.float32,
    batch: np.float32,
    slope: Array,
    log_std_grad: Array,
    sums: Array,
) -> None:
    """As categorical_loss, of a Gaussian with one standard deviation a dimension for all observations.

    mean, action: (m, k). log_std: (k,). Written: slope (m, k); added to: log_std_grad (k,), sums.
    """
    k = mean.shape[1]
    entropy = 0.0  # of each dimension: 1/2 + log sqrt(2 pi) + log std
    for j in range(k):
        entropy += 0.5 + HALF_LOG_2PI + log_std[j]
    for i in range(mean.shape[0]):
        log_prob = 0.0
        for j in range(k):
            z = (action[i, j] - mean[i, j]) * math.exp(-log_std[j])
            log_prob -= 0.5 * z * z + log_std[j] + HALF_LOG_2PI
        by_log_prob = surrogate(advantage[i], np.float32(log_prob - old_log_prob[i]), clip, sums)
        sums[2] += entropy
        for j in range(k):
            z = (action[i, j] - mean[i, j]) * math.exp(-log_std[j])
            slope[i, j] = by_log_prob * z * math.exp(-log_std[j]) / batch
            log_std_grad[j] += (by_log_prob * (z * z - 1.0) - ent_coef) / batch


def value_loss(
    value: Array, target: Array, vf_coef: np.float32, batch: np.float32, slope: Array, sums: Array
) -> None:
    """Slopes of the squared error's mean over `batch` samples. value, slope: (m, 1); target: (m,)."""
    factor = np.float32(2.0) * vf_coef / batch
    for i in range(value.shape[0]):
        error = value[i, 0] - target[i]
        slope[i, 0] = factor * error
        sums[1] += error * error


SIGNATURES = {
    tanh_backward: "void(f4[:,::1], f4[:,::1], f4[::1])",
    relu_backward: "void(f4[:,::1], f4[:,::1], f4[::1])",
    sample_categorical: "void(f4[:,::1], f4[::1], i8[:,::1], f4[::1])",
    sample_gaussian: "void(f4[:,::1], f4[::1], f4[:,::1], f4[:,::1], f4[::1])",
    categorical_loss: "void(f4[:,::1], i8[:,::1], f4[::1], f4[::1], f4, f4, f4, f4[:,::1], f8[::1])",
    gaussian_loss: "void(f4[:,::1], f4[::1], f4[:,::1], f4[::1], f4[::1], f4, f4, f4, f4[:,::1], f4[::1], f8[::1])",
    value_loss: "void(f4[:,::1], f4[::1], f4, f4, f4[:,::1], f8[::1])",
}


@cache
def compiled(kernel: Callable[..., None]) -> Callable[..., None]:
    """One of these functions, compiled when it is first asked for."""
    with own_folder():
        return entry(SIGNATURES[kernel], kernel, nogil=True)
