"""What the sampling loop remembers of each block's inputs, in the form that suits its runtime.

Both forms hold the same; `prime` and `generate_block` have them begin and end as tensors.

- `InPlace`: arrays and rings of which single rows are written, as XLA does.
- `Shifting`: tensors of fixed shapes that move on by a row, many blocks side by side: graphs and
  TFLite pay for each operation; TFLite copies a whole tensor to change a row of it, and plans its
  memory anew for each tensor whose shape it does not know.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from wavenet_tf.layers import CONTEXT_DELAY


class InPlace:
    """Arrays of which single rows are written.

    The taps of far blocks lie so far back that those of the next `ahead` samples are known: one
    product then reads their weights once for all of these. Those of near blocks do not. A long
    dilation that is no multiple of `ahead` counts as near: its taps lie across two slots.

    Args:
        kernel_size: taps of a dilated convolution.
        dilations: a block.
        batch: number of streams.
        channels: of a block's inputs.
        steps: samples of the whole block of audio.
        rounded: rounds what a block has for inputs, of the name "signal_0" and so on.

    Attributes:
        far: the far blocks.
    """

    # Samples for which the taps of far blocks are computed at once; what context stacks say of
    # them is known too.
    ahead = CONTEXT_DELAY
    # One product gives a block's part of the skip sum and its residual.
    joins_skips = True

    def __init__(
        self,
        kernel_size: int,
        dilations: tuple[int, ...],
        batch,
        channels: int,
        steps: int,
        rounded: Callable[[str, Any], tf.Tensor],
    ):
        self.dilations, self.batch, self.rounded = dilations, batch, rounded
        self.channels, self.steps = channels, steps
        self.contexts = [(kernel_size - 1) * dilation for dilation in dilations]
        self.far = [
            block
            for block, dilation in enumerate(dilations)
            if dilation >= self.ahead and dilation % self.ahead == 0 and kernel_size > 1
        ]
        # Lengths of what near blocks remember; far ones have nothing at hand in the loop.
        self.before = [0 if i in self.far else length for i, length in enumerate(self.contexts)]

    def begin(self, past: list) -> Any:
        """Takes over the blocks' states, `[batch, context, channels]`.

        Returns:
            What all the blocks remember between stretches of `ahead` samples.
        """
        return [self._ring(i, part) if i in self.far else swap(part) for i, part in enumerate(past)]

    def past_taps(self, held, begin, count: int) -> dict[int, list[tf.Tensor]]:
        """The past taps of the far blocks for `count` samples from time `begin` on.

        Returns:
            Of each block a tensor `[count, batch, channels]` a tap, the oldest first.
        """
        taps = {}
        for block in self.far:
            slots = self.contexts[block] // self.ahead
            first = range(0, self.contexts[block], self.dilations[block])
            slot = [((begin + tap) // self.ahead) % slots for tap in first]
            taps[block] = [held[block].read(place)[:count] for place in slot]
        return taps

    def open(self, held, count: int) -> tuple:
        """Memory for the next `count` samples, one after the other."""
        nothing = tf.zeros([0, self.batch, self.channels])
        arrays = [
            array(part if length else nothing, extra=count)
            for part, length in zip(held, self.before, strict=True)
        ]
        newest = [
            part[-1] if length else tf.zeros([self.batch, self.channels])
            for part, length in zip(held, self.before, strict=True)
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
        arrays = [
            part if length else part.write(index, signal)
            for part, length, signal in zip(memory[0], self.before, signals, strict=True)
        ]
        return arrays, signals

    def keep(self, held, memory: tuple, begin) -> Any:
        """What the blocks remember after the `ahead` samples from time `begin` on."""
        arrays, _ = self.begin_step(memory, self.ahead)
        kept = [part.stack()[self.ahead :] for part in arrays]
        for block in self.far:
            slots = self.contexts[block] // self.ahead
            inputs = arrays[block].stack()
            kept[block] = held[block].write((begin // self.ahead) % slots, inputs)
        return kept

    def end(self, held, memory: tuple | None, begin: int, count: int) -> list[tf.Tensor]:
        """The blocks' states.

        Args:
            held: at time `begin`, a multiple of `ahead`.
            memory: of the `count` samples since; None where there are none.
            begin: as above.
            count: as above.

        Returns:
            A tensor `[batch, context, channels]` each.
        """
        nothing = tf.zeros([0, self.batch, self.channels])
        inputs = [nothing if i in self.far else part for i, part in enumerate(held)]
        if memory is not None:
            arrays, _ = self.begin_step(memory, count)
            inputs = [part.stack() for part in arrays]
        for block in self.far:
            rows = tf.reshape(held[block].stack(), [-1, self.batch, self.channels])
            oldest = begin % self.contexts[block]
            inputs[block] = tf.concat([rows[oldest:], rows[:oldest], inputs[block]], axis=0)
        states = [swap(part[count:]) for part in inputs]
        for state, length in zip(states, self.contexts, strict=True):
            state.set_shape([None, length, self.channels])  # lost where the batch is not known
        return states

    def _ring(self, block: int, past) -> tf.TensorArray:
        slots = self.contexts[block] // self.ahead
        return array(tf.reshape(swap(past), [slots, self.ahead, self.batch, self.channels]))

    def by_sample(self, parts: list[tf.Tensor]) -> Any:
        """Tensors `[time, batch, channels]`, of which `of_sample` takes rows."""
        return parts

    def of_sample(self, parts, index) -> list[tf.Tensor]:
        """Row `index` of each, `[batch, channels]`."""
        return [self.row(part, index) for part in parts]

    def room(self, count: int, dtype) -> Any:
        """Room for `count` rows `[batch]`, all of which are to be put there, in their order."""
        return array(tf.zeros([0, self.batch], dtype), extra=count)

    def put(self, room, index, values) -> Any:
        """The room with a row put there."""
        return room.write(index, values)

    def filled(self, room, dtype) -> tf.Tensor:
        """What was put there, `[count, batch]`."""
        return room.stack()

    def rows(self, tensor, begin, count: int) -> tf.Tensor:
        """`tensor[begin : begin + count]`.

        XLA compiles an index that is no constant, or a length of -1, to a padded copy of the whole.
        """
        sizes = tf.shape(tensor)
        known = [sizes[axis] if size is None else size for axis, size in enumerate(tensor.shape)]
        first = [0] * (len(known) - 1)
        return tf.slice(tensor, [begin, *first], [count, *known[1:]])

    def row(self, tensor, index) -> tf.Tensor:
        """`tensor[index]`."""
        return self.rows(tensor, index, 1)[0]


class Shifting(InPlace):
    """Tensors of fixed shapes that move on by one, from each variable of the loop to the next.

    The inputs of near blocks lie side by side in rows `[batch, blocks * channels]`, one a sample.
    Those of far blocks do too; rows of `ahead` samples make a slot of each ring,
    `[ahead, batch, blocks * channels]`, a ring for all blocks of one dilation.

    TFLite copies what a variable becomes, the first variable first: one copy a step, and no
    operation.
    """

    # One product of all blocks' gated activations gives the skip sum: fewer operations.
    joins_skips = False

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.near = [block for block, length in enumerate(self.before) if length]
        self.rings: dict[int, list[int]] = {}  # the blocks of each dilation
        for block in self.far:
            self.rings.setdefault(self.dilations[block], []).append(block)
        self.whole = self.steps - self.steps % self.ahead

    def begin(self, past):
        # The converter quantises nothing of a signature that rounds nothing outside of its loops.
        past = [self.rounded("signal_0", past[0]), *past[1:]]
        length = max(self.before)
        near = [
            tf.pad(past[block], [[0, 0], [length - self.before[block], 0], [0, 0]])
            for block in self.near
        ]
        rows = tf.unstack(tf.concat(near, axis=2), axis=1) if near else []
        self.beginning, slots = {}, {}
        for dilation, blocks in self.rings.items():
            ring = swap(tf.concat([past[block] for block in blocks], axis=2))
            if dilation >= self.steps:
                # No tap is younger than the whole block of audio: what was before stays in place,
                # and the ring only gathers what comes.
                self.beginning[dilation] = ring
                ring = ring[: self.whole]
            count = ring.shape[0] // self.ahead
            slots[dilation] = tf.split(ring, count) if count else []
        return rows, slots

    def past_taps(self, held, begin, count):
        taps = {}
        for dilation, blocks in self.rings.items():
            joined = []
            for tap in range(0, self.contexts[blocks[0]], dilation):
                if dilation in self.beginning:
                    joined.append(self.rows(self.beginning[dilation], begin + tap, count))
                else:
                    joined.append(held[1][dilation][tap // self.ahead][:count])
            parts = [tf.split(tap, len(blocks), axis=2) for tap in joined]
            taps.update(zip(blocks, map(list, zip(*parts, strict=True)), strict=True))
        return taps

    def open(self, held, count):
        recorded = [tf.zeros([self.batch, len(self.far) * self.channels])] * count
        return held[0], recorded if self.far else []

    def begin_step(self, memory, index):
        return memory

    def tap(self, memory, block, index, back):
        first = self.near.index(block) * self.channels
        return memory[0][-back][:, first : first + self.channels]

    def end_step(self, memory, index, signals):
        near, recorded = memory
        if self.near:
            near = [*near[1:], tf.concat([signals[block] for block in self.near], axis=1)]
        if self.far:
            ringed = [block for blocks in self.rings.values() for block in blocks]
            recorded = [*recorded[1:], tf.concat([signals[block] for block in ringed], axis=1)]
        return near, recorded

    def keep(self, held, memory, begin):
        near, recorded = memory
        newest = self._by_ring(recorded)
        return near, {d: [*slots[1:], newest[d]] for d, slots in held[1].items()}

    def end(self, held, memory, begin, count):
        near, newest = held[0], {}
        if memory is not None:
            near, newest = memory[0], self._by_ring(memory[1])
        states = [tf.zeros([self.batch, 0, self.channels])] * len(self.contexts)
        if self.near:
            rows = tf.split(tf.stack(near, axis=1), len(self.near), axis=2)
            for block, part in zip(self.near, rows, strict=True):
                states[block] = part[:, len(near) - self.before[block] :]
        for dilation, blocks in self.rings.items():
            parts = list(held[1][dilation])
            if dilation in self.beginning:
                parts.insert(0, self.beginning[dilation][begin:])
            if newest:
                parts.append(newest[dilation])
            rows = tf.concat(parts, axis=0)
            rows = swap(rows[rows.shape[0] - self.contexts[blocks[0]] :])
            for block, part in zip(blocks, tf.split(rows, len(blocks), axis=2), strict=True):
                states[block] = part
        return states

    def _by_ring(self, recorded) -> dict[int, tf.Tensor]:
        """What was recorded, by dilation, `[count, batch, blocks * channels]`."""
        if not recorded:
            return {}
        widths = [len(blocks) * self.channels for blocks in self.rings.values()]
        return dict(zip(self.rings, tf.split(tf.stack(recorded), widths, axis=2), strict=True))

    def by_sample(self, parts):
        self.widths = [part.shape[2] for part in parts]
        return tf.concat(parts, axis=2) if parts else []

    def of_sample(self, parts, index):
        return tf.split(self.row(parts, index), self.widths, axis=1) if self.widths else []

    def room(self, count, dtype):
        return tf.zeros([count, self.batch])

    def put(self, room, index, values):
        # As floats, which run faster.
        return tf.concat([room[1:], tf.cast(values, tf.float32)[None]], axis=0)

    def filled(self, room, dtype):
        return tf.cast(room, dtype)

    def rows(self, tensor, begin, count):
        return tf.gather(tensor, begin + tf.range(count))

    def row(self, tensor, index):
        return tf.gather(tensor, index)


def array(rows, extra: int = 0) -> tf.TensorArray:
    """An array of the rows of a tensor, with room for more: written in place, compiled or not."""
    rows = tf.pad(rows, [[0, extra], *[[0, 0]] * (rows.shape.rank - 1)])
    written = tf.TensorArray(
        rows.dtype, rows.shape[0], element_shape=rows.shape[1:], clear_after_read=False
    )
    return written.unstack(rows)


def swap(tensor) -> tf.Tensor:
    """Time before batch in place of batch before time, or the other way round."""
    return tf.transpose(tensor, [1, 0, *range(2, tensor.shape.rank)])
