"""Checks of the inputs of a SavedModel, inside of its graph.

Clients that call through C++, as a server does, may pass tensors of any shape and value.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from wavenet_tf.clients import STATE_PREFIX, UNLIKE_PHASES
from wavenet_tf.deployment.signatures import traced

# Pairs of a condition on an input, and its description: "{name} must {description}".
Limits = list[tuple[tf.Tensor, str]]


def traced_with_checks(
    functions: dict[str, Any],
    inputs: dict[str, dict],
    limits: Callable[[str, tf.Tensor], Limits],
) -> dict[str, Any]:
    """Returns functions by name, traced for their inputs, with a check of these before each.

    Args:
        functions: by name.
        inputs: for each name, a `tf.TensorSpec` per argument.
        limits: returns the conditions on an input, given its name and value.
    """
    checked = {
        name: _with_checks(function, inputs[name], limits) for name, function in functions.items()
    }
    return traced(checked, inputs)


def _with_checks(
    function, specs: dict[str, tf.TensorSpec], limits: Callable[[str, tf.Tensor], Limits]
):
    """Returns the function of a signature with a check of its inputs before it."""

    def checked(**inputs):
        shaped = {name: tf.ensure_shape(inputs[name], spec.shape) for name, spec in specs.items()}
        with tf.control_dependencies(_checks(shaped, limits)):
            return function(**{name: tf.identity(value) for name, value in shaped.items()})

    return checked


def _checks(
    inputs: dict[str, tf.Tensor], limits: Callable[[str, tf.Tensor], Limits]
) -> list[tf.Operation]:
    """Returns operations that fail unless inputs have equally many rows and values in range."""
    first, checks = next(iter(inputs)), []
    batch = tf.shape(inputs[first])[0]
    checks.append(check(batch > 0, f"{first} must have a row for each stream; rows:", batch))
    for name, tensor in inputs.items():
        shape = tf.shape(tensor)
        wrong = f"{name} must have as many rows as the other inputs; received shape"
        checks.append(check(shape[0] == batch, wrong, shape))
        if tensor.dtype.is_floating:
            wrong = f"{name} holds NaN or infinity; its shape is"
            checks.append(check(tf.math.is_finite(tensor), wrong, shape))
        for valid, expected in limits(name, tensor):
            checks.append(check(valid, f"{name} must {expected}; received", tensor))
    return checks


def state_limits(trunk, name: str, tensor: tf.Tensor) -> Limits:
    """Returns the conditions on a tensor of a trunk's state; none for another tensor.

    Args:
        trunk: a `WaveNetTrunk`.
        name: of the tensor.
        tensor: its value.
    """
    for stack in trunk.context_stacks:
        if name == f"{STATE_PREFIX}{stack.name}_phase":
            # The graph uses the phase of the first stream: a server must not batch streams with
            # different phases.
            return [
                from_to(tensor, -1, stack.pooling - 1),
                (tensor == tensor[:1], UNLIKE_PHASES),
            ]
    if name.startswith(STATE_PREFIX) and tensor.dtype.is_integer:
        return [from_to(tensor, 0, trunk.config.quantization_channels - 1)]
    return []


def from_to(tensor: tf.Tensor, lowest: int, highest: int) -> tuple[tf.Tensor, str]:
    """Returns the condition that values are in a range, and its description."""
    return (tensor >= lowest) & (tensor <= highest), f"be from {lowest} to {highest}"


def check(conditions, message: str, value) -> tf.Operation:
    """Returns an operation that fails with a message and a value unless all conditions hold."""
    return tf.debugging.Assert(tf.reduce_all(conditions), [message, value])
