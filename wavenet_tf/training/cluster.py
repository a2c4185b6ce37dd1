"""The cluster of processes that train together, from `TF_CONFIG` or Slurm's variables."""

import json
import os
import re
from collections.abc import Mapping

import tensorflow as tf

from wavenet_tf.errors import InputError

# Below the ports that systems give to outgoing connections.
SLURM_PORTS = range(10000, 30000)
# Each Slurm job gets this many ports of its own, so that jobs on one machine do not collide.
PORTS_PER_JOB = 16


def detect_cluster() -> tf.distribute.cluster_resolver.ClusterResolver | None:
    """Returns the cluster that this process belongs to.

    `TF_CONFIG` takes precedence over the variables of Slurm's job step.

    Returns:
        Resolver with the addresses of all tasks, and this process's task type and index; None
        where neither `TF_CONFIG` nor Slurm describes a cluster.

    Raises:
        InputError: if the description of the cluster is invalid.
    """
    cluster = None
    if os.environ.get("TF_CONFIG"):
        cluster = _from_tf_config(os.environ["TF_CONFIG"])
    elif "SLURM_STEP_NUM_TASKS" in os.environ:
        cluster = _from_slurm(os.environ)
    return None if cluster is None else cluster_resolver(*cluster)


def cluster_resolver(
    addresses: dict[str, list[str]], task_type: str, task_index: int
) -> tf.distribute.cluster_resolver.ClusterResolver:
    """Returns TensorFlow's description of a cluster and of this process's task in it.

    Args:
        addresses: `host:port` of every task, by task type.
        task_type: of this process, "chief" or "worker".
        task_index: of this process among the tasks of its type, from 0 on.
    """
    return tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec(addresses),
        task_type=task_type,
        task_id=task_index,
        rpc_layer="grpc",
    )


def num_tasks(cluster: tf.distribute.cluster_resolver.ClusterResolver) -> int:
    """Returns the number of processes of a cluster."""
    return sum(map(len, cluster.cluster_spec().as_dict().values()))


def _from_tf_config(text: str) -> tuple[dict[str, list[str]], str, int] | None:
    """Returns the arguments of `cluster_resolver` from `TF_CONFIG`; None if it has no cluster."""
    try:
        config = json.loads(text)
        addresses = {name: list(tasks) for name, tasks in config.get("cluster", {}).items()}
        if not addresses:
            return None
        task_type, task_index = config["task"]["type"], int(config["task"]["index"])
        addresses[task_type][task_index]
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise InputError(
            'TF_CONFIG must be JSON with the addresses of all tasks as "cluster" and this one\'s '
            f'"type" and "index" as "task"; received {text!r}'
        ) from error
    if task_index < 0 or not set(addresses) <= {"chief", "worker"}:
        raise InputError(
            f"TF_CONFIG may have tasks of type chief and worker only, from index 0 on; received "
            f"{text!r}"
        )
    return addresses, task_type, task_index


# TensorFlow's SlurmClusterResolver orders hosts differently from Slurm's task numbers, fails
# without GPUs or nvidia-smi, and gives all jobs of a machine the same ports.
def _from_slurm(variables: Mapping[str, str]) -> tuple[dict[str, list[str]], str, int]:
    """Returns the arguments of `cluster_resolver` from the variables of Slurm's job step."""
    try:
        hosts = _expand_hosts(variables["SLURM_STEP_NODELIST"])
        counts = _expand_counts(variables["SLURM_STEP_TASKS_PER_NODE"])
        index, tasks = int(variables["SLURM_PROCID"]), int(variables["SLURM_STEP_NUM_TASKS"])
        job = int(variables["SLURM_JOB_ID"])
    except (KeyError, ValueError) as error:
        raise InputError(f"cannot read Slurm's description of the job step: {error}") from error
    first_port = SLURM_PORTS[job * PORTS_PER_JOB % len(SLURM_PORTS)]
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


def _expand_hosts(text: str) -> list[str]:
    """Returns the host names of a Slurm node list.

    Example:
    >>> _expand_hosts("gpu[01-02,5],login")
    ['gpu01', 'gpu02', 'gpu5', 'login']
    """
    parts = re.findall(r"(?:[^,\[\]]|\[[\d,-]+\])+", text)
    if ",".join(parts) != text:
        raise ValueError(f"node list {text!r}")
    hosts = []
    for part in parts:
        prefix, _, rest = part.partition("[")
        ranges, _, rest = rest.partition("]")
        suffixes = _expand_hosts(rest) if rest else [""]
        for span in ranges.split(",") if ranges else []:
            first, _, last = span.partition("-")
            numbers = range(int(first), int(last or first) + 1)
            hosts += [f"{prefix}{n:0{len(first)}}{suffix}" for n in numbers for suffix in suffixes]
        if not ranges:
            hosts.append(prefix)
    return hosts


def _expand_counts(text: str) -> list[int]:
    """Returns the number of tasks on each node from Slurm's compressed list.

    Example:
    >>> _expand_counts("2(x3),1")
    [2, 2, 2, 1]
    """
    counts = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", part)
        if match is None:
            raise ValueError(f"tasks per node {text!r}")
        counts += [int(match[1])] * int(match[2] or 1)
    return counts
