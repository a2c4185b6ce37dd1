"""The sampling loop over cached state, and the filters on what it may draw.

`generate_block` is the fast schedule of the model's own weights: the state in and out is that of
`WaveNet.call`, and so are the numbers. Each sample costs O(layers), whatever the receptive field
(Le Paine et al. 2016, arXiv 1611.09482).
"""

import functools
import itertools
import sys
import time
import warnings
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from wavenet_tf.distributions import Categorical
from wavenet_tf.errors import InputError

# Samples made by one call of the compiled loop: long enough that the call itself costs nothing,
# short enough that progress is live.
BLOCK_SIZE = 1000


class Schedule(NamedTuple):
    """What the compiled sampling loop depends on besides tensors."""

    distribution: Categorical
    kernel_size: int
    dilations: tuple[int, ...]  # a block
    top_k: int | None = None
    top_p: float | None = None

    @property
    def order(self) -> list[int]:
        """The blocks by dilation: those that share one side by side, in one slice."""
        return sorted(range(len(self.dilations)), key=lambda index: self.dilations[index])


class Weights(NamedTuple):
    """The model's weights as the sampling loop wants them; blocks ordered by dilation."""

    input_kernel: tf.Tensor  # [kernel_size, codes, residual]
    input_bias: tf.Tensor  # [residual]
    past_kernel: tf.Tensor  # [blocks, (kernel_size - 1) * residual, 2 * gate], ordered by dilation
    past_bias: tf.Tensor  # [blocks, 1, 2 * gate], ordered by dilation
    current_kernels: list[tf.Tensor]  # a block: [residual, 2 * gate]
    residual_kernels: list[tf.Tensor]  # a block but the last: [gate, residual]
    residual_biases: list[tf.Tensor]  # a block but the last: [residual]
    head: list[tuple[tf.Tensor, tf.Tensor]]  # kernel and bias: skip, head and output convolution


class State(NamedTuple):
    """Everything that the next sample depends on."""

    layers: dict[str, tf.Tensor]  # the state of `WaveNet.call`
    previous: tf.Tensor  # [batch], the newest sample's value, not yet seen by the layers


def keep_top_k(logits, k: int) -> tf.Tensor:
    """Excludes all but the `k` most likely codes.

    Args:
        logits: float32 `[batch, codes]`.
        k: how many to keep.

    Returns:
        The logits, -inf where excluded.
    """
    smallest_kept = tf.math.top_k(logits, k).values[:, -1:]
    return tf.where(logits < smallest_kept, -np.inf, logits)


def keep_top_p(logits, p: float) -> tf.Tensor:
    """Excludes all but the fewest most likely codes whose probabilities add up to `p`.

    Args:
        logits: float32 `[batch, codes]`.
        p: probability to keep, above 0 and at most 1.

    Returns:
        The logits, -inf where excluded.
    """
    ordered = tf.sort(logits, axis=-1, direction="DESCENDING")
    probabilities = tf.nn.softmax(ordered)
    before = tf.cumsum(probabilities, axis=-1, exclusive=True)
    smallest_kept = tf.reduce_min(tf.where(before < p, ordered, np.inf), axis=-1, keepdims=True)
    return tf.where(logits < smallest_kept, -np.inf, logits)


def prepare_weights(model) -> Weights:
    """Reorders a model's weights for `generate_block`.

    The gate's sigmoid is computed as `(1 + tanh(x / 2)) / 2`, so that one tanh serves filter and
    gate; both halvings are folded into the weights here.

    Args:
        model: a `WaveNet`.
    """

    def float32(weight):
        return tf.cast(tf.convert_to_tensor(weight), tf.float32)

    halve_gate = np.repeat(np.array([1.0, 0.5], np.float32), model.gate_channels)
    kernels = [float32(block.dilated_convolution.kernel) * halve_gate for block in model.blocks]
    biases = [float32(block.dilated_convolution.bias) * halve_gate for block in model.blocks]
    residual = [block.residual_convolution for block in model.blocks if block.residual]
    order = schedule_of(model).order
    past_rows = (model.kernel_size - 1) * model.residual_channels
    head = [model.skip_convolution, model.head_convolution, model.output_convolution]
    return Weights(
        input_kernel=float32(model.input_convolution.kernel),
        input_bias=float32(model.input_convolution.bias),
        past_kernel=tf.stack(
            [tf.reshape(kernels[i][:-1], [past_rows, 2 * model.gate_channels]) for i in order]
        ),
        past_bias=tf.stack([biases[i] for i in order])[:, None],
        current_kernels=[kernel[-1] for kernel in kernels],
        residual_kernels=[float32(layer.kernel)[0] / 2 for layer in residual],
        residual_biases=[float32(layer.bias) for layer in residual],
        head=[
            (float32(layer.kernel)[0] / halving, float32(layer.bias))
            for layer, halving in zip(head, [2, 1, 1], strict=True)
        ],
    )


def schedule_of(model, top_k: int | None = None, top_p: float | None = None) -> Schedule:
    """The schedule that draws from a model.

    Args:
        model: a `WaveNet`.
        top_k: see `keep_top_k`; None keeps all codes.
        top_p: see `keep_top_p`; None keeps all codes.

    Raises:
        InputError: for a filter out of range.
    """
    codes = model.distribution.quantization_channels
    if top_k is not None and not 1 <= top_k <= codes:
        raise InputError(f"top_k must be from 1 to {codes}; received {top_k}")
    if top_p is not None and not 0.0 < top_p <= 1.0:
        raise InputError(f"top_p must be above 0 and at most 1; received {top_p}")
    dilations = tuple(block.dilation_rate for block in model.blocks)
    return Schedule(model.distribution, model.kernel_size, dilations, top_k, top_p)


def prime(model, values) -> State:
    """Takes in what was heard before, in one parallel pass.

    Args:
        model: a `WaveNet`.
        values: of the distribution, `[batch, time]`; digital silence is put before them.

    Returns:
        The state after the last of them.
    """
    batch = tf.shape(values)[0]
    silence = tf.fill([batch, model.receptive_field], model.distribution.silence)
    values = tf.concat([silence, values], axis=1)
    _, layers = model(values[:, :-1], state=model.initial_state(batch))
    return State({name: layers[name] for name in layers}, values[:, -1])


def generate_block(
    schedule: Schedule, weights: Weights, state: State, uniforms, temperature
) -> tuple[tf.Tensor, State]:
    """Draws the next samples of every stream.

    Args:
        schedule: the configuration.
        weights: of `prepare_weights`.
        state: of `prime`, or of the block before.
        uniforms: float32 `[batch, time]` in [0, 1); one sample is drawn for each.
        temperature: float32 scalar.

    Returns:
        The values drawn, `[batch, time]`, and the next state.
    """
    kernel_size, dilations, order = schedule.kernel_size, schedule.dilations, schedule.order
    batch, steps = uniforms.shape
    channels = weights.input_bias.shape[0]
    contexts = [(kernel_size - 1) * dilation for dilation in dilations]
    longest = max(contexts)
    groups = [(dilation, len(list(run))) for dilation, run in itertools.groupby(sorted(dilations))]

    # One buffer [time, blocks, batch, channels] holds the past inputs of all blocks, so that a
    # tap is one slice for all blocks of a dilation and a step writes one row. It is laid out anew
    # for each call: no index ever wraps.
    past = [tf.transpose(state.layers[f"block_{index}"], [1, 0, 2]) for index in order]
    past = [tf.pad(p, [[longest - p.shape[0], steps], [0, 0], [0, 0]]) for p in past]
    history = tf.stack(past, axis=1)
    values = tf.concat([state.layers["input_convolution"], state.previous[:, None]], axis=1)
    values = tf.pad(tf.transpose(values), [[0, steps], [0, 0]])
    uniforms = tf.transpose(uniforms)

    def past_taps(history, t, taps_back):
        first, rows = 0, []
        for dilation, count in groups:
            begin = [longest + t - taps_back * dilation, first, 0, 0]
            rows.append(tf.slice(history, begin, [1, count, batch, channels])[0])
            first += count
        return tf.concat(rows, axis=0)

    def step(t, history, values):
        # All that does not depend on the newest sample: one product for all blocks.
        activations = weights.past_bias
        if kernel_size > 1:
            taps = [past_taps(history, t, back) for back in range(kernel_size - 1, 0, -1)]
            activations += tf.matmul(tf.concat(taps, axis=-1), weights.past_kernel)
        signal = weights.input_bias
        for tap in range(kernel_size):
            signal += tf.gather(weights.input_kernel[tap], values[t + tap])
        inputs, gated = [], []
        for index, current_kernel in enumerate(weights.current_kernels):
            inputs.append(signal)
            activation = tf.matmul(signal, current_kernel) + activations[order.index(index)]
            filter_half, gate_half = tf.split(tf.tanh(activation), 2, axis=-1)
            gated.append(filter_half * (1.0 + gate_half))
            if index < len(weights.residual_kernels):
                residual = tf.matmul(gated[-1], weights.residual_kernels[index])
                signal += residual + weights.residual_biases[index]
        (skip, skip_bias), (head, head_bias), (output, output_bias) = weights.head
        hidden = tf.nn.relu(tf.matmul(tf.concat(gated, axis=-1), skip) + skip_bias)
        hidden = tf.nn.relu(tf.matmul(hidden, head) + head_bias)
        parameters = tf.matmul(hidden, output) + output_bias
        if schedule.top_k is not None:
            parameters = keep_top_k(parameters, schedule.top_k)
        if schedule.top_p is not None:
            parameters = keep_top_p(parameters, schedule.top_p)
        value = schedule.distribution.sample(parameters, uniforms[t], temperature)
        row = tf.stack([inputs[index] for index in order])
        history = tf.tensor_scatter_nd_update(history, [[longest + t]], row[None])
        values = tf.tensor_scatter_nd_update(values, [[kernel_size + t]], value[None])
        return t + 1, history, values

    _, history, values = tf.while_loop(
        lambda t, *_: t < steps, step, [0, history, values], maximum_iterations=steps
    )
    layers = {"input_convolution": tf.transpose(values[steps : steps + kernel_size - 1])}
    for place, index in enumerate(order):
        newest = history[longest + steps - contexts[index] : longest + steps, place]
        layers[f"block_{index}"] = tf.transpose(newest, [1, 0, 2])
    drawn = tf.transpose(values[kernel_size:])
    return drawn, State(layers, drawn[:, -1])


@functools.lru_cache(maxsize=32)
def compiled_block(schedule: Schedule, jit_compile: bool):
    """`generate_block` of that schedule as a graph: compiled once a batch and block size.

    Models of one configuration share it, whatever their weights: those are its arguments.
    """
    return tf.function(functools.partial(generate_block, schedule), jit_compile=jit_compile)


def stream(
    model,
    batch_size: int = 1,
    prompt=None,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int | None = None,
) -> Iterator[np.ndarray]:
    """Yields audio without end, float32 `[batch_size, BLOCK_SIZE]`; see `WaveNet.stream`."""
    if not temperature >= 0.0:
        raise InputError(f"temperature must be 0 or above; received {temperature}")
    if temperature == 0.0:
        warnings.warn(
            "temperature 0 always takes the most likely value; audio made so tends to fall "
            "silent. Draw with a temperature near 1 instead.",
            stacklevel=3,
        )
    distribution = model.distribution
    draw = compiled_block(schedule_of(model, top_k, top_p), jit_compile=True)
    state = prime(model, distribution.encode(checked_prompt(prompt, batch_size)))
    weights = prepare_weights(model)
    temperature = tf.constant(temperature, tf.float32)
    generator = np.random.default_rng(seed)

    def blocks():
        nonlocal state
        while True:
            # Time before batch: the numbers do not depend on the size of a block.
            uniforms = generator.random([BLOCK_SIZE, batch_size], np.float32).T
            values, state = draw(weights, state, uniforms, temperature)
            yield distribution.decode(values).numpy()

    return blocks()


def checked_prompt(prompt, batch_size: int) -> np.ndarray:
    """The prompt as float32 audio `[batch_size, samples]`, empty where there is none.

    Raises:
        InputError: if it is no `[batch_size or 1, samples]` of finite numbers.
    """
    if prompt is None:
        return np.zeros([batch_size, 0], np.float32)
    prompt = np.asarray(prompt, np.float32)
    if prompt.ndim != 2 or prompt.shape[0] not in (1, batch_size):
        raise InputError(
            f"prompt must be audio of shape [{batch_size} or 1, samples]; received shape "
            f"{list(prompt.shape)}"
        )
    if not np.isfinite(prompt).all():
        raise InputError("prompt holds samples that are not finite numbers (NaN or infinity)")
    return np.broadcast_to(prompt, [batch_size, prompt.shape[1]])


def collect(
    blocks: Iterator[np.ndarray], num_samples: int, sample_rate: int, progress: bool
) -> np.ndarray:
    """Joins blocks of audio to `[batch, num_samples]`, with a progress bar if wanted."""
    bar = ProgressBar(num_samples, sample_rate) if progress else None
    parts, made = [], 0
    while made < num_samples:
        parts.append(next(blocks)[:, : num_samples - made])
        made += parts[-1].shape[1]
        if bar:
            bar.update(made, streams=parts[-1].shape[0])
    return np.concatenate(parts, axis=1)


class ProgressBar:
    """One line that shows how much audio is made, how fast, and when it will be done.

    Args:
        num_samples: to be made by each stream.
        sample_rate: in Hz.
    """

    def __init__(self, num_samples: int, sample_rate: int):
        self.num_samples = num_samples
        self.sample_rate = sample_rate
        # When the first block was done, and its samples: compiling is not sampling.
        self.first_block: tuple[float, int] | None = None

    def update(self, made: int, streams: int) -> None:
        """Shows that each of `streams` has `made` samples now."""
        now = time.perf_counter()
        if self.first_block is None:
            self.first_block = now, made
        started, before = self.first_block
        seconds, total = made / self.sample_rate, self.num_samples / self.sample_rate
        line = f"\r{100 * made // self.num_samples:3d}% {seconds:.1f} of {total:.1f} s"
        if made > before:
            speed = (made - before) / (now - started)
            left = (self.num_samples - made) / speed
            line += (
                f", {streams * speed:,.0f} samples/s, real-time factor "
                f"{speed / self.sample_rate:.2f}, {left:.0f} s left"
            )
        print(f"{line:<79}", end="\n" if made == self.num_samples else "", file=sys.stderr)
