"""The sampling loop: one block of audio, sample by sample, on prepared weights.

Each sample costs O(layers), whatever the receptive field (Le Paine et al. 2016, arXiv 1611.09482).
"""

from typing import NamedTuple

import tensorflow as tf

from wavenet_tf.audio import mu_law_compand
from wavenet_tf.distributions import Categorical
from wavenet_tf.layers import RepeatedFrames, TrunkState, frame_indices
from wavenet_tf.sampling.buffers import CHUNK_SIZE, time_major
from wavenet_tf.sampling.config import SamplerConfig
from wavenet_tf.sampling.context import advance_context
from wavenet_tf.sampling.draws import SampleDraw, ScoreDraw
from wavenet_tf.sampling.gate import add_skip_and_residual, doubled_gate, scaled
from wavenet_tf.sampling.state import SamplerState
from wavenet_tf.sampling.weights import Weights


def sample_block(
    config: SamplerConfig,
    weights: Weights,
    state: SamplerState,
    uniforms,
    temperature,
    global_conditioning=None,
    local_conditioning: RepeatedFrames | None = None,
) -> tuple[tf.Tensor, SamplerState]:
    """Samples the next block of every stream.

    Args:
        config: configuration of the loop.
        weights: of `prepare_weights`.
        state: of `prime`, or of the block before.
        uniforms: float32 `[batch, time]` in [0, 1), or `[batch, time, 2]` for the mixtures, see
            `uniforms_shape` of the distribution.
        temperature: float32 scalar or `[batch]`.
        global_conditioning: `[batch, 1, channels]`, as the trunk's `global_conditioning` returns
            it; None for a model without.
        local_conditioning: as the upsampler's `repeated_frames` returns it; None for a model
            without.

    Returns:
        The sampled values, `[batch, time]`, and the next state.
    """
    draw = SampleDraw(config, uniforms, temperature)
    sampler = BlockSampler(config, weights, draw, global_conditioning, local_conditioning)
    return sampler.run(state)


def score_block(
    config: SamplerConfig,
    weights: Weights,
    state: SamplerState,
    values,
    global_conditioning=None,
    local_conditioning: RepeatedFrames | None = None,
) -> tuple[tf.Tensor, SamplerState]:
    """Scores given values by the same loop that samples.

    Args:
        config: as `sample_block` takes it.
        weights: as `sample_block` takes them.
        state: as `sample_block` takes it.
        values: of the distribution, `[batch, time]`.
        global_conditioning: as `sample_block` takes it.
        local_conditioning: as `sample_block` takes it.

    Returns:
        The log-likelihood of each value, `[batch, time]`, in nats, and the next state.
    """
    draw = ScoreDraw(config, values)
    sampler = BlockSampler(config, weights, draw, global_conditioning, local_conditioning)
    return sampler.run(state)


class ChunkInputs(NamedTuple):
    """What is computed before a chunk, for all of its samples.

    Attributes:
        long_activations: activations of the long-dilation blocks but for their current tap, as the
            buffers' `join_activations` returns them.
        local: for each short-dilation block, pairs of what a source of local conditioning adds,
            `[rows, batch, 2 * gate]`, and the row of each sample, None if each has its own.
    """

    long_activations: object
    local: list[list[tuple[tf.Tensor, tf.Tensor | None]]]


class BlockSampler:
    """Builds the graph that samples or scores one block of audio.

    Args:
        config: configuration of the loop.
        weights: of `prepare_weights`.
        draw: a `SampleDraw` or a `ScoreDraw`.
        global_conditioning: as `sample_block` takes it.
        local_conditioning: as `sample_block` takes it.
    """

    def __init__(
        self,
        config: SamplerConfig,
        weights: Weights,
        draw: SampleDraw | ScoreDraw,
        global_conditioning=None,
        local_conditioning: RepeatedFrames | None = None,
    ):
        self.config, self.weights, self.draw = config, weights, draw
        self.observe = config.observe
        batch, self.steps = draw.inputs.shape[:2]
        self.batch = tf.shape(draw.inputs)[0] if batch is None else batch
        self.draw_inputs = time_major(draw.inputs)
        self.channels = weights.input_bias.shape[0]
        self.codes = isinstance(config.distribution, Categorical)
        self.input_kernels = tf.split(
            self.observe("embedding", weights.input_kernel), config.input_taps
        )
        self.buffers = config.buffers(
            config.kernel_size,
            config.dilations,
            self.batch,
            self.channels,
            self.steps,
            self.observe,
        )
        self.biases = self._biases(global_conditioning)
        self.local_conditioning = local_conditioning
        if local_conditioning is not None:
            self.frame_rows = time_major(local_conditioning.rows)
        self._split_kernels()

    def _biases(self, global_conditioning) -> list[tf.Tensor]:
        """Returns each block's bias, with the global conditioning: it is known before the loop."""
        biases = [block.dilated_bias for block in self.weights.blocks]
        if global_conditioning is None:
            return biases
        return [
            bias + tf.matmul(self.observe("global", global_conditioning[:, 0]), kernel)
            for bias, kernel in zip(biases, self.weights.global_kernels, strict=True)
        ]

    def _split_kernels(self) -> None:
        skip_channels = self.weights.skip_bias.shape[0]
        self.kernels = [block.dilated_kernel for block in self.weights.blocks]
        self.current_kernels = {
            block: self.kernels[block][-self.channels :] for block in self.buffers.long_blocks
        }
        both = [block.skip_and_residual_kernel for block in self.weights.blocks]
        self.residual_kernels = [kernel[:, skip_channels:] for kernel in both]
        self.skip_kernel = tf.concat([kernel[:, :skip_channels] for kernel in both], axis=0)

    def run(self, state: SamplerState) -> tuple[tf.Tensor, SamplerState]:
        """Returns the results of all samples, `[batch, time]`, and the next state."""
        chunks, rest = divmod(self.steps, CHUNK_SIZE)
        end = chunks * CHUNK_SIZE
        dtype = self.draw.result_dtype(state.previous.dtype)
        # The taps of the input convolution.
        recent = [*tf.unstack(state.trunk.inputs, axis=1), state.previous]
        contexts = tuple(state.trunk.contexts)
        carry = self.buffers.from_state(list(state.trunk.blocks))
        results = self.buffers.allocate_output(self.steps, dtype)
        if chunks:
            _, carry, contexts, recent, results = tf.while_loop(
                lambda start, *_: start < end,
                self._whole_chunk,
                [0, carry, contexts, recent, results],
            )
        memory = None
        if rest:
            memory, contexts, recent, results = self._chunk(
                end, rest, carry, contexts, recent, results
            )
        inputs = state.trunk.inputs
        if self.config.input_taps > 1:
            inputs = tf.stack(recent[:-1], axis=1)
        blocks = tuple(self.buffers.to_state(carry, memory, end, rest))
        after = SamplerState(TrunkState(inputs, contexts, blocks), recent[-1])
        return time_major(self.buffers.stack_output(results, dtype)), after

    def _whole_chunk(self, start, carry, contexts, recent, results):
        memory, contexts, recent, results = self._chunk(
            start, CHUNK_SIZE, carry, contexts, recent, results
        )
        carry = self.buffers.end_chunk(carry, memory, start)
        return start + CHUNK_SIZE, carry, contexts, recent, results

    def _chunk(self, start, count: int, carry, contexts, recent, results):
        """Samples a chunk.

        Args:
            start: index of the first sample, a multiple of `CHUNK_SIZE`.
            count: samples, at most `CHUNK_SIZE`.
            carry: of the buffers.
            contexts: state of each context stack.
            recent: the taps of the input convolution, `[batch]` each.
            results: output buffer.

        Returns:
            The chunk memory, and the next `contexts`, `recent` and `results`.
        """
        chunk = self._chunk_inputs(start, count, carry, contexts)
        samples = self.buffers.allocate_output(count, recent[0].dtype) if contexts else ()

        def step(index, memory, recent, samples, results):
            if contexts:
                samples = self.buffers.write_output(samples, index, recent[-1])
            memory, outputs = self._step(index, memory, recent, chunk)
            parameters = self.config.distribution.parameters(outputs, recent[-1])
            time = start + index
            draw_input = self.buffers.read_row(self.draw_inputs, time)
            value, result = self.draw(parameters, draw_input)
            results = self.buffers.write_output(results, time, result)
            return index + 1, memory, [*recent[1:], value], samples, results

        _, memory, recent, samples, results = tf.while_loop(
            lambda index, *_: index < count,
            step,
            [0, self.buffers.start_chunk(carry, count), recent, samples, results],
        )
        if contexts:
            samples = self.buffers.stack_output(samples, recent[0].dtype)
            companded = time_major(self.config.distribution.compand(samples))
            contexts = tuple(
                advance_context(config, weights, context, companded)
                for config, weights, context in zip(
                    self.config.contexts, self.weights.contexts, contexts, strict=True
                )
            )
        return memory, contexts, recent, results

    def _chunk_inputs(self, start, count: int, carry, contexts) -> ChunkInputs:
        """Computes what is known before a chunk, off the critical path of its samples."""
        long_activations = {}
        for block, taps in self.buffers.long_dilation_taps(carry, start, count).items():
            taps = tf.reshape(tf.concat(taps, axis=-1), [count * self.batch, -1])
            taps = self.observe(f"signal_{block}", taps)
            kernel = self.kernels[block]
            activations = tf.matmul(taps, kernel[: -self.channels])
            activations = tf.reshape(activations, [count, self.batch, kernel.shape[1]])
            long_activations[block] = activations + self.biases[block]
        local: list[list] = [[] for _ in self.config.dilations]
        sources = self._local_rows(start, count, contexts)
        for source, (rows, indices) in enumerate(sources):
            rows = self.observe(f"source_{source}", tf.reshape(rows, [-1, rows.shape[-1]]))
            for block, kernel in enumerate(self.weights.local_kernels[source]):
                added = tf.matmul(rows, kernel)
                added = tf.reshape(added, [-1, self.batch, kernel.shape[1]])
                if block in long_activations:
                    added = added if indices is None else tf.gather(added, indices)
                    long_activations[block] += added
                else:
                    local[block].append((added, indices))
        joined = self.buffers.join_activations(
            [long_activations[block] for block in self.buffers.long_blocks]
        )
        return ChunkInputs(joined, local)

    def _local_rows(self, start, count: int, contexts) -> list[tuple]:
        """Returns each source's rows, time before batch, and the index of each sample's row.

        The indices are None if each sample has its own row.
        """
        sources: list[tuple] = []
        repeats = self.config.samples_per_row
        if self.local_conditioning is not None and repeats == 1:
            sources.append((self.buffers.slice_rows(self.frame_rows, start, count), None))
        elif self.local_conditioning is not None:
            indices = (self.local_conditioning.offset + start + tf.range(count)) // repeats
            used = indices[0] + tf.range(1 - (1 - count) // repeats)
            rows = tf.gather(self.frame_rows, tf.minimum(used, self.frame_rows.shape[0] - 1))
            sources.append((rows, indices - indices[0]))
        for config, context in zip(self.config.contexts, contexts, strict=True):
            indices = frame_indices(config.pooling, context.phase[0], count)
            sources.append((time_major(context.outputs), indices))
        return sources

    def _step(self, index, memory, recent, chunk: ChunkInputs):
        """Returns the chunk memory after a sample, and the network's outputs for the next one."""
        buffers = self.buffers
        memory = buffers.start_step(memory, index)
        signal = self._input_signal(recent)
        long_activations = dict(
            zip(
                buffers.long_blocks,
                buffers.read_activations(chunk.long_activations, index),
                strict=True,
            )
        )
        signals, gated = [], []
        skip_sum = self.weights.skip_bias
        for block, weights in enumerate(self.weights.blocks):
            activation = self._activation(
                block, index, memory, signal, chunk.local[block], long_activations.get(block)
            )
            signals.append(signal)
            gated.append(
                doubled_gate(self.observe(f"activation_{block}", activation), self.observe)
            )
            if buffers.joins_skips:
                signal, skip_sum = add_skip_and_residual(
                    weights, gated[-1], signal, skip_sum, self.config.residual_scale
                )
            elif weights.residual_bias is not None:
                residual = tf.matmul(gated[-1], self.residual_kernels[block])
                residual = self.observe(f"residual_{block}", residual + weights.residual_bias)
                signal = scaled(signal + residual, self.config.residual_scale)
        if not buffers.joins_skips:
            skip_sum += tf.matmul(tf.concat(gated, axis=1), self.skip_kernel)
        return buffers.end_step(memory, index, signals), self._outputs(skip_sum)

    def _input_signal(self, recent) -> tf.Tensor:
        """Returns the output of the input convolution, `[batch, residual_channels]`."""
        if self.codes:
            taps = [tf.gather(*tap) for tap in zip(self.input_kernels, recent, strict=True)]
            return sum(taps, self.weights.input_bias)
        waveform = tf.stack(recent, axis=1)
        if self.config.compand_input:
            waveform = mu_law_compand(waveform)
        return tf.matmul(waveform, self.weights.input_kernel) + self.weights.input_bias

    def _activation(self, block: int, index, memory, signal, local, long_activation) -> tf.Tensor:
        """Returns the activation of a block's dilated convolution and conditioning."""
        name = f"signal_{block}"
        added = [] if long_activation is None else [long_activation]
        # Gathered: XLA compiles a slice anew for each start that arguments give.
        for rows, indices in local:
            if indices is None:
                added.append(self.buffers.read_row(rows, index))
            else:
                added.append(tf.gather(rows, tf.gather(indices, index)))
        if long_activation is not None:
            activation = tf.matmul(self.observe(name, signal), self.current_kernels[block])
        else:
            dilation = self.config.dilations[block]
            taps = [
                self.buffers.read_tap(memory, block, index, back * dilation)
                for back in range(self.config.kernel_size - 1, 0, -1)
            ]
            taps = self.observe(name, tf.concat([*taps, signal], axis=-1))
            activation = tf.matmul(taps, self.kernels[block]) + self.biases[block]
        name = f"activation_{block}"
        for part in added:
            activation = self.observe(name, activation) + self.observe(name, part)
        return activation

    def _outputs(self, skip_sum) -> tf.Tensor:
        """Returns the network's outputs from the sum of the skip connections."""
        (head, head_bias), (output, output_bias) = self.weights.head
        skip_sum = self.observe("skips", tf.nn.relu(skip_sum))
        hidden = self.observe("hidden", tf.nn.relu(tf.matmul(skip_sum, head) + head_bias))
        return self.observe("outputs", tf.matmul(hidden, output) + output_bias)
