"""What the sampling loop remembers of each block's inputs, in the form that suits its runtime.

Both forms hold the same; `prime` and `generate_block` have them begin and end as tensors.

- `InPlace`: arrays and rings of which single rows are written, as XLA and TensorFlow do.
- `Shifting`: tensors that move on by a row, all blocks side by side, whose places are known
  beforehand: TFLite copies a whole tensor to change a row of it, and pays for each operation.
"""

from typing import Any

import tensorflow as tf


class InPlace:
    """Arrays of which single rows are written.

    Args:
        kernel_size: taps of a dilated convolution.
        dilations: a block.
        ahead: samples for which the taps of far blocks are known at once.
        batch: number of streams.
        channels: of a block's inputs.
        steps: samples of the whole block of audio.
    """

    # One product gives a block's part of the skip sum and its residual.
    joins_skips = True

    def __init__(
        self,
        kernel_size: int,
        dilations: tuple[int, ...],
        ahead: int,
        batch,
        channels: int,
        steps: int,
    ):
        self.dilations, self.ahead, self.batch = dilations, ahead, batch
        self.channels, self.steps = channels, steps
        self.contexts = [(kernel_size - 1) * dilation for dilation in dilations]
        # The taps of far blocks lie so far back that those of the samples ahead are known: one
        # product then reads their weights once for all of these.
        self.far = [i for i, d in enumerate(dilations) if d >= ahead and kernel_size > 1]

    def ring(self, block: int, past) -> Any:
        """Holds a far block's inputs `[batch, context, channels]`, to be replaced by later ones."""
        slots = self.contexts[block] // self.ahead
        return array(tf.reshape(swap(past), [slots, self.ahead, self.batch, self.channels]))

    def ring_taps(self, block: int, ring, begin, count: int) -> list[tf.Tensor]:
        """The past taps of `count` samples from time `begin` on, `[count, batch, channels]`."""
        slots = self.contexts[block] // self.ahead
        first = range(0, self.contexts[block], self.dilations[block])
        return [ring.read(((begin + tap) // self.ahead) % slots)[:count] for tap in first]

    def replace_oldest(self, block: int, ring, begin, inputs) -> Any:
        """The ring with the inputs of `ahead` samples from time `begin` on."""
        return ring.write((begin // self.ahead) % (self.contexts[block] // self.ahead), inputs)

    def unroll(self, block: int, ring, begin: int, inputs) -> tf.Tensor:
        """What the ring holds at time `begin` and the inputs since, but for the oldest.

        Args:
            block: a far one.
            ring: of it.
            begin: a multiple of `ahead`.
            inputs: `[count, batch, channels]`.

        Returns:
            `[batch, context, channels]`.
        """
        context = self.contexts[block]
        rows = tf.reshape(ring.stack(), [context, self.batch, self.channels])
        rows = tf.concat([rows[begin % context :], rows[: begin % context], inputs], axis=0)
        return swap(rows[rows.shape[0] - context :])

    def open(self, past: list, count: int) -> tuple:
        """Room for the inputs of the next `count` samples, after those of near blocks before."""
        nothing = tf.zeros([0, self.batch, self.channels])
        self.before = [0 if i in self.far else context for i, context in enumerate(self.contexts)]
        arrays = [
            array(part if length else nothing, extra=count)
            for part, length in zip(past, self.before, strict=True)
        ]
        newest = [
            part[-1] if length else tf.zeros([self.batch, self.channels])
            for part, length in zip(past, self.before, strict=True)
        ]
        return arrays, newest

    def begin_step(self, memory: tuple, index) -> tuple:
        """Writes what the step before left.

        Written where they are made, XLA would copy the arrays that the same step reads.
        """
        arrays, newest = memory
        arrays = [
            part.write(length + index - 1, signal) if length else part
            for part, length, signal in zip(arrays, self.before, newest, strict=True)
        ]
        return arrays, newest

    def tap(self, memory: tuple, block: int, index, back: int) -> tf.Tensor:
        """A near block's input `back` samples before sample `index`, `[batch, channels]`."""
        return memory[0][block].read(self.before[block] + index - back)

    def end_step(self, memory: tuple, index, signals: list) -> tuple:
        """Takes in the blocks' inputs of sample `index`."""
        arrays = list(memory[0])
        for block, length in enumerate(self.before):
            if not length:
                arrays[block] = arrays[block].write(index, signals[block])
        return arrays, signals

    def close(self, memory: tuple, count: int) -> list[tf.Tensor]:
        """What near blocks have to remember next, and the `count` new inputs of far ones."""
        arrays, _ = self.begin_step(memory, count)
        return [
            part.stack() if block in self.far else part.stack()[count:]
            for block, part in enumerate(arrays)
        ]

    def by_sample(self, parts: list[tf.Tensor]) -> Any:
        """Tensors `[time, batch, channels]`, of which `of_sample` takes rows."""
        return parts

    def of_sample(self, parts, index) -> list[tf.Tensor]:
        """Row `index` of each, `[batch, channels]`."""
        return [row(part, index) for part in parts]


class Shifting(InPlace):
    """Tensors that move on by a row."""

    # One product of all blocks' gated activations gives the skip sum: fewer operations.
    joins_skips = False

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.whole = self.steps - self.steps % self.ahead
        self.beginning: dict[int, tf.Tensor] = {}

    def ring(self, block, past):
        if self.dilations[block] < self.steps:
            return past
        # No tap is younger than the whole block of audio: what was before stays where it is.
        self.beginning[block] = past
        return past[:, : self.whole]

    def ring_taps(self, block, ring, begin, count):
        first = range(0, self.contexts[block], self.dilations[block])
        if block in self.beginning:
            past = self.beginning[block]
            taps = [
                tf.slice(past, [0, begin + tap, 0], [self.batch, count, self.channels])
                for tap in first
            ]
        else:
            taps = [ring[:, tap : tap + count] for tap in first]
        return [swap(tap) for tap in taps]

    def replace_oldest(self, block, ring, begin, inputs):
        return tf.concat([ring[:, self.ahead :], swap(inputs)], axis=1)

    def unroll(self, block, ring, begin, inputs):
        parts = [self.beginning[block][:, begin:]] if block in self.beginning else []
        rows = tf.concat([*parts, ring, swap(inputs)], axis=1)
        return rows[:, rows.shape[1] - self.contexts[block] :]

    def open(self, past, count):
        near = [context for i, context in enumerate(self.contexts) if i not in self.far]
        self.length = max([count, *near])
        newest = []
        for block, part in enumerate(past):
            held = 0 if block in self.far else self.contexts[block]
            rows = part if held else tf.zeros([0, self.batch, self.channels])
            newest.append(tf.pad(rows, [[self.length - held, 0], [0, 0], [0, 0]]))
        return tf.concat(newest, axis=2)

    def begin_step(self, memory, index):
        return memory

    def tap(self, memory, block, index, back):
        first = block * self.channels
        return memory[self.length - back, :, first : first + self.channels]

    def end_step(self, memory, index, signals):
        return tf.concat([memory[1:], tf.concat(signals, axis=1)[None]], axis=0)

    def close(self, memory, count):
        parts = tf.split(memory, len(self.dilations), axis=2)
        kept = [count if i in self.far else context for i, context in enumerate(self.contexts)]
        return [part[self.length - rows :] for part, rows in zip(parts, kept, strict=True)]

    def by_sample(self, parts):
        self.widths = [part.shape[2] for part in parts]
        return tf.concat(parts, axis=2) if parts else None

    def of_sample(self, parts, index):
        if parts is None:
            return []
        return tf.split(tf.gather(parts, index), self.widths, axis=1)


def array(rows, extra: int = 0) -> tf.TensorArray:
    """An array of the rows of a tensor, with room for more: written in place, compiled or not."""
    rows = tf.pad(rows, [[0, extra], *[[0, 0]] * (rows.shape.rank - 1)])
    written = tf.TensorArray(
        rows.dtype, rows.shape[0], element_shape=rows.shape[1:], clear_after_read=False
    )
    return written.unstack(rows)


def rows_from(tensor, begin, count: int) -> tf.Tensor:
    """`tensor[begin : begin + count]`.

    XLA compiles an index that is no constant, or a length of -1, to a padded copy of the whole.
    """
    sizes = tf.shape(tensor)
    others = [sizes[axis] if size is None else size for axis, size in enumerate(tensor.shape)][1:]
    return tf.slice(tensor, [begin, *[0] * len(others)], [count, *others])


def swap(tensor) -> tf.Tensor:
    """Time before batch in place of batch before time, or the other way round."""
    return tf.transpose(tensor, [1, 0, *range(2, tensor.shape.rank)])


def row(tensor, index) -> tf.Tensor:
    """`tensor[index]`."""
    return rows_from(tensor, index, 1)[0]
