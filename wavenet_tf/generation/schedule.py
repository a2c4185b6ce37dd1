"""The fast schedule of a model's own weights, one sample after the other.

`generate_block` takes and returns the state of `WaveNet.call`, and draws what `WaveNet.call` would
give. Each sample costs O(layers), whatever the receptive field (Le Paine et al. 2016, arXiv
1611.09482).
"""

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from wavenet_tf.audio import mu_law_compand
from wavenet_tf.distributions import Categorical, GaussianMixture, LogisticMixture
from wavenet_tf.errors import InputError
from wavenet_tf.generation.samplers import keep_top_k, keep_top_p
from wavenet_tf.layers import CONTEXT_DELAY, held_frames

# Samples for which the taps that lie at least as far back are computed at once; what context stacks
# say of them is known too.
TAPS_AHEAD = CONTEXT_DELAY


class HeldRows(NamedTuple):
    """Local conditioning, a row for each stretch over which it stays the same."""

    rows: tf.Tensor  # [batch, rows, channels]
    skipped: tf.Tensor  # samples of the first row that come before the first sample


class ContextSchedule(NamedTuple):
    """What the advance of a context stack depends on besides tensors."""

    pooling: int
    kernel_size: int
    dilations: tuple[int, ...]  # a block


class Schedule(NamedTuple):
    """What the compiled sampling loop depends on besides tensors."""

    distribution: Categorical | LogisticMixture | GaussianMixture
    kernel_size: int
    dilations: tuple[int, ...]  # a block
    held_samples: int = 1  # by a row of local conditioning
    contexts: tuple[ContextSchedule, ...] = ()
    top_k: int | None = None
    top_p: float | None = None


class BlockWeights(NamedTuple):
    """A gated residual block's weights, the gate's halved; see `prepare_weights`."""

    dilated_kernel: tf.Tensor  # [kernel_size * residual, 2 * gate], the oldest tap first
    dilated_bias: tf.Tensor  # [2 * gate]
    skip_and_residual_kernel: tf.Tensor  # [gate, skip + residual]; the last block's: [gate, skip]
    residual_bias: tf.Tensor | None  # [residual]; the last block has none


class ContextWeights(NamedTuple):
    """A context stack's weights."""

    frame_kernel: tf.Tensor  # [pooling, channels]
    frame_bias: tf.Tensor  # [channels]
    blocks: list[BlockWeights]
    skip_bias: tf.Tensor  # [channels]


class Weights(NamedTuple):
    """The model's weights as the sampling loop wants them; lists have an entry a block."""

    input_kernel: tf.Tensor  # [kernel_size * codes, residual]; of a waveform, codes is 1
    input_bias: tf.Tensor  # [residual]
    blocks: list[BlockWeights]
    global_kernels: list[tf.Tensor]  # [global, 2 * gate]; none without global conditioning
    local_kernels: list[list[tf.Tensor]]  # of each source, frames first: [channels, 2 * gate]
    contexts: list[ContextWeights]
    skip_bias: tf.Tensor  # [skip]
    head: list[tuple[tf.Tensor, tf.Tensor]]  # kernel and bias: head and output convolution


class State(NamedTuple):
    """Everything that the next sample depends on."""

    layers: dict[str, Any]  # the state of `WaveNet.call`
    previous: tf.Tensor  # [batch], the newest sample's value, not yet seen by the layers


def prepare_weights(model) -> Weights:
    """Reorders a model's weights for `generate_block`.

    The gate's sigmoid is computed as `(1 + tanh(x / 2)) / 2`, so that one tanh serves filter and
    gate; both halvings are folded into the weights here.

    Args:
        model: a `WaveNet`.
    """
    halve_gate = _halve_gate(model.gate_channels)
    residual_channels = model.residual_channels
    sources = [layer for layer in (model.upsampler, *model.context_stacks) if layer]
    local_kernels = [
        tf.split(
            _float32(block.local_projection.kernel) * halve_gate,
            [source.channels for source in sources],
        )
        for block in model.blocks
        if sources
    ]
    return Weights(
        input_kernel=tf.reshape(_float32(model.input_convolution.kernel), [-1, residual_channels]),
        input_bias=_float32(model.input_convolution.bias),
        blocks=_block_weights(model.blocks, model.skip_convolution),
        global_kernels=[
            _float32(block.global_projection.kernel) * halve_gate
            for block in model.blocks
            if block.global_channels
        ],
        local_kernels=[list(kernels) for kernels in zip(*local_kernels, strict=True)],
        contexts=[
            ContextWeights(
                frame_kernel=_float32(stack.frame_projection.kernel),
                frame_bias=_float32(stack.frame_projection.bias),
                blocks=_block_weights(stack.blocks, stack.skip_convolution),
                skip_bias=_float32(stack.skip_convolution.bias),
            )
            for stack in model.context_stacks
        ],
        skip_bias=_float32(model.skip_convolution.bias),
        head=[
            (_float32(layer.kernel)[0], _float32(layer.bias))
            for layer in (model.head_convolution, model.output_convolution)
        ],
    )


def _block_weights(blocks, skip_convolution) -> list[BlockWeights]:
    halve_gate = _halve_gate(blocks[0].gate_channels)
    skips = tf.split(_float32(skip_convolution.kernel)[0] / 2, len(blocks))
    weights = []
    for block, skip in zip(blocks, skips, strict=True):
        kernel = _float32(block.dilated_convolution.kernel) * halve_gate
        residual = [_float32(block.residual_convolution.kernel)[0] / 2] if block.residual else []
        weights.append(
            BlockWeights(
                dilated_kernel=tf.reshape(kernel, [-1, kernel.shape[-1]]),
                dilated_bias=_float32(block.dilated_convolution.bias) * halve_gate,
                skip_and_residual_kernel=tf.concat([skip, *residual], axis=1),
                residual_bias=_float32(block.residual_convolution.bias) if block.residual else None,
            )
        )
    return weights


def _halve_gate(gate_channels: int) -> np.ndarray:
    return np.repeat(np.array([1.0, 0.5], np.float32), gate_channels)


def _float32(weight) -> tf.Tensor:
    return tf.cast(tf.convert_to_tensor(weight), tf.float32)


def schedule_of(model, top_k: int | None = None, top_p: float | None = None) -> Schedule:
    """The schedule that draws from a model.

    Args:
        model: a `WaveNet`.
        top_k: see `keep_top_k`; None keeps all codes.
        top_p: see `keep_top_p`; None keeps all codes.

    Raises:
        InputError: for a filter out of range.
    """
    if not isinstance(model.distribution, Categorical) and (top_k, top_p) != (None, None):
        raise InputError(
            "top_k and top_p are for the categorical distribution; received "
            f"top_k={top_k}, top_p={top_p} for {model.output_distribution}"
        )
    codes = model.quantization_channels
    if top_k is not None and not 1 <= top_k <= codes:
        raise InputError(f"top_k must be from 1 to {codes}; received {top_k}")
    if top_p is not None and not 0.0 < top_p <= 1.0:
        raise InputError(f"top_p must be above 0 and at most 1; received {top_p}")
    dilations = tuple(block.dilation_rate for block in model.blocks)
    contexts = tuple(
        ContextSchedule(
            stack.pooling, stack.kernel_size, tuple(block.dilation_rate for block in stack.blocks)
        )
        for stack in model.context_stacks
    )
    held_samples = model.upsampler.held_samples if model.upsampler else 1
    return Schedule(
        model.distribution, model.kernel_size, dilations, held_samples, contexts, top_k, top_p
    )


def prime(model, values, conditions: dict | None = None) -> State:
    """Takes in what was heard before, in one parallel pass over a receptive field of it.

    Args:
        model: a `WaveNet`.
        values: of the distribution, `[batch, time]`; before them lies digital silence.
        conditions: the model's other inputs; the frames of local conditioning begin with the
            first value.

    Returns:
        The state after the last of them.
    """
    conditions = conditions or {}
    end = tf.shape(values)[1]
    batch = tf.shape(values)[0]
    silence = tf.fill([batch, model.receptive_field], model.distribution.silence)
    # Nothing that lies further back than the receptive field has any influence.
    values = tf.concat([silence, values], axis=1)[:, -model.receptive_field :]
    # What a position sees is the frame of the sample that it predicts.
    length = model.main_receptive_field - 1
    inputs = {"audio": values[:, -1 - length : -1], **conditions}
    if model.context_stacks:
        inputs["context_audio"] = values[:, : -1 - length]
    local_conditioning = model.local_conditioning(conditions, end - length, length)
    _, layers = model.run_blocks(inputs, model.initial_state(batch), local_conditioning)
    # Sampling is in float32, whatever the precision of training.
    layers = tf.nest.map_structure(
        lambda part: tf.cast(part, tf.float32) if part.dtype.is_floating else part, layers
    )
    return State(layers, values[:, -1])


def generate_block(
    schedule: Schedule,
    weights: Weights,
    state: State,
    uniforms,
    temperature,
    global_conditioning=None,
    local_conditioning: HeldRows | None = None,
) -> tuple[tf.Tensor, State]:
    """Draws the next samples of every stream.

    Args:
        schedule: the configuration.
        weights: of `prepare_weights`.
        state: of `prime`, or of the block before.
        uniforms: float32 `[batch, time]` in [0, 1), or `[batch, time, 2]` for the mixtures, see
            `uniforms_shape` of the distribution.
        temperature: float32 scalar.
        global_conditioning: of the method of `WaveNet`, `[batch, 1, channels]`, if it has such.
        local_conditioning: of `held_rows` of the model's upsampler, if it has one.

    Returns:
        The values drawn, `[batch, time]`, and the next state.
    """
    kernel_size, dilations = schedule.kernel_size, schedule.dilations
    batch, steps = uniforms.shape[:2]
    channels = weights.input_bias.shape[0]
    codes = isinstance(schedule.distribution, Categorical)
    uniforms = _swap(uniforms)
    kernels = [block.dilated_kernel for block in weights.blocks]
    first_rows = np.arange(kernel_size)[:, None] * schedule.distribution.parameter_channels

    past = [_swap(state.layers[f"block_{i}"]) for i in range(len(dilations))]
    # The taps of far blocks lie so far back that those of the next TAPS_AHEAD samples are known:
    # one product then reads their weights once for all of these.
    far = [i for i, d in enumerate(dilations) if d >= TAPS_AHEAD and kernel_size > 1]
    # Off the critical path: all that conditioning adds is known before the loop.
    biases = [block.dilated_bias for block in weights.blocks]
    if global_conditioning is not None:
        biases = [
            bias + tf.matmul(global_conditioning[:, 0], kernel)
            for bias, kernel in zip(biases, weights.global_kernels, strict=True)
        ]
    if local_conditioning is not None:
        held_rows = _swap(local_conditioning.rows)
    current_kernels = {block: kernels[block][-channels:] for block in far}
    # The input convolution's taps: the newest values, [kernel_size, batch].
    newest = tf.concat([state.layers["input_convolution"], state.previous[:, None]], axis=1)
    newest = tf.transpose(newest)

    def past_activations(begin, count, block, ring):
        """What a far block's past taps add to its activations: `[count, batch, 2 * gate]`."""
        slots = (kernel_size - 1) * dilations[block] // TAPS_AHEAD
        first = [begin + tap * dilations[block] for tap in range(kernel_size - 1)]
        taps = [ring.read((start // TAPS_AHEAD) % slots)[:count] for start in first]
        taps = tf.reshape(tf.concat(taps, axis=-1), [count * batch, -1])
        activations = tf.matmul(taps, kernels[block][:-channels])
        return tf.reshape(activations, [count, batch, -1]) + biases[block]

    def local_rows(begin, count, contexts):
        """Each source of local conditioning, and its kernels.

        Their rows, time before batch, come with the place of each sample's row among them, which is
        None where each sample has its own.
        """
        sources = []
        if local_conditioning is not None and schedule.held_samples == 1:
            sources.append((_rows(held_rows, begin, count), None))
        elif local_conditioning is not None:
            places = local_conditioning.skipped + begin + tf.range(count)
            places //= schedule.held_samples
            seen = places[0] + tf.range(1 - (1 - count) // schedule.held_samples)
            rows = tf.gather(held_rows, tf.minimum(seen, held_rows.shape[0] - 1))
            sources.append((rows, places - places[0]))
        for shape, context in zip(schedule.contexts, contexts, strict=True):
            places = held_frames(shape.pooling, context["phase"][0], count)
            sources.append((_swap(context["outputs"]), places))
        return [(*source, own) for source, own in zip(sources, weights.local_kernels, strict=True)]

    def draw_ahead(begin, count, past, contexts, newest, values):
        """Draws `count` samples from time `begin` on.

        Args:
            begin: a multiple of TAPS_AHEAD.
            count: at most TAPS_AHEAD.
            past: a block's inputs before: near blocks `[context, batch, channels]`, far blocks
                a ring of slots `[TAPS_AHEAD, batch, channels]`.
            contexts: a context stack's state.
            newest: the input convolution's taps, `[kernel_size, batch]`.
            values: array of those drawn so far.

        Returns:
            A block's new inputs, following those before where the block is near; contexts; newest;
            values.
        """
        ahead = {block: past_activations(begin, count, block, past[block]) for block in far}
        # What local conditioning adds to each block, and the place of each sample's row in it.
        local: list[list] = [[] for _ in dilations]
        for rows, places, source_kernels in local_rows(begin, count, contexts):
            for block, kernel in enumerate(source_kernels):
                added = tf.matmul(tf.reshape(rows, [-1, kernel.shape[0]]), kernel)
                added = tf.reshape(added, [-1, batch, kernel.shape[1]])
                if block in ahead:
                    ahead[block] += added if places is None else tf.gather(added, places)
                else:
                    local[block].append((added, places))
        heard = _array(tf.zeros([0, batch], newest.dtype), extra=count)
        lengths = [0 if i in far else part.shape[0] for i, part in enumerate(past)]
        inputs = [
            _array(tf.zeros([0, batch, channels]) if i in far else part, extra=count)
            for i, part in enumerate(past)
        ]

        def step(index, inputs, signals, newest, heard, values):
            if contexts:
                heard = heard.write(index, newest[-1])
            # The inputs of the step before are written now: written where they are made, XLA
            # would copy the arrays that the same step reads.
            inputs = [
                array.write(length + index - 1, signal) if length else array
                for array, length, signal in zip(inputs, lengths, signals, strict=True)
            ]
            if codes:
                embedded = tf.gather(weights.input_kernel, newest + first_rows)
                signal = tf.reduce_sum(embedded, axis=0) + weights.input_bias
            else:
                companded = mu_law_compand(newest)
                signal = tf.matmul(companded, weights.input_kernel, transpose_a=True)
                signal += weights.input_bias
            signals, skip_sum = [], weights.skip_bias
            for block, dilation in enumerate(dilations):
                added = _row(ahead[block], index) if block in ahead else biases[block]
                # Gathered: XLA compiles a slice anew for each beginning that arguments tell.
                for rows, places in local[block]:
                    added += _row(rows, index) if places is None else tf.gather(rows, places[index])
                if block in ahead:
                    activation = tf.matmul(signal, current_kernels[block]) + added
                    inputs[block] = inputs[block].write(index, signal)
                else:
                    taps = [
                        inputs[block].read(lengths[block] + index - back * dilation)
                        for back in range(kernel_size - 1, 0, -1)
                    ]
                    taps = tf.concat([*taps, signal], axis=-1)
                    activation = tf.matmul(taps, kernels[block]) + added
                signals.append(signal)
                signal, skip_sum = _leave_block(weights.blocks[block], activation, signal, skip_sum)
            (head, head_bias), (output, output_bias) = weights.head
            hidden = tf.nn.relu(tf.matmul(tf.nn.relu(skip_sum), head) + head_bias)
            outputs = tf.matmul(hidden, output) + output_bias
            parameters = schedule.distribution.parameters(outputs, newest[-1])
            if schedule.top_k is not None:
                parameters = keep_top_k(parameters, schedule.top_k)
            if schedule.top_p is not None:
                parameters = keep_top_p(parameters, schedule.top_p)
            time = begin + index
            value = schedule.distribution.sample(parameters, _row(uniforms, time), temperature)
            newest = tf.concat([newest[1:], value[None]], axis=0)
            return index + 1, inputs, signals, newest, heard, values.write(time, value)

        nothing = tf.zeros([batch, channels])
        signals = [
            part[-1] if length else nothing for part, length in zip(past, lengths, strict=True)
        ]
        _, inputs, signals, newest, heard, values = tf.while_loop(
            lambda index, *_: index < count,
            step,
            [0, inputs, signals, newest, heard, values],
            maximum_iterations=count,
        )
        if contexts:
            companded = _swap(schedule.distribution.compand(heard.stack()))
            contexts = [
                _advance_context(shape, stack, context, companded)
                for shape, stack, context in zip(
                    schedule.contexts, weights.contexts, contexts, strict=True
                )
            ]
        inputs = [
            array.write(length + count - 1, signal) if length else array
            for array, length, signal in zip(inputs, lengths, signals, strict=True)
        ]
        return [array.stack() for array in inputs], contexts, newest, values

    def draw_and_store(begin, past, contexts, newest, values):
        inputs, contexts, newest, values = draw_ahead(
            begin, TAPS_AHEAD, past, contexts, newest, values
        )
        stored = [part[TAPS_AHEAD:] for part in inputs]
        for block in far:
            slots = (kernel_size - 1) * dilations[block] // TAPS_AHEAD
            stored[block] = past[block].write((begin // TAPS_AHEAD) % slots, inputs[block])
        return begin + TAPS_AHEAD, stored, contexts, newest, values

    for block in far:
        past[block] = _array(tf.reshape(past[block], [-1, TAPS_AHEAD, batch, channels]))
    whole, rest = divmod(steps, TAPS_AHEAD)
    begin = whole * TAPS_AHEAD
    values = _array(tf.zeros([0, batch], newest.dtype), extra=steps)
    contexts = [state.layers[f"context_{i}"] for i in range(len(schedule.contexts))]
    _, past, contexts, newest, values = tf.while_loop(
        lambda time, *_: time < begin,
        draw_and_store,
        [0, past, contexts, newest, values],
        maximum_iterations=whole,
    )
    inputs = [tf.zeros([0, batch, channels])] * len(past)
    if rest:
        inputs, contexts, newest, values = draw_ahead(begin, rest, past, contexts, newest, values)
    layers = {f"context_{index}": context for index, context in enumerate(contexts)}
    for block, part in enumerate(past):
        if block in far:
            ring = tf.reshape(part.stack(), [-1, batch, channels])
            oldest = begin % ring.shape[0]
            part = tf.concat([ring[oldest:], ring[:oldest], inputs[block]], axis=0)[rest:]
        elif rest:
            part = inputs[block][rest:]
        layers[f"block_{block}"] = _swap(part)
    layers["input_convolution"] = _swap(newest[:-1])
    return _swap(values.stack()), State(layers, newest[-1])


def _leave_block(block: BlockWeights, activation, signal, skip_sum) -> tuple[tf.Tensor, tf.Tensor]:
    """From a block's activation to the next block's input and the sum of the skip connections."""
    filter_half, gate_half = tf.split(tf.tanh(activation), 2, axis=-1)
    both = tf.matmul(filter_half * (1.0 + gate_half), block.skip_and_residual_kernel)
    skip_channels = skip_sum.shape[-1]
    skip_sum += both[:, :skip_channels]
    if block.residual_bias is not None:
        signal += both[:, skip_channels:] + block.residual_bias
    return signal, skip_sum


def _advance_context(
    shape: ContextSchedule, weights: ContextWeights, state: dict, companded
) -> dict[str, tf.Tensor]:
    """The state of a context stack after more samples, `[batch, count]`.

    Most often these complete no frame; the stack then has nothing to do.
    """
    phase, count = state["phase"][0], companded.shape[1]
    signal = tf.concat([state["recent"], companded], axis=1)
    first = shape.pooling + CONTEXT_DELAY - 1 - phase
    frames = (phase + count) // shape.pooling

    def advance(frame, past, outputs):
        start = first + frame * shape.pooling
        samples = tf.slice(signal, [0, start], [signal.shape[0], shape.pooling])
        hidden = tf.nn.relu(tf.matmul(samples, weights.frame_kernel) + weights.frame_bias)
        skip_sum, after = weights.skip_bias, []
        for block, before, dilation in zip(weights.blocks, past, shape.dilations, strict=True):
            taps = [before[:, tap * dilation] for tap in range(shape.kernel_size - 1)]
            activation = tf.matmul(tf.concat([*taps, hidden], axis=-1), block.dilated_kernel)
            after.append(tf.concat([before, hidden[:, None]], axis=1)[:, 1:])
            activation += block.dilated_bias
            hidden, skip_sum = _leave_block(block, activation, hidden, skip_sum)
        outputs = tf.concat([outputs, tf.nn.relu(skip_sum)[:, None]], axis=1)[:, 1:]
        return frame + 1, after, outputs

    past = [state[f"block_{index}"] for index in range(len(weights.blocks))]
    _, past, outputs = tf.while_loop(
        lambda frame, *_: frame < frames, advance, [0, past, state["outputs"]]
    )
    return {
        "recent": signal[:, count:],
        "phase": (state["phase"] + count) % shape.pooling,
        "outputs": outputs,
        **{f"block_{index}": part for index, part in enumerate(past)},
    }


def _rows(tensor, begin, count: int) -> tf.Tensor:
    """`tensor[begin : begin + count]`.

    XLA compiles an index that is no constant, or a length of -1, to a padded copy of the whole.
    """
    others = tensor.shape[1:]
    return tf.slice(tensor, [begin, *[0] * len(others)], [count, *others])


def _swap(tensor) -> tf.Tensor:
    """Time before batch in place of batch before time, or the other way round."""
    return tf.transpose(tensor, [1, 0, *range(2, tensor.shape.rank)])


def _array(rows, extra: int = 0) -> tf.TensorArray:
    """An array of the rows of a tensor, with room for more: written in place, compiled or not."""
    rows = tf.pad(rows, [[0, extra], *[[0, 0]] * (rows.shape.rank - 1)])
    array = tf.TensorArray(
        rows.dtype, rows.shape[0], element_shape=rows.shape[1:], clear_after_read=False
    )
    return array.unstack(rows)


def _row(tensor, index) -> tf.Tensor:
    """`tensor[index]`."""
    return _rows(tensor, index, 1)[0]
