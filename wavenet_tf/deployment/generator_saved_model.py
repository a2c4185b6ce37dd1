"""The sampling loop as a SavedModel, which any TensorFlow runtime loads without this package."""

import functools
from typing import Any

import tensorflow as tf

from wavenet_tf import models, sampling
from wavenet_tf.conditioning import LOCAL_CONDITIONING, SPEAKER_ID
from wavenet_tf.deployment import checks
from wavenet_tf.deployment.generator_signatures import GeneratorSignatures
from wavenet_tf.deployment.signatures import checked_max_samples


class SavedModelSignatures(GeneratorSignatures):
    """The functions of a generator's SavedModel; see `save`.

    Args:
        model: a `WaveNet`.
        block_size: samples of `generate_block`, see `GeneratorSignatures`; None takes
            `sampling.BLOCK_SIZE`.
        max_seconds: longest audio that one request may ask for, in seconds.
        jit_compile: whether XLA compiles the sampling loop, which a stock TensorFlow Serving does
            not support.
        top_k: as `WaveNet.generate` takes it.
        top_p: as `WaveNet.generate` takes it.

    Raises:
        InputError: for an argument out of range.
    """

    def __init__(
        self,
        model,
        block_size: int | None = None,
        max_seconds: float = 60.0,
        jit_compile: bool = False,
        top_k: int | None = None,
        top_p: float | None = None,
    ):
        super().__init__(model, block_size, sampling.BLOCK_SIZE)
        self.max_samples = checked_max_samples(
            max_seconds, model.config.sample_rate, self.block_size
        )
        config = sampling.sampler_config(model, top_k, top_p)
        self.sample = sampling.compiled_sampler(config, jit_compile)

    @property
    def metadata(self) -> dict[str, Any]:
        """What clients need besides the signatures, as JSON holds it."""
        return {**super().metadata, "max_samples": self.max_samples}

    def concrete_functions(self) -> dict[str, Any]:
        """Returns the signatures by name, traced for any number of streams."""
        model, block_size = self.model, self.block_size
        batch = {
            "seed": tf.TensorSpec([None], tf.int32, "seed"),
            "temperature": tf.TensorSpec([None], tf.float32, "temperature"),
            "num_samples": tf.TensorSpec([None], tf.int32, "num_samples"),
            "streams": tf.TensorSpec([None], tf.int32, "streams"),
        }
        audio = {"audio": tf.TensorSpec([None, None], tf.float32, "audio")}
        conditions = self.conditioning_specs()
        block_conditions = self.conditioning_specs(frames=self.frames_per_block)
        requested = ["seed", "temperature"] + ["num_samples"] * (not model.hop_length)
        uniforms = tf.TensorSpec(
            [None, block_size, *model.distribution.uniforms_shape], tf.float32, "uniforms"
        )
        inputs = {
            "serving_default": {name: batch[name] for name in requested} | conditions,
            "initial_state": conditions or {"streams": batch["streams"]},
            "prime": audio | conditions,
            "generate_block": {"uniforms": uniforms, "temperature": batch["temperature"]}
            | block_conditions
            | self.state_specs(),
            "score": audio | conditions,
            "metadata": {"streams": batch["streams"]},
        }
        functions = {
            "serving_default": self.generate,
            "initial_state": self.initial_state,
            "prime": self.prime,
            "generate_block": self.generate_block,
            "score": self.score,
            "metadata": self.metadata_text,
        }
        return checks.traced_with_checks(functions, inputs, self._limits)

    def generate(self, **inputs) -> dict[str, tf.Tensor]:
        """Returns audio: `num_samples` of each stream, or as long as the frames.

        Each stream has its own seed, so that its audio does not depend on the other streams.
        """
        conditions = self.conditions_of(inputs)
        batch, block_size = tf.shape(inputs["seed"])[0], self.block_size
        if self.model.hop_length:
            frames = tf.shape(conditions[LOCAL_CONDITIONING])[1]
            num_samples = tf.fill([batch], frames * self.model.hop_length)
        else:
            num_samples = inputs["num_samples"]
        allowed = (num_samples >= 1) & (num_samples <= self.max_samples)
        wrong = f"num_samples must be from 1 to {self.max_samples}, the exported maximum; received"
        with tf.control_dependencies([checks.check(allowed, wrong, num_samples)]):
            longest = tf.reduce_max(num_samples)
        num_blocks = -(-longest // block_size)
        weights = sampling.prepare_weights(self.model)
        state = self.state_after_silence(batch, conditions)
        shape = [block_size, *self.model.distribution.uniforms_shape]

        def add_block(index, state, memory, blocks):
            uniforms = tf.map_fn(
                lambda seed: tf.random.stateless_uniform(shape, tf.stack([seed, index])),
                inputs["seed"],
                fn_output_signature=tf.TensorSpec(shape, tf.float32),
            )
            values, state = self.sample(
                weights,
                state,
                uniforms,
                inputs["temperature"],
                **self.conditioning_of_block(conditions, index * block_size),
            )
            audio, memory = self.model.codec.decode(values, memory)
            return index + 1, state, memory, blocks.write(index, tf.transpose(audio))

        blocks = tf.TensorArray(tf.float32, num_blocks, element_shape=[block_size, None])
        memory = self.model.codec.initial_memory(batch)
        any_batch = functools.partial(
            tf.nest.map_structure, lambda part: tf.TensorShape([None, *part.shape[1:]])
        )
        *_, blocks = tf.while_loop(
            lambda index, *_: index < num_blocks,
            add_block,
            [0, state, memory, blocks],
            shape_invariants=[
                tf.TensorShape([]),
                any_batch(state),
                any_batch(memory),
                tf.TensorShape(None),
            ],
        )
        audio = tf.transpose(blocks.concat())[:, :longest]
        # Requests of different lengths may be served in one batch.
        kept = tf.range(longest)[None] < num_samples[:, None]
        return {"audio": tf.where(kept, audio, 0.0)}

    def initial_state(self, **inputs) -> dict[str, tf.Tensor]:
        """Returns the state after digital silence, a row for each row of the inputs."""
        batch = tf.shape(next(iter(inputs.values())))[0]
        state = self.state_after_silence(batch, self.conditions_of(inputs))
        return {**sampling.state_tensors(state), **self.model.codec.initial_memory(batch)}

    def prime(self, audio, **inputs) -> dict[str, tf.Tensor]:
        """Returns the state after a prompt, whose first sample is that of the first frame."""
        conditions = self.conditions_of(inputs)
        hop, time = self.model.hop_length or 1, tf.shape(audio)[1]
        wrong = f"audio must hold whole frames of {hop} samples; received samples:"
        with tf.control_dependencies([checks.check(time % hop == 0, wrong, time)]):
            audio = tf.identity(audio)
        codec = self.model.codec
        values, memory = codec.encode(audio, codec.initial_memory(tf.shape(audio)[0]))
        state = sampling.prime(self.model, values, conditions)
        return {**sampling.state_tensors(state), **memory}

    def generate_block(self, uniforms, temperature, **inputs) -> dict[str, tf.Tensor]:
        """Returns the next block of every stream, and the next state."""
        conditions = self.conditions_of(inputs)
        values, state = self.sample(
            sampling.prepare_weights(self.model),
            sampling.state_from_tensors(self.model, inputs),
            uniforms,
            temperature,
            **self.conditioning_of_block(conditions, self.samples_before),
        )
        audio, memory = self.model.codec.decode(values, inputs)
        return {"audio": audio, **sampling.state_tensors(state), **memory}

    def score(self, audio, **inputs) -> dict[str, tf.Tensor]:
        """Returns the log-likelihood of each sample given the samples before it, in nats."""
        conditions = self.conditions_of(inputs)
        return {"log_likelihood": models.log_likelihood(self.model, audio, conditions)}

    def _limits(self, name: str, tensor: tf.Tensor) -> checks.Limits:
        """Returns pairs of a condition on an input, and its description."""
        if name == "seed":
            # TensorFlow's generator takes some negative seeds for positive ones.
            return [(tensor >= 0, "be 0 or above")]
        if name == "temperature":
            return [(tensor >= 0.0, "be 0 or above")]
        if name == "uniforms":
            return [((tensor >= 0.0) & (tensor < 1.0), "be in [0, 1)")]
        if name == SPEAKER_ID:
            return [checks.from_to(tensor, 0, (self.conditioning.num_speakers or 0) - 1)]
        if name == LOCAL_CONDITIONING:
            return [(tf.shape(tensor)[1] > 0, "hold at least one frame")]
        return checks.state_limits(self.model.trunk, name, tensor)
