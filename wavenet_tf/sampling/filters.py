"""Filters that exclude unlikely codes before a sample is drawn."""

import numpy as np
import tensorflow as tf


def keep_top_k(logits, k: int) -> tf.Tensor:
    """Excludes all but the `k` most likely codes; of equally likely codes the lower ones are kept.

    Args:
        logits: float32 `[batch, codes]`.
        k: number of codes to keep.

    Returns:
        The logits, -inf for excluded codes.
    """
    largest = tf.math.top_k(logits, k)
    return _keep(logits, largest.values, largest.indices, largest.values[:, -1:])


def keep_top_p(logits, p: float) -> tf.Tensor:
    """Excludes all but the fewest most likely codes whose probabilities add up to `p`.

    Of equally likely codes the lower ones are kept.

    Args:
        logits: float32 `[batch, codes]`.
        p: probability to keep, above 0 and at most 1.

    Returns:
        The logits, -inf for excluded codes.
    """
    ordered, indices = tf.math.top_k(logits, logits.shape[-1])
    probabilities = tf.nn.softmax(ordered)
    kept = tf.cumsum(probabilities, axis=-1, exclusive=True) < p
    smallest_kept = tf.reduce_min(tf.where(kept, ordered, np.inf), axis=-1, keepdims=True)
    return _keep(logits, ordered, tf.where(kept, indices, -1), smallest_kept)


def _keep(logits, values, indices, smallest) -> tf.Tensor:
    """Excludes all codes except some of the most likely ones.

    Args:
        logits: float32 `[batch, codes]`.
        values: logits of the most likely codes, in descending order; equal ones by their codes.
        indices: these codes; -1 for a code that is not kept.
        smallest: the smallest logit that is kept, `[batch, 1]`.
    """
    last = tf.reduce_max(tf.where(values == smallest, indices, -1), axis=-1, keepdims=True)
    after_last = tf.range(logits.shape[-1]) > last
    excluded = (logits < smallest) | ((logits == smallest) & after_last)
    return tf.where(excluded, -np.inf, logits)
