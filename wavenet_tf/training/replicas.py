"""Sums, clipping limits and agreement across replicas and workers.

A replica is a copy of the model on one device. A worker is a process with its replicas.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf

from wavenet_tf.errors import InputError
from wavenet_tf.training.strategy import num_workers

# The attributes of a Keras optimizer that limit gradients.
CLIP_LIMITS = ("clipnorm", "clipvalue", "global_clipnorm")


def sum_over_replicas(values):
    """Returns the sum of each tensor over all replicas, the same in each replica.

    Args:
        values: a structure of tensors, of one replica. The sums are differentiable: the gradient
            of a sum over replicas is the sum of the replicas' gradients.
    """
    context = tf.distribute.get_replica_context()  # None while a model is built
    if context is None or context.num_replicas_in_sync == 1:
        return values
    return context.all_reduce(tf.distribute.ReduceOp.SUM, values)


@contextlib.contextmanager
def clip_limits_per_replica(optimizer: keras.optimizers.Optimizer, replicas: int) -> Iterator[None]:
    """Context in which an optimizer's clipping limits are divided by the number of replicas.

    The optimizer clips in each replica, before it sums the gradients over replicas. If each
    replica hands it the same share, 1 / replicas of the summed gradient, the optimizer then clips
    as one replica would. After the context the limits have their values again, which are saved
    with the model.

    Args:
        optimizer: whose attributes are changed.
        replicas: number of replicas.
    """
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    limits = {name: limit for name in CLIP_LIMITS if (limit := getattr(optimizer, name))}
    for name, limit in limits.items():
        setattr(optimizer, name, limit / replicas)
    try:
        yield
    finally:
        for name, limit in limits.items():
            setattr(optimizer, name, limit)


def check_same_on_all_workers(values: Mapping[str, int], strategy: tf.distribute.Strategy) -> None:
    """Raises InputError, in every worker, unless all workers have the same values.

    Every worker has to call this.

    Args:
        values: such as a number of steps, by the names that the error shows.
        strategy: of the training.
    """
    table = _gather_from_workers(list(values.values()), strategy)
    for name, column in zip(values, table.T, strict=True):
        if len(set(column)) > 1:
            raise InputError(
                f"workers differ in {name}: {', '.join(map(str, column))}. All need the same "
                "settings and see the same folders"
            )


def barrier(strategy: tf.distribute.Strategy) -> None:
    """Waits until every worker has called this."""
    _gather_from_workers([0], strategy)


def _gather_from_workers(values: Sequence[int], strategy: tf.distribute.Strategy) -> np.ndarray:
    """Returns the values of all replicas, `[replicas, values]`; every worker has to call this."""

    @tf.function
    def gather() -> tf.Tensor:
        row = strategy.run(lambda: tf.constant([values], tf.int64))
        return strategy.gather(row, axis=0)

    return gather().numpy() if num_workers(strategy) > 1 else np.array([values])
