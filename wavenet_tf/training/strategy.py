"""Strategies of `tf.distribute`: training on several devices and machines.

A replica is a copy of the model on one device. A worker is a process with its replicas.
"""

import functools
import json
from collections.abc import Callable

import keras
import tensorflow as tf

from wavenet_tf.errors import InputError
from wavenet_tf.options import STRATEGIES
from wavenet_tf.training.cluster import cluster_resolver, detect_cluster, num_tasks

# Seconds to wait for a worker that is alive but does not answer: longer than it takes to read a
# corpus, to trace or to write a checkpoint. TensorFlow reports a dead worker within a minute.
TIMEOUT = 600


def named_strategy(name: str = "auto") -> tf.distribute.Strategy:
    """Returns the strategy that spreads training over devices and machines.

    In a process that is one of several workers, call this before anything else uses TensorFlow.

    Args:
        name: "default" for one device, or the strategy in whose scope this is called; "mirrored"
            for every GPU of this machine; "multi_worker" for every process of the cluster that
            `TF_CONFIG` or Slurm describes, with every GPU that each sees; "auto" for the strategy
            of the current scope, else "multi_worker" if the cluster has several processes, else
            "mirrored" if this machine has several GPUs, else "default".

    Raises:
        InputError: for an unknown name, and for a cluster that is missing or invalid.
    """
    if name not in STRATEGIES:
        raise InputError(f"unknown strategy {name!r}: expected one of {', '.join(STRATEGIES)}")
    cluster = detect_cluster() if name in ("auto", "multi_worker") else None
    if name == "auto":
        if tf.distribute.has_strategy():
            name = "default"
        elif cluster is not None and num_tasks(cluster) > 1:
            name = "multi_worker"
        else:
            several = len(tf.config.list_logical_devices("GPU")) > 1
            name = "mirrored" if several else "default"
    if name == "default":
        return tf.distribute.get_strategy()
    if name == "mirrored":
        return tf.distribute.MirroredStrategy()
    if cluster is None:
        raise InputError(
            "multi_worker needs a cluster: set TF_CONFIG to "
            '{"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", "index": 0}} '
            "in each process, or start them with Slurm's srun"
        )
    return _multi_worker(
        json.dumps(cluster.cluster_spec().as_dict()), cluster.task_type, cluster.task_id
    )


@functools.cache  # TensorFlow lets a process join a cluster only once
def _multi_worker(
    addresses: str, task_type: str, task_index: int
) -> tf.distribute.MultiWorkerMirroredStrategy:
    return tf.distribute.MultiWorkerMirroredStrategy(
        cluster_resolver(json.loads(addresses), task_type, task_index),
        tf.distribute.experimental.CommunicationOptions(timeout_seconds=TIMEOUT),
    )


def num_workers(strategy: tf.distribute.Strategy) -> int:
    """Returns the number of processes that train together."""
    return 1 if strategy.cluster_resolver is None else max(1, num_tasks(strategy.cluster_resolver))


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Returns whether this process is the one that writes checkpoints and logs."""
    cluster = strategy.cluster_resolver
    if cluster is None or num_workers(strategy) == 1:
        return True
    first = "chief" if "chief" in cluster.cluster_spec().jobs else "worker"
    return (cluster.task_type, cluster.task_id) == (first, 0)


def distribute(
    make_batches: Callable[[int, int], tf.data.Dataset],
    batch_size: int,
    strategy: tf.distribute.Strategy,
) -> tf.data.Dataset | tf.distribute.DistributedDataset:
    """Returns batches for `fit` under a strategy, of which each worker reads only its part.

    Args:
        make_batches: returns one worker's part of each batch; takes the worker's index and the
            number of workers, as `data.training_batches` does.
        batch_size: crops in a batch, of all replicas together.
        strategy: in whose scope the model was created.

    Raises:
        InputError: if batch_size is no multiple of the number of replicas.
    """
    replicas = strategy.num_replicas_in_sync
    if batch_size % replicas:
        raise InputError(
            f"batch_size must be a multiple of the {replicas} replicas; received {batch_size}"
        )
    if replicas == 1:
        return make_batches(0, 1)
    return strategy.distribute_datasets_from_function(
        lambda context: (
            make_batches(context.input_pipeline_id, context.num_input_pipelines)
            .rebatch(batch_size // replicas, drop_remainder=True)
            .prefetch(tf.data.AUTOTUNE)
        )
    )


def shard_by_element(dataset):
    """Returns a dataset that several workers share by elements, unless it sets another policy.

    By default TensorFlow looks for files to share, and prints a long warning if there are none.

    Args:
        dataset: a `tf.data.Dataset`; anything else is returned unchanged.
    """
    if not isinstance(dataset, tf.data.Dataset):
        return dataset
    policy = tf.data.experimental.AutoShardPolicy
    if dataset.options().experimental_distribute.auto_shard_policy != policy.AUTO:
        return dataset
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = policy.DATA
    return dataset.with_options(options)


def check_distributable(optimizer: keras.optimizers.Optimizer) -> None:
    """Raises InputError unless Keras can run an optimizer on several replicas.

    Args:
        optimizer: which must not accumulate gradients.
    """
    if getattr(optimizer, "inner_optimizer", optimizer).gradient_accumulation_steps:
        raise InputError(
            "gradient_accumulation_steps is for one replica only: with several, Keras fails to "
            "accumulate. Use larger batches"
        )
