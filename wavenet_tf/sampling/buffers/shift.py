"""Shift buffers, tensors of fixed shapes for graphs without XLA and for TFLite."""

import tensorflow as tf

from wavenet_tf.sampling.buffers.base import CHUNK_SIZE, StateBuffers, time_major


class ShiftBuffers(StateBuffers):
    """Rows of fixed shape that move on by one with each sample, many blocks side by side.

    Graphs and TFLite pay for each operation; TFLite copies a whole tensor to change one row of it,
    and plans its memory anew for each tensor of unknown shape. Rows that move from one loop
    variable to the next cost one copy per step and no operation: TFLite copies what a variable
    becomes, the first variable first.

    The inputs of short-dilation blocks lie side by side in rows `[batch, blocks * channels]`, one
    per sample. The inputs of long-dilation blocks do too; `CHUNK_SIZE` rows make a slot of a ring,
    `[CHUNK_SIZE, batch, blocks * channels]`, with one ring for all blocks of one dilation.

    The chunk memory is a pair: the rows of the short-dilation blocks, and the rows of the
    long-dilation blocks in this chunk.
    """

    # Fewer operations: one product of all gated activations gives the skip sum.
    joins_skips = False

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.short_blocks = [block for block, length in enumerate(self.short_contexts) if length]
        self.rings: dict[int, list[int]] = {}  # the blocks of each dilation
        for block in self.long_blocks:
            self.rings.setdefault(self.dilations[block], []).append(block)
        self.whole_chunks = self.steps - self.steps % CHUNK_SIZE
        # The rings of dilations that no tap of this block of audio reads again.
        self.initial_rings: dict[int, tf.Tensor] = {}

    def from_state(self, states):
        # The converter quantizes no signature that observes nothing outside of its loops.
        states = [self.observe("signal_0", states[0]), *states[1:]]
        length = max(self.short_contexts)
        padded = [
            tf.pad(states[block], [[0, 0], [length - self.short_contexts[block], 0], [0, 0]])
            for block in self.short_blocks
        ]
        rows = tf.unstack(tf.concat(padded, axis=2), axis=1) if padded else []
        self.initial_rings, slots = {}, {}
        for dilation, blocks in self.rings.items():
            ring = time_major(tf.concat([states[block] for block in blocks], axis=2))
            if dilation >= self.steps:
                # All taps lie before this block of audio: the initial ring stays as it is, and
                # the slots only collect new rows.
                self.initial_rings[dilation] = ring
                ring = ring[: self.whole_chunks]
            count = ring.shape[0] // CHUNK_SIZE
            slots[dilation] = tf.split(ring, count) if count else []
        return rows, slots

    def to_state(self, carry, memory, start, count):
        rows, recent = carry[0], {}
        if memory is not None:
            rows, recent = memory[0], self._by_ring(memory[1])
        states = [tf.zeros([self.batch, 0, self.channels])] * len(self.contexts)
        if self.short_blocks:
            parts = tf.split(tf.stack(rows, axis=1), len(self.short_blocks), axis=2)
            for block, part in zip(self.short_blocks, parts, strict=True):
                states[block] = part[:, len(rows) - self.short_contexts[block] :]
        for dilation, blocks in self.rings.items():
            slots = list(carry[1][dilation])
            if dilation in self.initial_rings:
                slots.insert(0, self.initial_rings[dilation][start:])
            if recent:
                slots.append(recent[dilation])
            ring = tf.concat(slots, axis=0)
            ring = time_major(ring[ring.shape[0] - self.contexts[blocks[0]] :])
            for block, part in zip(blocks, tf.split(ring, len(blocks), axis=2), strict=True):
                states[block] = part
        return states

    def long_dilation_taps(self, carry, start, count):
        taps = {}
        for dilation, blocks in self.rings.items():
            joined = []
            for offset in range(0, self.contexts[blocks[0]], dilation):
                if dilation in self.initial_rings:
                    ring = self.initial_rings[dilation]
                    joined.append(self.slice_rows(ring, start + offset, count))
                else:
                    joined.append(carry[1][dilation][offset // CHUNK_SIZE][:count])
            parts = [tf.split(tap, len(blocks), axis=2) for tap in joined]
            taps.update(zip(blocks, map(list, zip(*parts, strict=True)), strict=True))
        return taps

    def start_chunk(self, carry, count):
        rows = [tf.zeros([self.batch, len(self.long_blocks) * self.channels])] * count
        return carry[0], rows if self.long_blocks else []

    def end_chunk(self, carry, memory, start):
        rows, long_rows = memory
        recent = self._by_ring(long_rows)
        return rows, {d: [*slots[1:], recent[d]] for d, slots in carry[1].items()}

    def start_step(self, memory, index):
        return memory

    def end_step(self, memory, index, signals):
        rows, long_rows = memory
        if self.short_blocks:
            row = tf.concat([signals[block] for block in self.short_blocks], axis=1)
            rows = [*rows[1:], row]
        if self.long_blocks:
            in_rings = [block for blocks in self.rings.values() for block in blocks]
            row = tf.concat([signals[block] for block in in_rings], axis=1)
            long_rows = [*long_rows[1:], row]
        return rows, long_rows

    def read_tap(self, memory, block, index, back):
        first = self.short_blocks.index(block) * self.channels
        return memory[0][-back][:, first : first + self.channels]

    def _by_ring(self, rows) -> dict[int, tf.Tensor]:
        """Returns rows of a chunk by dilation, `[count, batch, blocks * channels]`."""
        if not rows:
            return {}
        widths = [len(blocks) * self.channels for blocks in self.rings.values()]
        return dict(zip(self.rings, tf.split(tf.stack(rows), widths, axis=2), strict=True))

    def join_activations(self, activations):
        self.widths = [part.shape[2] for part in activations]
        return tf.concat(activations, axis=2) if activations else []

    def read_activations(self, activations, index):
        if not self.widths:
            return []
        return tf.split(self.read_row(activations, index), self.widths, axis=1)

    def allocate_output(self, count, dtype):
        return tf.zeros([count, self.batch])

    def write_output(self, output, index, row):
        # Operators on floats run faster than on integers.
        return tf.concat([output[1:], tf.cast(row, tf.float32)[None]], axis=0)

    def stack_output(self, output, dtype):
        return tf.cast(output, dtype)

    def slice_rows(self, tensor, start, count):
        return tf.gather(tensor, start + tf.range(count))

    def read_row(self, tensor, index):
        return tf.gather(tensor, index)
