"""The sampling loop as a SavedModel, which any TensorFlow runtime loads without this package."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import tensorflow as tf

from wavenet_tf import models, sampling
from wavenet_tf.clients import STATE_PREFIX, UNLIKE_PHASES
from wavenet_tf.conditioning import LOCAL_CONDITIONING, SPEAKER_ID
from wavenet_tf.deployment.signatures import Signatures, traced
from wavenet_tf.errors import InputError

# The metadata among the assets of a SavedModel.
METADATA_FILE = "wavenet.json"


class SavedModelSignatures(Signatures):
    """The functions of a SavedModel; see `save`.

    Args:
        model: a `WaveNet`.
        block_size: samples of `generate_block`, see `Signatures`; None takes
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
        self.max_samples = self._max_samples(max_seconds)
        config = sampling.sampler_config(model, top_k, top_p)
        self.sample = sampling.compiled_sampler(config, jit_compile)

    def _max_samples(self, max_seconds: float) -> int:
        """Returns the samples of `max_seconds`, whose number must fit 32 bits in whole blocks."""
        rate = self.model.config.sample_rate
        most = (2**31 - 1) // self.block_size * self.block_size
        if not max_seconds * rate >= 1:
            raise InputError(
                f"max_seconds must be above 0 and give at least one sample at {rate} Hz; "
                f"received {max_seconds}"
            )
        if max_seconds * rate > most:
            raise InputError(
                f"max_seconds must be at most {most // rate} at {rate} Hz, as samples are counted "
                f"in 32 bits; received {max_seconds}"
            )
        return int(max_seconds * rate)

    @property
    def metadata(self) -> dict[str, Any]:
        """What clients need besides the signatures, as JSON holds it."""
        return {**super().metadata, "max_samples": self.max_samples}

    def metadata_text(self, streams) -> dict[str, tf.Tensor]:
        """Returns the metadata as JSON text, for clients without access to the files.

        There is a row for each row of the input: TensorFlow Serving accepts no signature without
        inputs, neither over REST nor in batches.
        """
        return {"json": tf.fill(tf.shape(streams), json.dumps(self.metadata))}

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
            | sampling.state_specs(model),
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
        functions = {
            name: self._with_checks(function, inputs[name]) for name, function in functions.items()
        }
        return traced(functions, inputs)

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
        with tf.control_dependencies([_check(allowed, wrong, num_samples)]):
            longest = tf.reduce_max(num_samples)
        num_blocks = -(-longest // block_size)
        weights = sampling.prepare_weights(self.model)
        state = self.state_after_silence(batch, conditions)
        shape = [block_size, *self.model.distribution.uniforms_shape]

        def add_block(index, state, blocks):
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
            audio = self.model.distribution.decode(values)
            return index + 1, state, blocks.write(index, tf.transpose(audio))

        blocks = tf.TensorArray(tf.float32, num_blocks, element_shape=[block_size, None])
        _, _, blocks = tf.while_loop(
            lambda index, *_: index < num_blocks,
            add_block,
            [0, state, blocks],
            shape_invariants=[
                tf.TensorShape([]),
                tf.nest.map_structure(lambda part: tf.TensorShape([None, *part.shape[1:]]), state),
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
        return sampling.state_tensors(state)

    def prime(self, audio, **inputs) -> dict[str, tf.Tensor]:
        """Returns the state after a prompt, whose first sample is that of the first frame."""
        conditions = self.conditions_of(inputs)
        hop, time = self.model.hop_length or 1, tf.shape(audio)[1]
        wrong = f"audio must hold whole frames of {hop} samples; received samples:"
        with tf.control_dependencies([_check(time % hop == 0, wrong, time)]):
            values = self.model.distribution.encode(audio)
        return sampling.state_tensors(sampling.prime(self.model, values, conditions))

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
        audio = self.model.distribution.decode(values)
        return {"audio": audio, **sampling.state_tensors(state)}

    def score(self, audio, **inputs) -> dict[str, tf.Tensor]:
        """Returns the log-likelihood of each sample given the samples before it, in nats."""
        conditions = self.conditions_of(inputs)
        return {"log_likelihood": models.log_likelihood(self.model, audio, conditions)}

    def _with_checks(self, function, specs: dict[str, tf.TensorSpec]):
        """Returns the function of a signature with a check of its inputs before it.

        Clients that call through C++, as a server does, may pass tensors of any shape.

        Args:
            function: function of the signature.
            specs: shape and type of each of its inputs.
        """

        def checked(**inputs):
            shaped = {
                name: tf.ensure_shape(inputs[name], spec.shape) for name, spec in specs.items()
            }
            with tf.control_dependencies(self._checks(shaped)):
                return function(**{name: tf.identity(value) for name, value in shaped.items()})

        return checked

    def _checks(self, inputs: dict[str, tf.Tensor]) -> list[tf.Operation]:
        """Returns operations that fail unless inputs have equally many rows and values in range."""
        first, checks = next(iter(inputs)), []
        batch = tf.shape(inputs[first])[0]
        checks.append(_check(batch > 0, f"{first} must have a row for each stream; rows:", batch))
        for name, tensor in inputs.items():
            shape = tf.shape(tensor)
            wrong = f"{name} must have as many rows as the other inputs; received shape"
            checks.append(_check(shape[0] == batch, wrong, shape))
            if tensor.dtype.is_floating:
                wrong = f"{name} holds NaN or infinity; its shape is"
                checks.append(_check(tf.math.is_finite(tensor), wrong, shape))
            for valid, expected in self._limits(name, tensor):
                checks.append(_check(valid, f"{name} must {expected}; received", tensor))
        return checks

    def _limits(self, name: str, tensor: tf.Tensor) -> list[tuple[tf.Tensor, str]]:
        """Returns pairs of a condition on an input, and its description."""

        def from_to(lowest: int, highest: int):
            return (tensor >= lowest) & (tensor <= highest), f"be from {lowest} to {highest}"

        if name == "seed":
            # TensorFlow's generator takes some negative seeds for positive ones.
            return [(tensor >= 0, "be 0 or above")]
        if name == "temperature":
            return [(tensor >= 0.0, "be 0 or above")]
        if name == "uniforms":
            return [((tensor >= 0.0) & (tensor < 1.0), "be in [0, 1)")]
        if name == SPEAKER_ID:
            return [from_to(0, (self.conditioning.num_speakers or 0) - 1)]
        if name == LOCAL_CONDITIONING:
            return [(tf.shape(tensor)[1] > 0, "hold at least one frame")]
        for stack in self.model.trunk.context_stacks:
            if name == f"{STATE_PREFIX}{stack.name}_phase":
                # The graph uses the phase of the first stream: a server must not batch streams
                # with different phases.
                return [from_to(-1, stack.pooling - 1), (tensor == tensor[:1], UNLIKE_PHASES)]
        if name.startswith(STATE_PREFIX) and tensor.dtype.is_integer:
            return [from_to(0, self.model.config.quantization_channels - 1)]
        return []


def _check(conditions, message: str, value) -> tf.Operation:
    return tf.debugging.Assert(tf.reduce_all(conditions), [message, value])


def save(signatures: SavedModelSignatures, directory: str | os.PathLike) -> None:
    """Writes a SavedModel that any TensorFlow runtime loads without this package.

    Args:
        signatures: functions of the SavedModel.
        directory: a folder that does not exist yet.
    """
    directory = Path(directory)
    with tempfile.TemporaryDirectory() as folder:
        asset = Path(folder, METADATA_FILE)
        asset.write_text(json.dumps(signatures.metadata, indent=2), encoding="utf-8")
        root = tf.Module(name="wavenet")
        root.weights = [variable.value for variable in signatures.model.variables]
        root.metadata = tf.saved_model.Asset(str(asset))
        tf.saved_model.save(root, str(directory), signatures.concrete_functions())


def run_small_requests(directory: str | os.PathLike) -> list[tuple[str, dict[str, tf.Tensor]]]:
    """Loads a SavedModel of `save` and calls each signature that samples, once.

    Args:
        directory: folder of the SavedModel.

    Returns:
        The requests: names of signatures, and the smallest inputs that they take.

    Raises:
        InputError: if the exported model fails, or returns NaN or infinity.
    """
    signatures = tf.saved_model.load(str(directory)).signatures
    requests: list[tuple[str, dict[str, tf.Tensor]]] = []
    state: dict[str, tf.Tensor] = {}
    for name in ("serving_default", "initial_state", "generate_block"):
        specs = signatures[name].structured_input_signature[1]
        inputs = {key: state.get(key, _smallest(spec)) for key, spec in specs.items()}
        try:
            answer = signatures[name](**inputs)
        except tf.errors.OpError as error:
            lines = [line for line in error.message.splitlines() if "assertion" in line]
            raise InputError(
                f"the exported model fails in {name}: {(lines or [error.message])[0]}"
            ) from error
        for key, tensor in answer.items():
            if tensor.dtype.is_floating and not tf.reduce_all(tf.math.is_finite(tensor)):
                raise InputError(f"the exported model gives NaN or infinity: {key} of {name}")
        requests.append((name, inputs))
        if name == "initial_state":
            state = answer
    return requests


def _smallest(spec: tf.TensorSpec) -> tf.Tensor:
    """Returns a tensor of the smallest shape that a signature takes."""
    shape = [1 if size is None else size for size in spec.shape]
    fill = {"num_samples": 1, "temperature": 1.0, "uniforms": 0.5}.get(spec.name, 0)
    return tf.fill(shape, tf.cast(fill, spec.dtype))
