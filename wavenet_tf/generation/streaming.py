"""Audio without end, block after block: compiling, seeding, threads and progress."""

import functools
import os
import sys
import time
import warnings
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow as tf

from wavenet_tf.errors import InputError
from wavenet_tf.generation.schedule import (
    Schedule,
    generate_block,
    prepare_weights,
    prime,
    schedule_of,
)
from wavenet_tf.layers import positive_integer

# Samples made by one call of the compiled loop: long enough that the call itself costs nothing,
# short enough that progress is live.
BLOCK_SIZE = 1024
# From so many streams on, another thread is worth its own loop.
STREAMS_PER_THREAD = 4


@functools.lru_cache(maxsize=32)
def compiled_block(schedule: Schedule, jit_compile: bool):
    """`generate_block` of that schedule as a graph: compiled once a batch and block size.

    Models of one configuration share it, whatever their weights: those are its arguments.
    """
    return tf.function(functools.partial(generate_block, schedule), jit_compile=jit_compile)


def stream(
    model, batch_size, prompt, temperature, top_k, top_p, seed, threads
) -> Generator[np.ndarray, None, None]:
    """Yields audio without end, float32 `[batch_size, BLOCK_SIZE]`; see `WaveNet.stream`."""
    batch_size = positive_integer("batch_size", batch_size)
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
    values = distribution.encode(checked_prompt(prompt, batch_size))
    groups = groups_of_streams(batch_size, threads)
    states = [prime(model, tf.gather(values, group)) for group in groups]
    weights = prepare_weights(model)
    temperature = tf.constant(temperature, tf.float32)
    generator = np.random.default_rng(seed)

    def blocks():
        nonlocal states
        with ThreadPoolExecutor(len(groups)) as pool:
            while True:
                # Time before batch: the numbers do not depend on the size of a block.
                uniforms = generator.random([BLOCK_SIZE, batch_size], np.float32).T
                parts = [
                    pool.submit(draw, weights, state, uniforms[group], temperature)
                    for group, state in zip(groups, states, strict=True)
                ]
                drawn, states = zip(*(part.result() for part in parts), strict=True)
                yield distribution.decode(tf.concat(drawn, axis=0)).numpy()

    return blocks()


def groups_of_streams(batch_size: int, threads: int | None = None) -> list[np.ndarray]:
    """Splits streams into groups that are sampled at the same time, one on each thread.

    A matrix product of few streams gains nothing from a second thread, and a step of the loop is
    too short to share; but streams are independent.

    Args:
        batch_size: number of streams.
        threads: the most groups; None makes one for every core.

    Returns:
        The indices of each group's streams.
    """
    if threads is None:
        threads = os.cpu_count() or 1
    threads = positive_integer("threads", threads)
    groups = max(1, min(threads, batch_size // STREAMS_PER_THREAD))
    return np.array_split(np.arange(batch_size), groups)


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
        self.next_time = 0.0

    def update(self, made: int, streams: int) -> None:
        """Shows that each of `streams` has `made` samples now."""
        now = time.perf_counter()
        if self.first_block is None:
            self.first_block = now, made
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
        start = "\r" if sys.stderr.isatty() else ""
        print(f"{start}{line:<79}", end="\n" if done else "", file=sys.stderr, flush=True)
