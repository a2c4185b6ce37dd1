"""What every kind of state buffer does for the sampling loop."""

import abc
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from wavenet_tf.layers import CONTEXT_DELAY

# Samples of a chunk, for which the past taps of long-dilation blocks are computed at once. The
# outputs of context stacks must be known for a whole chunk.
CHUNK_SIZE = CONTEXT_DELAY


class StateBuffers(abc.ABC):
    """Past inputs of each block, in the form that suits a runtime.

    The loop samples in chunks of `CHUNK_SIZE`. The taps of a long-dilation block lie so far back
    that those of a whole chunk are known before it: one product then reads the kernel once for the
    whole chunk. The taps of a short-dilation block are read sample by sample. A long dilation that
    is no multiple of `CHUNK_SIZE` counts as short, because its taps would lie in two slots of a
    ring.

    Two structures of tensors pass through the loops: the carry, from chunk to chunk, and the chunk
    memory, from sample to sample.

    Args:
        kernel_size: taps of a dilated convolution.
        dilations: dilation of each block, in samples.
        batch: number of streams.
        channels: channels of a block's inputs.
        steps: samples of the whole block of audio.
        observe: activation observer of the block inputs, named "signal_0" and so on.

    Attributes:
        long_blocks: indices of the long-dilation blocks.
        short_contexts: samples that each short-dilation block keeps; 0 for a long-dilation block.
    """

    # Whether one product gives a block's part of the skip sum and its residual.
    joins_skips: bool

    def __init__(
        self,
        kernel_size: int,
        dilations: tuple[int, ...],
        batch,
        channels: int,
        steps: int,
        observe: Callable[[str, Any], tf.Tensor],
    ):
        self.dilations, self.batch, self.observe = dilations, batch, observe
        self.channels, self.steps = channels, steps
        self.contexts = [(kernel_size - 1) * dilation for dilation in dilations]
        self.long_blocks = [
            block
            for block, dilation in enumerate(dilations)
            if dilation >= CHUNK_SIZE and dilation % CHUNK_SIZE == 0 and kernel_size > 1
        ]
        self.short_contexts = [
            0 if block in self.long_blocks else length for block, length in enumerate(self.contexts)
        ]

    @abc.abstractmethod
    def from_state(self, states) -> Any:
        """Returns the carry of the first chunk.

        Args:
            states: state of each block, `[batch, context, channels]`.
        """

    @abc.abstractmethod
    def to_state(self, carry, memory, start: int, count: int) -> list[tf.Tensor]:
        """Returns the state of each block, `[batch, context, channels]`, after the last sample.

        Args:
            carry: before the samples in `memory`.
            memory: chunk memory of the last `count` samples; None if there are none.
            start: index of the first of them, a multiple of `CHUNK_SIZE`.
            count: less than `CHUNK_SIZE`.
        """

    @abc.abstractmethod
    def long_dilation_taps(self, carry, start, count: int) -> dict[int, list[tf.Tensor]]:
        """Returns the past taps of the long-dilation blocks for a chunk.

        Args:
            carry: before the chunk.
            start: index of the chunk's first sample.
            count: samples of the chunk.

        Returns:
            For each block a tensor `[count, batch, channels]` per tap, the oldest first.
        """

    @abc.abstractmethod
    def start_chunk(self, carry, count: int) -> Any:
        """Returns the chunk memory before the first of `count` samples."""

    @abc.abstractmethod
    def end_chunk(self, carry, memory, start) -> Any:
        """Returns the carry after a whole chunk, which begins at sample `start`."""

    @abc.abstractmethod
    def start_step(self, memory, index) -> Any:
        """Returns the chunk memory from which sample `index` reads its taps."""

    @abc.abstractmethod
    def end_step(self, memory, index, signals: list) -> Any:
        """Returns the chunk memory with the inputs of all blocks at sample `index`."""

    @abc.abstractmethod
    def read_tap(self, memory, block: int, index, back: int) -> tf.Tensor:
        """Returns a short-dilation block's input `back` samples before sample `index`.

        Its shape is `[batch, channels]`.
        """

    @abc.abstractmethod
    def join_activations(self, activations: list[tf.Tensor]) -> Any:
        """Returns precomputed activations in the form that `read_activations` reads.

        Args:
            activations: `[time, batch, channels]` each.
        """

    @abc.abstractmethod
    def read_activations(self, activations, index) -> list[tf.Tensor]:
        """Returns row `index` of each precomputed activation, `[batch, channels]`."""

    @abc.abstractmethod
    def allocate_output(self, count: int, dtype) -> Any:
        """Returns an output buffer for `count` rows `[batch]`."""

    @abc.abstractmethod
    def write_output(self, output, index, row) -> Any:
        """Returns the output buffer with a row added; rows are written in order."""

    @abc.abstractmethod
    def stack_output(self, output, dtype) -> tf.Tensor:
        """Returns the rows of a full output buffer, `[count, batch]`."""

    @abc.abstractmethod
    def slice_rows(self, tensor, start, count: int) -> tf.Tensor:
        """Returns `tensor[start : start + count]`."""

    @abc.abstractmethod
    def read_row(self, tensor, index) -> tf.Tensor:
        """Returns `tensor[index]`."""


def time_major(tensor) -> tf.Tensor:
    """Returns a tensor with its time and batch axes swapped."""
    return tf.transpose(tensor, [1, 0, *range(2, tensor.shape.rank)])
