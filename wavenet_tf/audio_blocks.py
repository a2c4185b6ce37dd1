"""Blocks of a stream of audio, read with a progress bar; importable without TensorFlow."""

import sys
import time
from collections.abc import Iterator
from typing import Protocol

import numpy as np


class BlockStream(Protocol):
    """A stream of blocks of audio, `[batch, samples]`, of a model or of an exported one."""

    @property
    def description(self) -> str:
        """How the streams are sampled, in words."""

    def __next__(self) -> np.ndarray: ...

    def close(self) -> None:
        """Ends the stream."""


class ProgressBar:
    """One line that shows how much audio is sampled, how fast, and how long the rest takes.

    Args:
        num_samples: samples per stream.
        sample_rate: in Hz.
        description: how the streams are sampled.
    """

    def __init__(self, num_samples: int, sample_rate: int, description: str):
        self.num_samples = num_samples
        self.sample_rate = sample_rate
        self.started = time.perf_counter()
        # Time and samples at the end of the first block: compiling does not count in the speed.
        self.first_block: tuple[float, int] | None = None
        self.next_time = 0.0
        self._show(description, last=True)

    def update(self, done: int, streams: int) -> None:
        """Shows that `done` samples of each of `streams` are sampled."""
        now = time.perf_counter()
        if self.first_block is None:
            self.first_block = now, done
            self._show(f"first block of audio after {now - self.started:.1f} s", last=True)
        started, before = self.first_block
        last = done == self.num_samples
        if not last and (now < self.next_time or not sys.stderr.isatty()):
            return
        self.next_time = now + 0.1
        seconds, total = done / self.sample_rate, self.num_samples / self.sample_rate
        line = f"{100 * done // self.num_samples:3d}% {seconds:.1f} of {total:.1f} s"
        if done > before:
            speed = (done - before) / (now - started)
            left = (self.num_samples - done) / speed
            line += (
                f", {streams * speed:,.0f} samples/s, real-time factor "
                f"{speed / self.sample_rate:.2f}, {left:.0f} s left"
            )
        self._show(line, last=last)

    def _show(self, line: str, last: bool) -> None:
        """Replaces the line shown, and starts a new line after the last one."""
        start = "\r" if sys.stderr.isatty() else ""
        print(f"{start}{line:<79}", end="\n" if last else "", file=sys.stderr, flush=True)


def collect(stream: BlockStream, num_samples: int, sample_rate: int, progress: bool) -> np.ndarray:
    """Returns the next samples of a stream, `[batch, num_samples]`, and closes it.

    Args:
        stream: to read.
        num_samples: number of samples.
        sample_rate: in Hz, for the progress bar.
        progress: whether to show a progress bar.
    """
    return np.concatenate(list(take(stream, num_samples, sample_rate, progress)), axis=1)


def take(
    stream: BlockStream, num_samples: int, sample_rate: int, progress: bool
) -> Iterator[np.ndarray]:
    """Yields the blocks of a stream up to `num_samples`, then closes the stream.

    Args:
        stream: to read.
        num_samples: in all; the last block is cut there.
        sample_rate: in Hz, for the progress bar.
        progress: whether to show a progress bar.
    """
    bar = ProgressBar(num_samples, sample_rate, stream.description) if progress else None
    done = 0
    while done < num_samples:
        block = next(stream)[:, : num_samples - done]
        done += block.shape[1]
        if bar:
            bar.update(done, streams=block.shape[0])
        yield block
    stream.close()
