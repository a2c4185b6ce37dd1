"""Context stacks in the sampling loop, advanced after each chunk."""

import tensorflow as tf

from wavenet_tf.layers import CONTEXT_DELAY, ContextState
from wavenet_tf.sampling.config import ContextSamplerConfig
from wavenet_tf.sampling.gate import add_skip_and_residual, doubled_gate
from wavenet_tf.sampling.weights import ContextWeights


def advance_context(
    config: ContextSamplerConfig, weights: ContextWeights, state: ContextState, companded
) -> ContextState:
    """Returns the state of a context stack after more samples.

    Most chunks complete no frame; the stack then computes nothing.

    Args:
        config: of the context stack.
        weights: of the context stack.
        state: before the samples.
        companded: the samples, `[batch, count]`.
    """
    phase, count = state.phase[0], companded.shape[1]
    signal = tf.concat([state.recent, companded], axis=1)
    first = config.pooling + CONTEXT_DELAY - 1 - phase
    frames = (phase + count) // config.pooling

    def advance(frame, past, outputs):
        start = first + frame * config.pooling
        samples = tf.gather(signal, start + tf.range(config.pooling), axis=1)
        hidden = tf.nn.relu(tf.matmul(samples, weights.frame_kernel) + weights.frame_bias)
        skip_sum, after = weights.skip_bias, []
        for block, before, dilation in zip(weights.blocks, past, config.dilations, strict=True):
            taps = [before[:, tap * dilation] for tap in range(config.kernel_size - 1)]
            activation = tf.matmul(tf.concat([*taps, hidden], axis=-1), block.dilated_kernel)
            after.append(tf.concat([before, hidden[:, None]], axis=1)[:, 1:])
            activation += block.dilated_bias
            hidden, skip_sum = add_skip_and_residual(
                block, doubled_gate(activation), hidden, skip_sum
            )
        outputs = tf.concat([outputs, tf.nn.relu(skip_sum)[:, None]], axis=1)[:, 1:]
        return frame + 1, tuple(after), outputs

    _, past, outputs = tf.while_loop(
        lambda frame, *_: frame < frames, advance, [0, tuple(state.blocks), state.outputs]
    )
    return ContextState(
        recent=signal[:, count:],
        phase=(state.phase + count) % config.pooling,
        outputs=outputs,
        blocks=past,
    )
