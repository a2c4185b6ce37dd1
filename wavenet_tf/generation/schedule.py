"""The fast schedule of a model's own weights, one sample after the other.

`generate_block` takes and returns the state of `WaveNet.call`, and draws what `WaveNet.call` would
give. Each sample costs O(layers), whatever the receptive field (Le Paine et al. 2016, arXiv
1611.09482).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from wavenet_tf.audio import mu_law_compand
from wavenet_tf.distributions import Categorical, GaussianMixture, LogisticMixture
from wavenet_tf.errors import InputError
from wavenet_tf.generation.samplers import keep_top_k, keep_top_p
from wavenet_tf.generation.storage import InPlace, swap
from wavenet_tf.layers import CONTEXT_DELAY, held_frames


def exact(name: str, activation) -> tf.Tensor:
    """The activation as it is; in its place, `Schedule` may have one that rounds it.

    Args:
        name: of the activation; those of one name share a range.
        activation: of any shape.
    """
    return activation


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
    storage: type[InPlace] = InPlace
    rounded: Callable[[str, Any], tf.Tensor] = exact


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
    given=None,
) -> tuple[tf.Tensor, State]:
    """Draws the next samples of every stream, or follows given ones.

    Args:
        schedule: the configuration.
        weights: of `prepare_weights`.
        state: of `prime`, or of the block before.
        uniforms: float32 `[batch, time]` in [0, 1), or `[batch, time, 2]` for the mixtures, see
            `uniforms_shape` of the distribution; not read where samples are given.
        temperature: float32 scalar or `[batch]`.
        global_conditioning: of the method of `WaveNet`, `[batch, 1, channels]`, if it has such.
        local_conditioning: of `held_rows` of the model's upsampler, if it has one.
        given: the values to take in place of drawn ones, `[batch, time]`.

    Returns:
        The values drawn, `[batch, time]`, or the logarithms of the probabilities of the given ones,
        in nats; and the next state.
    """
    kernel_size, dilations = schedule.kernel_size, schedule.dilations
    known = tf.convert_to_tensor(uniforms if given is None else given)
    batch, steps = known.shape[:2]
    if batch is None:
        batch = tf.shape(known)[0]
    channels = weights.input_bias.shape[0]
    codes = isinstance(schedule.distribution, Categorical)
    known = swap(known)
    kernels = [block.dilated_kernel for block in weights.blocks]
    rounded = schedule.rounded
    input_kernels = tf.split(rounded("embedding", weights.input_kernel), kernel_size)
    storage = schedule.storage(kernel_size, dilations, batch, channels, steps, rounded)
    far, ahead = storage.far, storage.ahead
    # Off the critical path: all that conditioning adds is known before the loop.
    biases = [block.dilated_bias for block in weights.blocks]
    if global_conditioning is not None:
        biases = [
            bias + tf.matmul(rounded("global", global_conditioning[:, 0]), kernel)
            for bias, kernel in zip(biases, weights.global_kernels, strict=True)
        ]
    if local_conditioning is not None:
        held_rows = swap(local_conditioning.rows)
    skip_channels = weights.skip_bias.shape[0]
    current_kernels = {block: kernels[block][-channels:] for block in far}
    both = [block.skip_and_residual_kernel for block in weights.blocks]
    residual_kernels = [kernel[:, skip_channels:] for kernel in both]
    skip_kernel = tf.concat([kernel[:, :skip_channels] for kernel in both], axis=0)

    def local_rows(begin, count, contexts):
        """Each source of local conditioning, and its kernels.

        Their rows, time before batch, come with the place of each sample's row among them, which is
        None where each sample has its own.
        """
        sources = []
        if local_conditioning is not None and schedule.held_samples == 1:
            sources.append((storage.rows(held_rows, begin, count), None))
        elif local_conditioning is not None:
            places = local_conditioning.skipped + begin + tf.range(count)
            places //= schedule.held_samples
            seen = places[0] + tf.range(1 - (1 - count) // schedule.held_samples)
            rows = tf.gather(held_rows, tf.minimum(seen, held_rows.shape[0] - 1))
            sources.append((rows, places - places[0]))
        for shape, context in zip(schedule.contexts, contexts, strict=True):
            places = held_frames(shape.pooling, context["phase"][0], count)
            sources.append((swap(context["outputs"]), places))
        return [(*source, own) for source, own in zip(sources, weights.local_kernels, strict=True)]

    def draw_ahead(begin, count, held, contexts, newest, results):
        """Draws `count` samples from time `begin` on.

        Args:
            begin: a multiple of `ahead`.
            count: at most `ahead`.
            held: what the storage holds of the blocks.
            contexts: a context stack's state.
            newest: the input convolution's taps, `[batch]` each.
            results: what was made so far.

        Returns:
            The storage's memory of these samples; contexts; newest; results.
        """
        # What is known of each far block's activations, `[count, batch, 2 * gate]`.
        known_ahead = {}
        for block, taps in storage.past_taps(held, begin, count).items():
            taps = tf.reshape(tf.concat(taps, axis=-1), [count * batch, -1])
            taps = rounded(f"signal_{block}", taps)
            activations = tf.matmul(taps, kernels[block][:-channels])
            activations = tf.reshape(activations, [count, batch, kernels[block].shape[1]])
            known_ahead[block] = activations + biases[block]
        # What local conditioning adds to each block, and the place of each sample's row in it.
        local: list[list] = [[] for _ in dilations]
        for source, (rows, places, source_kernels) in enumerate(local_rows(begin, count, contexts)):
            rows = rounded(f"source_{source}", tf.reshape(rows, [-1, rows.shape[-1]]))
            for block, kernel in enumerate(source_kernels):
                added = tf.matmul(rows, kernel)
                added = tf.reshape(added, [-1, batch, kernel.shape[1]])
                if block in known_ahead:
                    known_ahead[block] += added if places is None else tf.gather(added, places)
                else:
                    local[block].append((added, places))
        ahead_by_sample = storage.by_sample([known_ahead[block] for block in far])
        heard = storage.room(count, newest[0].dtype) if contexts else ()

        def step(index, memory, newest, heard, results):
            if contexts:
                heard = storage.put(heard, index, newest[-1])
            memory = storage.begin_step(memory, index)
            if codes:
                taps = [tf.gather(*tap) for tap in zip(input_kernels, newest, strict=True)]
                signal = sum(taps, weights.input_bias)
            else:
                companded = mu_law_compand(tf.stack(newest, axis=1))
                signal = tf.matmul(companded, weights.input_kernel) + weights.input_bias
            added_ahead = dict(zip(far, storage.of_sample(ahead_by_sample, index), strict=True))
            signals, gated = [], []
            skip_sum = weights.skip_bias
            for block, dilation in enumerate(dilations):
                own = weights.blocks[block]
                added = [added_ahead[block]] if block in added_ahead else []
                # Gathered: XLA compiles a slice anew for each beginning that arguments tell.
                for rows, places in local[block]:
                    added.append(
                        storage.row(rows, index)
                        if places is None
                        else tf.gather(rows, tf.gather(places, index))
                    )
                if block in far:
                    activation = tf.matmul(
                        rounded(f"signal_{block}", signal), current_kernels[block]
                    )
                else:
                    taps = [
                        storage.tap(memory, block, index, back * dilation)
                        for back in range(kernel_size - 1, 0, -1)
                    ]
                    taps = rounded(f"signal_{block}", tf.concat([*taps, signal], axis=-1))
                    activation = tf.matmul(taps, kernels[block]) + biases[block]
                for part in added:
                    name = f"activation_{block}"
                    activation = rounded(name, activation) + rounded(name, part)
                signals.append(signal)
                gated.append(_gate(rounded(f"activation_{block}", activation), rounded))
                if storage.joins_skips:
                    signal, skip_sum = _leave(own, gated[-1], signal, skip_sum)
                elif own.residual_bias is not None:
                    residual = tf.matmul(gated[-1], residual_kernels[block]) + own.residual_bias
                    signal += rounded(f"residual_{block}", residual)
            if not storage.joins_skips:
                skip_sum += tf.matmul(tf.concat(gated, axis=1), skip_kernel)
            memory = storage.end_step(memory, index, signals)
            (head, head_bias), (output, output_bias) = weights.head
            skip_sum = rounded("skips", tf.nn.relu(skip_sum))
            hidden = rounded("hidden", tf.nn.relu(tf.matmul(skip_sum, head) + head_bias))
            outputs = rounded("outputs", tf.matmul(hidden, output) + output_bias)
            parameters = schedule.distribution.parameters(outputs, newest[-1])
            if schedule.top_k is not None:
                parameters = keep_top_k(parameters, schedule.top_k)
            if schedule.top_p is not None:
                parameters = keep_top_p(parameters, schedule.top_p)
            time = begin + index
            value = storage.row(known, time)
            if given is None:
                value = made = schedule.distribution.sample(parameters, value, temperature)
            else:
                made = schedule.distribution.log_likelihood(parameters, value)
            results = storage.put(results, time, made)
            return index + 1, memory, [*newest[1:], value], heard, results

        _, memory, newest, heard, results = tf.while_loop(
            lambda index, *_: index < count,
            step,
            [0, storage.open(held, count), newest, heard, results],
        )
        if contexts:
            heard = storage.filled(heard, newest[0].dtype)
            companded = swap(schedule.distribution.compand(heard))
            contexts = [
                _advance_context(shape, stack, context, companded)
                for shape, stack, context in zip(
                    schedule.contexts, weights.contexts, contexts, strict=True
                )
            ]
        return memory, contexts, newest, results

    def draw_and_keep(begin, held, contexts, newest, results):
        memory, contexts, newest, results = draw_ahead(
            begin, ahead, held, contexts, newest, results
        )
        return begin + ahead, storage.keep(held, memory, begin), contexts, newest, results

    whole, rest = divmod(steps, ahead)
    begin = whole * ahead
    kind = state.previous.dtype if given is None else tf.float32
    # The input convolution's taps: the newest values.
    newest = [*tf.unstack(state.layers["input_convolution"], axis=1), state.previous]
    contexts = [state.layers[f"context_{i}"] for i in range(len(schedule.contexts))]
    held = storage.begin([state.layers[f"block_{i}"] for i in range(len(dilations))])
    results = storage.room(steps, kind)
    if whole:
        _, held, contexts, newest, results = tf.while_loop(
            lambda time, *_: time < begin,
            draw_and_keep,
            [0, held, contexts, newest, results],
        )
    memory = None
    if rest:
        memory, contexts, newest, results = draw_ahead(begin, rest, held, contexts, newest, results)
    layers = {f"context_{index}": context for index, context in enumerate(contexts)}
    for block, part in enumerate(storage.end(held, memory, begin, rest)):
        layers[f"block_{block}"] = part
    layers["input_convolution"] = state.layers["input_convolution"]
    if kernel_size > 1:
        layers["input_convolution"] = tf.stack(newest[:-1], axis=1)
    return swap(storage.filled(results, kind)), State(layers, newest[-1])


def _gate(activation, rounded=exact) -> tf.Tensor:
    """Twice the gated activation, of what `prepare_weights` made of filter and gate."""
    filter_half, gate_half = tf.split(rounded("tanh", tf.tanh(activation)), 2, axis=-1)
    return rounded("gated", filter_half * rounded("opening", 1.0 + gate_half))


def _leave(block: BlockWeights, gated, signal, skip_sum) -> tuple[tf.Tensor, tf.Tensor]:
    """From a block's gated activation to the next block's input and the sum of the skips."""
    both = tf.matmul(gated, block.skip_and_residual_kernel)
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
        samples = tf.gather(signal, start + tf.range(shape.pooling), axis=1)
        hidden = tf.nn.relu(tf.matmul(samples, weights.frame_kernel) + weights.frame_bias)
        skip_sum, after = weights.skip_bias, []
        for block, before, dilation in zip(weights.blocks, past, shape.dilations, strict=True):
            taps = [before[:, tap * dilation] for tap in range(shape.kernel_size - 1)]
            activation = tf.matmul(tf.concat([*taps, hidden], axis=-1), block.dilated_kernel)
            after.append(tf.concat([before, hidden[:, None]], axis=1)[:, 1:])
            activation += block.dilated_bias
            hidden, skip_sum = _leave(block, _gate(activation), hidden, skip_sum)
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
