"""Ring buffers, which XLA writes in place."""

from typing import Any

import tensorflow as tf

from wavenet_tf.sampling.buffers.base import CHUNK_SIZE, StateBuffers, time_major


class RingBuffers(StateBuffers):
    """Arrays and rings of which single rows are written.

    A short-dilation block has an array of its past inputs and those of the chunk. A long-dilation
    block has a ring of slots of `CHUNK_SIZE` rows.

    The chunk memory is a pair: an array per block, and the inputs of the last sample.
    """

    joins_skips = True

    def from_state(self, states):
        return [
            self._ring(block, state) if block in self.long_blocks else time_major(state)
            for block, state in enumerate(states)
        ]

    def _ring(self, block: int, state) -> tf.TensorArray:
        slots = self.contexts[block] // CHUNK_SIZE
        rows = tf.reshape(time_major(state), [slots, CHUNK_SIZE, self.batch, self.channels])
        return _array(rows)

    def to_state(self, carry, memory, start, count):
        nothing = tf.zeros([0, self.batch, self.channels])
        inputs = [
            nothing if block in self.long_blocks else part for block, part in enumerate(carry)
        ]
        if memory is not None:
            arrays, _ = self.start_step(memory, count)
            inputs = [array.stack() for array in arrays]
        for block in self.long_blocks:
            rows = tf.reshape(carry[block].stack(), [-1, self.batch, self.channels])
            oldest = start % self.contexts[block]
            inputs[block] = tf.concat([rows[oldest:], rows[:oldest], inputs[block]], axis=0)
        states = [time_major(part[count:]) for part in inputs]
        for state, length in zip(states, self.contexts, strict=True):
            state.set_shape([None, length, self.channels])  # lost if the batch is not known
        return states

    def long_dilation_taps(self, carry, start, count):
        taps = {}
        for block in self.long_blocks:
            slots = self.contexts[block] // CHUNK_SIZE
            offsets = range(0, self.contexts[block], self.dilations[block])
            indices = [((start + offset) // CHUNK_SIZE) % slots for offset in offsets]
            taps[block] = [carry[block].read(index)[:count] for index in indices]
        return taps

    def start_chunk(self, carry, count):
        nothing = tf.zeros([0, self.batch, self.channels])
        arrays = [
            _array(part if length else nothing, extra=count)
            for part, length in zip(carry, self.short_contexts, strict=True)
        ]
        last = [
            part[-1] if length else tf.zeros([self.batch, self.channels])
            for part, length in zip(carry, self.short_contexts, strict=True)
        ]
        return arrays, last

    def end_chunk(self, carry, memory, start):
        arrays, _ = self.start_step(memory, CHUNK_SIZE)
        after = [array.stack()[CHUNK_SIZE:] for array in arrays]
        for block in self.long_blocks:
            slots = self.contexts[block] // CHUNK_SIZE
            inputs = arrays[block].stack()
            after[block] = carry[block].write((start // CHUNK_SIZE) % slots, inputs)
        return after

    def start_step(self, memory, index):
        # Writes are delayed to the next step: XLA copies an array that is read and written in one.
        arrays, last = memory
        arrays = [
            array.write(length + index - 1, signal) if length else array
            for array, length, signal in zip(arrays, self.short_contexts, last, strict=True)
        ]
        return arrays, last

    def end_step(self, memory, index, signals):
        arrays = [
            array if length else array.write(index, signal)
            for array, length, signal in zip(memory[0], self.short_contexts, signals, strict=True)
        ]
        return arrays, signals

    def read_tap(self, memory, block, index, back):
        return memory[0][block].read(self.short_contexts[block] + index - back)

    def join_activations(self, activations) -> Any:
        return activations

    def read_activations(self, activations, index):
        return [self.read_row(part, index) for part in activations]

    def allocate_output(self, count, dtype):
        return _array(tf.zeros([0, self.batch], dtype), extra=count)

    def write_output(self, output, index, row):
        return output.write(index, row)

    def stack_output(self, output, dtype):
        return output.stack()

    def slice_rows(self, tensor, start, count):
        # XLA compiles an index that is no constant, or a length of -1, to a padded copy of it all.
        sizes = tf.shape(tensor)
        known = [sizes[axis] if size is None else size for axis, size in enumerate(tensor.shape)]
        others = [0] * (len(known) - 1)
        return tf.slice(tensor, [start, *others], [count, *known[1:]])

    def read_row(self, tensor, index):
        return self.slice_rows(tensor, index, 1)[0]


def _array(rows, extra: int = 0) -> tf.TensorArray:
    """Returns an array of the rows of a tensor and `extra` further ones, written in place."""
    rows = tf.pad(rows, [[0, extra], *[[0, 0]] * (rows.shape.rank - 1)])
    array = tf.TensorArray(
        rows.dtype, rows.shape[0], element_shape=rows.shape[1:], clear_after_read=False
    )
    return array.unstack(rows)
