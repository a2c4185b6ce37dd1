"""Frechet distance between recordings and generated audio, on embeddings of a classifier."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from wavenet_tf.errors import InputError


def classifier_embeddings(classifier, clips: Sequence[np.ndarray]) -> np.ndarray:
    """Returns the embeddings of the frames of clips, which the logits are a linear map of.

    Args:
        classifier: a `WaveNetClassifier`.
        clips: float `[samples]` in [-1, 1] each, at the sample rate of the classifier.

    Returns:
        float64 `[frames of all clips, channels]`.
    """

    def embed(clip: np.ndarray) -> np.ndarray:
        padded = np.pad(np.asarray(clip, np.float32), (0, -len(clip) % classifier.frame_length))
        gated = classifier.trunk(classifier.distribution.encode(padded[None]))
        frames = classifier.frames(classifier.rectified_skip_sum(gated))
        return tf.cast(classifier.embeddings(frames)[0], tf.float64).numpy()

    return np.concatenate([embed(clip) for clip in clips])


def frechet_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Returns the squared Frechet distance between two sets of vectors, as if they were Gaussian.

    It is `|m1 - m2|^2 + trace(C1 + C2 - 2 (C1 C2)^(1/2))` of their means and covariances (Dowson
    and Landau 1982; Heusel et al. 2017, arXiv 1706.08500; for audio Kilgour et al. 2018, arXiv
    1812.08466). It compares only with distances on the same embeddings.

    Args:
        first: float `[vectors, channels]`, at least two vectors.
        second: likewise, of as many channels.

    Raises:
        InputError: for another shape.

    Example:
    >>> vectors = np.random.default_rng(0).normal(size=[100, 3])
    >>> round(frechet_distance(vectors, vectors + [3.0, 0.0, 4.0]), 3)
    25.0
    """
    for name, vectors in (("first", first), ("second", second)):
        if np.ndim(vectors) != 2 or len(vectors) < 2:
            raise InputError(
                f"{name} must be at least two vectors, [vectors, channels]; received shape "
                f"{list(np.shape(vectors))}"
            )
    covariances = [np.atleast_2d(np.cov(vectors, rowvar=False)) for vectors in (first, second)]
    values, vectors = np.linalg.eigh(covariances[0])
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    # The eigenvalues of C1 C2 are those of the symmetric C1^(1/2) C2 C1^(1/2).
    products = np.linalg.eigvalsh(root @ covariances[1] @ root)
    trace = np.trace(covariances[0]) + np.trace(covariances[1])
    overlap = 2.0 * np.sqrt(np.maximum(products, 0.0)).sum()
    distance = np.sum(np.square(np.mean(first, axis=0) - np.mean(second, axis=0)))
    return float(max(distance + trace - overlap, 0.0))
