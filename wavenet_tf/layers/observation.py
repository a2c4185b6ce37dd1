"""Observation of activations, for exports: ranges are measured, activations fake-quantized."""

import contextlib
import contextvars
from collections.abc import Callable, Iterator

import keras
import tensorflow as tf

# Takes a layer, the name of one of its activations, and the activation; returns the activation, or
# its fake-quantized values.
LayerObserver = Callable[[keras.layers.Layer, str, tf.Tensor], tf.Tensor]
_observer: contextvars.ContextVar[LayerObserver | None] = contextvars.ContextVar(
    "observer", default=None
)


@contextlib.contextmanager
def observed_activations(observer: LayerObserver) -> Iterator[None]:
    """Calls an observer on the activations of all layers that are called, or traced, within.

    Args:
        observer: see `LayerObserver`.

    Example:
    >>> from wavenet_tf.layers import CausalConv1D
    >>> names = []
    >>> def note(layer, name, activation):
    ...     names.append(name)
    ...     return activation
    >>> with observed_activations(note):
    ...     outputs = CausalConv1D(filters=4)(tf.zeros([1, 100, 3]))
    >>> names
    ['inputs', 'tap_0', 'tap_1', 'sum_1']
    """
    token = _observer.set(observer)
    try:
        yield
    finally:
        _observer.reset(token)


def observe(layer: keras.layers.Layer, name: str, activation: tf.Tensor) -> tf.Tensor:
    """Returns an activation as the observer returns it; without an observer as it is.

    Args:
        layer: whose activation it is.
        name: of the activation in the layer.
        activation: float tensor.
    """
    observer = _observer.get()
    return activation if observer is None else observer(layer, name, activation)
