"""Streams of audio, block after block: compiling, seeding, threads and progress."""

import functools
import itertools
import math
import os
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from wavenet_tf.errors import InputError, check_seed, positive_integer
from wavenet_tf.generation.schedule import (
    HeldRows,
    Schedule,
    State,
    generate_block,
    prepare_weights,
    prime,
    schedule_of,
)
from wavenet_tf.generation.storage import Shifting

# Samples made by one call of the compiled loop: long enough that the call itself costs nothing,
# short enough that progress is live.
BLOCK_SIZE = 1024
# From so many streams on, another thread is worth its own loop.
STREAMS_PER_THREAD = 4
# Fewer streams leave a GPU idle between its kernels, each of them smaller than its launch.
STREAMS_FOR_GPU = 16


class Plan(NamedTuple):
    """The way in which streams are sampled."""

    device: str  # as `tf.device` takes it
    jit_compile: bool  # by XLA, or as a plain graph
    groups: list[np.ndarray]  # the streams of each thread

    def __str__(self):
        way = "XLA" if self.jit_compile else "graph"
        streams = sum(len(group) for group in self.groups)
        return (
            f"{way} on {self.device}, {_count(streams, 'stream')} "
            f"in {_count(len(self.groups), 'thread')}"
        )


def plan(
    batch_size: int,
    threads: int | None = None,
    jit_compile: bool | None = None,
    device: str | None = None,
) -> Plan:
    """Chooses how to sample, where it is not told.

    A matrix product of few streams gains nothing from a second thread, and a step of the loop is
    too short to share; but streams are independent, so that groups of them run on a thread each.

    Args:
        batch_size: number of streams.
        threads: the most to use; None uses every core.
        jit_compile: whether to compile with XLA; None does so where TensorFlow has it.
        device: as `tf.device` takes it; None takes a GPU for `STREAMS_FOR_GPU` streams or more,
            if there is one.

    Raises:
        InputError: for a number of threads below 1, or XLA where TensorFlow has none.
    """
    has_xla = tf.test.is_built_with_xla()
    if jit_compile and not has_xla:
        raise InputError("jit_compile must be None or False: this TensorFlow is built without XLA")
    if device is None:
        gpu = tf.config.list_logical_devices("GPU") and batch_size >= STREAMS_FOR_GPU
        device = "GPU:0" if gpu else "CPU:0"
    cores = os.cpu_count() or 1
    threads = cores if threads is None else positive_integer("threads", threads)
    if "CPU" not in device.upper():
        threads = 1  # one loop fills it
    groups = max(1, min(threads, batch_size // STREAMS_PER_THREAD))
    return Plan(
        device=device,
        jit_compile=has_xla if jit_compile is None else jit_compile,
        groups=np.array_split(np.arange(batch_size), groups),
    )


@functools.lru_cache(maxsize=32)
def compiled_block(schedule: Schedule, jit_compile: bool):
    """`generate_block` of that schedule as a graph: compiled once a batch and block size.

    Models of one configuration share it, whatever their weights: those are its arguments.
    """
    if not jit_compile:
        # Half as many operations, each of which costs a graph more than what it computes.
        schedule = schedule._replace(storage=Shifting)
    return tf.function(
        functools.partial(generate_block, schedule), jit_compile=jit_compile, autograph=False
    )


class AudioStream(Iterator[np.ndarray]):
    """Audio, a block at a time; see `WaveNet.stream`.

    Threads may share a stream: each block goes to one of them.

    Attributes:
        plan: how it is sampled.
        num_samples: until it ends; None for without end.
    """

    def __init__(
        self,
        model,
        batch_size: int,
        prompt,
        conditions: dict,
        temperature: float,
        top_k: int | None,
        top_p: float | None,
        seed: int | None,
        block_size: int | None,
        **choices,
    ):
        batch_size = positive_integer("batch_size", batch_size)
        block_size = BLOCK_SIZE if block_size is None else block_size
        block_size = positive_integer("block_size", block_size)
        check_seed(seed)
        if not 0.0 <= temperature < math.inf:
            raise InputError(f"temperature must be 0 or above; received {temperature}")
        if temperature == 0.0:
            warnings.warn(
                "temperature 0 always takes the most likely value; audio made so tends to fall "
                "silent. Draw with a temperature near 1 instead.",
                stacklevel=3,
            )
        self.plan = plan(batch_size, **choices)
        draw = compiled_block(schedule_of(model, top_k, top_p), self.plan.jit_compile)
        prompt = checked_prompt(prompt, batch_size)
        values = model.distribution.encode(prompt)
        with tf.device(self.plan.device):
            conditions = checked_conditions(model, conditions, batch_size)
            groups = [_of_group(conditions, group) for group in self.plan.groups]
            global_conditionings = [_float32(model.global_conditioning(group)) for group in groups]
            states = [
                _prime_streams(model, values, conditions, streams)
                for streams, conditions in zip(self.plan.groups, groups, strict=True)
            ]
            weights = prepare_weights(model)
            temperature = tf.constant(temperature, tf.float32)
        generator = np.random.default_rng(seed)

        start, self.num_samples = prompt.shape[1], None
        if model.hop_length:
            frames = conditions["local_conditioning"].shape[1]
            self.num_samples = frames * model.hop_length - start
            if self.num_samples < 1:
                raise InputError(
                    f"local_conditioning must go beyond the prompt of {start} samples; received "
                    f"{frames} frames of {model.hop_length} samples"
                )

        @tf.function
        def upsample(group, first):
            if model.upsampler is None:
                return None
            frames = group["local_conditioning"]
            rows, skipped = model.upsampler.held_rows(frames, first, block_size)
            return HeldRows(_float32(rows), skipped)

        def draw_group(group, state, uniforms, global_conditioning, first):
            with tf.device(self.plan.device):
                local = upsample(group, tf.constant(first))
                return draw(weights, state, uniforms, temperature, global_conditioning, local)

        def blocks(states):
            made = 0
            with ThreadPoolExecutor(len(states)) as pool:
                while self.num_samples is None or made < self.num_samples:
                    # Time before batch: the numbers do not depend on the size of a block.
                    shape = block_size, batch_size, *model.distribution.uniforms_shape
                    uniforms = generator.random(shape, np.float32).swapaxes(0, 1)
                    uniforms = [uniforms[streams] for streams in self.plan.groups]
                    first = itertools.repeat(start + made)
                    parts = pool.map(
                        draw_group, groups, states, uniforms, global_conditionings, first
                    )
                    drawn, states = zip(*parts, strict=True)
                    audio = model.distribution.decode(tf.concat(drawn, axis=0)).numpy()
                    yield audio if self.num_samples is None else audio[:, : self.num_samples - made]
                    made += block_size

        self._blocks = blocks(states)
        # A generator raises ValueError where two threads call it at once.
        self._lock = threading.Lock()

    def __next__(self) -> np.ndarray:
        with self._lock:
            return next(self._blocks)

    def close(self) -> None:
        """Ends the stream and its threads, after the block that another thread waits for."""
        with self._lock:
            self._blocks.close()


def _float32(tensor):
    """The tensor in the precision of sampling, or None where there is none."""
    return None if tensor is None else tf.cast(tensor, tf.float32)


def _of_group(tensors: dict, streams: np.ndarray) -> dict:
    return {name: tf.gather(tensor, streams) for name, tensor in tensors.items()}


def _prime_streams(model, values, conditions: dict, streams: np.ndarray) -> State:
    """The state after `values`, `[batch or 1, time]`; what all streams share is computed once."""
    if values.shape[0] > 1:
        return prime(model, tf.gather(values, streams), conditions)
    if conditions:
        return prime(model, tf.repeat(values, len(streams), axis=0), conditions)
    return tf.nest.map_structure(
        lambda part: tf.repeat(part, len(streams), axis=0), prime(model, values)
    )


def checked_conditions(model, conditions: dict, batch_size: int) -> dict[str, tf.Tensor]:
    """The model's other inputs, a row for each stream.

    Args:
        model: a `WaveNet`.
        conditions: by name; None where nothing was given.
        batch_size: number of streams.

    Raises:
        InputError: for one that is missing, not wanted, or of the wrong shape or range.
    """
    checked = {}
    for name, value in conditions.items():
        if (value is not None) != (name in model.conditioning_names):
            known = ", ".join(model.conditioning_names) or "nothing"
            raise InputError(
                f"{name} must {'not ' * (value is not None)}be given: the model is conditioned on "
                f"{known}"
            )
        if value is None:
            continue
        if name == "speaker_id":
            value = np.atleast_1d(value)
            if value.dtype.kind not in "iu" or not np.isin(value, range(model.num_speakers)).all():
                raise InputError(
                    f"speaker_id must be whole numbers from 0 to {model.num_speakers - 1}; "
                    f"received {value.tolist()}"
                )
            value = value.astype(np.int32)
        else:
            value = np.asarray(value, np.float32)
            if not np.isfinite(value).all():
                raise InputError(f"{name} holds numbers that are not finite (NaN or infinity)")
        shape = {
            "speaker_id": (),
            "global_conditioning": (model.global_channels,),
            "local_conditioning": (*value.shape[1:2], model.local_channels),
        }[name]
        if value.shape not in ((1, *shape), (batch_size, *shape)) or 0 in value.shape:
            shape = ("frames", model.local_channels) if name == "local_conditioning" else shape
            expected = ", ".join(map(str, [f"{batch_size} or 1", *shape]))
            raise InputError(
                f"{name} must have shape [{expected}]; received shape {list(value.shape)}"
            )
        checked[name] = tf.constant(np.broadcast_to(value, (batch_size, *value.shape[1:])))
    return checked


def checked_prompt(prompt, batch_size: int) -> np.ndarray:
    """The prompt as float32 audio `[batch_size or 1, samples]`, empty where there is none.

    Raises:
        InputError: if it is no `[batch_size or 1, samples]` of finite numbers.
    """
    if prompt is None:
        return np.zeros([1, 0], np.float32)
    prompt = np.asarray(prompt, np.float32)
    if prompt.ndim != 2 or prompt.shape[0] not in (1, batch_size):
        raise InputError(
            f"prompt must be audio of shape [{batch_size} or 1, samples]; received shape "
            f"{list(prompt.shape)}"
        )
    if not np.isfinite(prompt).all():
        raise InputError("prompt holds samples that are not finite numbers (NaN or infinity)")
    return prompt


def collect(stream: AudioStream, num_samples: int, sample_rate: int, progress: bool) -> np.ndarray:
    """Joins blocks of audio to `[batch, num_samples]`, with a progress bar if wanted."""
    return np.concatenate(list(take(stream, num_samples, sample_rate, progress)), axis=1)


def take(
    stream: AudioStream, num_samples: int, sample_rate: int, progress: bool
) -> Iterator[np.ndarray]:
    """Yields the blocks of a stream up to `num_samples`, then closes the stream.

    Args:
        stream: to read.
        num_samples: in all; the last block is cut there.
        sample_rate: in Hz, for the progress bar.
        progress: show a progress bar.
    """
    bar = ProgressBar(num_samples, sample_rate, stream.plan) if progress else None
    made = 0
    while made < num_samples:
        block = next(stream)[:, : num_samples - made]
        made += block.shape[1]
        if bar:
            bar.update(made, streams=block.shape[0])
        yield block
    stream.close()


class ProgressBar:
    """One line that shows how much audio is made, how fast, and when it will be done.

    Args:
        num_samples: to be made by each stream.
        sample_rate: in Hz.
        plan: how it is made.
    """

    def __init__(self, num_samples: int, sample_rate: int, plan: Plan):
        self.num_samples = num_samples
        self.sample_rate = sample_rate
        self.started = time.perf_counter()
        # When the first block was done, and its samples: compiling is not sampling.
        self.first_block: tuple[float, int] | None = None
        self.next_time = 0.0
        self._show(f"{plan}; compiling ...", last=True)

    def update(self, made: int, streams: int) -> None:
        """Shows that each of `streams` has `made` samples now."""
        now = time.perf_counter()
        if self.first_block is None:
            self.first_block = now, made
            self._show(f"first block of audio after {now - self.started:.1f} s", last=True)
        started, before = self.first_block
        done = made == self.num_samples
        if not done and (now < self.next_time or not sys.stderr.isatty()):
            return
        self.next_time = now + 0.1
        seconds, total = made / self.sample_rate, self.num_samples / self.sample_rate
        line = f"{100 * made // self.num_samples:3d}% {seconds:.1f} of {total:.1f} s"
        if made > before:
            speed = (made - before) / (now - started)
            left = (self.num_samples - made) / speed
            line += (
                f", {streams * speed:,.0f} samples/s, real-time factor "
                f"{speed / self.sample_rate:.2f}, {left:.0f} s left"
            )
        self._show(line, last=done)

    def _show(self, line: str, last: bool) -> None:
        """Writes over the line before, and starts a new one after the last."""
        start = "\r" if sys.stderr.isatty() else ""
        print(f"{start}{line:<79}", end="\n" if last else "", file=sys.stderr, flush=True)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"
