"""Streams of audio from a model, and the sampler that makes them."""

import collections
import functools
import hashlib
import itertools
import threading
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from wavenet_tf.conditioning import (
    LOCAL_CONDITIONING,
    ConditionChanges,
    as_finite_floats,
    check_frame_statistics,
    samples_after_prompt,
)
from wavenet_tf.errors import InputError, check_seed, check_temperature, positive_integer
from wavenet_tf.layers import RepeatedFrames
from wavenet_tf.sampling.block import sample_block
from wavenet_tf.sampling.buffers import ShiftBuffers
from wavenet_tf.sampling.codec import AudioCodec, Memory
from wavenet_tf.sampling.config import SamplerConfig, sampler_config
from wavenet_tf.sampling.metadata import frame_statistics
from wavenet_tf.sampling.plan import Plan
from wavenet_tf.sampling.state import SamplerState, in_float32, prime
from wavenet_tf.sampling.weights import Weights, WeightSnapshot, prepare_weights

# Samples per call of the compiled loop: many enough that the call itself takes no time to speak of,
# few enough that progress is live.
BLOCK_SIZE = 1024
# Primed states that a sampler keeps, of the most recent prompts and conditions.
PRIMED_STATES_KEPT = 4
# Prompts that are primed eagerly before priming is traced, which takes as long as ten of them.
PRIMED_BEFORE_TRACING = 8


@functools.lru_cache(maxsize=32)
def compiled_sampler(config: SamplerConfig, jit_compile: bool):
    """Returns `sample_block` of a configuration as a graph, compiled once per batch and block size.

    Models of one configuration share it: their weights are its arguments.

    Args:
        config: of the sampling loop.
        jit_compile: whether XLA compiles it.
    """
    if not jit_compile:
        # Half as many operations, each of which costs a graph more than what it computes.
        config = config._replace(buffers=ShiftBuffers)
    return tf.function(
        functools.partial(sample_block, config), jit_compile=jit_compile, autograph=False
    )


class _Group(NamedTuple):
    """Streams that one thread samples.

    Attributes:
        streams: their indices.
        conditions: the model's other inputs, a row for each of these streams.
        global_conditioning: as the trunk's `global_conditioning` returns it.
    """

    streams: np.ndarray
    conditions: dict[str, tf.Tensor]
    global_conditioning: tf.Tensor | None


class Sampler:
    """Makes streams of a model, and keeps what does not change from stream to stream.

    Prepared weights and primed states are kept until the weights of the model change; traced
    functions read the weights when they are called.

    Args:
        model: a `WaveNet`.
    """

    def __init__(self, model):
        self.model = model
        self._lock = threading.RLock()
        self._snapshot = WeightSnapshot(model)
        self._weights: dict[str, Weights] = {}
        self._primed: collections.OrderedDict[Any, SamplerState] = collections.OrderedDict()
        self._primed_eagerly = 0
        self._upsamplers: dict[int, Any] = {}

    def stream(
        self,
        batch_size: int,
        prompt,
        conditions: Mapping[str, Any],
        temperature: float,
        top_k: int | None,
        top_p: float | None,
        seed: int | None,
        block_size: int | None,
        plan: Plan,
    ) -> "AudioStream":
        """Returns a stream of audio.

        Args:
            batch_size: as `WaveNet.stream` takes it.
            prompt: as `WaveNet.stream` takes it.
            conditions: the model's other inputs by name; None for no value.
            temperature: as `WaveNet.stream` takes it.
            top_k: as `WaveNet.stream` takes it.
            top_p: as `WaveNet.stream` takes it.
            seed: as `WaveNet.stream` takes it.
            block_size: as `WaveNet.stream` takes it.
            plan: how to sample.

        Raises:
            InputError: for an argument out of range or of the wrong shape.
        """
        block_size = BLOCK_SIZE if block_size is None else block_size
        block_size = positive_integer("block_size", block_size)
        check_draws(temperature, seed)
        config = sampler_config(self.model, top_k, top_p)
        prompt = checked_prompt(prompt, batch_size)
        checked = self.model.conditioning.checked(conditions, batch_size)
        statistics = frame_statistics(self.model)
        if statistics is not None:
            check_frame_statistics(checked[LOCAL_CONDITIONING], *statistics)
        num_samples = samples_after_prompt(checked, self.model.hop_length, prompt.shape[1])
        with self._lock, tf.device(plan.device):
            if self._snapshot.changed():
                self._weights.clear()
                self._primed.clear()
            weights = self._weights.get(plan.device) or prepare_weights(self.model)
            self._weights[plan.device] = weights
            codec = self.model.codec
            encoded, memory = codec.encode(prompt, codec.initial_memory(len(prompt)))
            values = encoded.numpy()
            states = [
                self._prime_streams(plan.device, values, checked, streams)
                for streams in plan.groups
            ]
            temperature = tf.constant(temperature, tf.float32)
        sample = compiled_sampler(config, plan.jit_compile)

        def sample_group(group: _Group, state: SamplerState, uniforms, first: int):
            with tf.device(plan.device):
                local = self._upsample(group.conditions, first, block_size)
                return sample(
                    weights, state, uniforms, temperature, group.global_conditioning, local
                )

        def make_groups(conditions: Mapping[str, np.ndarray]) -> list[_Group]:
            with self._lock, tf.device(plan.device):
                return [self._group(conditions, streams) for streams in plan.groups]

        return AudioStream(
            sample_group,
            codec,
            {name: tf.repeat(part, batch_size // len(prompt), 0) for name, part in memory.items()},
            plan,
            make_groups,
            ConditionChanges(self.model.conditioning, checked, batch_size),
            states,
            first_sample=prompt.shape[1],
            num_samples=num_samples,
            block_size=block_size,
            seed=seed,
        )

    def _group(self, conditions: Mapping[str, np.ndarray], streams: np.ndarray) -> _Group:
        rows = {name: tf.constant(value[streams]) for name, value in conditions.items()}
        vector = self.model.trunk.global_conditioning(rows)
        return _Group(streams, rows, None if vector is None else tf.cast(vector, tf.float32))

    def _prime_streams(
        self, device: str, values: np.ndarray, conditions: Mapping[str, np.ndarray], streams
    ) -> SamplerState:
        """Returns the state after `values`, `[batch or 1, time]`, for some streams.

        The state that all streams share is computed once.
        """
        if len(values) == 1 and not conditions:
            state = self._prime(device, values, {})
            return tf.nest.map_structure(lambda part: tf.repeat(part, len(streams), axis=0), state)
        rows = values[streams] if len(values) > 1 else np.repeat(values, len(streams), axis=0)
        return self._prime(
            device, rows, {name: value[streams] for name, value in conditions.items()}
        )

    def _prime(
        self, device: str, values: np.ndarray, conditions: dict[str, np.ndarray]
    ) -> SamplerState:
        """Returns the state after `values`, from the states that are kept if it is among them."""
        digest = hashlib.blake2b()
        for array in (values, *conditions.values()):
            digest.update(str(array.shape).encode() + np.ascontiguousarray(array).tobytes())
        key = device, digest.digest()
        if key in self._primed:
            self._primed.move_to_end(key)
            return self._primed[key]
        inputs = {name: tf.constant(value) for name, value in conditions.items()}
        if self._primed_eagerly < PRIMED_BEFORE_TRACING:
            self._primed_eagerly += 1
            state = prime(self.model, tf.constant(values), inputs)
        else:
            state = self._traced_prime(tf.constant(values), inputs)
        self._primed[key] = state
        if len(self._primed) > PRIMED_STATES_KEPT:
            self._primed.popitem(last=False)
        return state

    @functools.cached_property
    def _traced_prime(self):
        """`prime` of this model, traced for any number of streams and samples."""
        spec = self.model.conditioning
        conditions = {
            name: tf.TensorSpec(
                [None, *shape], tf.int32 if name == "speaker_id" else tf.float32, name
            )
            for name, shape in spec.shapes().items()
        }
        dtype = self.model.distribution.encode(0.0).dtype
        return tf.function(
            functools.partial(prime, self.model),
            autograph=False,
            input_signature=[tf.TensorSpec([None, None], dtype), conditions],
        )

    def _upsample(self, conditions, first: int, block_size: int) -> RepeatedFrames | None:
        """Returns the local conditioning of the block that begins at sample `first`."""
        upsampler = self.model.trunk.upsampler
        if upsampler is None:
            return None
        with self._lock:
            if block_size not in self._upsamplers:

                def upsample(frames, first):
                    return in_float32(upsampler.repeated_frames(frames, first, block_size))

                frames = tf.TensorSpec([None, None, self.model.config.local_channels], tf.float32)
                self._upsamplers[block_size] = tf.function(
                    upsample,
                    autograph=False,
                    input_signature=[frames, tf.TensorSpec([], tf.int32)],
                )
        return self._upsamplers[block_size](conditions[LOCAL_CONDITIONING], tf.constant(first))


class AudioStream(Iterator[np.ndarray]):
    """Audio, one block after the other; see `WaveNet.stream`.

    Threads may share a stream: each block goes to one of them.

    Args:
        sample_group: samples a block of a group from its state, uniforms and first sample.
        codec: of the model.
        memory: of the codec, after the prompt.
        plan: how the streams are sampled.
        make_groups: returns the streams of each thread, for conditions.
        changes: conditions and their changes over time.
        states: state of each group.
        first_sample: index of the first sample, counted from the first frame.
        num_samples: samples until the stream ends; None for no end.
        block_size: samples per block.
        seed: of the uniforms.

    Attributes:
        plan: how the streams are sampled.
        num_samples: samples until the stream ends; None for no end.
    """

    def __init__(
        self,
        sample_group,
        codec: AudioCodec,
        memory: Memory,
        plan: Plan,
        make_groups: Callable[[Mapping[str, np.ndarray]], list[_Group]],
        changes: ConditionChanges,
        states: list[SamplerState],
        first_sample: int,
        num_samples: int | None,
        block_size: int,
        seed: int | None,
    ):
        self.plan, self.num_samples = plan, num_samples
        self._sample_group, self._codec, self._memory = sample_group, codec, memory
        self._make_groups, self._changes = make_groups, changes
        self._groups = make_groups(changes.conditions)
        self._first_sample, self._block_size = first_sample, block_size
        self._blocks = self._sample_blocks(states, np.random.default_rng(seed))
        # A generator raises ValueError if two threads call it at once.
        self._lock = threading.Lock()

    def _sample_blocks(self, states, generator) -> Generator[np.ndarray, None, None]:
        groups, done = self._groups, 0
        batch_size = self._changes.batch_size
        with ThreadPoolExecutor(len(states)) as pool:
            while self.num_samples is None or done < self.num_samples:
                if self._changes.apply(done):
                    groups = self._make_groups(self._changes.conditions)
                # Time before batch: the numbers do not depend on the size of a block.
                shape = self._block_size, batch_size, *self._codec.distribution.uniforms_shape
                uniforms = generator.random(shape, np.float32).swapaxes(0, 1)
                parts = pool.map(
                    self._sample_group,
                    groups,
                    states,
                    [uniforms[group.streams] for group in groups],
                    itertools.repeat(self._first_sample + done),
                )
                values, states = zip(*parts, strict=True)
                decoded, self._memory = self._codec.decode(tf.concat(values, axis=0), self._memory)
                audio = decoded.numpy()
                yield audio if self.num_samples is None else audio[:, : self.num_samples - done]
                done += self._block_size

    def __next__(self) -> np.ndarray:
        with self._lock:
            return next(self._blocks)

    @property
    def description(self) -> str:
        """How the streams are sampled, in words."""
        return f"{self.plan}; compiling ..."

    def change_at(self, sample: int, **conditions) -> None:
        """Changes conditions from a sample on: from the first block that begins there or later.

        Args:
            sample: counted from the start of the stream, without the prompt.
            **conditions: `speaker_id` or `global_conditioning`, as `WaveNet.generate` takes them.

        Raises:
            InputError: for another condition, or one of the wrong shape or range.
        """
        with self._lock:
            self._changes.add(sample, conditions)

    def close(self) -> None:
        """Ends the stream and its threads, after a block that another thread waits for."""
        with self._lock:
            self._blocks.close()


def check_draws(temperature: float, seed: int | None) -> None:
    """Raises InputError unless temperature and seed are in range; warns of temperature 0."""
    check_seed(seed)
    check_temperature(temperature)
    if temperature == 0.0:
        warnings.warn(
            "temperature 0 always takes the most likely value; such audio tends to fall silent. "
            "Sample with a temperature near 1 instead.",
            stacklevel=4,
        )


def checked_prompt(prompt, batch_size: int) -> np.ndarray:
    """Returns a prompt as float32 audio `[batch_size or 1, samples]`, empty if it is None.

    Raises:
        InputError: unless it is `[batch_size or 1, samples]` of finite numbers.
    """
    if prompt is None:
        return np.zeros([1, 0], np.float32)
    prompt = as_finite_floats("prompt", prompt)
    if prompt.ndim != 2 or prompt.shape[0] not in (1, batch_size):
        raise InputError(
            f"prompt must be audio of shape [{batch_size} or 1, samples]; received shape "
            f"{list(prompt.shape)}"
        )
    return prompt
