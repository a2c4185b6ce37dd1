"""An exported model's signatures: sampling with explicit state, for runtimes without this package.

A client streams without knowing the model: `initial_state` or `prime` gives tensors named
`state_...`; `generate_block` takes these and uniform numbers and gives audio and the next ones.
"""

import json
import math
import os
import tempfile
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from wavenet_tf import generation
from wavenet_tf.clients import STATE_PREFIX, UNLIKE_PHASES
from wavenet_tf.errors import InputError, positive_integer

# Among the assets of a SavedModel: what `metadata` says.
METADATA_FILE = "wavenet.json"
# Samples scored in one pass: enough to fill the processor, few enough for memory.
SCORED_AT_ONCE = 8192


def state_tensors(state: generation.State) -> dict[str, tf.Tensor]:
    """A state as tensors by name: `state_block_0`, `state_context_0_recent` and so on."""
    tensors = {"previous": state.previous}
    for name, part in state.layers.items():
        if isinstance(part, dict):
            tensors.update({f"{name}_{inner}": tensor for inner, tensor in part.items()})
        else:
            tensors[name] = part
    return {STATE_PREFIX + name: tensor for name, tensor in tensors.items()}


def state_of(model, tensors: dict[str, tf.Tensor]) -> generation.State:
    """The state that `state_tensors` made those tensors of."""
    layers: dict[str, Any] = {
        layer.name: tensors[STATE_PREFIX + layer.name]
        for layer in (model.input_convolution, *model.blocks)
    }
    for stack in model.context_stacks:
        prefix = f"{STATE_PREFIX}{stack.name}_"
        layers[stack.name] = {
            name.removeprefix(prefix): tensor
            for name, tensor in tensors.items()
            if name.startswith(prefix)
        }
    return generation.State(layers, tensors[f"{STATE_PREFIX}previous"])


def state_specs(model, batch_size: int | None = None) -> dict[str, tf.TensorSpec]:
    """Shapes and types of `state_tensors`."""
    previous = model.distribution.encode(tf.zeros([1]))
    tensors = state_tensors(generation.State(model.initial_state(1), previous))
    return {
        name: tf.TensorSpec(
            [batch_size, *tensor.shape[1:]],
            tf.float32 if tensor.dtype.is_floating else tensor.dtype,
            name,
        )
        for name, tensor in tensors.items()
    }


def block_size_of(
    model, block_size: int | None = None, default: int = generation.BLOCK_SIZE
) -> int:
    """The samples of a block: whole frames of conditioning and of context stacks.

    Args:
        model: a `WaveNet`.
        block_size: as wanted; None takes the default.
        default: or the next larger one that fits.

    Raises:
        InputError: for one that does not fit.
    """
    unit = math.lcm(model.hop_length or 1, *(stack.pooling for stack in model.context_stacks))
    if block_size is None:
        return -(-default // unit) * unit
    if positive_integer("block_size", block_size) % unit:
        raise InputError(
            f"block_size must be a multiple of {unit}, the frames of this model's conditioning and "
            f"context stacks; received {block_size}"
        )
    return int(block_size)


def metadata(model, block_size: int) -> dict[str, Any]:
    """What a client has to know of an exported model besides its signatures.

    Args:
        model: a `WaveNet`.
        block_size: of `block_size_of`.
    """
    from wavenet_tf import __version__

    local = model.upsampler
    return {
        "wavenet_tf_version": __version__,
        "tensorflow_version": tf.__version__,
        "keras_version": keras.__version__,
        "sample_rate": model.sample_rate,
        "block_size": block_size,
        "receptive_field": model.receptive_field,
        "output_distribution": model.output_distribution,
        "quantization_channels": model.quantization_channels,
        "uniforms_per_sample": math.prod(model.distribution.uniforms_shape),
        "conditioning": model.conditioning_names,
        "num_speakers": model.num_speakers,
        "speaker_names": model.speaker_names,
        "global_channels": model.global_channels,
        "local_channels": model.local_channels,
        "features": model.features,
        "hop_length": model.hop_length,
        # The frames that a block takes, besides its own.
        "frames_before": local.frames_before if local else None,
        "frames_after": local.frames_after if local else None,
    }


def frames_of_block(model, block_size: int) -> int:
    """Frames of local conditioning that `generate_block` takes: the block's, and those around."""
    local = model.upsampler
    return local.frames_before + block_size // local.hop_length + local.frames_after


def samples_before(model) -> int:
    """Samples of the frames that `generate_block` takes which come before the block's first."""
    return model.upsampler.frames_before * model.hop_length if model.upsampler else 0


def conditioning_specs(model, batch_size=None, frames=None) -> dict[str, tf.TensorSpec]:
    """Shapes and types of the model's conditioning, by name."""
    shapes = {
        "speaker_id": ([], tf.int32),
        "global_conditioning": ([model.global_channels], tf.float32),
        "local_conditioning": ([frames, model.local_channels], tf.float32),
    }
    return {
        name: tf.TensorSpec([batch_size, *shapes[name][0]], shapes[name][1], name)
        for name in model.conditioning_names
    }


def draw_block(model, weights, draw, state, conditions, first, block_size, **known):
    """Calls `generation.generate_block` for the block that begins at sample `first` of the frames.

    Args:
        model: a `WaveNet`.
        weights: of `generation.prepare_weights`.
        draw: `generation.generate_block` with a schedule.
        state: before the block.
        conditions: the model's other inputs.
        first: the block's first sample, counted from the first frame.
        block_size: of the block, in samples.
        **known: `uniforms` and `temperature`, or `given`, as `generate_block` takes them.
    """
    local_conditioning = None
    if model.upsampler:
        rows, skipped = model.upsampler.held_rows(
            conditions["local_conditioning"], first, block_size
        )
        local_conditioning = generation.HeldRows(tf.cast(rows, tf.float32), skipped)
    global_conditioning = model.global_conditioning(conditions)
    if global_conditioning is not None:
        global_conditioning = tf.cast(global_conditioning, tf.float32)
    return draw(
        weights,
        state,
        global_conditioning=global_conditioning,
        local_conditioning=local_conditioning,
        **known,
    )


class Signatures:
    """The functions of a SavedModel; see `save`.

    Args:
        model: a `WaveNet`.
        block_size: samples that `generate_block` makes; see `block_size_of`.
        max_seconds: the most that one request may ask for, in seconds.
        jit_compile: whether the sampling loop is compiled with XLA, which a stock TensorFlow
            Serving does not do.
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
        self.model = model
        self.block_size = block_size_of(model, block_size)
        self.max_samples = self._max_samples(max_seconds)
        schedule = generation.schedule_of(model, top_k, top_p)
        self.draw = generation.compiled_block(schedule, jit_compile)

    def _max_samples(self, max_seconds: float) -> int:
        """The samples of `max_seconds`, whose count must fit 32 bits in whole blocks."""
        rate = self.model.sample_rate
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
        """What a client has to know besides the signatures."""
        return {**metadata(self.model, self.block_size), "max_samples": self.max_samples}

    def metadata_text(self, streams) -> dict[str, tf.Tensor]:
        """What `metadata` says, as JSON, for clients that have not the files.

        A row for each row of the input: TensorFlow Serving takes no signature without input, over
        REST or in batches.
        """
        return {"json": tf.fill(tf.shape(streams), json.dumps(self.metadata))}

    def concrete_functions(self) -> dict[str, Any]:
        """The signatures by name, traced for any number of streams."""
        model, block_size = self.model, self.block_size
        batch = {
            "seed": tf.TensorSpec([None], tf.int32, "seed"),
            "temperature": tf.TensorSpec([None], tf.float32, "temperature"),
            "num_samples": tf.TensorSpec([None], tf.int32, "num_samples"),
            "streams": tf.TensorSpec([None], tf.int32, "streams"),
        }
        audio = {"audio": tf.TensorSpec([None, None], tf.float32, "audio")}
        conditions = conditioning_specs(model)
        asked = ["seed", "temperature"] + ["num_samples"] * (not model.hop_length)
        of_block = conditions
        if model.hop_length:
            of_block = conditioning_specs(model, frames=frames_of_block(model, block_size))
        uniforms = tf.TensorSpec(
            [None, block_size, *model.distribution.uniforms_shape], tf.float32, "uniforms"
        )
        inputs = {
            "serving_default": {name: batch[name] for name in asked} | conditions,
            "initial_state": conditions or {"streams": batch["streams"]},
            "prime": audio | conditions,
            "generate_block": {"uniforms": uniforms, "temperature": batch["temperature"]}
            | of_block
            | state_specs(model),
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
        """Audio at once: `num_samples` of it, or as the frames of local conditioning say.

        Each stream has a seed of its own, so that what it makes does not depend on the others.
        """
        conditions = self._conditions(inputs)
        batch, block_size = tf.shape(inputs["seed"])[0], self.block_size
        if self.model.hop_length:
            frames = tf.shape(conditions["local_conditioning"])[1]
            num_samples = tf.fill([batch], frames * self.model.hop_length)
        else:
            num_samples = inputs["num_samples"]
        allowed = (num_samples >= 1) & (num_samples <= self.max_samples)
        wrong = f"num_samples must be from 1 to {self.max_samples}, the exported maximum; received"
        with tf.control_dependencies([_check(allowed, wrong, num_samples)]):
            longest = tf.reduce_max(num_samples)
        blocks = -(-longest // block_size)
        weights = generation.prepare_weights(self.model)
        state = generation.prime(self.model, *silence(self.model, batch, conditions))
        shape = [block_size, *self.model.distribution.uniforms_shape]

        def make_block(index, state, made):
            uniforms = tf.map_fn(
                lambda seed: tf.random.stateless_uniform(shape, tf.stack([seed, index])),
                inputs["seed"],
                fn_output_signature=tf.TensorSpec(shape, tf.float32),
            )
            values, state = draw_block(
                self.model,
                weights,
                self.draw,
                state,
                conditions,
                index * block_size,
                block_size,
                uniforms=uniforms,
                temperature=inputs["temperature"],
            )
            audio = self.model.distribution.decode(values)
            return index + 1, state, made.write(index, tf.transpose(audio))

        made = tf.TensorArray(tf.float32, blocks, element_shape=[block_size, None])
        _, _, made = tf.while_loop(
            lambda index, *_: index < blocks,
            make_block,
            [0, state, made],
            shape_invariants=[
                tf.TensorShape([]),
                tf.nest.map_structure(lambda part: tf.TensorShape([None, *part.shape[1:]]), state),
                tf.TensorShape(None),
            ],
        )
        audio = tf.transpose(made.concat())[:, :longest]
        # Streams served together may ask for less than the longest.
        kept = tf.range(longest)[None] < num_samples[:, None]
        return {"audio": tf.where(kept, audio, 0.0)}

    def initial_state(self, **inputs) -> dict[str, tf.Tensor]:
        """The state after digital silence, a row for each row of the inputs."""
        conditions = self._conditions(inputs)
        batch = tf.shape(next(iter(inputs.values())))[0]
        return state_tensors(generation.prime(self.model, *silence(self.model, batch, conditions)))

    def prime(self, audio, **inputs) -> dict[str, tf.Tensor]:
        """The state after a prompt, whose first sample is that of the first frame."""
        conditions = self._conditions(inputs)
        hop, time = self.model.hop_length or 1, tf.shape(audio)[1]
        wrong = f"audio must hold whole frames of {hop} samples; received samples:"
        with tf.control_dependencies([_check(time % hop == 0, wrong, time)]):
            values = self.model.distribution.encode(audio)
        return state_tensors(generation.prime(self.model, values, conditions))

    def generate_block(self, uniforms, temperature, **inputs) -> dict[str, tf.Tensor]:
        """The next block of every stream, and the next state."""
        inputs = {"uniforms": uniforms, "temperature": temperature, **inputs}
        conditions = self._conditions(inputs)
        values, state = draw_block(
            self.model,
            generation.prepare_weights(self.model),
            self.draw,
            state_of(self.model, inputs),
            conditions,
            samples_before(self.model),
            self.block_size,
            uniforms=uniforms,
            temperature=temperature,
        )
        return {"audio": self.model.distribution.decode(values), **state_tensors(state)}

    def score(self, audio, **inputs) -> dict[str, tf.Tensor]:
        """The log-likelihood of each sample given those before it, in nats."""
        conditions = self._conditions(inputs)
        return {"log_likelihood": log_likelihood(self.model, audio, conditions)}

    def _conditions(self, inputs) -> dict[str, tf.Tensor]:
        """The conditions among the inputs of a signature."""
        return {name: inputs[name] for name in self.model.conditioning_names}

    def _with_checks(self, function, specs: dict[str, tf.TensorSpec]):
        """Returns the function of a signature, which computes only after its inputs are checked.

        Clients that call through C++, as a server does, may pass tensors of any shape.

        Args:
            function: of the signature.
            specs: of each of its inputs.
        """

        def checked(**inputs):
            shaped = {
                name: tf.ensure_shape(inputs[name], spec.shape) for name, spec in specs.items()
            }
            with tf.control_dependencies(self._checks(shaped)):
                return function(**{name: tf.identity(value) for name, value in shaped.items()})

        return checked

    def _checks(self, inputs: dict[str, tf.Tensor]) -> list[tf.Operation]:
        """Operations that fail unless the inputs have as many rows each, and values in range."""
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
        """Pairs of what must hold for an input, and the words for it."""

        def from_to(lowest: int, highest: int):
            return (tensor >= lowest) & (tensor <= highest), f"be from {lowest} to {highest}"

        if name == "seed":
            # TensorFlow's generator takes some negative seeds for positive ones.
            return [(tensor >= 0, "be 0 or above")]
        if name == "temperature":
            return [(tensor >= 0.0, "be 0 or above")]
        if name == "uniforms":
            return [((tensor >= 0.0) & (tensor < 1.0), "be in [0, 1)")]
        if name == "speaker_id":
            return [from_to(0, self.model.num_speakers - 1)]
        if name == "local_conditioning":
            return [(tf.shape(tensor)[1] > 0, "hold at least one frame")]
        for stack in self.model.context_stacks:
            if name == f"{STATE_PREFIX}{stack.name}_phase":
                # One number serves all streams: a server must not join others to a batch.
                return [from_to(-1, stack.pooling - 1), (tensor == tensor[:1], UNLIKE_PHASES)]
        if name.startswith(STATE_PREFIX) and tensor.dtype.is_integer:
            return [from_to(0, self.model.quantization_channels - 1)]
        return []


def traced(functions: dict[str, Any], inputs: dict[str, dict]) -> dict[str, Any]:
    """Signatures by name, traced for their inputs.

    Args:
        functions: of each name.
        inputs: of each name, a `tf.TensorSpec` an argument.
    """
    return {
        name: tf.function(function, autograph=False).get_concrete_function(**inputs[name])
        for name, function in functions.items()
    }


def log_likelihood(model, audio, conditions) -> tf.Tensor:
    """The log-likelihood of each sample of `audio`, `[batch, time]`, after digital silence.

    Args:
        model: a `WaveNet`.
        audio: float32 in [-1, 1], `[batch, time]`.
        conditions: the model's other inputs; frames * hop_length = time.

    Returns:
        float32 `[batch, time]`, in nats.
    """
    return _teacher_forced(model, audio, conditions, model.distribution.log_likelihood, [])


def distribution_parameters(model, audio, conditions) -> tf.Tensor:
    """The parameters of each sample's distribution, given the samples before it.

    Args:
        model: a `WaveNet`.
        audio: as `log_likelihood` takes it.
        conditions: as `log_likelihood` takes them.

    Returns:
        float32 `[batch, time, parameters]`.
    """
    shape = [model.distribution.parameter_channels]
    return _teacher_forced(model, audio, conditions, lambda parameters, _: parameters, shape)


def _teacher_forced(model, audio, conditions, judge, shape: list[int]) -> tf.Tensor:
    """What `judge` says of the parameters and values of each sample, `[batch, time, *shape]`."""
    batch, before = tf.shape(audio)[0], model.receptive_field
    silence = tf.fill([batch, before], model.distribution.silence)
    values = tf.concat([silence, model.distribution.encode(audio)], axis=1)
    steps = tf.shape(values)[1] - 1
    state = model.initial_state(batch)

    def judge_chunk(start, state, judged):
        count = tf.minimum(SCORED_AT_ONCE, steps - start)
        heard, targets = values[:, start : start + count], values[:, start + 1 : start + 1 + count]
        # What a position sees is the frame of the sample that it predicts.
        local = model.local_conditioning(conditions, start + 1 - before, count)
        parameters, state = model({"audio": heard, **conditions}, state, local)
        return start + count, state, tf.concat([judged, judge(parameters, targets)], axis=1)

    _, _, judged = tf.while_loop(
        lambda start, *_: start < steps,
        judge_chunk,
        [0, state, tf.zeros([batch, 0, *shape])],
        shape_invariants=[
            tf.TensorShape([]),
            tf.nest.map_structure(lambda part: tf.TensorShape([None, *part.shape[1:]]), state),
            tf.TensorShape([None, None, *shape]),
        ],
    )
    return judged[:, before - 1 :]


def silence(model, batch_size, conditions: dict | None = None) -> tuple[tf.Tensor, dict]:
    """What `generation.prime` takes for streams that start from digital silence."""
    return tf.zeros([batch_size, 0], model.distribution.encode(0.0).dtype), conditions or {}


def _check(conditions, message: str, value) -> tf.Operation:
    return tf.debugging.Assert(tf.reduce_all(conditions), [message, value])


def save(signatures: Signatures, directory: str | os.PathLike) -> None:
    """Writes a SavedModel that any TensorFlow runtime loads without this package.

    Args:
        signatures: what it can be asked.
        directory: a folder that is not there yet.
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
        directory: of the SavedModel.

    Returns:
        The requests: names of signatures, and the smallest inputs that they take.

    Raises:
        InputError: where the exported model fails, or answers with NaN or infinity.
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
    """A tensor of the smallest shape that a signature takes."""
    shape = [1 if size is None else size for size in spec.shape]
    fill = {"num_samples": 1, "temperature": 1.0, "uniforms": 0.5}.get(spec.name, 0)
    return tf.fill(shape, tf.cast(fill, spec.dtype))
