"""Filters on what a sample may be, between the network and the draw."""

import numpy as np
import tensorflow as tf


def keep_top_k(logits, k: int) -> tf.Tensor:
    """Excludes all but the `k` most likely codes.

    Args:
        logits: float32 `[batch, codes]`.
        k: how many to keep.

    Returns:
        The logits, -inf where excluded.
    """
    smallest_kept = tf.math.top_k(logits, k).values[:, -1:]
    return tf.where(logits < smallest_kept, -np.inf, logits)


def keep_top_p(logits, p: float) -> tf.Tensor:
    """Excludes all but the fewest most likely codes whose probabilities add up to `p`.

    Args:
        logits: float32 `[batch, codes]`.
        p: probability to keep, above 0 and at most 1.

    Returns:
        The logits, -inf where excluded.
    """
    ordered = tf.sort(logits, axis=-1, direction="DESCENDING")
    probabilities = tf.nn.softmax(ordered)
    before = tf.cumsum(probabilities, axis=-1, exclusive=True)
    smallest_kept = tf.reduce_min(tf.where(before < p, ordered, np.inf), axis=-1, keepdims=True)
    return tf.where(logits < smallest_kept, -np.inf, logits)
