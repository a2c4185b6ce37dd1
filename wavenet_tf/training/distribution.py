"""Training on several devices and machines: strategies, shares of the data, sums over replicas.

A replica is a copy of the model on a device, a worker a process with its replicas.
"""

import contextlib
import functools
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf

from wavenet_tf.errors import InputError
from wavenet_tf.options import STRATEGIES

# Of waiting for a worker that lives but does not answer, in seconds: longer than reading a corpus,
# tracing or writing a checkpoint may take. That a worker died, TensorFlow tells within a minute.
TIMEOUT = 600
CLIPPING = ("clipnorm", "clipvalue", "global_clipnorm")
SLURM_PORTS = range(10000, 30000)  # below those that systems give to outgoing connections


def named_strategy(name: str = "auto") -> tf.distribute.Strategy:
    """How training is spread over devices and machines.

    The first thing that a worker of several does with TensorFlow must be this.

    Args:
        name: "default" for one device, or the strategy in whose scope this is called; "mirrored"
            for every GPU of this machine; "multi_worker" for every process of the cluster that
            `TF_CONFIG` or Slurm tells, with every GPU that each sees; "auto", in a scope, for its
            strategy, and else for the last of these of which there is more than one.

    Raises:
        InputError: for an unknown name, and where the cluster is not told or not understood.
    """
    if name not in STRATEGIES:
        raise InputError(f"unknown strategy {name!r}: expected one of {', '.join(STRATEGIES)}")
    cluster = told_cluster() if name in ("auto", "multi_worker") else None
    if name == "auto":
        if tf.distribute.has_strategy():
            name = "default"
        elif cluster is not None and _size(cluster) > 1:
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


@functools.cache  # a process can only once become part of a cluster
def _multi_worker(workers: str, job: str, index: int) -> tf.distribute.MultiWorkerMirroredStrategy:
    return tf.distribute.MultiWorkerMirroredStrategy(
        _resolver(json.loads(workers), job, index),
        tf.distribute.experimental.CommunicationOptions(timeout_seconds=TIMEOUT),
    )


def num_workers(strategy: tf.distribute.Strategy) -> int:
    """Processes that train together."""
    return 1 if strategy.cluster_resolver is None else max(1, _size(strategy.cluster_resolver))


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process is the one that writes checkpoints and logs."""
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
    """Batches of which each worker reads its part only, for `fit` under a strategy.

    Args:
        make_batches: makes the part of each batch of a worker, from its number, from 0 on, and the
            number of workers, as `data.training_batches` does.
        batch_size: crops a batch, of all replicas together.
        strategy: under whose scope the model was made.

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


def check_alike(values: Mapping[str, int], strategy: tf.distribute.Strategy) -> None:
    """Whether all workers have the same; each has to call this.

    Args:
        values: such as a number of updates, by what they are called in the error.
        strategy: of the training.

    Raises:
        InputError: if they differ, in every worker.
    """
    table = _of_all_workers(list(values.values()), strategy)
    for name, column in zip(values, table.T, strict=True):
        if len(set(column)) > 1:
            raise InputError(
                f"workers differ in {name}: {', '.join(map(str, column))}. All need the same "
                "settings and see the same folders"
            )


def wait_for_all(strategy: tf.distribute.Strategy) -> None:
    """Returns once every worker has called this."""
    _of_all_workers([0], strategy)


def _of_all_workers(values: Sequence[int], strategy: tf.distribute.Strategy) -> np.ndarray:
    """A row of values of each replica; every worker has to call this."""

    @tf.function
    def gather() -> tf.Tensor:
        mine = strategy.run(lambda: tf.constant([values], tf.int64))
        return strategy.gather(mine, axis=0)

    return gather().numpy() if num_workers(strategy) > 1 else np.array([values])


def shard_by_element(dataset):
    """Has a dataset without a choice of its own divided among workers by its elements.

    Else TensorFlow looks for files to divide, and warns at length that it found none.
    """
    if not isinstance(dataset, tf.data.Dataset):
        return dataset
    policy = tf.data.experimental.AutoShardPolicy
    if dataset.options().experimental_distribute.auto_shard_policy != policy.AUTO:
        return dataset
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = policy.DATA
    return dataset.with_options(options)


def sum_over_replicas(values):
    """The sum of each tensor of a structure over all replicas, in every one of them."""
    context = tf.distribute.get_replica_context()  # none while a model is built
    if context is None or context.num_replicas_in_sync == 1:
        return values
    return context.all_reduce(tf.distribute.ReduceOp.SUM, values)


def share_of_mean(local_mean, weight):
    """A replica's summand of the weighted mean over all replicas.

    Args:
        local_mean: over what the replica holds.
        weight: of all that.
    """
    return tf.math.divide_no_nan(local_mean * weight, sum_over_replicas(weight))


def check_distributable(optimizer: keras.optimizers.Optimizer) -> None:
    """Whether Keras can share the optimizer's work among replicas.

    Raises:
        InputError: if it cannot.
    """
    if getattr(optimizer, "inner_optimizer", optimizer).gradient_accumulation_steps:
        raise InputError(
            "gradient_accumulation_steps is for one replica only: with several, Keras fails to "
            "accumulate. Use larger batches"
        )


@contextlib.contextmanager
def clipping_shares(optimizer, replicas: int) -> Iterator[None]:
    """Within it, an optimizer clips one of `replicas` equal shares of a gradient as it would the
    gradient; outside it keeps the limits that are saved with it.
    """
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    limits = {name: limit for name in CLIPPING if (limit := getattr(optimizer, name))}
    for name, limit in limits.items():
        setattr(optimizer, name, limit / replicas)
    try:
        yield
    finally:
        for name, limit in limits.items():
            setattr(optimizer, name, limit)


def told_cluster() -> tf.distribute.cluster_resolver.ClusterResolver | None:
    """The cluster that `TF_CONFIG`, or else the job step of Slurm tells; None where neither does.

    Raises:
        InputError: if it is not understood.
    """
    told = None
    if os.environ.get("TF_CONFIG"):
        told = _of_tf_config(os.environ["TF_CONFIG"])
    elif "SLURM_STEP_NUM_TASKS" in os.environ:
        told = _of_slurm(os.environ)
    if told is None:
        return None
    return _resolver(*told)


def _resolver(
    workers: dict[str, list[str]], job: str, index: int
) -> tf.distribute.cluster_resolver.ClusterResolver:
    return tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec(workers), task_type=job, task_id=index, rpc_layer="grpc"
    )


def _size(cluster: tf.distribute.cluster_resolver.ClusterResolver) -> int:
    return sum(map(len, cluster.cluster_spec().as_dict().values()))


def _of_tf_config(text: str) -> tuple[dict[str, list[str]], str, int] | None:
    """Addresses of each job, this task's job and its number there; None without a cluster."""
    try:
        config = json.loads(text)
        addresses = {name: list(tasks) for name, tasks in config.get("cluster", {}).items()}
        if not addresses:
            return None
        job, index = config["task"]["type"], int(config["task"]["index"])
        addresses[job][index]
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise InputError(
            'TF_CONFIG must be JSON with the addresses of all tasks as "cluster" and this one\'s '
            f'"type" and "index" as "task"; received {text!r}'
        ) from error
    if index < 0 or not set(addresses) <= {"chief", "worker"}:
        raise InputError(
            f"TF_CONFIG may have tasks of type chief and worker only, from index 0 on; received "
            f"{text!r}"
        )
    return addresses, job, index


# TensorFlow's SlurmClusterResolver puts the hosts in another order than Slurm the tasks, fails
# without GPUs or nvidia-smi, and gives all jobs of a machine the same ports.
def _of_slurm(variables) -> tuple[dict[str, list[str]], str, int]:
    """Addresses of each job, this task's job and its number there."""
    try:
        hosts = _expanded_hosts(variables["SLURM_STEP_NODELIST"])
        counts = _expanded_counts(variables["SLURM_STEP_TASKS_PER_NODE"])
        index, tasks = int(variables["SLURM_PROCID"]), int(variables["SLURM_STEP_NUM_TASKS"])
        first_port = SLURM_PORTS[int(variables["SLURM_JOB_ID"]) * 16 % len(SLURM_PORTS)]
    except (KeyError, ValueError) as error:
        raise InputError(f"cannot read Slurm's description of the job step: {error}") from error
    workers = [
        f"{host}:{first_port + task}"
        for host, count in zip(hosts, counts, strict=False)
        for task in range(count)
    ]
    if len(hosts) != len(counts) or len(workers) != tasks or not 0 <= index < tasks:
        raise InputError(
            f"Slurm's variables contradict each other: task {index} of {tasks}, on "
            f"{variables['SLURM_STEP_NODELIST']}, {variables['SLURM_STEP_TASKS_PER_NODE']} tasks "
            "on each"
        )
    return {"worker": workers}, "worker", index


def _expanded_hosts(text: str) -> list[str]:
    """Those of a list such as `gpu[01-02,5],login`."""
    parts = re.findall(r"(?:[^,\[\]]|\[[\d,-]+\])+", text)
    if ",".join(parts) != text:
        raise ValueError(f"node list {text!r}")
    hosts = []
    for part in parts:
        prefix, _, rest = part.partition("[")
        ranges, _, rest = rest.partition("]")
        ends = _expanded_hosts(rest) if rest else [""]
        for span in ranges.split(",") if ranges else []:
            first, _, last = span.partition("-")
            numbers = range(int(first), int(last or first) + 1)
            hosts += [f"{prefix}{n:0{len(first)}}{end}" for n in numbers for end in ends]
        if not ranges:
            hosts.append(prefix)
    return hosts


def _expanded_counts(text: str) -> list[int]:
    """Those of a list such as `2(x3),1`."""
    counts = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", part)
        if match is None:
            raise ValueError(f"tasks per node {text!r}")
        counts += [int(match[1])] * int(match[2] or 1)
    return counts
