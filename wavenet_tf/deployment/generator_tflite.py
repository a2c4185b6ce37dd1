"""The sampling loop as one TFLite file, with built-in operators only.

The signatures are those of the SavedModel for a fixed number of streams, but `prime` takes a prompt
block by block, with the state before each, and returns its log-likelihood too. `wavenet_tf.lite`
runs such files.
"""

import functools
from typing import Any

import tensorflow as tf

from wavenet_tf import sampling
from wavenet_tf.deployment.generator_signatures import GeneratorSignatures, conditioning_of_block
from wavenet_tf.deployment.signatures import traced
from wavenet_tf.distributions import Categorical
from wavenet_tf.errors import positive_integer
from wavenet_tf.layers import RepeatedFrames, TrunkState, slice_time
from wavenet_tf.sampling.config import unchanged

# Samples per block: each call copies the whole state, a cost that the samples of a block share.
BLOCK_SIZE = 256


class TFLiteSignatures(GeneratorSignatures):
    """Functions of a TFLite file.

    Args:
        model: a `WaveNet`.
        block_size: samples of `generate_block`, see `GeneratorSignatures`; None takes `BLOCK_SIZE`.
        batch_size: number of streams.
        ranges: ranges of the activations, see `activation_ranges`, to fake-quantize them to 8 bits;
            None leaves activations as they are.

    Raises:
        InputError: for an argument out of range.
    """

    def __init__(
        self,
        model,
        block_size: int | None = None,
        batch_size: int = 1,
        ranges: dict[str, tuple[float, float]] | None = None,
    ):
        super().__init__(model, block_size, BLOCK_SIZE)
        self.batch_size = positive_integer("batch_size", batch_size)
        self.ranges = ranges
        self.observe = unchanged if ranges is None else functools.partial(_fake_quant, ranges)
        self.config = sampling.sampler_config(model)._replace(
            buffers=sampling.ShiftBuffers, observe=self.observe
        )
        # Arrays become constants, which the converter can quantize.
        self.weights = tf.nest.map_structure(_as_array, sampling.prepare_weights(model))
        # The receptive field of context stacks is too long for the loop of `initial_state`.
        conditions = {
            name: tf.zeros([self.batch_size, *(size or 1 for size in spec.shape[1:])], spec.dtype)
            for name, spec in self.conditioning_specs().items()
        }
        state = self.state_after_silence(self.batch_size, conditions)
        self.silent_contexts = tf.nest.map_structure(_as_array, state.trunk.contexts)

    @property
    def metadata(self) -> dict[str, Any]:
        """What clients need besides the signatures, as JSON holds it."""
        return {**super().metadata, "batch_size": self.batch_size}

    def concrete_functions(self) -> dict[str, Any]:
        """Returns the signatures by name, traced for `batch_size` streams."""
        batch, block_size = self.batch_size, self.block_size
        conditions = self.conditioning_specs(batch, self.frames_per_block)
        state = self.state_specs(batch)
        frames_after = self.conditioning.frames_after
        shape = [batch, block_size, *self.model.distribution.uniforms_shape]
        uniforms = tf.TensorSpec(shape, tf.float32, "uniforms")
        temperature = tf.TensorSpec([batch], tf.float32, "temperature")
        audio = tf.TensorSpec([batch, block_size], tf.float32, "audio")
        inputs = {
            "initial_state": self.conditioning_specs(batch, max(1, frames_after)),
            "prime": {"audio": audio, **conditions, **state},
            "generate_block": {
                "uniforms": uniforms,
                "temperature": temperature,
                **conditions,
                **state,
            },
        }
        functions = {
            "initial_state": self.initial_state,
            "prime": self.prime,
            "generate_block": self.generate_block,
        }
        return traced(functions, inputs)

    def initial_state(self, **conditions) -> dict[str, tf.Tensor]:
        """Returns the state after digital silence, conditioned on the first frame."""
        model, batch = self.model, self.batch_size
        silence = tf.fill([batch], model.distribution.silence)
        inputs = tf.fill([batch, model.config.input_taps - 1], model.distribution.silence)
        blocks = tuple(
            tf.zeros([batch, block.dilated_convolution.context, model.config.residual_channels])
            for block in model.trunk.stack.blocks
        )
        trunk_state = TrunkState(inputs, self.silent_contexts, blocks)
        values = tf.fill([batch, self.block_size], model.distribution.silence)
        num_blocks = -(-model.config.trunk_receptive_field // self.block_size)

        conditioning = self.conditioning_of_block(conditions, 0)
        if self.conditioning.frames_after > 1:
            # Silence depends on more than the first frame: samples of it differ.
            silent = num_blocks * self.block_size
            rows = conditioning_of_block(model, conditions, -silent, silent)[
                "local_conditioning"
            ].rows

        def score(index, state):
            block = conditioning
            if self.conditioning.frames_after > 1:
                part = slice_time(rows, index * self.block_size, self.block_size)
                block = {**conditioning, "local_conditioning": RepeatedFrames(part, 0)}
            _, state = sampling.score_block(self.config, self.weights, state, values, **block)
            return index + 1, state

        _, state = tf.while_loop(
            lambda index, _: index < num_blocks,
            score,
            [0, sampling.SamplerState(trunk_state, silence)],
        )
        # The converter quantizes no signature that observes nothing outside of its loops.
        first, *others = state.trunk.blocks
        blocks = (self.observe("signal_0", first), *others)
        state = state._replace(trunk=state.trunk._replace(blocks=blocks))
        return {**sampling.state_tensors(state), **model.codec.initial_memory(batch)}

    def prime(self, audio, **inputs) -> dict[str, tf.Tensor]:
        """Returns the log-likelihood of a block of a prompt, in nats, and the state after it."""
        values, memory = self.model.codec.encode(audio, inputs)
        state = sampling.state_from_tensors(self.model, inputs)
        scores, state = self._score(state, inputs, self.samples_before, values)
        return {"log_likelihood": scores, **sampling.state_tensors(state), **memory}

    def generate_block(self, uniforms, temperature, **inputs) -> dict[str, tf.Tensor]:
        """Returns the next block of every stream, and the next state."""
        values, state = sampling.sample_block(
            self.config,
            self.weights,
            sampling.state_from_tensors(self.model, inputs),
            uniforms,
            temperature,
            **self.conditioning_of_block(inputs, self.samples_before),
        )
        audio, memory = self.model.codec.decode(values, inputs)
        return {"audio": audio, **sampling.state_tensors(state), **memory}

    def _score(self, state, conditions, first, values):
        conditioning = self.conditioning_of_block(conditions, first)
        return sampling.score_block(self.config, self.weights, state, values, **conditioning)


# These ranges follow from the functions; int8 operators require this one for a tanh.
FIXED_RANGES = {
    "tanh": (-1.0, 127 / 128),
    "opening": (0.0, 2.0),
    "gated": (-2.0, 2.0 * 127 / 128),
}


def _fake_quant(ranges: dict[str, tuple[float, float]], name: str, activation) -> tf.Tensor:
    """Returns an activation rounded as in int8; the converter makes int8 operators between them."""
    if name not in ranges:
        return activation
    lowest, highest = ranges[name]
    return tf.quantization.fake_quant_with_min_max_args(activation, lowest, highest)


def activation_ranges(
    model, values, conditions: dict | None = None, observed_samples: int = 512
) -> dict[str, tuple[float, float]]:
    """Returns the ranges of the sampling loop's activations on recordings.

    Args:
        model: a `WaveNet`.
        values: values of its distribution, `[batch, time]`, from its training data.
        conditions: the model's other inputs; the frames of local conditioning begin with the first
            value.
        observed_samples: number of samples at the end on which the ranges are taken; the samples
            before them prime the state.

    Returns:
        The smallest and largest value of each activation, by the name that the observer gets.
    """
    ranges: dict[str, tuple[float, float]] = {}

    def observe(name, activation):
        lowest, highest = ranges.get(name, (0.0, 0.0))
        array = activation.numpy()
        ranges[name] = min(lowest, float(array.min())), max(highest, float(array.max()))
        return activation

    conditions, first = conditions or {}, max(0, values.shape[1] - observed_samples)
    sampling.score_block(
        sampling.sampler_config(model)._replace(buffers=sampling.ShiftBuffers, observe=observe),
        sampling.prepare_weights(model),
        sampling.prime(model, values[:, :first], conditions),
        values[:, first:],
        **conditioning_of_block(model, conditions, first, values.shape[1] - first),
    )
    if not isinstance(model.distribution, Categorical):
        # Logits, means and scales differ too much to share a range.
        del ranges["outputs"]
    return {**ranges, **FIXED_RANGES}


def _as_array(tensor):
    return None if tensor is None else tensor.numpy()
